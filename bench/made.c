#include "bench/made.h"

#include "common/base/attrs.h"
#include "common/base/instant.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS = 1 << 22, REPEAT_WITHIN = 100000 };

static const char template[] =
    "{\"specversion\":\"1.0\",\"id\":\"--------------------------------------\",\"source\":"
    "\"/gateways/eu-1\",\"type\":\"request\",\"subscription\":\"01ARZ3NDEKTSV4RRFF--------\","
    "\"time\":\"2026-01-01T00:00:00.000Z\",\"datacontenttype\":\"application/json\",\"data\":{"
    "\"value\":---.-,\"path\":\"/v1/things/----\",\"method\":\"GET\",\"status\":200,\"region\":"
    "\"eu-central-1\",\"bytes\":-----}}";

struct made {
    struct made_plan plan;
    int64_t next;
    uint32_t *ranks; /* zipf: RANKS draws of a subscription */
    struct made_count *counts;
    struct made_count total;
    struct made_event last; /* its count is on its way from memory */
    bool last_repeats, is_counted;
    char json[MADE_JSON_MAX];
    size_t json_bytes, id_at, subscription_at, time_at, value_at, path_at, method_at, bytes_at;
    int64_t day_ms; /* midnight of the date in `json` */
};

/* splitmix64 */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A random number below `most`, without the division of a remainder. */
static uint32_t share_of(uint64_t random, uint64_t most)
{
    return (uint32_t)((uint128)random * most >> 64);
}

/* --- the walk --- */

/* Rank r has the weight 1 / (r + 1); which subscription has which rank doesn't matter. */
static uint32_t *zipf_ranks(int64_t subscriptions)
{
    uint32_t *ranks = malloc(RANKS * sizeof(*ranks));
    double all = 0, passed = 0;
    int64_t slot = 0;

    assert(ranks);
    for (int64_t i = 0; i < subscriptions; i++)
        all += 1 / (double)(i + 1);
    for (int64_t i = 0; i < subscriptions; i++) {
        passed += 1 / (double)(i + 1);
        for (; slot < RANKS && (double)slot <= passed / all * RANKS; slot++)
            ranks[slot] = (uint32_t)i;
    }
    return ranks;
}

static size_t place_of(const char *json, const char *before)
{
    const char *found = strstr(json, before);

    assert(found);
    return (size_t)(found - json) + strlen(before);
}

static void cut_template(struct made *made)
{
    strcpy(made->json, template);
    made->id_at = place_of(made->json, "\"id\":\"");
    made->json_bytes = strlen(made->json) - 2; /* an id has 36 characters */
    memmove(made->json + made->id_at, made->json + made->id_at + 2,
            strlen(made->json + made->id_at + 2) + 1);
    made->subscription_at = place_of(made->json, "\"subscription\":\"");
    made->time_at = place_of(made->json, "\"time\":\"");
    made->value_at = place_of(made->json, "\"value\":");
    made->path_at = place_of(made->json, "/v1/things/");
    made->method_at = place_of(made->json, "\"method\":\"");
    made->bytes_at = place_of(made->json, "\"bytes\":");
    made->day_ms = INT64_MIN;
}

struct made *made_new(const struct made_plan *plan)
{
    struct made *made = calloc(1, sizeof(*made));

    assert(made && plan->subscriptions > 0 && plan->subscriptions < 100000000 && plan->pace > 0);
    made->plan = *plan;
    made->next = plan->first;
    made->is_counted = true; /* there is none yet */
    made->counts = calloc((size_t)plan->subscriptions, sizeof(*made->counts));
    assert(made->counts);
    if (plan->is_zipf)
        made->ranks = zipf_ranks(plan->subscriptions);
    cut_template(made);
    return made;
}

struct made *made_free(struct made *made)
{
    if (!made)
        return NULL;
    free(made->ranks);
    free(made->counts);
    free(made);
    return NULL;
}

static bool repeats(const struct made *made, int64_t number)
{
    return made->plan.duplicates > 0 && number > made->plan.first &&
           mix((uint64_t)number ^ ~made->plan.seed) % 1000 < (uint64_t)made->plan.duplicates;
}

static int64_t original_of(const struct made *made, int64_t number)
{
    int64_t back = number - made->plan.first;

    if (!repeats(made, number))
        return number;
    back = back < REPEAT_WITHIN ? back : REPEAT_WITHIN;
    number -= 1 + (int64_t)(mix((uint64_t)number + made->plan.seed) % (uint64_t)back);
    while (repeats(made, number)) /* the first one never does */
        number--;
    return number;
}

static void add_count(struct made_count *count, const struct made_event *event, bool repeats)
{
    if (repeats) {
        count->duplicate++;
    } else {
        count->counted++;
        count->tenths += event->tenths;
    }
}

static void count_last(struct made *made)
{
    if (made->is_counted)
        return;
    add_count(&made->counts[made->last.subscription], &made->last, made->last_repeats);
    add_count(&made->total, &made->last, made->last_repeats);
    made->is_counted = true;
}

bool made_next(struct made *made, struct made_event *event)
{
    const struct made_plan *plan = &made->plan;
    int64_t number;

    count_last(made);
    if (made->next == plan->first + plan->events)
        return false;
    number = original_of(made, made->next);
    event->number = number;
    event->random[0] = mix((uint64_t)number * 2 ^ plan->seed);
    event->random[1] = mix((uint64_t)number * 2 + 1 + plan->seed);
    event->subscription = made->ranks ? made->ranks[event->random[0] % RANKS]
                                      : share_of(event->random[0], (uint64_t)plan->subscriptions);
    event->tenths = 1000 + (uint32_t)(event->random[1] >> 32) % 9000;
    event->time_ms = plan->start_ms + number / plan->pace;
    __builtin_prefetch(&made->counts[event->subscription], 1);
    made->last = *event;
    made->last_repeats = number != made->next;
    made->is_counted = false;
    made->next++;
    return true;
}

