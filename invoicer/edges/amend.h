/*
 * amend.h - changes, cancels, restores and deletes subscriptions (change.h), credit included.
 *
 * Everything is worked out in the caller's transaction and nothing is written: an estimate is a
 * preparation that is dropped. What is prepared has passed the checks of a catalog file, so a verb
 * and a file can't come to different records.
 *
 * A plan's change closes the subscription and opens the next one, under a new id, which names it in
 * annotations and has its customer, consumer and metadata. Both keep the consumer's name: at any
 * time it belongs to the one whose term that is.
 *
 * Errors     AMEND_REFUSED: refusal, or issues, say why. Faults of the store.
 * Ownership  struct amendment owns what it holds.
 * Threads    As store.h.
 */
#pragma once

#include "common/base/ulid.h"
#include "common/io/store.h"
#include "invoicer/rules/catalog_diff.h"
#include "invoicer/rules/change.h"
#include "invoicer/rules/issue.h"

#include <jansson.h>

struct amend_request {
    enum change_action action;
    struct text id;
    struct change_timing timing; /* of changes and cancellations */
    struct instant now;
    struct text plan;    /* of a change: its key */
    int64_t version;     /* 0: the newest */
    struct text anchor;  /* the next one's billingAnchor; absent: the previous one's */
    const char *next_id; /* the next one's id */
};

struct amendment {
    struct change_refusal refusal;
    struct issues issues;
    struct catalog_changes changes;
    json_t *answer; /* for people and programs: {"current","next"?,"effectiveAt"?,…} */
};

enum amend_outcome { AMEND_REFUSED = 1 };
MUST_USE int amend_prepare(struct store_txn *txn, int32_t partitions,
                           const struct amend_request *request, struct amendment *amendment);
void amendment_deinit(struct amendment *amendment);

/*
 * Whether the counters of the subscription's partition matter to the request: then wait until they
 * have come to the end of usage first. *partition is written only then.
 */
enum amend_need { AMEND_NEEDS_NOTHING = 0, AMEND_NEEDS_COUNTERS = 2 };
MUST_USE int amend_needs(struct store_txn *txn, int32_t partitions,
                         const struct amend_request *request, int32_t *partition);

/* A subscription as it is shown: its record with status, currency and running period. */
struct bills;
MUST_USE int amend_show(struct store_txn *txn, struct bills *bills, struct text record,
                        struct instant now, json_t **shown);
