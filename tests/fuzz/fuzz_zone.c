/*
 * fuzz_zone.c - any bytes as a TZif file: refused, or a zone that has one offset at any time.
 *
 * (Rules whose summers overlap can be written, but mean nothing, so that stretches needn't fit.)
 */
#include "common/base/zone.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void check_stretch(const struct zone *zone, int64_t seconds)
{
    struct zone_segment segment = zone_segment_of(zone, seconds);

    assert(segment.from <= seconds && seconds < segment.to);
    (void)zone_seconds_of_local(zone, seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const int64_t times[] = {-5000000000, -1,         0,         1700000000,
                                    1774746000,  4102444800, 9000000000};
    struct zone *zone;

    if (zone_new_from(text_of("Fuzz/Zone"), text_from(bytes, length), &zone))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        check_stretch(zone, times[i]);
    zone = zone_free(zone);
    return 0;
}
