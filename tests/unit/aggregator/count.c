/*
 * The verdicts of metering.md 11 to 17, each at its limit and past it.
 */
#include "aggregator/rules/count.h"

#include "aggregator/rules/rollup.h"
#include "common/base/partition.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS     INT64_C(86400000)
#define HORIZON_MS (35 * DAY_MS)
#define START_MS   INT64_C(1767225600000) /* 2026-01-01 */

/* One event of one entry, told by what matters to a case. */
struct told {
    int64_t age_ms; /* of the time at the arrival */
    int64_t arrival_ms;
    uint32_t id, payload;
    bool without_time;
    enum aggregation aggregation;
    const char *subscription, *subject;
    int128 units;
};

static struct tally *tally;
static struct usage_writer *writer;
static struct usage_reader *reader;
static struct aside asides[USAGE_EVENTS_MAX];
static size_t aside_count;

static void begin(void)
{
    tally = tally_new(0, 1, HORIZON_MS);
    writer = usage_writer_new();
    reader = usage_reader_new();
}

static void end(void)
{
    tally_free(tally);
    usage_writer_free(writer);
    usage_reader_free(reader);
}

TestSuite(count, .init = begin, .fini = end);

static void count_one(struct told told)
{
    struct usage_event event = {.arrival_ms = START_MS + told.arrival_ms};
    struct usage_series series = {.aggregation = told.aggregation,
                                  .subscription =
                                      text_of(told.subscription ? told.subscription : "sub"),
                                  .meter = text_of("api"),
                                  .subject = text_of(told.subject)};
    union usage_value value = {.amount = {.units = told.units}};
    struct usage_batch batch;
    const char *reason;
    struct text bytes;

    event.time = instant_from_ms(event.arrival_ms - told.age_ms);
    event.flags = told.without_time ? USAGE_TIME_ABSENT : 0;
    memcpy(event.fingerprint.identity, &told.id, sizeof(told.id));
    event.fingerprint.identity[11] = 1;
    event.fingerprint.payload = told.payload;
    usage_writer_reset(writer);
    cr_assert_eq(usage_writer_add(writer, &event, &series, &value, 1), 0);
    bytes = usage_writer_finish(writer);
    cr_assert_eq(usage_decode(reader, bytes, &batch, &reason), 0);
    tally_count(tally, &batch, tally->next_offset, asides, &aside_count);
}

static const struct account_counts *counts_of(const char *subscription)
{
    static struct account_counts counts;
    uint32_t number = ledger_find(&tally->ledger, text_of(subscription));

    cr_assert_neq(number, INDEX_NONE);
    counts = ledger_counts(&tally->ledger, number);
    cr_assert(account_balances(&counts));
    return &counts;
}

Test(count, an_event_exactly_on_the_horizon_passes)
{
    count_one((struct told){.id = 1, .age_ms = HORIZON_MS});

    cr_assert_eq(counts_of("sub")->counted, 1);
    cr_assert_eq(aside_count, 0);
}

Test(count, an_event_past_the_horizon_is_late_and_kept)
{
    count_one((struct told){.id = 1, .age_ms = HORIZON_MS + 1});

    cr_assert_eq(counts_of("sub")->late, 1);
    cr_assert_eq(aside_count, 1);
    cr_assert_eq(asides[0].reason, ASIDE_LATE);
}

Test(count, each_copy_of_a_late_event_is_late)
{
    count_one((struct told){.id = 1, .age_ms = HORIZON_MS + 1});
    count_one((struct told){.id = 1, .age_ms = HORIZON_MS + 1});

    cr_assert_eq(counts_of("sub")->late, 2);
    cr_assert_eq(counts_of("sub")->duplicate, 0);
}

Test(count, a_repeated_identity_is_a_duplicate_and_not_kept)
{
    count_one((struct told){.id = 1, .payload = 7});
    count_one((struct told){.id = 1, .payload = 7});

    cr_assert_eq(counts_of("sub")->counted, 1);
    cr_assert_eq(counts_of("sub")->duplicate, 1);
    cr_assert_eq(aside_count, 0);
}

Test(count, another_payload_is_a_duplicate_and_a_conflict_and_kept)
{
    count_one((struct told){.id = 1, .payload = 7});
    count_one((struct told){.id = 1, .payload = 8});

    cr_assert_eq(counts_of("sub")->duplicate, 1);
    cr_assert_eq(counts_of("sub")->conflict, 1);
    cr_assert_eq(asides[0].reason, ASIDE_CONFLICT);
}

