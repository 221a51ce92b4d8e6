/*
 * catalog_feed.h - the bucket's catalog in memory, kept up by following <bucket>.catalog.
 *
 * Connecting asks the broker questions that can take seconds, so it happens on a thread of the
 * loop's pool, again and again until it succeeds; reading is the loop's own. The catalog is
 * *loaded* once everything that the topic held at the start is applied and the bucket's record is
 * there.
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/kafka.h"
#include "proto/catalog.h"

#include <uv.h>

struct catalog_feed;
struct catalog_feed_ops {
    void (*loaded)(void *context);           /* once */
    void (*failed)(void *context, int code); /* following can't go on; the last fault says why */
};
/* `config` and `bucket` must outlive it. */
struct catalog_feed *catalog_feed_new(uv_loop_t *loop, const struct kafka_config *config,
                                      const char *bucket, const struct catalog_feed_ops *ops,
                                      void *context);
void catalog_feed_close(struct catalog_feed *feed);
struct catalog_feed *catalog_feed_free(struct catalog_feed *feed); /* after the loop has ended */

bool catalog_feed_is_loaded(const struct catalog_feed *feed);
const struct catalog *catalog_feed_catalog(const struct catalog_feed *feed);
/* What keeps it from being loaded, with the remedy. */
const char *catalog_feed_missing(const struct catalog_feed *feed);
