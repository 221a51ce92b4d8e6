/*
 * calendar_probe.c - answers questions about calendars, one a line, for tests/oracle/calendar.py.
 *
 *   offset ZONE SECONDS                     the offset then
 *   local ZONE LOCAL_SECONDS                when the wall clock shows it
 *   window ZONE SIZE SECONDS                from and to
 *   boundary ZONE ANCHOR CADENCE INDEX      seconds, and the index found for them
 */
#include "common/base/calendar.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct zone *zone; /* of the last question */

static int64_t seconds_of(struct instant instant)
{
    return instant.ns / 1000000000 - (instant.ns % 1000000000 < 0);
}

static bool answer_boundary(int64_t anchor, struct text cadence, int64_t index)
{
    struct recurrence recurrence = {.zone = zone, .anchor = instant_from_seconds(anchor)};
    struct instant boundary;

    if (duration_parse(cadence, &recurrence.cadence))
        return false;
    boundary = recurrence_boundary(&recurrence, index);
    printf("%" PRId64 " %" PRId64 "\n", seconds_of(boundary),
           recurrence_index(&recurrence, boundary));
    return true;
}

static bool answer(struct text rest)
{
    struct text kind = text_cut(&rest, ' '), name = text_cut(&rest, ' '), word;
    enum window_size size;
    struct window window;
    int64_t number;

    if (!zone || !text_is(name, zone_name(zone))) {
        zone = zone_free(zone);
        if (zone_new(name, &zone)) {
            printf("unknown\n");
            return true;
        }
    }
    if (text_is(kind, "window")) {
        word = text_cut(&rest, ' ');
        if (!window_size_from(word, &size))
            return false;
        window = calendar_window(zone, size, instant_from_seconds(strtoll(rest.at, NULL, 10)));
        printf("%" PRId64 " %" PRId64 "\n", seconds_of(window.from), seconds_of(window.to));
        return true;
    }
    number = strtoll(rest.at, NULL, 10);
    if (text_is(kind, "boundary")) {
        (void)text_cut(&rest, ' ');
        word = text_cut(&rest, ' ');
        return answer_boundary(number, word, strtoll(rest.at, NULL, 10));
    }
    if (text_is(kind, "offset"))
        printf("%d\n", (int)zone_segment_of(zone, number).offset);
    else if (text_is(kind, "local"))
        printf("%" PRId64 "\n", zone_seconds_of_local(zone, number));
    return true;
}

int main(void)
{
    char line[256];

    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (!answer(text_of(line))) {
            fprintf(stderr, "calendar_probe: not a question: %s\n", line);
            return 65;
        }
    }
    zone = zone_free(zone);
    return 0;
}
