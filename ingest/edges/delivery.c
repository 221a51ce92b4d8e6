#include "ingest/edges/delivery.h"

#include "common/base/fault.h"
#include "common/io/log.h"

#include <assert.h>
#include <stdlib.h>

enum { PATIENCE_MS = 2 }; /* for whoever was answered, and again as long as the loop is busy */

/* A batch or a rejected record on its way, and who waits for it. */
struct parcel {
    struct delivery *delivery;
    struct waiter **waiters;
    size_t count, room;
    size_t bytes;
    int32_t partition;   /* of a batch; -1: a rejected record */
    struct parcel *next; /* among those that weren't sent */
};

struct delivery {
    uv_loop_t *loop;
    struct producer *producer;
    struct delivery_config config;
    struct metrics *metrics;
    struct pack *pack; /* NULL until the number of partitions is known */
    size_t on_way;     /* batches unacknowledged */
    size_t flight;     /* events of the batches that have left since none was on its way */
    size_t open;       /* events in open batches */
    size_t wanted;     /* of them, before they leave together */
    uint64_t watched_ns, idle_ns; /* the clock and the loop's idle time when last looked at */
    uv_timer_t linger, patience;
    uv_check_t check;
    uv_idle_t another_turn; /* active: the loop looks around again before it waits */
    uv_poll_t wakeup;
    struct parcel *unsent;   /* that the producer didn't take: settled at the turn's end */
    int64_t in_flight_bytes; /* handed to the producer */
    size_t parcels;
    bool has_gathered;    /* events, in this turn of the loop */
    int64_t connected_ms; /* when a broker was last connected */
};

static struct parcel *parcel_new(struct delivery *delivery)
{
    struct parcel *parcel = calloc(1, sizeof(*parcel));

    if (!parcel)
        abort();
    parcel->delivery = delivery;
    parcel->partition = -1;
    delivery->parcels++;
    return parcel;
}

/* Requests are taken one after the other, so a waiter that is on the parcel already is its last. */
static void parcel_join(struct parcel *parcel, struct waiter *waiter)
{
    if (parcel->count > 0 && parcel->waiters[parcel->count - 1] == waiter)
        return;
    if (parcel->count == parcel->room) {
        parcel->room = parcel->room == 0 ? 4 : parcel->room * 2;
        parcel->waiters = realloc(parcel->waiters, parcel->room * sizeof(struct waiter *));
        if (!parcel->waiters)
            abort();
    }
    parcel->waiters[parcel->count++] = waiter;
    waiter->pending++;
}

static void tell(struct waiter *waiter, bool failed)
{
    assert(waiter->pending > 0);
    waiter->failed = waiter->failed || failed;
    if (--waiter->pending == 0)
        waiter->done(waiter);
}

static void count_parcel(struct parcel *parcel, bool failed)
{
    struct metrics *metrics = parcel->delivery->metrics;

    if (failed) {
        metrics_add(metrics, MEASURE_DELIVERY_FAILURES, 0, 1);
    } else if (parcel->partition >= 0) {
        metrics_add(metrics, MEASURE_BATCHES, 0, 1);
        metrics_add(metrics, MEASURE_BATCH_BYTES, 0, (int64_t)parcel->bytes);
    }
}

static void on_another_turn(uv_idle_t *idle)
{
    (void)idle;
}

/* Whether the loop has worked for more than half of the time since the last look. */
static bool was_busy(struct delivery *delivery)
{
    uint64_t now_ns = uv_hrtime(), idle_ns = uv_metrics_idle_time(delivery->loop);
    bool was = (idle_ns - delivery->idle_ns) * 2 < now_ns - delivery->watched_ns;

    delivery->watched_ns = now_ns;
    delivery->idle_ns = idle_ns;
    return was;
}

static void on_patience_over(uv_timer_t *timer)
{
    struct delivery *delivery = timer->data;

    if (delivery->on_way == 0 && was_busy(delivery)) {
        uv_timer_start(timer, on_patience_over, PATIENCE_MS, 0);
        return;
    }
    delivery->wanted = 0;
    uv_idle_start(&delivery->another_turn, on_another_turn);
}

/* Nothing is on its way. Whoever is answered now comes again at once, as a rule: three quarters of
 * all that were under way are waited for, and the rest has the time until their acknowledgement.
 * A busy loop hasn't answered or read them all within its patience. */
static void expect_more(struct delivery *delivery)
{
    delivery->wanted = (delivery->flight + delivery->open) * 3 / 4;
    delivery->flight = 0;
    (void)was_busy(delivery);
    uv_timer_start(&delivery->patience, on_patience_over, PATIENCE_MS, 0);
}