Test(count, the_same_id_on_another_day_is_another_event)
{
    count_one((struct told){.id = 1});
    count_one((struct told){.id = 1, .age_ms = DAY_MS});

    cr_assert_eq(counts_of("sub")->counted, 2);
}

Test(count, without_a_time_a_retry_after_midnight_is_a_duplicate)
{
    count_one((struct told){.id = 1, .arrival_ms = DAY_MS - 1000, .without_time = true});
    count_one((struct told){.id = 1, .arrival_ms = DAY_MS + 1000, .without_time = true});

    cr_assert_eq(counts_of("sub")->duplicate, 1);
}

Test(count, without_a_time_a_retry_two_days_later_is_another_event)
{
    count_one((struct told){.id = 1, .arrival_ms = DAY_MS - 1000, .without_time = true});
    count_one((struct told){.id = 1, .arrival_ms = 2 * DAY_MS + 1000, .without_time = true});

    cr_assert_eq(counts_of("sub")->counted, 2);
}

Test(count, with_a_time_a_retry_is_looked_for_on_its_own_day_alone)
{
    count_one((struct told){.id = 1, .arrival_ms = DAY_MS - 1000});
    count_one((struct told){.id = 1, .arrival_ms = DAY_MS + 1000});

    cr_assert_eq(counts_of("sub")->counted, 2);
}

Test(count, a_subscription_of_another_partition_is_rejected)
{
    char stranger[16] = "sub-0";

    for (int i = 1; partition_of(text_of(stranger), 2) != 1; i++)
        (void)snprintf(stranger, sizeof(stranger), "sub-%d", i);
    tally_free(tally);
    tally = tally_new(0, 2, HORIZON_MS);

    count_one((struct told){.id = 1, .subscription = stranger});

    cr_assert_eq(counts_of(stranger)->rejected, 1);
    cr_assert_eq(asides[0].reason, ASIDE_MISPLACED);
    cr_assert_eq(tally->cells.count, 0);
}

Test(count, values_that_no_total_can_hold_are_rejected_and_can_still_be_counted_smaller)
{
    tally->gross = (((uint128)1 << 127) - 1) - 5;

    count_one((struct told){.id = 1, .units = 6});
    cr_assert_eq(counts_of("sub")->rejected, 1);
    cr_assert_eq(asides[0].reason, ASIDE_OVERFLOW);
    count_one((struct told){.id = 1, .units = 5});

    cr_assert_eq(counts_of("sub")->counted, 1, "its id wasn't taken by the refusal");
}

Test(count, what_cannot_be_decoded_is_one_rejected_event_of_nobody)
{
    tally_reject(tally, 0);

    cr_assert_eq(counts_of(NULL)->accepted, 1);
    cr_assert_eq(counts_of(NULL)->rejected, 1);
    cr_assert_eq(tally->next_offset, 1);
}

Test(count, past_the_limit_new_combinations_of_the_day_count_as_other)
{
    struct usage_series other;
    uint32_t ids = 1;

    tally->limits.combinations_max = 3;
    for (size_t i = 0; i < 5; i++) {
        char subject[2] = {(char)('a' + i), '\0'};

        count_one((struct told){.id = ids++, .subject = subject});
    }
    count_one((struct told){.id = ids++, .subject = "a"});

    cr_assert_eq(tally->series.count, 4);
    cr_assert(series_decode(series_text(&tally->series.series[3]), &other));
    cr_assert(text_is(other.subject, "__other__"));

    count_one((struct told){.id = ids++, .subject = "e", .age_ms = DAY_MS});
    cr_assert_eq(tally->series.count, 5, "another day has room of its own");
}

Test(count, a_host_with_a_wrong_clock_does_not_age_the_partition)
{
    count_one((struct told){.id = 1});
    count_one((struct told){.id = 2, .arrival_ms = 3650 * DAY_MS});
    count_one((struct told){.id = 3});

    cr_assert_eq(counts_of("sub")->counted, 3);
    cr_assert_eq(tally->watermark_ms, START_MS + 3650 * DAY_MS);
}

Test(count, an_event_whose_day_is_closed_is_late)
{
    count_one((struct told){.id = 1});
    tally->clock_ms = START_MS + DAY_MS + HORIZON_MS + ROLLUP_SLACK_DAYS * DAY_MS + 1;
    tally_age(tally);

    count_one((struct told){.id = 1});

    cr_assert_eq(counts_of("sub")->late, 1, "not counted a second time");
    cr_assert_eq(counts_of("sub")->counted, 1);
}

