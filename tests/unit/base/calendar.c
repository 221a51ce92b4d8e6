/*
 * calendar.c - zones, windows and recurrences at the places where calendars are odd.
 *
 * tests/oracle/calendar.py compares all zones with another implementation; here stand the cases
 * that the rules name.
 */
#include "common/base/calendar.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct zone *zone_of(const char *name)
{
    struct zone *zone;

    cr_assert_eq(zone_new(text_of(name), &zone), 0, "%s", name);
    return zone;
}

static struct instant instant_of(const char *text)
{
    struct instant instant;

    cr_assert_eq(instant_parse(text_of(text), &instant), 0, "%s", text);
    return instant;
}

static void assert_instant(struct instant instant, const char *expected)
{
    char text[INSTANT_TEXT_MAX];

    (void)instant_format(instant, text);
    cr_assert_str_eq(text, expected);
}

static struct recurrence recurrence_of(const struct zone *zone, const char *anchor,
                                       const char *cadence)
{
    struct recurrence recurrence = {.zone = zone, .anchor = instant_of(anchor)};

    cr_assert_eq(duration_parse(text_of(cadence), &recurrence.cadence), 0);
    return recurrence;
}

Test(zone, refuses_names_that_lead_elsewhere)
{
    static const char *const cases[] = {"",
                                        "../../../etc/passwd",
                                        "/etc/localtime",
                                        "Europe/Atlantis",
                                        "Europe",
                                        "Europe/Berlin ",
                                        "zone.tab",
                                        "tzdata.zi",
                                        "right/Europe/Berlin",
                                        "Europe/../UTC",
                                        "Europe//////////////////////////////////////////////////"
                                        "Berlin/////////////"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct zone *zone = NULL;

        cr_assert_eq(zone_new(text_of(cases[i]), &zone), ZONE_UNKNOWN, "%s", cases[i]);
        cr_assert_null(zone);
    }
    cr_assert_eq(zone_free(NULL), NULL);
}

/* Every file cut short and every byte of a small one changed: refused or read, never outside it. */
Test(zone, broken_files_are_refused_or_read_within_their_bounds)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    FILE *file = fopen("/usr/share/zoneinfo/Asia/Tokyo", "rb");
    size_t refused = 0;

    cr_assert_not_null(file);
    buffer_reserve(&bytes, 4096);
    bytes.length = fread(bytes.at, 1, 4096, file);
    (void)fclose(file);

    for (size_t length = 0; length < bytes.length; length++) {
        char *exact = text_copy(text_from(bytes.at, length));
        struct zone *zone;

        refused += zone_new_from(text_of("x"), text_from(exact, length), &zone) == ZONE_UNKNOWN;
        free(exact);
    }
    cr_assert_eq(refused, bytes.length);
    for (size_t i = 0; i < bytes.length * 255; i++) {
        char kept = bytes.at[i / 255];
        struct zone *zone;

        bytes.at[i / 255] = (char)(kept + 1 + (char)(i % 255));
        if (zone_new_from(text_of("x"), buffer_text(&bytes), &zone) == 0) {
            (void)zone_segment_of(zone, 1700000000);
            (void)zone_seconds_of_local(zone, 4100000000);
            zone_free(zone);
        }
        bytes.at[i / 255] = kept;
    }
}

Test(zone, goes_on_by_its_rule_beyond_its_table)
{
    struct zone *zone = zone_of("Europe/Berlin");
    struct zone_segment summer =
        zone_segment_of(zone, instant_of("2150-07-01T00:00:00Z").ns / 1000000000);

    cr_assert_eq(summer.offset, 7200);
    assert_instant(instant_from_seconds(summer.from), "2150-03-29T01:00:00Z");
    assert_instant(instant_from_seconds(summer.to), "2150-10-25T01:00:00Z");
    zone_free(zone);
}

/* Through the table, over its end and on by the rule: no gap, no overlap, no change that is none.
 */
Test(zone, stretches_follow_each_other_to_2200)
{
    static const char *const names[] = {"UTC",           "Europe/Berlin",       "Pacific/Apia",
                                        "Europe/Dublin", "Africa/Casablanca",   "America/Sao_Paulo",
                                        "Asia/Tokyo",    "Australia/Lord_Howe", "Antarctica/Troll"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct zone *zone = zone_of(names[i]);
        struct zone_segment before = zone_segment_of(zone, -3000000000);

        while (before.to < 7258118400) {
            struct zone_segment next = zone_segment_of(zone, before.to);

            cr_assert_eq(next.from, before.to, "%s", names[i]);
            cr_assert_neq(next.offset, before.offset, "%s", names[i]);
            cr_assert_eq(zone_segment_of(zone, next.from - 1).to, next.from, "%s", names[i]);
            before = next;
        }
        zone_free(zone);
    }
}

Test(recurrence, counts_months_from_the_anchor)
{
    struct recurrence monthly = recurrence_of(zone_utc(), "2027-01-31T00:00:00Z", "P1M");

    assert_instant(recurrence_boundary(&monthly, 0), "2027-01-31T00:00:00Z");
    assert_instant(recurrence_boundary(&monthly, 1), "2027-02-28T00:00:00Z");
    assert_instant(recurrence_boundary(&monthly, 2), "2027-03-31T00:00:00Z");
    assert_instant(recurrence_boundary(&monthly, 13), "2028-02-29T00:00:00Z");
    assert_instant(recurrence_boundary(&monthly, -1), "2026-12-31T00:00:00Z");
    assert_instant(recurrence_boundary(&monthly, -11), "2026-02-28T00:00:00Z");
    cr_assert_eq(recurrence_index(&monthly, instant_of("2027-02-27T23:59:59Z")), 0);
    cr_assert_eq(recurrence_index(&monthly, instant_of("2027-02-28T00:00:00Z")), 1);
    cr_assert_eq(recurrence_index(&monthly, instant_of("2027-01-30T23:59:59Z")), -1);
}

