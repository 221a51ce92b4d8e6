/*
 * pace.h - when a partition commits what it has counted, by the time that passes.
 *
 * A commit costs by the blocks that it touches, few events or many. Who keeps up commits soon,
 * since nothing else makes an event visible; who is behind makes the last event visible soonest by
 * committing seldom. Behind is who has more before it than a quarter of what it has counted since
 * its last commit: then what is counted waits at most four times as long for its commit as the last
 * message waits to be counted. That asks for no rate and no clock, and has nothing to swing
 * between: as less is left, commits come sooner.
 *
 * Units      Messages, whatever number of events each of them holds; milliseconds.
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

enum { PACE_BEHIND_MS_MAX = 4000 /* this often, however far behind */ };

/* What a partition has counted and not committed. */
struct pace {
    int64_t messages;
    int64_t ms;     /* since the first of them */
    int64_t unread; /* messages that are in its log and not counted; less than 0: unknown */
};

/* The least time between commits: commit_ms, or more where commits are dear. `commits_cpu_ms` is
 * the CPU time of the thread's last commits; a wait for the disk costs who keeps up nothing. */
int64_t pace_interval_ms(int64_t commit_ms, int64_t commits_cpu_ms);
/* Is more unread than a quarter of what was counted? Less than 0, unknown, isn't. */
bool pace_is_behind(int64_t counted, int64_t unread);
bool pace_is_due(const struct pace *pace, int64_t interval_ms);
