#include "ingest/rules/pack.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
    struct usage_writer *writer; /* made when first needed */
    size_t events, bytes;        /* in it; none: it isn't open */
    size_t on_way;               /* finished, and not arrived */
    int64_t opened_ms;
    void *cargo;
};

struct pack {
    struct pack_limits limits;
    pack_finished *finished;
    void *context;
    size_t open;  /* batches */
    size_t bytes; /* in them */
    int32_t partitions;
    struct slot slots[];
};

struct pack *pack_new(int32_t partitions, const struct pack_limits *limits, pack_finished *finished,
                      void *context)
{
    struct pack *pack;

    assert(partitions > 0 && partitions <= CATALOG_PARTITIONS_MAX);
    assert(limits->events > 0 && limits->events <= USAGE_EVENTS_MAX);
    pack = calloc(1, sizeof(*pack) + (size_t)partitions * sizeof(pack->slots[0]));
    if (!pack)
        abort();
    pack->limits = *limits;
    pack->finished = finished;
    pack->context = context;
    pack->partitions = partitions;
    return pack;
}

struct pack *pack_free(struct pack *pack)
{
    if (!pack)
        return NULL;
    for (int32_t i = 0; i < pack->partitions; i++)
        usage_writer_free(pack->slots[i].writer);
    free(pack);
    return NULL;
}

static void finish(struct pack *pack, int32_t partition)
{
    struct slot *slot = &pack->slots[partition];
    struct pack_batch batch = {
        .partition = partition,
        .message = usage_writer_finish(slot->writer),
        .events = slot->events,
        .cargo = slot->cargo,
    };

    pack->bytes -= slot->bytes;
    slot->on_way++;
    pack->finished(pack->context, &batch);
    usage_writer_reset(slot->writer);
    slot->events = slot->bytes = 0;
    slot->cargo = NULL;
    pack->open--;
}

static void prefetch(const struct pack *pack, enum usage_writer_step step,
                     const struct admitted *admitted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &pack->slots[admitted[i].subscription->partition];

        if (slot->writer)
            usage_writer_prefetch(slot->writer, step, admitted[i].parts, admitted[i].part_count);
    }
}

void pack_prefetch(const struct pack *pack, const struct admitted *admitted, size_t count)
{
    prefetch(pack, USAGE_WRITER_SLOTS, admitted, count);
    prefetch(pack, USAGE_WRITER_KNOWN, admitted, count);
    prefetch(pack, USAGE_WRITER_SERIES, admitted, count);
}

static int write_event(struct usage_writer *writer, const struct admitted *admitted)
{
    return usage_writer_add_parts(writer, &admitted->event, admitted->parts, admitted->part_count);
}

/* The partition's batch has one more event. */
static void count_event(struct pack *pack, struct slot *slot, int64_t now_ms)
{
    size_t bytes = usage_writer_bytes(slot->writer);

    pack->bytes += bytes - slot->bytes;
    slot->bytes = bytes;
    if (slot->events++ > 0)
        return;
    slot->opened_ms = now_ms;
    pack->open++;
}

void **pack_add(struct pack *pack, const struct admitted *admitted, int64_t now_ms)
{
    int32_t partition = admitted->subscription->partition;
    struct slot *slot;
    int r;

    assert(partition >= 0 && partition < pack->partitions);
    slot = &pack->slots[partition];
    if (!slot->writer)
        slot->writer = usage_writer_new();
    r = write_event(slot->writer, admitted);
    if (r == USAGE_WRITER_FULL) {
        finish(pack, partition);
        r = write_event(slot->writer, admitted);
    }
    assert(r == 0); /* an empty batch has room for every event */
    count_event(pack, slot, now_ms);
    return &slot->cargo;
}

void pack_settle(struct pack *pack, int32_t partition)
{
    const struct slot *slot = &pack->slots[partition];

    if (slot->events >= pack->limits.events || slot->bytes >= pack->limits.bytes)
        finish(pack, partition);
}

int64_t pack_expire(struct pack *pack, int64_t now_ms)
{
    int64_t next = -1;

    for (int32_t i = 0; i < pack->partitions && pack->open > 0; i++) {
        int64_t left;
        if (pack->slots[i].events == 0 || pack->slots[i].on_way >= PACK_ON_WAY_MAX)
            continue;
        left = pack->slots[i].opened_ms + pack->limits.linger_ms - now_ms;
        if (left <= 0)
            finish(pack, i);
        else if (next < 0 || left < next)
            next = left;
    }
    return next;
}

bool pack_arrived(struct pack *pack, int32_t partition)
{
    assert(pack->slots[partition].on_way > 0);
    return pack->slots[partition].on_way-- == PACK_ON_WAY_MAX;
}

void pack_finish(struct pack *pack, int32_t partition)
{
    if (pack->slots[partition].events > 0)
        finish(pack, partition);
}

void pack_flush(struct pack *pack)
{
    for (int32_t i = 0; i < pack->partitions && pack->open > 0; i++)
        pack_finish(pack, i);
}

size_t pack_bytes(const struct pack *pack)
{
    return pack->bytes;
}