Test(recurrence, keeps_the_wall_clock_and_meets_gaps_and_folds)
{
    struct zone *berlin = zone_of("Europe/Berlin");
    struct recurrence daily = recurrence_of(berlin, "2026-03-27T01:30:00Z", "P1D"); /* 02:30 */
    struct recurrence hourly = recurrence_of(berlin, "2026-03-29T00:00:00Z", "PT1H");
    struct recurrence autumn = recurrence_of(berlin, "2026-10-23T00:30:00Z", "P1D"); /* 02:30 */

    assert_instant(recurrence_boundary(&daily, 1), "2026-03-28T01:30:00Z");
    assert_instant(recurrence_boundary(&daily, 2), "2026-03-29T01:30:00Z"); /* 03:30 */
    assert_instant(recurrence_boundary(&daily, 3), "2026-03-30T00:30:00Z");
    assert_instant(recurrence_boundary(&hourly, 3), "2026-03-29T03:00:00Z");
    assert_instant(recurrence_boundary(&autumn, 2), "2026-10-25T00:30:00Z"); /* the first 02:30 */
    assert_instant(recurrence_boundary(&autumn, 3), "2026-10-26T01:30:00Z");
    zone_free(berlin);
}

Test(recurrence, a_day_that_a_zone_skips_leaves_one_empty_period)
{
    struct zone *apia = zone_of("Pacific/Apia");
    struct recurrence daily = recurrence_of(apia, "2011-12-28T10:00:00Z", "P1D"); /* 28th, 00:00 */

    assert_instant(recurrence_boundary(&daily, 1), "2011-12-29T10:00:00Z");
    assert_instant(recurrence_boundary(&daily, 2), "2011-12-30T10:00:00Z");
    assert_instant(recurrence_boundary(&daily, 3), "2011-12-30T10:00:00Z");
    assert_instant(recurrence_boundary(&daily, 4), "2011-12-31T10:00:00Z");
    cr_assert_eq(recurrence_index(&daily, instant_of("2011-12-30T10:00:00Z")), 3);
    cr_assert_eq(recurrence_index(&daily, instant_of("2011-12-30T09:59:59Z")), 1);
    zone_free(apia);
}

static void assert_window(const char *name, enum window_size size, const char *instant,
                          const char *from, const char *to)
{
    struct zone *zone = zone_of(name);
    struct window window = calendar_window(zone, size, instant_of(instant));

    assert_instant(window.from, from);
    assert_instant(window.to, to);
    zone_free(zone);
}

Test(calendar_window, is_local_and_whole)
{
    assert_window("UTC", WINDOW_MINUTE, "2026-11-24T10:00:59.999Z", "2026-11-24T10:00:00Z",
                  "2026-11-24T10:01:00Z");
    assert_window("Asia/Kathmandu", WINDOW_HOUR, "2026-11-24T10:00:00Z", "2026-11-24T09:15:00Z",
                  "2026-11-24T10:15:00Z");
    assert_window("Europe/Berlin", WINDOW_DAY, "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z",
                  "2026-03-29T22:00:00Z");
    assert_window("Europe/Berlin", WINDOW_MONTH, "2026-03-29T12:00:00Z", "2026-02-28T23:00:00Z",
                  "2026-03-31T22:00:00Z");
    assert_window("America/Sao_Paulo", WINDOW_DAY, "2018-11-04T12:00:00Z", "2018-11-04T03:00:00Z",
                  "2018-11-05T02:00:00Z"); /* has no midnight */
}

/* Toronto went from 23:30 to 00:30 on 30 March 1919, so 00:00 of the 31st is moved on to 01:00. */
Test(calendar_window, a_day_whose_midnight_is_skipped_begins_when_the_gap_is_made_up)
{
    assert_window("America/Toronto", WINDOW_DAY, "1919-03-31T04:45:00Z", "1919-03-30T05:00:00Z",
                  "1919-03-31T05:00:00Z");
    assert_window("America/Toronto", WINDOW_DAY, "1919-03-31T05:00:00Z", "1919-03-31T05:00:00Z",
                  "1919-04-01T04:00:00Z");
}

Test(calendar_window, an_hour_that_the_clock_shows_twice_is_two)
{
    assert_window("Europe/Berlin", WINDOW_HOUR, "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z",
                  "2026-10-25T01:00:00Z");
    assert_window("Europe/Berlin", WINDOW_HOUR, "2026-10-25T01:30:00Z", "2026-10-25T01:00:00Z",
                  "2026-10-25T02:00:00Z");
    /* half an hour back, at 02:00 to 01:30 */
    assert_window("Australia/Lord_Howe", WINDOW_HOUR, "2026-04-04T14:45:00Z",
                  "2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z");
    assert_window("Australia/Lord_Howe", WINDOW_HOUR, "2026-04-04T15:15:00Z",
                  "2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z");
}

Test(calendar_window, follows_without_gaps_through_the_skipped_day)
{
    struct zone *apia = zone_of("Pacific/Apia");
    struct instant at = instant_of("2011-12-01T00:00:00Z");
    struct window before = calendar_window(apia, WINDOW_DAY, at);
    size_t days = 1;

    for (; before.to.ns < instant_of("2012-01-05T00:00:00Z").ns; days++) {
        struct window next = calendar_window(apia, WINDOW_DAY, before.to);

        cr_assert_eq(next.from.ns, before.to.ns);
        cr_assert_gt(next.to.ns, next.from.ns);
        before = next;
    }
    cr_assert_eq(days, 36, "30 November to 5 January without 30 December");
    zone_free(apia);
}
