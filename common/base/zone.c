/*
 * zone.c - reading TZif (RFC 8536 and 9636) and finding offsets.
 */
#include "common/base/zone.h"

#include "common/base/zone_rule.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 44, TRANSITIONS_MAX = 8192, TYPE_BYTES = 6, OFFSET_MOST = 26 * 3600 };

struct zone {
    char name[ZONE_NAME_MAX + 1];
    size_t count;          /* of transitions */
    int64_t *at;           /* ascending */
    int32_t *offset;       /* offset[i] holds from at[i] on */
    int32_t first;         /* before the first transition */
    struct zone_rule rule; /* after the last, when it has one */
};

static const struct zone utc = {.name = "UTC"};

const struct zone *zone_utc(void)
{
    return &utc;
}

const char *zone_name(const struct zone *zone)
{
    return zone->name;
}

struct zone *zone_free(struct zone *zone)
{
    if (zone && zone != &utc) {
        free(zone->at);
        free(zone->offset);
        free(zone);
    }
    return NULL;
}

/* --- reading --- */

struct tables {
    size_t utc_flags, standard_flags, leaps, times, types, letters;
};

static uint64_t big_endian(const char *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

/* Cuts a header off the rest and says how long its tables are. */
static bool cut_header(struct text *rest, struct tables *tables)
{
    size_t *const counts[] = {&tables->utc_flags, &tables->standard_flags, &tables->leaps,
                              &tables->times,     &tables->types,          &tables->letters};

    if (!text_starts(*rest, "TZif") || rest->length < HEADER_BYTES || rest->at[4] < '2')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        *counts[i] = (size_t)big_endian(rest->at + 20 + 4 * i, 4);
    *rest = text_from(rest->at + HEADER_BYTES, rest->length - HEADER_BYTES);
    return true;
}

static bool cut_bytes(struct text *rest, size_t length, const char **bytes)
{
    if (length > rest->length)
        return false;
    *bytes = rest->at;
    *rest = text_from(rest->at + length, rest->length - length);
    return true;
}

static size_t tables_bytes(const struct tables *tables, size_t time_bytes)
{
    return tables->times * (time_bytes + 1) + tables->types * TYPE_BYTES + tables->letters +
           tables->leaps * (time_bytes + 4) + tables->standard_flags + tables->utc_flags;
}

/* Keeps the transitions that change the offset. */
static bool keep_transitions(struct zone *zone, const struct tables *tables, const char *bytes)
{
    const char *indices = bytes + tables->times * 8;
    const char *types = indices + tables->times;
    int32_t offset = (int32_t)big_endian(types, 4);

    zone->first = offset;
    zone->at = calloc(tables->times + 1, sizeof(*zone->at));
    zone->offset = calloc(tables->times + 1, sizeof(*zone->offset));
    if (!zone->at || !zone->offset)
        abort();
    for (size_t i = 0; i < tables->times; i++) {
        int64_t at = (int64_t)big_endian(bytes + i * 8, 8);
        size_t type = (unsigned char)indices[i];
        int32_t next;

        if (type >= tables->types)
            return false;
        next = (int32_t)big_endian(types + type * TYPE_BYTES, 4);
        if (next < -OFFSET_MOST || next > OFFSET_MOST)
            return false;
        if (zone->count && at <= zone->at[zone->count - 1])
            return false;
        if (next == offset)
            continue;
        zone->at[zone->count] = at;
        zone->offset[zone->count++] = next;
        offset = next;
    }
    return true;
}

/* The footer: a newline, a rule or nothing, a newline. */
static bool read_footer(struct text rest, struct zone_rule *rule)
{
    struct text line;

    if (rest.length < 2 || rest.at[0] != '\n' || rest.at[rest.length - 1] != '\n')
        return false;
    rest = text_from(rest.at + 1, rest.length - 1);
    line = text_cut(&rest, '\n');
    return line.length == 0 || zone_rule_parse(line, rule) == 0;
}

/* The old 32-bit tables are skipped; leap seconds ("right/…") would count other seconds than ours.
 */
static bool read_file(struct text rest, struct zone *zone)
{
    struct tables tables;
    const char *bytes;

    if (!cut_header(&rest, &tables) || !cut_bytes(&rest, tables_bytes(&tables, 4), &bytes))
        return false;
    if (!cut_header(&rest, &tables) || tables.times > TRANSITIONS_MAX || tables.types == 0 ||
        tables.types > 256 || tables.leaps > 0)
        return false;
    if (!cut_bytes(&rest, tables_bytes(&tables, 8), &bytes))
        return false;
    return keep_transitions(zone, &tables, bytes) && read_footer(rest, &zone->rule);
}

int zone_new_from(struct text name, struct text bytes, struct zone **zone)
{
    struct zone *fresh;

    assert(name.length <= ZONE_NAME_MAX);

    fresh = calloc(1, sizeof(*fresh));
    if (!fresh)
        abort();
    memcpy(fresh->name, name.at, name.length);
    if (!read_file(bytes, fresh)) {
        (void)zone_free(fresh);
        return ZONE_UNKNOWN;
    }
    *zone = fresh;
    return 0;
}

static bool is_name(struct text name)
{
    if (name.length == 0 || name.length > ZONE_NAME_MAX || name.at[0] == '/')
        return false;
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || !strchr("_+-/", c)))
            return false;
    }
    return true;
}

