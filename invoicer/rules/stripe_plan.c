/*
 * stripe_plan.c - the requests, as bytes.
 *
 * What is sent is an invoice without anything of the account's own: no pending items, and no
 * coupon of the customer's on the lines, or the total would be another one than ours.
 */
#include "invoicer/rules/stripe_plan.h"

#include "invoicer/rules/stripe_form.h"
#include "invoicer/rules/stripe_text.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>

enum {
    SHA256_BYTES = 32,
    FIELD_MAX = 64,
    DAY_LENGTH = 10,
    PLAN_NAME_MAX = 400,
    CUSTOMER_NAME_MAX = 256, /* Stripe's */
    PHONE_MAX = 20,          /* Stripe's */
};

/* --- keys --- */

/* With its length in front, so that no two lists of texts are written alike. */
static void add_part(struct buffer *out, struct text part)
{
    buffer_printf(out, "%zu:", part.length);
    buffer_add_text(out, part);
    buffer_add_char(out, ',');
}

static struct text sha256_hex(struct text text, struct arena *arena)
{
    unsigned char digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];

    if (EVP_Digest(text.at, text.length, digest, NULL, EVP_sha256(), NULL) != 1)
        assert(!"SHA-256 of bytes in memory can't fail");
    for (size_t i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return arena_copy(arena, text_of(hex));
}

static struct text key_of(const struct stripe_terms *terms, struct text what, int64_t attempt,
                          struct text step, struct arena *arena)
{
    CLEANUP(buffer_deinit) struct buffer parts = {0};
    char number[24];

    (void)snprintf(number, sizeof(number), "%lld", (long long)attempt);
    add_part(&parts, terms->account);
    add_part(&parts, text_of(terms->is_live ? "live" : "test"));
    add_part(&parts, terms->bucket);
    add_part(&parts, what);
    add_part(&parts, text_of(number));
    add_part(&parts, step);
    return sha256_hex(buffer_text(&parts), arena);
}

static bool make_step(const char *path, struct text key, const struct buffer *body,
                      struct arena *arena, struct stripe_step *step)
{
    *step = (struct stripe_step){text_of(path), key, arena_copy(arena, buffer_text(body))};
    return !text_is_absent(step->key) && !text_is_absent(step->body);
}

/* --- create --- */

static void add_collection(struct buffer *form, const struct stripe_terms *terms)
{
    if (!terms->is_sent) {
        stripe_form_add(form, "collection_method", text_of("charge_automatically"));
        return;
    }
    stripe_form_add(form, "collection_method", text_of("send_invoice"));
    stripe_form_add_int(form, "days_until_due", terms->days_until_due);
}

/* "Pro, 2026-02-01 to 2026-03-01": the period that ended; of a first invoice, the one that begins.
 */
static void add_description(struct buffer *form, const json_t *invoice)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};
    const json_t *ended = json_object_get(invoice, "ended");
    const json_t *period = json_is_object(ended) ? ended : json_object_get(invoice, "begins");
    struct text from = stripe_member(period, "from"), to = stripe_member(period, "to");

    buffer_add_text(
        &out, stripe_cut(stripe_member(json_object_get(invoice, "plan"), "name"), PLAN_NAME_MAX));
    if (from.length >= DAY_LENGTH && to.length >= DAY_LENGTH)
        buffer_printf(&out, ", %.*s to %.*s", DAY_LENGTH, from.at, DAY_LENGTH, to.at);
    stripe_form_add(form, "description", buffer_text(&out));
}

static bool plan_create(const json_t *invoice, const struct stripe_expected *expected,
                        const struct stripe_terms *terms, struct text customer, int64_t attempt,
                        struct arena *arena, struct stripe_step *step)
{
    CLEANUP(buffer_deinit) struct buffer form = {0};

