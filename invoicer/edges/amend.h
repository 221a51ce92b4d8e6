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
#include "common/io/kafka.h"
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
    const json_t *more;  /* further members of the next one's record, or NULL */
    const char *next_id; /* the next one's id */
};

/* A new subscription's id, of the time at which it is made. */
MUST_USE int amend_make_id(struct instant now, char id[ULID_TEXT_MAX]);

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
 * A credit looks at what was used: before an immediate change the counters come to where `usage`
 * ends when it is asked for.
 */
struct amend_wait {
    int32_t partitions; /* of the bucket */
    int32_t partition;  /* the subscription's */
    int64_t end;        /* of its usage; 0: there is nothing to wait for */
};
MUST_USE int amend_wait_begin(struct store *store, const struct kafka_config *kafka,
                              const char *bucket, const struct amend_request *request,
                              struct amend_wait *wait);
int amend_wait_is_over(void *wait, struct store_txn *txn); /* an engine_state */
/* After the wait, before the preparation: what takes effect at once does so from now on, since what
 * was counted meanwhile is the old term's. */
void amend_wait_ended(struct amend_request *request);
/* It took too long: FAULT_RETRY that says what is missing. */
MUST_USE int amend_wait_fault(struct store *store, const struct amend_wait *wait);

/* A subscription as it is shown: its record with status, currency and running period. */
struct bills;
MUST_USE int amend_show(struct store_txn *txn, struct bills *bills, struct text record,
                        struct instant now, json_t **shown);
