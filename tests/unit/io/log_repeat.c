#include "common/io/log_repeat.h"

#include <criterion/criterion.h>

static struct log_repeat repeat;

static uint64_t kind_of(const char *event, const char *says)
{
    return log_repeat_kind(event, text_of(says));
}

Test(log_repeat, first_of_each_kind_is_written_at_once)
{
    cr_assert_eq(log_repeat_admit(&repeat, kind_of("waiting", "no broker"), 0), 0);
    cr_assert_eq(log_repeat_admit(&repeat, kind_of("waiting", "disk full"), 0), 0);
    cr_assert_eq(log_repeat_admit(&repeat, kind_of("topics_wrong", "no broker"), 0), 0);
}

Test(log_repeat, repeated_lines_wait_and_the_next_says_how_many_were_left_out)
{
    uint64_t kind = kind_of("waiting", "no broker");

    cr_assert_eq(log_repeat_admit(&repeat, kind, 1000), 0);
    cr_assert_eq(log_repeat_admit(&repeat, kind, 1000), -1);
    cr_assert_eq(log_repeat_admit(&repeat, kind, 1000 + LOG_REPEAT_MS - 1), -1);
    cr_assert_eq(log_repeat_untold(&repeat), 2);

    cr_assert_eq(log_repeat_admit(&repeat, kind, 1000 + LOG_REPEAT_MS), 2);

    cr_assert_eq(log_repeat_untold(&repeat), 0, "each is told of once");
    cr_assert_eq(log_repeat_admit(&repeat, kind, 1000 + LOG_REPEAT_MS), -1, "a new wait begins");
}

Test(log_repeat, numbers_in_a_line_make_no_new_kind)
{
    cr_assert_eq(kind_of("waiting", "127.0.0.1:9092 after 17ms"),
                 kind_of("waiting", "127.0.0.1:19093 after 4ms"));
    cr_assert_neq(kind_of("waiting", "127.0.0.1:9092 after 17ms"),
                  kind_of("waiting", "127.0.0.1:9092 denied"));
    cr_assert_neq(kind_of("wait", "ing"), kind_of("waiting", ""));
}

Test(log_repeat, kinds_past_the_most_are_all_written)
{
    char name[] = "aa";

    for (int i = 0; i < LOG_REPEAT_KINDS_MAX; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        cr_assert_eq(log_repeat_admit(&repeat, kind_of("waiting", name), 0), 0);
    }

    cr_assert_eq(log_repeat_admit(&repeat, kind_of("one", "more"), 1), 0);
    cr_assert_eq(log_repeat_admit(&repeat, kind_of("one", "more"), 1), 0);
    cr_assert_eq(log_repeat_admit(&repeat, kind_of("waiting", name), 1), -1);
}

Test(log_repeat, kind_that_loses_its_place_is_still_told_of)
{
    char name[] = "aa";

    for (int i = 0; i < LOG_REPEAT_KINDS_MAX; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        for (int times = 0; times < 2; times++)
            (void)log_repeat_admit(&repeat, kind_of("waiting", name), 0);
    }

    cr_assert_eq(log_repeat_admit(&repeat, kind_of("one", "more"), LOG_REPEAT_MS), 0);

    cr_assert_eq(log_repeat_untold(&repeat), LOG_REPEAT_KINDS_MAX);
}
