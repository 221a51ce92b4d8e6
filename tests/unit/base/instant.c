/*
 * instant.c - metering.md 7's times, read and written.
 */
#include "common/base/civil.h"
#include "common/base/instant.h"

#include <criterion/criterion.h>
#include <string.h>

Test(instant, reads_rfc_3339_and_writes_the_shortest_utc)
{
    static const char *const cases[][2] = {
        {"2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"},
        {"2026-11-24t10:00:00z", "2026-11-24T10:00:00Z"},
        {"2026-11-24T10:00:00.5Z", "2026-11-24T10:00:00.500Z"},
        {"2026-11-24T10:00:00.123456Z", "2026-11-24T10:00:00.123456Z"},
        {"2026-11-24T10:00:00.1234567899999Z", "2026-11-24T10:00:00.123456789Z"},
        {"2026-11-24T10:00:00.000000000000001Z", "2026-11-24T10:00:00Z"},
        {"2026-11-24T10:00:00+23:59", "2026-11-23T10:01:00Z"},
        {"2026-11-24T10:00:00-05:30", "2026-11-24T15:30:00Z"},
        {"2026-11-24T10:00:00-00:00", "2026-11-24T10:00:00Z"},
        {"1969-12-31T23:59:59.25Z", "1969-12-31T23:59:59.250Z"},
        {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999999Z"},
        {"2016-12-31T23:59:60.7Z", "2016-12-31T23:59:59.999999999Z"},
        {"2016-12-31T15:59:60-08:00", "2016-12-31T23:59:59.999999999Z"},
        {"2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59.999999999Z"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct instant instant;
        char text[INSTANT_TEXT_MAX];

        cr_assert_eq(instant_parse(text_of(cases[i][0]), &instant), 0, "%s", cases[i][0]);
        cr_assert_eq(instant_format(instant, text), strlen(cases[i][1]));
        cr_assert_str_eq(text, cases[i][1], "%s", cases[i][0]);
    }
}

Test(instant, refuses_everything_else)
{
    static const char *const cases[] = {
        "",
        "2026-11-24",
        "2026-11-24T10:00Z",
        "2026-11-24 10:00:00Z",
        "2026-11-24T10:00:00",
        "2026-11-24T10:00:00+0530",
        "2026-11-24T10:00:00+05",
        "2026-11-24T10:00:00+24:00",
        "2026-11-24T10:00:00+05:60",
        "2026-11-24T10:00:00.Z",
        "2026-11-24T10:00:00,5Z",
        "2026-11-24T10:00:00Z ",
        " 2026-11-24T10:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T10:60:00Z",
        "2026-11-24T10:00:61Z",
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-00-01T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "26-11-24T10:00:00Z",
        "+2026-11-24T10:00:00Z",
        "20261124T100000Z",
        "2026-11-24T1a:00:00Z",
        "2016-12-31T22:59:60Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60-08:00",
        "2016-12-31T23:58:60Z",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct instant instant = {42};

        cr_assert_eq(instant_parse(text_of(cases[i]), &instant), INSTANT_NOT_A_TIME, "%s",
                     cases[i]);
        cr_assert_eq(instant.ns, 42);
    }
}

/* With another digit it isn't spelled the usual way any more. */
static void expect_alike_with_a_further_digit(const char usual[25])
{
    char other[26];
    struct instant a = {0}, b = {0};

    memcpy(other, usual, 23);
    strcpy(other + 23, "0");
    other[24] = usual[23];
    other[25] = '\0';
    cr_assert_eq(instant_parse(text_of(usual), &a), instant_parse(text_of(other), &b), "%s", usual);
    cr_assert_eq(a.ns, b.ns, "%s", usual);
}

Test(instant, the_usual_spelling_reads_as_any_other)
{
    static const char *const times[] = {"2026-10-25T10:20:30.123Z", "2024-02-29T23:59:59.999Z",
                                        "1969-12-31T00:00:00.001Z", "2026-06-30T23:59:60.000Z",
                                        "1700-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"};

    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        char time[25];

        strcpy(time, times[i]);
        for (size_t at = 0; at < 24; at++) {
            for (int byte = 1; byte < 256; byte++) {
                time[at] = (char)byte;
                expect_alike_with_a_further_digit(time);
            }
            time[at] = times[i][at];
        }
    }
}

Test(instant, times_beyond_its_range_are_the_far_past_and_future)
{
    struct instant past, future;
    char text[INSTANT_TEXT_MAX];

    cr_assert_eq(instant_parse(text_of("0000-01-01T00:00:00Z"), &past), 0);
    cr_assert_eq(instant_parse(text_of("9999-12-31T23:59:59Z"), &future), 0);

    cr_assert_eq(past.ns, INT64_MIN);
    cr_assert_eq(future.ns, INT64_MAX);
    cr_assert_eq(instant_from_ms(INT64_MAX).ns, INT64_MAX);
    cr_assert_eq(instant_from_minute(INT64_MIN).ns, INT64_MIN);
    cr_assert_eq(instant_from_seconds(INT64_MAX).ns, INT64_MAX);
    (void)instant_format(past, text);
    cr_assert_str_eq(text, "1677-09-21T00:12:43.145224192Z");
    (void)instant_format(future, text);
    cr_assert_str_eq(text, "2262-04-11T23:47:16.854775807Z");
}

Test(instant, minutes_of_every_year_that_can_be_written_are_exact)
{
    static const struct {
        const char *written, *read;
    } cases[] = {
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:00Z"},
        {"0000-01-01T00:00:30Z", "0000-01-01T00:00:00Z"},
        {"0001-01-01T01:00:00+01:00", "0001-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59.9Z", "1969-12-31T23:59:00Z"},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:00Z"},
        {"0000-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z"},
        {"9999-12-31T23:59:00-01:00", "9999-12-31T23:59:00Z"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[INSTANT_TEXT_MAX];
        int64_t minute;

        cr_assert_eq(instant_parse_minute(text_of(cases[i].written), &minute), 0);
        cr_assert_eq(instant_format_minute(minute, text), 20);
        cr_assert_str_eq(text, cases[i].read);
    }
}

Test(instant, floors_before_the_epoch_too)
{
    struct instant before = {-1};

    cr_assert_eq(instant_ms(before), -1);
    cr_assert_eq(instant_minute(before), -1);
    cr_assert_eq(instant_day(before), -1);
    cr_assert_eq(instant_minute(instant_from_minute(-7)), -7);
    cr_assert_eq(instant_day(instant_from_seconds(86400)), 1);
    cr_assert_lt(instant_compare(before, instant_from_seconds(0)), 0);
}

Test(civil, walks_through_400_years_day_by_day)
{
    struct civil_date date = {1800, 1, 1};
    int64_t day = civil_to_day(date);

    cr_assert_eq(civil_to_day((struct civil_date){1970, 1, 1}), 0);
    cr_assert_eq(civil_to_day((struct civil_date){2000, 3, 1}), 11017);
    for (; date.year < 2201; day++) {
        struct civil_date found = civil_from_day(day);

        cr_assert(found.year == date.year && found.month == date.month && found.day == date.day);
        cr_assert_eq(civil_to_day(date), day);
        cr_assert(civil_is_date(date));
        if (++date.day > civil_month_days(date.year, date.month)) {
            cr_assert_not(civil_is_date(date));
            date.day = 1;
            date.month = date.month % 12 + 1;
            date.year += date.month == 1;
        }
    }
}
