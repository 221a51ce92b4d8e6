/*
 * load_lag.h - keeps the events that the aggregator hasn't read yet below a limit.
 *
 * The embedded broker keeps 5 MiB a partition and forgets the rest; so no more is sent than the
 * aggregator's ledger says can be taken.
 *
 * Threads    One.
 */
#pragma once

#include "common/base/text.h"

struct load_lag {
    const char *url; /* of an aggregator; NULL: no limit */
    const char *key; /* admin */
    int64_t most;
    int64_t give_up_ms;
    int64_t read;  /* the last lag that was read */
    int64_t since; /* events sent since */
    int64_t asked_at_ms;
    int64_t silent_since_ms; /* 0: the last question was answered */
    int status;              /* of the last answer */
};

/* Whether `count` more events may be sent now; asks the aggregator when it must, at most every 50
 * ms. While it doesn't answer, no. */
bool load_lag_allows(struct load_lag *lag, size_t count);
/* Whether asking is in vain: refused, or silent for give_up_ms. Says so on stderr. */
bool load_lag_is_hopeless(const struct load_lag *lag);
