/*
 * answer_parts.h - what the answers' files share; nobody else includes it.
 */
#pragma once

#include "aggregator/edges/answer.h"

/* False after a 401 or 503 was answered: every route but the operations' takes an admin key. */
MUST_USE bool answer_admits(struct answers *answers, struct http_request *request);

/* Which partitions a question is about, and what is to be said when one can't be asked. */
struct answer_partitions {
    bool *wanted; /* of every partition; the request's arena */
    int32_t count;
    bool is_internal; /* asked by a peer: answer for our own or not at all */
};
/* Of `partitions=1,4,…` for a peer; else of all, or of those of the filtered subscriptions. */
MUST_USE bool answer_choose(struct answers *answers, struct http_request *request, bool is_internal,
                            const struct text *subscriptions, size_t subscription_count,
                            struct answer_partitions *partitions);

/* Work for the pool, embedded in the question that it is for. */
struct answer_job {
    uv_work_t work;
    struct answers *answers;
    struct answer_job *next; /* while it waits */
    bool is_internal;
    void (*run)(void *question);  /* on the pool */
    void (*done)(void *question); /* on the loop, afterwards; frees the question */
    void *question;
};
/* All but `work` and `next` are set; the job lives until `done`. */
void answer_submit(struct answer_job *job);

enum answer_outcome { ANSWER_UNOWNED = 1, ANSWER_REFUSED };

/* What an answer does with one of our partitions, and with a peer's answer. */
struct answer_ops {
    int (*scan)(void *context, const struct owned_view *view);
    int (*merge)(void *context, struct text body);
};
/* A question to peers: method and path with its query, to which the partitions are added. */
struct answer_peer_call {
    const char *method, *path;
    struct text body;
    struct text bearer;
};
/*
 * Asks every wanted partition, ours and others'. On a pool thread. A peer's refusal (status 400)
 * leaves its body in `refusal` and is ANSWER_REFUSED. Other outcomes are those of `ops`, above
 * ANSWER_REFUSED. Faults: of the store.
 */
MUST_USE int answer_gather(struct answers *answers, const struct answer_partitions *partitions,
                           const struct answer_ops *ops, void *context,
                           const struct answer_peer_call *call, struct buffer *refusal);

http_handler answer_query_get, answer_query_post, answer_query_internal;
http_handler answer_ledger, answer_ledger_internal;
