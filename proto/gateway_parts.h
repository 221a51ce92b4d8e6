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
    SHORT_BYTES = 0x7f, /* of a text whose length is one byte */
    GATEWAY_ALIKES = 8, /* types of a batch that are read alike, unless their numbers collide */
};

#define NAMING_NONE UINT32_MAX

/* What an event names, by numbers of strings. */
struct gateway_naming {
    uint32_t type, source, count;
    uint32_t paths[]; /* `count` */
};

/* What the last event of a type had, which the next one is read along: its strings have numbers of
 * one byte. */
struct gateway_alike {
    size_t least; /* bytes from the type on that have to be left; SIZE_MAX: none is read along it */
    size_t property_count;
    uint8_t type_number, source_number;
    uint8_t paths[GATEWAY_PROPERTIES_MAX];
    struct text type, source;
    uint32_t naming; /* NAMING_NONE: no event yet */
};

/* How a text fared as a path. */
struct gateway_path {
    struct catalog_path path;
    bool is_sound;
    uint16_t rank; /* among the sound ones in their order; those alike are neighbours */
};

struct gateway_reader {
    struct text *strings;   /* absent: it isn't sound; and an absent one behind them */
    uint16_t *string_paths; /* as many: plus one, of `paths`; 0: not read yet */
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
    uint32_t *namings; /* each begins at one of them; events of a type may share it */
    size_t naming_end, naming_room;
    struct gateway_alike alikes[GATEWAY_ALIKES]; /* by number of the type */
    struct gateway_shape shape;                  /* of the last event whose paths were in order */
    uint32_t shape_naming; /* what that one named; NAMING_NONE: there is none */
};

static inline struct gateway_naming *gateway_naming_at(const struct gateway_reader *reader,
                                                       uint32_t naming)
{
    return (struct gateway_naming *)(reader->namings + naming);
}

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

/* Makes the reader's shape that of the event, whose naming is another, unless a fault is noted. */
void gateway_find_shape(struct gateway_reader *reader, struct gateway_event *event);

/* Events of a batch before are forgotten. */
void gateway_forget(struct gateway_reader *reader);
/* By what the next event of the type is read along. */
static inline struct gateway_alike *gateway_alike_of(struct gateway_reader *reader, uint32_t type)
{
    return &reader->alikes[type % GATEWAY_ALIKES];
}
/* The event was read. */
void gateway_keep(struct gateway_reader *reader, const struct gateway_event *event);
/* Reads the event at `at` along one that was kept. Returns what is behind it; NULL when it isn't
 * like that one, or can't be. `uuid` has room for the text of its id. */
const uint8_t *gateway_follow(struct gateway_reader *reader, const uint8_t *at, const uint8_t *end,
                              struct gateway_event *event, char *uuid);

void gateway_grow_values(struct gateway_reader *reader, size_t wanted);
/* Where so many more values go; they are there once value_count says so. */
static inline struct gateway_value *gateway_room_for_values(struct gateway_reader *reader,
                                                            size_t count)
{
    size_t wanted = reader->value_count + count;

    if (wanted >= reader->value_room) /* there is some, if only to point to */
        gateway_grow_values(reader, wanted);
    return reader->values + reader->value_count;
}