struct made_count made_total(struct made *made)
{
    count_last(made);
    return made->total;
}

void made_write_counts(struct made *made, const char *path)
{
    FILE *file = fopen(path, "w");

    assert(file);
    count_last(made);
    for (int64_t i = 0; i < made->plan.subscriptions; i++) {
        const struct made_count *count = &made->counts[i];
        struct made_event event = {.subscription = (uint32_t)i};
        char name[MADE_SUBSCRIPTION_BYTES + 1];

        if (count->counted + count->duplicate == 0)
            continue;
        made_subscription(&event, name);
        fprintf(file, "%s %llu %llu %llu\n", name, (unsigned long long)count->counted,
                (unsigned long long)count->duplicate, (unsigned long long)count->tenths);
    }
    if (fclose(file) != 0)
        abort();
}

/* --- forms --- */

static void put_digits(char *at, uint64_t number, int digits)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
}

/* The 16 digits of a number, the least first. */
static void put_hex(char *at, uint64_t number)
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++, number >>= 4)
        at[i] = hex[number & 15];
}

void made_id(const struct made_event *event, char id[MADE_ID_BYTES])
{
    char digits[32];

    put_hex(digits, event->random[0]);
    put_hex(digits + 16, event->random[1]);
    memcpy(id, digits, 8);
    memcpy(id + 9, digits + 8, 4);
    memcpy(id + 14, digits + 12, 4);
    memcpy(id + 19, digits + 16, 4);
    memcpy(id + 24, digits + 20, 12);
    id[8] = id[13] = id[18] = id[23] = '-';
}

void made_uuid(const struct made_event *event, uint8_t id[MADE_UUID_BYTES])
{
    static const uint64_t low = 0x0f0f0f0f0f0f0f0f;

    for (int i = 0; i < 2; i++) {
        uint64_t swapped = (event->random[i] & low) << 4 | (event->random[i] >> 4 & low);

        memcpy(id + 8 * i, &swapped, sizeof(swapped));
    }
}

void made_subscription(const struct made_event *event, char name[MADE_SUBSCRIPTION_BYTES + 1])
{
    memcpy(name, "01ARZ3NDEKTSV4RRFF--------", MADE_SUBSCRIPTION_BYTES + 1);
    put_digits(name + 18, event->subscription, 8);
}

static void put_time(struct made *made, int64_t time_ms, char *at)
{
    enum { DAY_MS = 86400000 };
    int64_t ms = time_ms % DAY_MS;

    if (time_ms - ms != made->day_ms) {
        char text[INSTANT_TEXT_MAX];
        instant_format(instant_from_ms(time_ms - ms), text);
        memcpy(made->json + made->time_at, text, 10);
        memcpy(at, text, 10);
        made->day_ms = time_ms - ms;
    }
    put_digits(at + 11, (uint64_t)ms / 3600000, 2);
    put_digits(at + 14, (uint64_t)ms / 60000 % 60, 2);
    put_digits(at + 17, (uint64_t)ms / 1000 % 60, 2);
    put_digits(at + 20, (uint64_t)ms % 1000, 3);
}

size_t made_json(struct made *made, const struct made_event *event, char json[MADE_JSON_MAX])
{
    uint64_t r = event->random[1];

    memcpy(json, made->json, made->json_bytes);
    made_id(event, json + made->id_at);
    put_digits(json + made->subscription_at + 18, event->subscription, 8);
    put_time(made, event->time_ms, json + made->time_at);
    put_digits(json + made->value_at, event->tenths / 10, 3);
    put_digits(json + made->value_at + 4, event->tenths % 10, 1);
    put_digits(json + made->path_at, r % 10000, 4);
    memcpy(json + made->method_at, r & 1 ? "GET" : "PUT", 3);
    put_digits(json + made->bytes_at, 10000 + r % 90000, 5);
    return made->json_bytes;
}

bool made_usage(const struct made *made, struct usage_writer *writer,
                const struct made_event *event)
{
    char subscription[MADE_SUBSCRIPTION_BYTES + 1];
    struct usage_series series = {.aggregation = AGGREGATION_SUM, .meter = text_of("api")};
    union usage_value value = {.amount = {.units = (int128)event->tenths * 100000000000}};
    struct usage_event written = {.time = instant_from_ms(event->time_ms),
                                  .arrival_ms = event->time_ms};

    made_subscription(event, subscription);
    series.subscription = text_from(subscription, MADE_SUBSCRIPTION_BYTES);
    if (made->plan.is_numbered) { /* who the source is, and its number */
        written.flags = USAGE_NUMBERED;
        written.sequence = (uint64_t)event->number;
    } else {
        /* Mixed once more, as a hash is: the subscription comes from the low bits of `random`, and
         * a partition's ids mustn't lie side by side in its table. */
        uint64_t identity[2] = {mix(event->random[0]), event->random[1]};

        memcpy(written.fingerprint.identity, identity, sizeof(written.fingerprint.identity));
        written.fingerprint.payload = event->tenths;
    }
    return usage_writer_add(writer, &written, &series, &value, 1) == 0;
}
