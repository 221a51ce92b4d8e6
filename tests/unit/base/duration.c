/*
 * duration.c - ISO 8601 durations and how they divide.
 */
#include "common/base/duration.h"

#include <criterion/criterion.h>
#include <string.h>

static struct duration duration_of(const char *text)
{
    struct duration duration;

    cr_assert_eq(duration_parse(text_of(text), &duration), 0, "%s", text);
    return duration;
}

Test(duration, reads_and_writes)
{
    static const char *const cases[][2] = {
        {"PT1H", "PT1H"},       {"P1D", "P1D"},         {"P1W", "P7D"},
        {"P2W", "P14D"},        {"P4W", "P28D"},        {"P1M", "P1M"},
        {"P3M", "P3M"},         {"P12M", "P1Y"},        {"P1Y", "P1Y"},
        {"P18M", "P1Y6M"},      {"P7300D", "P7300D"},   {"P1Y2M10DT2H30M5S", "P1Y2M10DT2H30M5S"},
        {"PT90M", "PT1H30M"},   {"P0D", "PT0S"},        {"PT0S", "PT0S"},
        {"P1DT12H", "P1DT12H"}, {"P10000Y", "P10000Y"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[DURATION_TEXT_MAX];

        cr_assert_eq(duration_format(duration_of(cases[i][0]), text), strlen(cases[i][1]));
        cr_assert_str_eq(text, cases[i][1]);
    }
}

Test(duration, refuses_everything_else)
{
    static const char *const cases[] = {"",
                                        "P",
                                        "PT",
                                        "P1",
                                        "1M",
                                        "P1H",
                                        "PT1D",
                                        "P1M1Y",
                                        "P1M1M",
                                        "P1.5D",
                                        "P-1D",
                                        "-P1D",
                                        "P1DT",
                                        "P1D ",
                                        "p1d",
                                        "P10001Y",
                                        "PTT1H",
                                        "P1YM",
                                        "P99999999999999999999D"};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct duration duration = {.days = 5};

        cr_assert_eq(duration_parse(text_of(cases[i]), &duration), DURATION_NOT_ONE, "%s",
                     cases[i]);
        cr_assert_eq(duration.days, 5);
    }
}

Test(duration, has_an_exact_length_without_months_only)
{
    struct span span = {1};

    cr_assert_eq(duration_to_span(duration_of("P1M"), &span), DURATION_HAS_MONTHS);
    cr_assert_eq(span.ns, 1);
    cr_assert_eq(duration_to_span(duration_of("P35D"), &span), 0);
    cr_assert_eq(span.ns, 35 * INT64_C(86400000000000));
    cr_assert_eq(duration_to_span(duration_of("P3650000D"), &span), 0);
    cr_assert_eq(span.ns, INT64_MAX, "beyond 64 bits of nanoseconds: for ever");
}

Test(duration, knows_the_cadences)
{
    static const char *const yes[] = {"PT1H", "P1D", "P1W",  "P2W", "P4W",  "P1M",
                                      "P3M",  "P6M", "P12M", "P1Y", "PT60M"};
    static const char *const no[] = {"PT2H", "P3D", "P3W", "P2M", "P2Y", "PT0S", "P1MT1H", "P30D"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        cr_assert(duration_is_cadence(duration_of(yes[i])), "%s", yes[i]);
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        cr_assert_not(duration_is_cadence(duration_of(no[i])), "%s", no[i]);
    cr_assert(duration_lasts_an_hour(duration_of("PT1H")));
    cr_assert_not(duration_lasts_an_hour(duration_of("PT59M59S")));
}

Test(duration, cadences_align_when_one_divides_the_other)
{
    static const struct {
        const char *a, *b;
        bool align;
    } cases[] = {
        {"P1M", "P3M", true},  {"P1Y", "P1M", true},   {"P2M", "P3M", false}, {"P1M", "P1M", true},
        {"P6M", "P3M", true},  {"P1W", "P4W", true},   {"P1W", "P1M", false}, {"P1D", "P1M", true},
        {"PT1H", "P1Y", true}, {"PT1H", "P1D", true},  {"P4W", "P1Y", false}, {"P2W", "P1D", true},
        {"P2W", "P4W", true},  {"PT0S", "P1M", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct duration a, b;

        cr_assert_eq(duration_parse(text_of(cases[i].a), &a), 0);
        cr_assert_eq(duration_parse(text_of(cases[i].b), &b), 0);
        cr_assert_eq(duration_align(a, b), cases[i].align, "%s %s", cases[i].a, cases[i].b);
        cr_assert_eq(duration_align(b, a), cases[i].align, "%s %s", cases[i].b, cases[i].a);
    }
}
