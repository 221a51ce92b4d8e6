/*
 * catalog_feed.h - the bucket's catalog, followed on the loop.
 *
 * Connecting asks the broker questions that can take seconds, so it happens on a thread of the
 * loop's pool, again and again until it succeeds; reading is the loop's own.
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/catalog/catalog_follow.h"

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

/* For its questions; it stays the feed's. */
const struct catalog_follow *catalog_feed_follow(const struct catalog_feed *feed);
