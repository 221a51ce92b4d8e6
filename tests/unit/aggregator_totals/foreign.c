/*
 * Totals that others have written, where there are many.
 */
#include "aggregator/edges/publisher.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <time.h>

enum { COMBINATIONS = 10000, TIMES = 4, DAY = 20000 };

static void add_series(struct tally *tally, int number, struct buffer *encoded)
{
    char value[16];
    struct usage_series series = {
        .subscription = text_of("sub-a"), .meter = text_of("sum"), .dimension_count = 1};
    struct series_name name;

    (void)snprintf(value, sizeof(value), "%d", number);
    series.dimensions[0].name = text_of("path");
    series.dimensions[0].value = text_of(value);
    buffer_clear(encoded);
    series_encode(&series, encoded);
    name = series_name_of(buffer_text(encoded));
    (void)registry_add(&tally->series, &name, 0);
}

static void note_all(struct publisher *publisher, const struct tally *tally, int64_t next_offset)
{
    char key[96];

    for (int i = 0; i < COMBINATIONS * TIMES; i++) {
        (void)snprintf(key, sizeof(key), "T/sub-a/sum/%d/%d/{\"path\":\"%d\"}", DAY * 1440,
                       (DAY + 1) * 1440, i % COMBINATIONS);
        publisher_note_foreign(publisher, tally, text_of(key), next_offset);
    }
}

static int64_t cpu_ms(void)
{
    return clock() / (CLOCKS_PER_SEC / 1000);
}

Test(totals, ten_thousand_of_others_of_one_meter_are_noted_at_once)
{
    CLEANUP(buffer_deinit) struct buffer encoded = {0};
    struct tally *tally = tally_new(0, 1, INT64_C(35) * 86400000);
    struct publisher publisher;
    int64_t began;

    publisher_init(&publisher);
    for (int i = 0; i < COMBINATIONS; i++)
        add_series(tally, i, &encoded);
    days_take(&tally->days, DAY)->changed_offset = 8;
    note_all(&publisher, tally, 8); /* of a state that has it all */
    cr_assert_eq(publisher.windows.count, 0);
    began = cpu_ms();
    note_all(&publisher, tally, 7);
    cr_assert_eq(publisher.windows.count, COMBINATIONS);
    cr_assert_lt(cpu_ms() - began, 1000);
    publisher_deinit(&publisher);
    tally_free(tally);
}
