/*
 * fuzz_counters.c - counters_decode on any key and value (a line each), and again with the checksum
 * put right; what is decoded is encoded to the same bytes.
 */
#include "proto/counters.h"
#include "proto/wire.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

enum { CHECKSUM = 48, SIZE = 56 };

static void check_total(struct text key, struct text value, const struct counters_total *total)
{
    CLEANUP(buffer_deinit) struct buffer again_key = {0}, again_value = {0};

    if (memchr(total->meter.at, '/', total->meter.length))
        return;
    counters_encode_total(total, &again_key, &again_value);
    /* Leading zeros in the key's minutes and upper bounds are read, and written shorter. */
    if (text_equal(buffer_text(&again_key), key))
        assert(text_equal(buffer_text(&again_value), value));
}

static void check_mark(const struct counters_mark *mark)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, value = {0};
    struct counters_mark again;
    struct counters_total total;
    const char *reason;

    counters_encode_mark(mark, &key, &value);
    assert(counters_decode(buffer_text(&key), buffer_text(&value), &total, &again, &reason) ==
           COUNTERS_MARK);
    assert(again.next_offset == mark->next_offset && again.late == mark->late);
    assert(strcmp(again.owner, mark->owner) == 0);
}

static void decode(struct text key, struct text value)
{
    struct counters_total total;
    struct counters_mark mark;
    const char *reason = NULL;

    switch (counters_decode(key, value, &total, &mark, &reason)) {
    case COUNTERS_TOTAL:
        check_total(key, value, &total);
        break;
    case COUNTERS_MARK:
        check_mark(&mark);
        break;
    default:
        assert(reason);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text value = text_from(bytes, length), key = text_cut(&value, '\n');
    uint8_t mended[SIZE];

    decode(key, value);
    if (value.length == SIZE) {
        memcpy(mended, value.at, SIZE);
        wire_store_u64(mended + CHECKSUM,
                       XXH3_64bits_withSeed(mended, CHECKSUM, XXH3_64bits(key.at, key.length)));
        decode(key, text_from(mended, SIZE));
    }
    return 0;
}