    stripe_form_add(&form, "customer", customer);
    stripe_form_add(&form, "currency", text_of(expected->currency));
    stripe_form_add(&form, "auto_advance", text_of("false"));
    add_collection(&form, terms);
    stripe_form_add(&form, "pending_invoice_items_behavior", text_of("exclude"));
    add_description(&form, invoice);
    stripe_form_add(&form, "metadata[tollway_invoice]", expected->invoice);
    stripe_form_add(&form, "metadata[tollway_bucket]", terms->bucket);
    stripe_form_add(&form, "metadata[tollway_subscription]",
                    stripe_cut(stripe_member(invoice, "subscription"), STRIPE_METADATA_MAX));
    stripe_form_add(&form, "metadata[tollway_boundary]", stripe_member(invoice, "boundary"));
    stripe_form_add(&form, "metadata[tollway_digest]", stripe_member(invoice, "digest"));
    stripe_form_add_int(&form, "metadata[tollway_attempt]", attempt);
    return make_step("/v1/invoices",
                     key_of(terms, expected->invoice, attempt, text_of("create"), arena), &form,
                     arena, step);
}

/* --- lines --- */

static void add_line(struct buffer *form, size_t place, const struct stripe_line *line)
{
    char name[FIELD_MAX];

    (void)snprintf(name, sizeof(name), "lines[%zu][amount]", place);
    stripe_form_add_int(form, name, line->amount);
    (void)snprintf(name, sizeof(name), "lines[%zu][description]", place);
    stripe_form_add(form, name, line->description);
    (void)snprintf(name, sizeof(name), "lines[%zu][period][start]", place);
    stripe_form_add_int(form, name, line->from_s);
    (void)snprintf(name, sizeof(name), "lines[%zu][period][end]", place);
    stripe_form_add_int(form, name, line->to_s);
    (void)snprintf(name, sizeof(name), "lines[%zu][metadata][tollway_line]", place);
    stripe_form_add(form, name, text_of(line->key));
    (void)snprintf(name, sizeof(name), "lines[%zu][metadata][tollway_line_id]", place);
    stripe_form_add(form, name, line->our_line);
    (void)snprintf(name, sizeof(name), "lines[%zu][discountable]", place);
    stripe_form_add(form, name, text_of("false"));
}

static const char add_lines_path[] = "/v1/invoices/{invoice}/add_lines";

static bool plan_lines(const struct stripe_expected *expected, const struct stripe_terms *terms,
                       int64_t attempt, size_t from, struct arena *arena, struct stripe_step *step)
{
    CLEANUP(buffer_deinit) struct buffer form = {0};
    char name[FIELD_MAX];

    for (size_t i = from; i < expected->line_count && i < from + STRIPE_LINES_PER_CALL; i++)
        add_line(&form, i - from, &expected->lines[i]);
    (void)snprintf(name, sizeof(name), "lines from %zu", from + 1);
    return make_step(add_lines_path,
                     key_of(terms, expected->invoice, attempt, text_of(name), arena), &form, arena,
                     step);
}

int stripe_plan_missing(const struct stripe_expected *expected, const bool *seen,
                        const struct stripe_terms *terms, int64_t attempt, int round, size_t *next,
                        struct arena *arena, struct stripe_step *step)
{
    CLEANUP(buffer_deinit) struct buffer form = {0}, name = {0};
    size_t count = 0;

    for (; *next < expected->line_count && count < STRIPE_LINES_PER_CALL; (*next)++)
        if (!seen[*next])
            add_line(&form, count++, &expected->lines[*next]);
    if (count == 0)
        return 0;
    buffer_printf(&name, "missing %d: ", round);
    buffer_add_text(&name, buffer_text(&form));
    return make_step(add_lines_path,
                     key_of(terms, expected->invoice, attempt, buffer_text(&name), arena), &form,
                     arena, step)
               ? 1
               : -1;
}

/* --- finalize --- */

static bool plan_finalize(const struct stripe_expected *expected, const struct stripe_terms *terms,
                          int64_t attempt, const char *name, struct arena *arena,
                          struct stripe_step *step)
{
    CLEANUP(buffer_deinit) struct buffer form = {0};

    stripe_form_add(&form, "auto_advance", text_of("true"));
    return make_step("/v1/invoices/{invoice}/finalize",
                     key_of(terms, expected->invoice, attempt, text_of(name), arena), &form, arena,
                     step);
}

int stripe_plan_finalize(const struct stripe_expected *expected, const struct stripe_terms *terms,
                         int64_t attempt, int64_t now_ms, int round, struct arena *arena,
                         struct stripe_step *step)
{
    char name[FIELD_MAX];

