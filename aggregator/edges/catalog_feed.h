/*
 * catalog_feed.h - the bucket's catalog, followed by a thread of its own and read by all.
 *
 * Threads    Any. Between catalog_feed_lock and _unlock the catalog is at rest; keep it short.
 */
#pragma once

#include "common/catalog/catalog_follow.h"

struct catalog_feed;

/* `config` and `bucket` must outlive it. `failed` is called on its thread when it can't go on. */
struct catalog_feed *catalog_feed_new(const struct kafka_config *config, const char *bucket,
                                      void (*failed)(void *context, int code), void *context);
struct catalog_feed *catalog_feed_free(struct catalog_feed *feed); /* waits for its thread */

bool catalog_feed_is_loaded(struct catalog_feed *feed);
/* What keeps it from being loaded, with the remedy; empty when it is. */
void catalog_feed_missing(struct catalog_feed *feed, char text[CATALOG_FOLLOW_TEXT_MAX]);
/* `next_offset` may be NULL: the offset after the last record that is applied. */
const struct catalog *catalog_feed_lock(struct catalog_feed *feed, int64_t *next_offset);
void catalog_feed_unlock(struct catalog_feed *feed);
