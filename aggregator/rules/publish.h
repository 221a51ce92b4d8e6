/*
 * publish.h - which billing windows have changed since they were last published.
 *
 * A window is of a line (a subscription's meter and dimensions, whatever the subject: series.h)
 * and lies between two neighbouring cuts of the subscription (proto/counters.h). Unique values are
 * kept beside their windows: each is a record of its own.
 *
 * Ownership  windows_deinit, which accepts a zeroed one; a zeroed one is empty.
 * Threads    One at a time.
 */
#pragma once

#include "aggregator/rules/index.h"
#include "common/base/text.h"

enum { WINDOWS_TOGETHER = 64 };

struct changed_window {
    uint32_t line;
    int64_t from, to;  /* minutes */
    bool with_uniques; /* all its unique values are to be published as well */
};

struct changed_unique {
    uint32_t line;
    int64_t from, to;
    uint8_t hash[16];
};

struct windows {
    struct changed_window *changed;
    uint32_t count, room;
    struct index by_key;
    struct changed_unique *uniques;
    uint32_t unique_count, unique_room;
};

void windows_deinit(struct windows *windows);
void windows_add(struct windows *windows, struct changed_window window);
/* Adds at most WINDOWS_TOGETHER, looked for together: that hides most of memory's latency. */
void windows_add_all(struct windows *windows, const struct changed_window *added, size_t count);
void windows_make_room(struct windows *windows, uint32_t count); /* for so many in all */
bool windows_hold(const struct windows *windows, const struct changed_window *window);
void windows_add_unique(struct windows *windows, const struct changed_unique *unique);
/* Puts those first that end by that minute and returns how many they are; the set finds nothing
 * any more. */
uint32_t windows_put_ended_first(struct windows *windows, int64_t minute);

/* Is it time for a pass, that long after the last one began? Few windows go out at once. Many wait,
 * because the total of a busy window is another one after each commit and its last alone is needed:
 * twenty intervals at most. */
bool windows_are_worth_it(const struct windows *windows, int64_t since_ms, int64_t interval_ms);
