#include "ingest/rules/fingerprint.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { BYTES_INLINE = 1024, PART_ABSENT = 0xffff };

/* Bytes to hash: on the stack while they are few, as they nearly always are. */
struct parts {
    char *at;
    size_t length, room;
};

static bool parts_begin(struct parts *parts, char *bytes, size_t need, struct arena *arena)
{
    parts->at = need <= BYTES_INLINE ? bytes : arena_take(arena, need);
    parts->length = 0;
    parts->room = need;
    return parts->at != NULL;
}

static void add_bytes(struct parts *parts, const void *bytes, size_t length)
{
    assert(parts->room - parts->length >= length);
    memcpy(parts->at + parts->length, bytes, length);
    parts->length += length;
}

static size_t size_of(struct text text)
{
    return 2 + text.length;
}

/* Length, little-endian on every machine, then bytes. */
static void add_text(struct parts *parts, struct text text)
{
    uint16_t length = text_is_absent(text) ? PART_ABSENT : (uint16_t)text.length;
    uint8_t prefix[2] = {(uint8_t)(length & 0xff), (uint8_t)(length >> 8)};

    assert(text.length < PART_ABSENT);
    add_bytes(parts, prefix, sizeof(prefix));
    if (text.length > 0)
        add_bytes(parts, text.at, text.length);
}

static void add_integer(struct parts *parts, uint64_t value)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    add_bytes(parts, bytes, sizeof(bytes));
}

static XXH128_canonical_t hash(const struct fingerprint_key *key, struct text text)
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSecret(text.at, text.length, key->secret,
                                                                 sizeof(key->secret)));
    return canonical;
}

static struct text parts_text(const struct parts *parts)
{
    return text_from(parts->at, parts->length);
}

void fingerprint_key_init(struct fingerprint_key *key, const uint8_t seed[FINGERPRINT_SEED_BYTES])
{
    uint8_t block[FINGERPRINT_SEED_BYTES + 1];

    memcpy(block, seed, FINGERPRINT_SEED_BYTES);
    for (size_t i = 0; i < FINGERPRINT_SECRET_BYTES / sizeof(XXH128_canonical_t); i++) {
        XXH128_canonical_t canonical;
        block[FINGERPRINT_SEED_BYTES] = (uint8_t)i;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(block, sizeof(block)));
        memcpy(key->secret + i * sizeof(canonical), &canonical, sizeof(canonical));
    }
}

bool fingerprint_identity(const struct fingerprint_key *key, struct text subscription,
                          struct text source, struct text id, struct arena *arena,
                          uint8_t identity[12])
{
    char bytes[BYTES_INLINE];
    struct parts parts;
    XXH128_canonical_t canonical;

    if (!parts_begin(&parts, bytes, size_of(subscription) + size_of(source) + size_of(id), arena))
        return false;
    add_text(&parts, subscription);
    add_text(&parts, source);
    add_text(&parts, id);
    canonical = hash(key, parts_text(&parts));
    memcpy(identity, canonical.digest, 12);
    return true;
}

/* No event's identity: those name a subscription and an id. */
bool fingerprint_source(const struct fingerprint_key *key, struct text source, struct arena *arena,
                        uint8_t identity[12])
{
    struct text absent = text_of(NULL);

    return fingerprint_identity(key, absent, source, absent, arena, identity);
}

static size_t size_of_entry(const struct fingerprint_entry *entry)
{
    const struct catalog_meter *meter = entry->meter;
    size_t size = size_of(meter->slug) + sizeof(entry->value);

    for (size_t i = 0; i < meter->dimension_count; i++)
        size += size_of(meter->dimensions[i].name) + size_of(entry->dimensions[i]);
    return size;
}

static void add_value(struct parts *parts, const struct fingerprint_entry *entry)
{
    uint128 units = (uint128)entry->value.amount.units;

    if (entry->meter->aggregation == AGGREGATION_UNIQUE_COUNT) {
        add_bytes(parts, entry->value.unique, sizeof(entry->value.unique));
        return;
    }
    add_integer(parts, (uint64_t)units);
    add_integer(parts, (uint64_t)(units >> 64));
}

static void add_entry(struct parts *parts, const struct fingerprint_entry *entry)
{
    const struct catalog_meter *meter = entry->meter;

    add_text(parts, meter->slug);
    add_value(parts, entry);
    for (size_t i = 0; i < meter->dimension_count; i++) {
        add_text(parts, meter->dimensions[i].name);
        add_text(parts, entry->dimensions[i]);
    }
}

bool fingerprint_payload(const struct fingerprint_key *key,
                         const struct fingerprint_content *content, struct arena *arena,
                         uint32_t *payload)
{
    char bytes[BYTES_INLINE];
    struct parts parts;
    size_t need = size_of(content->type) + size_of(content->subject) + 16;
    XXH128_canonical_t canonical;

    for (size_t i = 0; i < content->count; i++)
        need += size_of_entry(&content->entries[i]);
    if (!parts_begin(&parts, bytes, need, arena))
        return false;
    add_text(&parts, content->type);
    add_text(&parts, content->subject);
    add_integer(&parts, content->time_is_absent);
    add_integer(&parts, content->time_is_absent ? 0 : (uint64_t)content->time.ns);
    for (size_t i = 0; i < content->count; i++)
        add_entry(&parts, &content->entries[i]);
    canonical = hash(key, parts_text(&parts));
    *payload = (uint32_t)canonical.digest[0] | (uint32_t)canonical.digest[1] << 8 |
               (uint32_t)canonical.digest[2] << 16 | (uint32_t)canonical.digest[3] << 24;
    return true;
}

void fingerprint_unique(const struct fingerprint_key *key, struct text text, uint8_t unique[16])
{
    XXH128_canonical_t canonical = hash(key, text);

    memcpy(unique, canonical.digest, sizeof(canonical.digest));
}