static void close_file(const int *file)
{
    if (*file >= 0)
        (void)close(*file);
}

static bool load(const char *path, struct buffer *bytes)
{
    CLEANUP(close_file) int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ssize_t got;

    if (file < 0 || fstat(file, &status) || !S_ISREG(status.st_mode) || status.st_size < 0 ||
        status.st_size > ZONE_FILE_BYTES_MAX)
        return false;
    buffer_reserve(bytes, (size_t)status.st_size + 1);
    while ((got = read(file, bytes->at + bytes->length, bytes->room - bytes->length - 1)) > 0)
        bytes->length += (size_t)got;
    return got == 0;
}

int zone_new(struct text name, struct zone **zone)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    char path[ZONE_NAME_MAX + 32];

    if (!is_name(name))
        return ZONE_UNKNOWN;
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", (int)name.length, name.at);
    if (load(path, &bytes))
        return zone_new_from(name, buffer_text(&bytes), zone);
    if (!text_is(name, "UTC"))
        return ZONE_UNKNOWN;
    *zone = calloc(1, sizeof(**zone));
    if (!*zone)
        abort();
    **zone = utc;
    return 0;
}

/* --- asking --- */

/* How many transitions have come by then. */
static size_t passed(const struct zone *zone, int64_t seconds)
{
    size_t low = 0, high = zone->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zone->at[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct zone_segment zone_segment_of(const struct zone *zone, int64_t seconds)
{
    size_t index = passed(zone, seconds);
    struct zone_segment segment = {.from = index ? zone->at[index - 1] : INT64_MIN,
                                   .to = index < zone->count ? zone->at[index] : INT64_MAX,
                                   .offset = index ? zone->offset[index - 1] : zone->first};

    if (index == zone->count && zone->rule.changes) {
        struct zone_segment ruled = zone_rule_segment(&zone->rule, seconds);

        if (ruled.from < segment.from)
            ruled.from = segment.from;
        return ruled;
    }
    return segment;
}

int64_t zone_seconds_of_local(const struct zone *zone, int64_t local)
{
    struct zone_segment segment;
    int32_t before;

    if (local < INT64_MIN / 2 || local > INT64_MAX / 2)
        return local;
    if (zone->count == 0 && !zone->rule.changes)
        return local - zone->first; /* one offset for ever */
    segment = zone_segment_of(zone, local - OFFSET_MOST);
    before = segment.offset;
    while (segment.to != INT64_MAX && local - segment.offset >= segment.to) {
        before = segment.offset;
        segment = zone_segment_of(zone, segment.to);
    }
    /* Not reached yet in this stretch and over in the one before: skipped by the clock. */
    if (local - segment.offset < segment.from)
        return local - before;
    return local - segment.offset;
}
