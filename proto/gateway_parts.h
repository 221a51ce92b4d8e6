/*
 * gateway_parts.h - what reading a gateway's batch consists of.
 *
 * Private to the gateway_*.c files of this folder.
 */
#pragma once

#include "proto/gateway_batch.h"

enum {
    FLAG_TIME = 1,
    FLAG_SUBSCRIPTION = 2,
    FLAG_SUBJECT = 4,
    FLAG_SEQUENCE = 8,
    FLAG_UUID = 16,
    FLAGS_KNOWN = 31,
    UUID_BYTES = 16,
    UUID_TEXT_BYTES = 36,
};

struct gateway_string {
    struct text text; /* absent: it isn't sound */
    uint16_t path;    /* plus one, of `paths`; 0: not read yet */
};

/* How a text fared as a path. */
struct gateway_path {
    struct catalog_path path;
    bool is_sound;
    uint16_t rank; /* among the sound ones in their order; those alike are neighbours */
};

struct gateway_reader {
    struct gateway_string *strings; /* and one that isn't sound behind them */
    size_t string_count, string_room;
    bool is_sound; /* all strings are */
    struct gateway_path paths[GATEWAY_PATHS_MAX];
    size_t path_count;
    struct gateway_path *ranked[GATEWAY_PATHS_MAX]; /* the sound ones, by rank */
    size_t ranked_count;
    char *scratch; /* where paths are unquoted: as long as the message */
    size_t scratch_used, scratch_room;
    struct gateway_event *events;
    struct text *owners;            /* as many */
    char (*uuids)[UUID_TEXT_BYTES]; /* as many: the ids that were UUIDs */
    size_t event_count, event_room, next;
    struct gateway_value *values; /* of all events, one's behind the other's */
    size_t value_count, value_room, passed;
    struct gateway_shape shape;             /* of the last event whose paths were in order */
    uint32_t named[GATEWAY_PROPERTIES_MAX]; /* the strings of its paths */
    bool shape_is_known;
};

static inline void gateway_note(struct gateway_event *event, enum gateway_fault fault)
{
    if (event->fault == GATEWAY_SOUND)
        event->fault = fault;
}

static inline void gateway_note_value(struct gateway_event *event,
                                      const struct gateway_value *value)
{
    if (value->kind == GATEWAY_STRING && text_is_absent(value->is.text))
        gateway_note(event, GATEWAY_BAD_STRING);
}

/* Reads the paths of the event's properties and sorts them: the reader's shape, unless a fault is
 * noted. */
void gateway_find_shape(struct gateway_reader *reader, struct gateway_event *event);