    (void)snprintf(name, sizeof(name), "finalize at %lld, %d", (long long)now_ms, round);
    return plan_finalize(expected, terms, attempt, name, arena, step) ? 0 : STRIPE_PLAN_NO_MEMORY;
}

/* --- all of them --- */

static bool plan_all(const json_t *invoice, const struct stripe_expected *expected,
                     const struct stripe_terms *terms, struct text customer, int64_t attempt,
                     struct arena *arena, struct stripe_step *steps, size_t count)
{
    if (!plan_create(invoice, expected, terms, customer, attempt, arena, &steps[0]))
        return false;
    for (size_t i = 1; i + 1 < count; i++)
        if (!plan_lines(expected, terms, attempt, (i - 1) * STRIPE_LINES_PER_CALL, arena,
                        &steps[i]))
            return false;
    return plan_finalize(expected, terms, attempt, "finalize", arena, &steps[count - 1]);
}

int stripe_plan(struct text invoice, const struct stripe_expected *expected,
                const struct stripe_terms *terms, struct text customer, int64_t attempt,
                struct arena *arena, const struct stripe_step **steps, size_t *count)
{
    size_t calls = (expected->line_count + STRIPE_LINES_PER_CALL - 1) / STRIPE_LINES_PER_CALL;
    struct stripe_step *made = arena_take(arena, (calls + 2) * sizeof(*made));
    json_t *object = json_loadb(invoice.at, invoice.length, 0, NULL);
    bool is_made;

    assert(attempt > 0);
    assert(customer.length > 0);
    assert(terms->bucket.length > 0 && terms->bucket.length <= STRIPE_METADATA_MAX);
    assert(text_equal(stripe_member(object, "id"), expected->invoice));
    is_made = made && plan_all(object, expected, terms, customer, attempt, arena, made, calls + 2);
    json_decref(object);
    if (!is_made)
        return STRIPE_PLAN_NO_MEMORY;
    *steps = made;
    *count = calls + 2;
    return 0;
}

/* --- the customer --- */

static void add_address(struct buffer *form, const json_t *address)
{
    static const char *const names[][2] = {
        {"country", "address[country]"},
        {"state", "address[state]"},
        {"postalCode", "address[postal_code]"},
        {"city", "address[city]"},
        {"line1", "address[line1]"},
        {"line2", "address[line2]"},
    };
    struct text phone = stripe_member(address, "phoneNumber");

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        stripe_form_add(form, names[i][1], stripe_member(address, names[i][0]));
    if (phone.length <= PHONE_MAX)
        stripe_form_add(form, "phone", phone);
}

static bool plan_customer(const json_t *customer, const struct stripe_terms *terms, int64_t attempt,
                          struct arena *arena, struct stripe_step *step)
{
    CLEANUP(buffer_deinit) struct buffer form = {0}, what = {0};
    struct text key = stripe_member(customer, "key");

    stripe_form_add(&form, "name", stripe_cut(stripe_member(customer, "name"), CUSTOMER_NAME_MAX));
    stripe_form_add(&form, "email", stripe_member(customer, "primaryEmail"));
    add_address(&form, json_object_get(customer, "billingAddress"));
    stripe_form_add(&form, "metadata[tollway_customer]", key);
    stripe_form_add(&form, "metadata[tollway_bucket]", terms->bucket);
    buffer_add_string(&what, "customer ");
    buffer_add_text(&what, key);
    return make_step("/v1/customers",
                     key_of(terms, buffer_text(&what), attempt, text_of("create"), arena), &form,
                     arena, step);
}

/* Its key is what it is found by at Stripe: it can't be cut. */
int stripe_plan_customer(struct text customer, const struct stripe_terms *terms, int64_t attempt,
                         struct arena *arena, struct stripe_step *step)
{
    json_t *object = json_loadb(customer.at, customer.length, 0, NULL);
    struct text key = stripe_member(object, "key");
    int r = 0;

    assert(attempt > 0);
    if (key.length == 0)
        r = STRIPE_PLAN_MALFORMED;
    else if (key.length > STRIPE_METADATA_MAX)
        r = STRIPE_PLAN_UNFIT;
    else if (!plan_customer(object, terms, attempt, arena, step))
        r = STRIPE_PLAN_NO_MEMORY;
    json_decref(object);
    return r;
}
