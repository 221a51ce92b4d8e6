#include "ingest/edges/topics_watch.h"

#include "common/io/log.h"
#include "proto/topics.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 3000, WRONG_BYTES_MAX = 2048 };

static const enum topic watched[] = {TOPIC_EVENTS, TOPIC_USAGE, TOPIC_REJECTED, TOPIC_CATALOG};

struct topics_watch {
    uv_loop_t *loop;
    const struct kafka_config *config;
    void (*right)(void *context);
    void *context;
    char names[ARRAY_LEN(watched)][TOPIC_NAME_MAX];
    struct topic_spec specs[ARRAY_LEN(watched)];
    uv_work_t work;
    uv_timer_t timer;
    struct buffer found; /* the pool's thread writes it */
    bool is_right, is_closed;
    char wrong[WRONG_BYTES_MAX];
};

static void on_check(uv_work_t *work)
{
    struct topics_watch *watch = work->data;

    buffer_clear(&watch->found);
    watch->is_right =
        topics_check(watch->config, watch->specs, ARRAY_LEN(watch->specs), &watch->found);
}

static void check_again(uv_timer_t *timer);

static void on_checked(uv_work_t *work, int status)
{
    struct topics_watch *watch = work->data;
    char wrong[WRONG_BYTES_MAX];

    (void)status;
    if (watch->is_closed)
        return;
    if (watch->is_right) {
        watch->wrong[0] = '\0';
        watch->right(watch->context);
        return;
    }
    snprintf(wrong, sizeof(wrong), "%.*s", (int)watch->found.length, watch->found.at);
    if (strcmp(wrong, watch->wrong) != 0)
        log_event(LOG_WARN, "topics_wrong", "reason", wrong, NULL);
    memcpy(watch->wrong, wrong, sizeof(wrong));
    uv_timer_start(&watch->timer, check_again, RETRY_MS, 0);
}

static void check_again(uv_timer_t *timer)
{
    struct topics_watch *watch = timer->data;
    int rc = uv_queue_work(watch->loop, &watch->work, on_check, on_checked);

    assert(rc == 0);
}

struct topics_watch *topics_watch_new(uv_loop_t *loop, const struct kafka_config *config,
                                      const char *bucket, int32_t partitions,
                                      void (*right)(void *context), void *context)
{
    struct topics_watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        abort();
    watch->loop = loop;
    watch->config = config;
    watch->right = right;
    watch->context = context;
    for (size_t i = 0; i < ARRAY_LEN(watched); i++) {
        topic_name(watched[i], bucket, watch->names[i]);
        watch->specs[i] = (struct topic_spec){
            .name = watch->names[i],
            .partitions = topic_partitions_of(watched[i], partitions),
            .config = topic_settings(watched[i]),
        };
    }
    snprintf(watch->wrong, sizeof(watch->wrong), "the topics are being checked");
    uv_timer_init(loop, &watch->timer);
    watch->timer.data = watch;
    watch->work.data = watch;
    uv_timer_start(&watch->timer, check_again, 0, 0);
    return watch;
}

void topics_watch_close(struct topics_watch *watch)
{
    watch->is_closed = true;
    uv_close((uv_handle_t *)&watch->timer, NULL);
}

struct topics_watch *topics_watch_free(struct topics_watch *watch)
{
    if (!watch)
        return NULL;
    buffer_deinit(&watch->found);
    free(watch);
    return NULL;
}

const char *topics_watch_wrong(const struct topics_watch *watch)
{
    return watch->wrong;
}