static int64_t now_ms(const struct delivery *delivery)
{
    return (int64_t)uv_now(delivery->loop);
}

static void on_linger(uv_timer_t *timer)
{
    struct delivery *delivery = timer->data;
    int64_t next;

    uv_update_time(delivery->loop);
    next = pack_expire(delivery->pack, now_ms(delivery));
    if (next >= 0)
        uv_timer_start(timer, on_linger, (uint64_t)next, 0);
}

static void note_arrival(struct delivery *delivery, int32_t partition)
{
    if (pack_arrived(delivery->pack, partition))
        uv_timer_start(&delivery->linger, on_linger, 0, 0);
    if (--delivery->on_way == 0)
        expect_more(delivery);
}

static void settle(struct parcel *parcel, bool failed)
{
    count_parcel(parcel, failed);
    if (parcel->partition >= 0)
        note_arrival(parcel->delivery, parcel->partition);
    parcel->delivery->in_flight_bytes -= (int64_t)parcel->bytes;
    parcel->delivery->parcels--;
    for (size_t i = 0; i < parcel->count; i++)
        tell(parcel->waiters[i], failed);
    free(parcel->waiters);
    free(parcel);
}

static void on_delivered(void *context, int64_t offset, const char *why)
{
    if (offset < 0)
        log_event(LOG_WARN, "delivery_given_up", "reason", why, NULL);
    settle(context, offset < 0);
}

static int send_parcel(struct parcel *parcel, const char *topic,
                       const struct kafka_message *message)
{
    int r = producer_send(parcel->delivery->producer, topic, message, on_delivered, parcel);

    if (r == 0) {
        parcel->bytes = message->value.length + message->key.length;
        parcel->delivery->in_flight_bytes += (int64_t)parcel->bytes;
    }
    return r;
}

/* Whoever is told may have sent a further request, which is then read at once: in the midst of
 * another's events it would write over them. */
static void settle_unsent(struct delivery *delivery)
{
    while (delivery->unsent) {
        struct parcel *parcel = delivery->unsent;

        delivery->unsent = parcel->next;
        settle(parcel, true);
    }
}

static void on_finished(void *context, const struct pack_batch *batch)
{
    struct delivery *delivery = context;
    struct parcel *parcel = batch->cargo;
    struct kafka_message message = {.partition = batch->partition, .value = batch->message};
    int r;

    parcel->partition = batch->partition;
    delivery->open -= batch->events;
    delivery->flight += batch->events;
    delivery->on_way++;
    r = send_parcel(parcel, delivery->config.usage_topic, &message);
    if (r == 0)
        return;
    if (r < 0)
        log_fault(LOG_WARN, "usage_not_sent");
    parcel->next = delivery->unsent;
    delivery->unsent = parcel;
    if (!uv_is_closing((const uv_handle_t *)&delivery->another_turn))
        uv_idle_start(&delivery->another_turn, on_another_turn);
}

/* --- time and wakeups --- */

static void start_linger(struct delivery *delivery)
{
    if (!uv_is_active((const uv_handle_t *)&delivery->linger))
        uv_timer_start(&delivery->linger, on_linger, (uint64_t)delivery->config.limits.linger_ms,
                       0);
}

/* After the sockets' turn. While something is on its way, or more are wanted, or turns bring
 * events and nothing is known of how many, more are gathered; then all that is open leaves. */
static void on_check(uv_check_t *check)
{
    struct delivery *delivery = check->data;
    bool has_gathered = delivery->has_gathered;

    delivery->has_gathered = false;
    if (delivery->open == 0 || delivery->on_way > 0 || delivery->open < delivery->wanted) {
        uv_idle_stop(&delivery->another_turn);
    } else if (has_gathered && delivery->wanted == 0) {
        uv_idle_start(&delivery->another_turn, on_another_turn);
    } else {
        uv_idle_stop(&delivery->another_turn);
        pack_flush(delivery->pack);
    }
    settle_unsent(delivery);
}

void delivery_poll(struct delivery *delivery)
{
    (void)producer_poll(delivery->producer, 0);
    if (producer_is_connected(delivery->producer))
        delivery->connected_ms = now_ms(delivery);
}

static void on_wakeup(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    delivery_poll(poll->data);
}

/* --- the whole --- */

