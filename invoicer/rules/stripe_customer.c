#include "invoicer/rules/stripe_customer.h"

#include <assert.h>
#include <stdio.h>

enum { PAGE = 100, BEFORE_S = 86400 };

void stripe_customer_init(struct stripe_customer *way, struct text customer,
                          const struct stripe_delivery *delivery, const struct stripe_terms *terms,
                          int64_t now_ms, struct arena *arena)
{
    int64_t age_s = (now_ms - instant_ms(delivery->begun_at)) / 1000;

    *way = (struct stripe_customer){
        .customer = customer,
        .terms = terms,
        .delivery = delivery,
        .arena = arena,
        .is_looking = delivery->state != STRIPE_BEGUN || age_s > STRIPE_KEY_S_MAX ||
                      age_s < -STRIPE_KEY_S_MAX,
    };
    assert(way->is_looking || delivery->step_count == 1);
}

void stripe_customer_request(const struct stripe_customer *way, struct stripe_request *request)
{
    const struct stripe_delivery *delivery = way->delivery;
    int64_t begun_s = delivery->begun_at.ns / 1000000000;
    int64_t since_s = begun_s > BEFORE_S ? begun_s - BEFORE_S : 0;
    int length;

    *request = (struct stripe_request){.method = "GET", .endpoint = STRIPE_OTHER};
    if (!way->is_looking) {
        const struct stripe_step *step = &delivery->steps[0];

        request->method = "POST";
        request->key = step->key;
        request->body = step->body;
        length = snprintf(request->path, STRIPE_REQUEST_MAX, "%.*s", (int)step->path.length,
                          step->path.at);
    } else {
        length = snprintf(
            request->path, STRIPE_REQUEST_MAX,
            "/v1/customers?created%%5Bgte%%5D=%lld&limit=%d%s%.*s", (long long)since_s, PAGE,
            text_is_absent(way->page) ? "" : "&starting_after=", (int)way->page.length,
            way->page.at ? way->page.at : "");
    }
    assert(length < STRIPE_REQUEST_MAX);
}

static bool is_ours(const struct stripe_customer *way, const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *customer = json_string_value(json_object_get(metadata, "tollway_customer"));
    const char *bucket = json_string_value(json_object_get(metadata, "tollway_bucket"));

    return text_equal(text_of(customer), way->customer) &&
           text_equal(text_of(bucket), way->terms->bucket);
}

static enum stripe_flow_end keep(struct stripe_customer *way, const json_t *object,
                                 struct text *kept, enum stripe_flow_end end)
{
    struct text id = text_of(json_string_value(json_object_get(object, "id")));

    *kept = stripe_is_id(id) ? arena_copy(way->arena, id) : text_of(NULL);
    if (!text_is_absent(*kept))
        return end;
    snprintf(way->why, sizeof(way->why), "Stripe named no id of its customer");
    return STRIPE_FLOW_HELD;
}

static enum stripe_flow_end take_found(struct stripe_customer *way, const json_t *list)
{
    struct stripe_page page;
    const json_t *object;
    size_t i;

    if (!stripe_page_read(list, way->page, &page)) {
        snprintf(way->why, sizeof(way->why), "Stripe's list of customers can't be read");
        return STRIPE_FLOW_LATER;
    }
    json_array_foreach(page.data, i, object)
    {
        if (is_ours(way, object))
            return keep(way, object, &way->stripe, STRIPE_FLOW_FINALIZED);
    }
    if (text_is_absent(page.next))
        return STRIPE_FLOW_NEW_ATTEMPT;
    return keep(way, json_array_get(page.data, json_array_size(page.data) - 1), &way->page,
                STRIPE_FLOW_GOES_ON);
}

static enum stripe_flow_end take_done(struct stripe_customer *way,
                                      const struct stripe_answer *answer)
{
    json_t *object = json_loadb(answer->body.at, answer->body.length, 0, NULL);
    enum stripe_flow_end end;

    assert(json_is_object(object));
    way->tries = 0;
    end = way->is_looking ? take_found(way, object)
                          : keep(way, object, &way->stripe, STRIPE_FLOW_FINALIZED);
    json_decref(object);
    return end;
}

enum stripe_flow_end stripe_customer_answer(struct stripe_customer *way,
                                            const struct stripe_answer *answer, uint64_t jitter,
                                            int64_t *wait_ms)
{
    struct stripe_judgement judgement;

    *wait_ms = 0;
    way->tries++;
    stripe_judge(answer, way->tries, jitter, &judgement);
    way->has_slowed = judgement.verdict == STRIPE_SLOWER;
    snprintf(way->why, sizeof(way->why), "%s", judgement.why);
    switch (judgement.verdict) {
    case STRIPE_DONE:
        return take_done(way, answer);
    case STRIPE_AGAIN:
    case STRIPE_SLOWER:
        *wait_ms = judgement.wait_ms;
        return way->tries < STRIPE_TRIES_MAX ? STRIPE_FLOW_GOES_ON : STRIPE_FLOW_LATER;
    case STRIPE_RECONCILE:
        if (way->is_looking)
            return STRIPE_FLOW_HELD;
        way->is_looking = true;
        way->tries = 0;
        return STRIPE_FLOW_GOES_ON;
    case STRIPE_HOLD:
        return STRIPE_FLOW_HELD;
    case STRIPE_STOP:
        break;
    }
    return STRIPE_FLOW_STOP;
}
