/*
 * When what is counted is committed.
 */
#include "aggregator/rules/pace.h"

#include <criterion/criterion.h>

enum { INTERVAL_MS = 100 };

static bool is_due(int64_t messages, int64_t ms, int64_t unread)
{
    struct pace pace = {.messages = messages, .ms = ms, .unread = unread};

    return pace_is_due(&pace, INTERVAL_MS);
}

Test(pace, who_has_read_everything_commits_after_the_interval)
{
    cr_assert_not(is_due(1, INTERVAL_MS - 1, 0));
    cr_assert(is_due(1, INTERVAL_MS, 0));
}

Test(pace, what_came_while_four_times_as_much_was_counted_is_not_behind)
{
    cr_assert(is_due(80, INTERVAL_MS, 20));
    cr_assert_not(is_due(80, INTERVAL_MS, 21));
    cr_assert_not(is_due(3, INTERVAL_MS, 1));
}

Test(pace, an_end_that_is_unknown_is_not_behind)
{
    cr_assert(is_due(1, INTERVAL_MS, -1));
}

Test(pace, who_is_behind_commits_every_four_seconds_however_much_is_left)
{
    cr_assert_not(is_due(100000, PACE_BEHIND_MS_MAX - 1, INT64_MAX));
    cr_assert(is_due(1, PACE_BEHIND_MS_MAX, INT64_MAX));
}

/* Four fifths of it, then the interval, and what is left. */
Test(pace, a_backlog_of_less_than_four_seconds_takes_few_commits)
{
    int64_t unread = 800, messages = 0, pending_ms = 0;
    int commits = 0;

    for (; unread > 0; unread--) { /* a message a millisecond */
        messages++;
        pending_ms++;
        if (is_due(messages, pending_ms, unread - 1)) {
            messages = pending_ms = 0;
            commits++;
        }
    }

    cr_assert_eq(commits, 2, "640, 128; %d", commits);
}

Test(pace, dear_commits_leave_two_thirds_of_the_time_for_counting)
{
    cr_assert_eq(pace_interval_ms(INTERVAL_MS, INTERVAL_MS / 2), INTERVAL_MS);
    cr_assert_eq(pace_interval_ms(INTERVAL_MS, 300), 600);
}

Test(pace, an_interval_of_more_than_four_seconds_is_kept)
{
    struct pace pace = {.messages = 1, .ms = 4999, .unread = 9};

    cr_assert_not(pace_is_due(&pace, 5000));
    pace.ms = 5000;
    cr_assert(pace_is_due(&pace, 5000));
}