struct delivery *delivery_new(uv_loop_t *loop, struct producer *producer,
                              const struct delivery_config *config, struct metrics *metrics)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));

    if (!delivery)
        abort();
    delivery->loop = loop;
    delivery->producer = producer;
    delivery->config = *config;
    delivery->metrics = metrics;
    delivery->connected_ms = INT64_MIN / 2;
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME);
    uv_timer_init(loop, &delivery->linger);
    delivery->linger.data = delivery;
    uv_timer_init(loop, &delivery->patience);
    delivery->patience.data = delivery;
    uv_check_init(loop, &delivery->check);
    delivery->check.data = delivery;
    uv_check_start(&delivery->check, on_check);
    uv_idle_init(loop, &delivery->another_turn);
    uv_poll_init(loop, &delivery->wakeup, producer_wakeup_fd(producer));
    delivery->wakeup.data = delivery;
    uv_poll_start(&delivery->wakeup, UV_READABLE, on_wakeup);
    return delivery;
}

void delivery_close(struct delivery *delivery)
{
    uv_close((uv_handle_t *)&delivery->linger, NULL);
    uv_close((uv_handle_t *)&delivery->patience, NULL);
    uv_close((uv_handle_t *)&delivery->check, NULL);
    uv_close((uv_handle_t *)&delivery->another_turn, NULL);
    uv_close((uv_handle_t *)&delivery->wakeup, NULL);
}

struct delivery *delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return NULL;
    pack_free(delivery->pack);
    free(delivery);
    return NULL;
}

void delivery_set_partitions(struct delivery *delivery, int32_t partitions)
{
    assert(!delivery->pack);
    delivery->pack = pack_new(partitions, &delivery->config.limits, on_finished, delivery);
}

int64_t delivery_in_flight_bytes(const struct delivery *delivery)
{
    return delivery->in_flight_bytes + (delivery->pack ? (int64_t)pack_bytes(delivery->pack) : 0);
}

bool delivery_has_room(const struct delivery *delivery, size_t bytes)
{
    return delivery_in_flight_bytes(delivery) + (int64_t)bytes <=
           delivery->config.in_flight_bytes_max;
}

size_t delivery_unsettled(const struct delivery *delivery)
{
    return delivery->parcels;
}

bool delivery_is_connected(const struct delivery *delivery, int64_t ms)
{
    return now_ms(delivery) - delivery->connected_ms <= ms;
}

void delivery_hold(struct waiter *waiter, void (*done)(struct waiter *waiter))
{
    *waiter = (struct waiter){.pending = 1, .done = done};
}

void delivery_release(struct waiter *waiter)
{
    tell(waiter, false);
}

static void add(struct delivery *delivery, const struct admitted *admitted, struct waiter *waiter)
{
    void **cargo = pack_add(delivery->pack, admitted, now_ms(delivery));

    delivery->has_gathered = true;
    delivery->open++;
    if (!*cargo)
        *cargo = parcel_new(delivery);
    parcel_join(*cargo, waiter);
    pack_settle(delivery->pack, admitted->subscription->partition);
    start_linger(delivery);
}

void delivery_add(struct delivery *delivery, const struct admitted *admitted, size_t count,
                  struct waiter *waiter)
{
    for (size_t i = 0; i < count; i++) {
        size_t left = count - i;

        if (i % PACK_GROUP == 0 && left > 1)
            pack_prefetch(delivery->pack, admitted + i, left < PACK_GROUP ? left : PACK_GROUP);
        add(delivery, &admitted[i], waiter);
    }
}

void delivery_reject(struct delivery *delivery, const struct kafka_message *message, size_t foreign,
                     struct waiter *waiter)
{
    struct parcel *parcel = parcel_new(delivery);
    struct kafka_message copy = *message;
    int r;

    parcel_join(parcel, waiter);
    r = send_parcel(parcel, delivery->config.rejected_topic, &copy);
    if (r == FAULT_REFUSE) {
        log_fault(LOG_WARN, "rejected_kept_without_value");
        copy.value = text_of(NULL);
        r = send_parcel(parcel, delivery->config.rejected_topic, &copy);
    }
    if (r == FAULT_REFUSE) {
        log_fault(LOG_WARN, "rejected_kept_without_key");
        copy.key = text_of(NULL);
        copy.headers += foreign;
        copy.header_count -= foreign;
        r = send_parcel(parcel, delivery->config.rejected_topic, &copy);
    }
    if (r == 0)
        return;
    if (r < 0)
        log_fault(LOG_WARN, "rejected_not_sent");
    settle(parcel, true);
}

void delivery_flush(struct delivery *delivery)
{
    if (delivery->pack)
        pack_flush(delivery->pack);
}
