/*
 * delivery.h - from admitted events to acknowledged batches, and telling who waits.
 *
 * A waiter is whoever must not go on before Kafka has every batch that holds one of its events: an
 * HTTP request, or a run of Kafka records whose offsets are to be committed. It is told once, when
 * all its batches are acknowledged or given up.
 *
 * Batches leave together. With none on its way, all that are open leave as soon as the loop has
 * nothing else to do; while one is, events gather for the next, until that is acknowledged. A
 * batch that is full or has lingered leaves in any case, so one slow partition holds nothing back
 * for longer; but of a partition whose broker is slow no more leave than it takes (pack.h). Clients
 * that are answered come again, so behind an acknowledgement batches leave once three quarters of
 * what was under way is there again, or after two milliseconds in which the loop was idle for most
 * of the time: two halves that took turns would be twice as many batches. So an idle system answers
 * fast and a busy one packs densely, by itself.
 *
 * Limits     `in_flight_bytes_max` over open and unconfirmed batches: delivery_has_room says
 *            whether more may be taken in.
 * Ownership  A waiter belongs to its maker and must live until it was told.
 * Threads    The loop's own.
 */
#pragma once

#include "common/io/kafka.h"
#include "ingest/edges/measures.h"
#include "ingest/rules/pack.h"

#include <uv.h>

struct waiter {
    uint32_t pending; /* batches, and one for its maker until delivery_release */
    bool failed;      /* a batch of it was given up */
    void (*done)(struct waiter *waiter);
};

struct delivery_config {
    struct pack_limits limits;
    int64_t in_flight_bytes_max;
    const char *usage_topic, *rejected_topic;
};

struct delivery;
/* `producer` and the config's strings must outlive it. */
struct delivery *delivery_new(uv_loop_t *loop, struct producer *producer,
                              const struct delivery_config *config, struct metrics *metrics);
/* Closes its handles; call before the loop's last run, then delivery_free. */
void delivery_close(struct delivery *delivery);
struct delivery *delivery_free(struct delivery *delivery);

/* Says how many partitions `usage` has, before the first event. */
void delivery_set_partitions(struct delivery *delivery, int32_t partitions);
bool delivery_has_room(const struct delivery *delivery, size_t bytes);
int64_t delivery_in_flight_bytes(const struct delivery *delivery);
size_t delivery_unsettled(const struct delivery *delivery); /* batches open or unconfirmed */
/* Whether a broker answered in the last `ms`. */
bool delivery_is_connected(const struct delivery *delivery, int64_t ms);

void delivery_hold(struct waiter *waiter, void (*done)(struct waiter *waiter));
/* Adds each event to its partition's batch, on which the waiter then waits. Tells nobody: who is
 * told may read its next request. */
void delivery_add(struct delivery *delivery, const struct admitted *admitted, size_t count,
                  struct waiter *waiter);
/* Sends one record to `rejected`; the waiter waits for it, too. Of one that is too large, value,
 * key and `foreign` headers, which come first, are left out: what is said of it is kept, at least.
 */
void delivery_reject(struct delivery *delivery, const struct kafka_message *message, size_t foreign,
                     struct waiter *waiter);
/* The maker has added all; `done` may be called from within. */
void delivery_release(struct waiter *waiter);
/* Closes every open batch now. */
void delivery_flush(struct delivery *delivery);
/* Hears acknowledgements without waiting for the wakeup. */
void delivery_poll(struct delivery *delivery);
