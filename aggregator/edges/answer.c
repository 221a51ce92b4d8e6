#include "aggregator/edges/answer_parts.h"

#include "aggregator/rules/query.h"

#include "common/base/fault.h"
#include "common/base/partition.h"
#include "common/catalog/access.h"
#include "common/io/http_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void answer_routes(struct answers *answers, struct http_route routes[ANSWER_ROUTES])
{
    const struct http_route all[ANSWER_ROUTES] = {
        {HTTP_GET_METHOD, "/v3/metering/{bucket}/meters/{slug}/query", answer_query_get, 0, NULL},
        {HTTP_POST_METHOD, "/v3/metering/{bucket}/meters/{slug}/query", answer_query_post,
         QUERY_BODY_BYTES_MAX, NULL},
        {HTTP_POST_METHOD, "/internal/v1/meters/{slug}/query", answer_query_internal,
         QUERY_BODY_BYTES_MAX, NULL},
        {HTTP_GET_METHOD, "/v1/ledger", answer_ledger, 0, NULL},
        {HTTP_GET_METHOD, "/internal/v1/ledger", answer_ledger_internal, 0, NULL},
    };

    memcpy(routes, all, sizeof(all));
    for (size_t i = 0; i < ANSWER_ROUTES; i++)
        routes[i].context = answers;
}

/* --- who may ask --- */

bool answer_admits(struct answers *answers, struct http_request *request)
{
    bool admitted;

    if (!answers->owned) {
        http_answer_problem(request, 503, "not_ready",
                            "the aggregator isn't counting yet: see /readyz", NULL);
        return false;
    }
    admitted = access_check(catalog_feed_lock(answers->catalog, NULL), CATALOG_ADMIN,
                            http_bearer(request), instant_now(), NULL);
    catalog_feed_unlock(answers->catalog);
    if (!admitted)
        http_answer_problem(request, 401, "unauthorized",
                            "send `Authorization: Bearer` with an admin key of this bucket", NULL);
    return admitted;
}

/* --- the pool --- */

static void run_job(uv_work_t *work)
{
    struct answer_job *job = work->data;

    job->run(job->question);
}

static void job_done(uv_work_t *work, int status);

static void start_job(struct answer_job *job)
{
    job->work.data = job;
    job->answers->threads += !job->is_internal;
    uv_queue_work(job->answers->loop, &job->work, run_job, job_done);
}

static void start_next(struct answers *answers)
{
    struct answer_job *job = answers->waiting;

    if (!job)
        return;
    answers->waiting = job->next;
    if (!job->next)
        answers->newest = NULL;
    start_job(job);
}

static void job_done(uv_work_t *work, int status)
{
    struct answer_job *job = work->data;
    struct answers *answers = job->answers;
    bool is_internal = job->is_internal;

    (void)status; /* nothing cancels it */
    job->done(job->question);
    if (is_internal)
        return;
    answers->threads--;
    start_next(answers);
}

void answer_submit(struct answer_job *job)
{
    struct answers *answers = job->answers;

    if (job->is_internal || answers->threads < answers->threads_max) {
        start_job(job);
        return;
    }
    job->next = NULL;
    if (answers->newest)
        answers->newest->next = job;
    else
        answers->waiting = job;
    answers->newest = job;
}

/* --- which partitions --- */

static bool choose_listed(struct http_request *request, struct answer_partitions *partitions)
{
    struct text list = http_query(request, "partitions", 0);

    while (list.length) {
        struct text number = text_cut(&list, ',');
        int64_t partition = 0;
        for (size_t i = 0; i < number.length; i++) {
            if (number.at[i] < '0' || number.at[i] > '9' || partition >= partitions->count)
                return false;
            partition = partition * 10 + (number.at[i] - '0');
        }
        if (number.length == 0 || partition >= partitions->count)
            return false;
        partitions->wanted[partition] = true;
    }
    return true;
}

