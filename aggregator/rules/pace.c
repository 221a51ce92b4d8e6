#include "aggregator/rules/pace.h"

enum {
    COUNTING_SHARE = 2, /* between commits passes twice the time of one */
    BEHIND_SHARE = 4
};

static int64_t at_least(int64_t value, int64_t least)
{
    return value < least ? least : value;
}

int64_t pace_interval_ms(int64_t commit_ms, int64_t commits_cpu_ms)
{
    return at_least(commit_ms, COUNTING_SHARE * commits_cpu_ms);
}

bool pace_is_behind(int64_t counted, int64_t unread)
{
    return counted / BEHIND_SHARE < unread;
}

bool pace_is_due(const struct pace *pace, int64_t interval_ms)
{
    if (pace->ms < interval_ms)
        return false;
    return !pace_is_behind(pace->messages, pace->unread) || pace->ms >= PACE_BEHIND_MS_MAX;
}
