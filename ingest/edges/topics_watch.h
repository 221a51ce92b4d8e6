/*
 * topics_watch.h - whether the bucket's topics are there with the right partitions and settings.
 *
 * Asks the broker on a thread of the loop's pool, every few seconds until all is well.
 *
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/kafka.h"

#include <uv.h>

struct topics_watch;
/* `config` and `bucket` must outlive it. `right` is called once, when all is well. */
struct topics_watch *topics_watch_new(uv_loop_t *loop, const struct kafka_config *config,
                                      const char *bucket, int32_t partitions,
                                      void (*right)(void *context), void *context);
void topics_watch_close(struct topics_watch *watch);
struct topics_watch *topics_watch_free(struct topics_watch *watch); /* after the loop has ended */
/* What is wrong, with the remedy. */
const char *topics_watch_wrong(const struct topics_watch *watch);