/* Of a few minutes around a midnight, and of ids and subscriptions that come again. */
static void write_mixed(uint32_t i)
{
    struct usage_event event = {.arrival_ms = START_MS + i};
    struct usage_series series[] = {{.aggregation = AGGREGATION_SUM, .meter = text_of("api")},
                                    {.aggregation = AGGREGATION_COUNT, .meter = text_of("calls")}};
    union usage_value values[] = {{.amount = decimal_from_int(i % 13)}, {.unique = {0}}};
    uint32_t id = i % 700;
    char subscription[16];

    event.time = instant_from_ms(START_MS - (int64_t)(id % 11) * 60000);
    memcpy(event.fingerprint.identity, &id, sizeof(id));
    (void)snprintf(subscription, sizeof(subscription), "sub-%u", id * 7 % 90);
    series[0].subscription = series[1].subscription = text_of(subscription);
    cr_assert_eq(usage_writer_add(writer, &event, series, values, 1 + i % 2), 0);
}

static void count_written(struct tally *into)
{
    struct usage_batch batch;
    const char *reason;

    cr_assert_eq(usage_decode(reader, usage_writer_finish(writer), &batch, &reason), 0);
    tally_count(into, &batch, into->next_offset, asides, &aside_count);
    usage_writer_reset(writer);
}

Test(count, events_of_one_batch_count_as_the_same_ones_in_batches_of_their_own)
{
    enum { EVENTS = 1000 };
    struct tally *single = tally_new(0, 1, HORIZON_MS);
    struct cell_list together, apart;

    usage_writer_reset(writer);
    for (uint32_t i = 0; i < EVENTS; i++)
        write_mixed(i);
    count_written(tally);
    for (uint32_t i = 0; i < EVENTS; i++) {
        write_mixed(i);
        count_written(single);
    }
    cr_assert_eq(tally->ledger.sum.duplicate, EVENTS - 700);
    cr_assert_arr_eq(&tally->ledger.sum, &single->ledger.sum, sizeof(tally->ledger.sum));
    for (uint32_t i = 0; i < tally->ledger.count; i++)
        cr_assert_eq(ledger_counts(&tally->ledger, i).counted,
                     ledger_counts(&single->ledger, i).counted);
    cells_list(&tally->cells, &together);
    cells_list(&single->cells, &apart);
    cr_assert_eq(together.count, apart.count);
    for (size_t i = 0; i < together.count; i++) {
        cr_assert_eq(together.runs[i].key, apart.runs[i].key);
        cr_assert_arr_eq(together.runs[i].cells, apart.runs[i].cells,
                         CHUNK_CELLS * sizeof(struct cell));
    }
    cell_list_deinit(&together);
    cell_list_deinit(&apart);
    tally_free(single);
}

Test(count, an_offset_below_the_position_is_our_mistake, .signal = SIGABRT)
{
    tally_reject(tally, 5);
    tally_reject(tally, 4);
}

/* --- ageing --- */

Test(rollup, a_day_is_open_until_horizon_and_slack_have_passed_its_end)
{
    int64_t end_ms = 10 * DAY_MS, kept_ms = HORIZON_MS + ROLLUP_SLACK_DAYS * DAY_MS;

    cr_assert_eq(rollup_first_open_day(end_ms + kept_ms, HORIZON_MS), 9);
    cr_assert_eq(rollup_first_open_day(end_ms + kept_ms + 1, HORIZON_MS), 10);
}

Test(rollup, quarters_are_kept_as_long_as_a_longer_horizon)
{
    int64_t clock_ms = 9000 * DAY_MS;

    cr_assert_eq(rollup_first_quarter_day(clock_ms, 7300 * DAY_MS),
                 rollup_first_open_day(clock_ms, 7300 * DAY_MS));
    cr_assert_lt(rollup_first_quarter_day(clock_ms, HORIZON_MS),
                 rollup_first_open_day(clock_ms, HORIZON_MS));
}

Test(rollup, the_clock_never_goes_back_and_leaps_ten_minutes_at_most)
{
    cr_assert_eq(rollup_clock(1000, 500), 1000);
    cr_assert_eq(rollup_clock(1000, 2000), 2000);
    cr_assert_eq(rollup_clock(0, ROLLUP_CLOCK_STEP_MS + 1), ROLLUP_CLOCK_STEP_MS);
}
