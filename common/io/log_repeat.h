/*
 * log_repeat.h - which of many equal warnings are written.
 *
 * The first of a kind is written at once; then none for LOG_REPEAT_MS, and the one after that says
 * how many were left out. A kind is a number, made by log_repeat_kind from what stays the same.
 * Kinds are few: past LOG_REPEAT_KINDS_MAX that were seen within LOG_REPEAT_MS, all are written.
 *
 * Units      Milliseconds of any clock that doesn't go backwards.
 * Threads    The caller's lock.
 */
#pragma once

#include "common/base/text.h"

enum { LOG_REPEAT_MS = 5000, LOG_REPEAT_KINDS_MAX = 64 };

struct log_repeat {
    struct log_repeat_kind {
        uint64_t kind; /* 0: the place is free */
        int64_t until_ms, left_out;
    } kinds[LOG_REPEAT_KINDS_MAX];
    int64_t forgotten; /* left out of kinds whose place another has taken */
};

/* Of an event and what it says first. Digits don't count: ports, offsets and times make no kind. */
uint64_t log_repeat_kind(const char *event, struct text says);
/* How many of the kind were left out since the last that was written, or -1: leave this one out. */
int64_t log_repeat_admit(struct log_repeat *repeat, uint64_t kind, int64_t now_ms);
/* All that were left out and that no line has told of yet. */
int64_t log_repeat_untold(const struct log_repeat *repeat);
