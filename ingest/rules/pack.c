#include "ingest/rules/pack.h"

#include <assert.h>
#include <stdlib.h>

struct slot {
    struct usage_writer *writer; /* made when first needed */
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
        .events = usage_writer_count(slot->writer),
        .cargo = slot->cargo,
    };

    pack->bytes -= usage_writer_bytes(slot->writer);
    pack->finished(pack->context, &batch);
    usage_writer_reset(slot->writer);
    slot->cargo = NULL;
    pack->open--;
}

static int write_event(struct usage_writer *writer, const struct admitted *admitted)
{
    return usage_writer_add_parts(writer, &admitted->event, admitted->subscription->id,
                                  admitted->parts, admitted->part_count);
}

static bool is_open(const struct slot *slot)
{
    return slot->writer && usage_writer_count(slot->writer) > 0;
}

void **pack_add(struct pack *pack, const struct admitted *admitted, int64_t now_ms)
{
    int32_t partition = admitted->subscription->partition;
    struct slot *slot;
    size_t before;
    int r;

    assert(partition >= 0 && partition < pack->partitions);
    slot = &pack->slots[partition];
    if (!slot->writer)
        slot->writer = usage_writer_new();
    before = is_open(slot) ? usage_writer_bytes(slot->writer) : 0;
    r = write_event(slot->writer, admitted);
    if (r == USAGE_WRITER_FULL) {
        finish(pack, partition);
        before = 0;
        r = write_event(slot->writer, admitted);
    }
    assert(r == 0); /* an empty batch has room for every event */
    pack->bytes += usage_writer_bytes(slot->writer) - before;
    if (usage_writer_count(slot->writer) == 1) {
        slot->opened_ms = now_ms;
        pack->open++;
    }
    return &slot->cargo;
}

void pack_settle(struct pack *pack, int32_t partition)
{
    const struct slot *slot = &pack->slots[partition];

    if (usage_writer_count(slot->writer) >= pack->limits.events ||
        usage_writer_bytes(slot->writer) >= pack->limits.bytes)
        finish(pack, partition);
}

int64_t pack_expire(struct pack *pack, int64_t now_ms)
{
    int64_t next = -1;

    for (int32_t i = 0; i < pack->partitions && pack->open > 0; i++) {
        int64_t left;
        if (!is_open(&pack->slots[i]))
            continue;
        left = pack->slots[i].opened_ms + pack->limits.linger_ms - now_ms;
        if (left <= 0)
            finish(pack, i);
        else if (next < 0 || left < next)
            next = left;
    }
    return next;
}

void pack_finish(struct pack *pack, int32_t partition)
{
    if (is_open(&pack->slots[partition]))
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