bool answer_choose(struct answers *answers, struct http_request *request, bool is_internal,
                   const struct text *subscriptions, size_t subscription_count,
                   struct answer_partitions *partitions)
{
    partitions->is_internal = is_internal;
    partitions->count = owned_partitions(answers->owned);
    partitions->wanted =
        arena_take(request->arena, (size_t)partitions->count * sizeof(*partitions->wanted));
    if (!partitions->wanted)
        return false;
    if (is_internal)
        return choose_listed(request, partitions);
    for (size_t i = 0; i < subscription_count; i++)
        partitions->wanted[partition_of(subscriptions[i], partitions->count)] = true;
    for (int32_t i = 0; subscription_count == 0 && i < partitions->count; i++)
        partitions->wanted[i] = true;
    return true;
}

/* --- asking --- */

struct asking {
    struct answers *answers;
    const struct answer_partitions *partitions;
    const struct answer_ops *ops;
    void *context;
    const struct answer_peer_call *call;
    struct buffer *refusal;
    bool *left;                  /* not ours: to be asked of peers */
    char (*urls)[PEERS_URL_MAX]; /* of each partition that is left */
};

static int ask_ours(struct asking *asking)
{
    for (int32_t i = 0; i < asking->partitions->count; i++) {
        struct owned_view view;
        int r;
        if (!asking->partitions->wanted[i])
            continue;
        asking->left[i] = !owned_hold(asking->answers->owned, i, &view);
        if (asking->left[i])
            continue;
        r = asking->ops->scan(asking->context, &view);
        owned_release(asking->answers->owned, i);
        if (r == FAULT_STOP)
            asking->answers->damaged(asking->answers->context, i);
        if (r)
            return r;
    }
    return 0;
}

static int find_owners(struct asking *asking)
{
    for (int32_t i = 0; i < asking->partitions->count; i++)
        if (asking->left[i] && (asking->partitions->is_internal ||
                                !peers_owner(asking->answers->peers, i, asking->urls[i])))
            return ANSWER_UNOWNED;
    return 0;
}

/* One call for all the partitions of one owner. */
static int ask_peer(struct asking *asking, int32_t first)
{
    CLEANUP(buffer_deinit) struct buffer url = {0};
    CLEANUP(buffer_deinit) struct buffer body = {0};
    char *bearer = text_copy(asking->call->bearer);
    const char *owner = asking->urls[first];
    int status = 0, r;

    buffer_printf(&url, "%s%s%cpartitions=", owner, asking->call->path,
                  strchr(asking->call->path, '?') ? '&' : '?');
    for (int32_t i = first; i < asking->partitions->count; i++) {
        if (!asking->left[i] || strcmp(asking->urls[i], owner) != 0)
            continue;
        buffer_printf(&url, "%s%d", i == first ? "" : ",", (int)i);
        asking->left[i] = false;
    }
    buffer_add_char(&url, '\0');
    struct http_call call = {.method = asking->call->method,
                             .url = url.at,
                             .bearer = bearer,
                             .content_type = "application/json",
                             .body = asking->call->body,
                             .timeout_ms = ANSWER_PEER_TIMEOUT_MS};
    r = http_fetch(&call, &status, &body);
    free(bearer);
    if (!r && status == 400) {
        buffer_add_text(asking->refusal, buffer_text(&body));
        return ANSWER_REFUSED;
    }
    if (r || status != 200)
        return ANSWER_UNOWNED; /* it ends, or the partition has moved on */
    return asking->ops->merge(asking->context, buffer_text(&body));
}

int answer_gather(struct answers *answers, const struct answer_partitions *partitions,
                  const struct answer_ops *ops, void *context, const struct answer_peer_call *call,
                  struct buffer *refusal)
{
    struct asking asking = {.answers = answers,
                            .partitions = partitions,
                            .ops = ops,
                            .context = context,
                            .call = call,
                            .refusal = refusal};
    int r;

    asking.left = calloc((size_t)partitions->count, sizeof(*asking.left));
    asking.urls = calloc((size_t)partitions->count, sizeof(*asking.urls));
    if (!asking.left || !asking.urls)
        abort();
    r = ask_ours(&asking);
    if (!r)
        r = find_owners(&asking);
    for (int32_t i = 0; !r && i < partitions->count; i++)
        if (asking.left[i])
            r = ask_peer(&asking, i);
    free(asking.left);
    free(asking.urls);
    return r;
}
