#include "ingest/edges/reject.h"

#include "common/base/instant.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { OWN_HEADERS = 8 };

static void add(struct reject *reject, const char *name, struct text value)
{
    assert(reject->count < REJECT_HEADERS_MAX);
    reject->headers[reject->count++] = (struct kafka_header){.name = name, .value = value};
}

static void keep_headers(struct reject *reject, const struct kafka_message *record)
{
    for (size_t i = 0; i < record->header_count; i++) {
        const struct kafka_header *header = &record->headers[i];
        if (strncmp(header->name, "tollway_", 8) == 0)
            continue;
        if (reject->count == REJECT_HEADERS_MAX - OWN_HEADERS)
            return;
        add(reject, header->name, header->value);
    }
}

void reject_headers(struct reject *reject, const struct kafka_message *record, const char *topic,
                    const struct refusal *refusal, struct text index, int64_t now_ms)
{
    reject->count = 0;
    snprintf(reject->partition, sizeof(reject->partition), "%d", record->partition);
    snprintf(reject->offset, sizeof(reject->offset), "%lld", (long long)record->offset);
    instant_format(instant_from_ms(now_ms), reject->time);
    keep_headers(reject, record);
    reject->foreign = reject->count;
    add(reject, "tollway_reason", text_of(refusal_name(refusal->code)));
    add(reject, "tollway_detail", refusal->detail);
    if (!text_is_absent(refusal->pointer))
        add(reject, "tollway_pointer", refusal->pointer);
    add(reject, "tollway_topic", text_of(topic));
    add(reject, "tollway_partition", text_of(reject->partition));
    add(reject, "tollway_offset", text_of(reject->offset));
    add(reject, "tollway_time", text_of(reject->time));
    if (!text_is_absent(index))
        add(reject, "tollway_index", index);
}
