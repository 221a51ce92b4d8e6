/*
 * event.h - one usage event, whatever form it came in.
 *
 * JSON is brought to a json_document whose root is the event's object: structured mode by the
 * scanner, binary mode by building the nodes; cloudevents_read then takes the attributes from it.
 * A gateway's event has its attributes as texts. What stands in the data is asked for by place, so
 * that the rules are the same for all.
 *
 * Errors     EVENT_REFUSED with the refusal filled, the event undefined. EVENT_BROKEN: JSON whose
 * end can't be found. Ownership  Texts point into the input or the document's arenas, and live as
 * long as those. Threads    One at a time.
 */
#pragma once

#include "common/base/instant.h"
#include "ingest/rules/json_scan.h"
#include "ingest/rules/refusal.h"
#include "proto/gateway_batch.h"

enum {
    EVENT_ID_BYTES_MAX = 256,    /* id and subscription */
    EVENT_TEXT_BYTES_MAX = 1024, /* other attributes, dimensions, UNIQUE_COUNT values */
    EVENT_ATTRIBUTES_MAX = 64,   /* of binary mode: an HTTP request has no more headers */
    EVENT_PLACES_MAX = USAGE_METERS_MAX * (1 + USAGE_DIMENSIONS_MAX),
};

/* Where the meters of an event's type find what they look at. The next JSON event has the same
 * where its shape is the same, else it makes sure that they are its own, too. */
struct event_places {
    bool are_known; /* there is at least one meter then */
    uint32_t shape; /* the event's */
    const struct catalog_meter *const *meters;
    size_t meter_count;
    uint64_t type_hash;            /* fingerprint_text of the type */
    uint32_t at[EVENT_PLACES_MAX]; /* of each meter its value, then its dimensions: event_place */
};

enum value_kind {
    VALUE_MISSING = GATEWAY_NULL, /* or null */
    VALUE_FALSE = GATEWAY_FALSE,
    VALUE_TRUE = GATEWAY_TRUE,
    VALUE_STRING = GATEWAY_STRING,
    VALUE_DECIMAL = GATEWAY_DECIMAL,
    VALUE_NUMBER, /* as JSON spells it */
    VALUE_CONTAINER,
};
/* What stands there. */
struct event_value {
    enum value_kind kind;
    union {
        struct text text; /* STRING, NUMBER */
        int128 mantissa;
    } is;
    unsigned scale; /* DECIMAL: mantissa × 10^-scale, scale at most 12. Not beside `kind`: both
                     * would be loaded as one, which waits until each was stored */
};

struct event {
    const struct json_document *document; /* NULL: `gateway` has the data */
    const struct gateway_event *gateway;
    struct event_places *places; /* those of the event before it, then its own; NULL: none yet */
    struct text id, source, type;
    struct text subject, subscription; /* absent: none */
    struct instant time;               /* unless time_is_absent */
    bool time_is_absent;
    bool has_sequence, sequence_is_faulty; /* faulty: there, and no number */
    uint64_t sequence;
    uint32_t data;                            /* a node of the document, or JSON_NONE */
    uint32_t shape;                           /* json_shape's number; 0: it has none, as a whole */
    const struct catalog_subscription *guess; /* whom its owner's id may be; NULL: not looked for */
};

enum event_outcome { EVENT_BROKEN = EVENT_REFUSED + 1 };

/*
 * Structured: scans the value at *position of `text` into the document, reset first, and reads it.
 * EVENT_BROKEN: the rest of the text can't be read; otherwise *position is behind the value.
 */
MUST_USE int event_from_json(struct json_document *document, struct text text, size_t *position,
                             struct event *event, struct refusal *refusal);

/* An attribute of binary mode: its name without `ce-`, its value decoded to UTF-8. */
struct event_attribute {
    struct text name, value;
};
struct event_binary {
    const struct event_attribute *attributes;
    size_t count;
    struct text content_type; /* absent: none */
    struct text body;         /* absent or empty: no data */
};
MUST_USE int event_from_binary(struct json_document *document, const struct event_binary *binary,
                               struct event *event, struct refusal *refusal);

/* What the last event of a gateway's batch left for those like it. */
struct event_form {
    struct arena *arena;        /* for refusals */
    uint32_t naming;            /* of the last event */
    struct text source;         /* of it, well-formed */
    struct event_places places; /* of the type among the paths */
    const struct catalog_subscription *guesses[CATALOG_PREFETCH_MAX]; /* of the group */
    size_t next;                                                      /* among them */
};
/* Before each batch. */
void event_form_init(struct event_form *form, struct arena *arena);

/* Before each event: fetches what weighing it and those behind it will look for. */
void event_form_prefetch(struct event_form *form, const struct catalog *catalog,
                         const struct gateway_reader *reader, size_t index, size_t event_count);
/* The next event of the gateway's batch. */
MUST_USE int event_from_gateway(struct event_form *form, const struct gateway_event *gateway,
                                struct event *event, struct refusal *refusal);

/* Decodes a `ce-` header's value by the HTTP binding: quotes, then %XX, then UTF-8. */
MUST_USE int event_decode_header(struct text name, struct text value, struct arena *arena,
                                 struct text *decoded, struct refusal *refusal);

/* What its subscription is found by; absent: nothing. */
struct text event_owner(const struct event *event);
/* The id of the event in the document, refused or not, for the answer; absent when it has none that
 * can be shown. */
struct text event_id(const struct json_document *document);
struct text event_gateway_id(const struct gateway_event *gateway);

/* Where a catalog path leads to from `data`: a node or a property; JSON_NONE where nothing is,
 * EVENT_CONTAINER where a gateway's properties have an object. */
uint32_t event_place(const struct event *event, const struct catalog_path *path);
#define EVENT_CONTAINER (JSON_NONE - 1)
/* Whether it leads to this node: a JSON event is asked that cheaply. False: it may still do. */
bool event_is_place(const struct event *event, const struct catalog_path *path, uint32_t guess);
/* What stands at the place. Inline, as weighing asks a few times an event; where it is wanted, as a
 * value that is passed in pieces and copied as a whole waits for the pieces. */
static inline void event_value_at(const struct event *event, uint32_t place,
                                  struct event_value *value)
{
    static const uint8_t kinds[] = {
        [NODE_NULL] = VALUE_MISSING,     [NODE_FALSE] = VALUE_FALSE,
        [NODE_TRUE] = VALUE_TRUE,        [NODE_NUMBER] = VALUE_NUMBER,
        [NODE_STRING] = VALUE_STRING,    [NODE_ARRAY] = VALUE_CONTAINER,
        [NODE_OBJECT] = VALUE_CONTAINER,
    };

    if (place == EVENT_CONTAINER) {
        value->kind = VALUE_CONTAINER;
    } else if (place == JSON_NONE) {
        value->kind = VALUE_MISSING;
    } else if (event->gateway) {
        const struct gateway_value *property = &event->gateway->properties[place];

        value->kind = (enum value_kind)property->kind;
        value->scale = property->scale;
        if (value->kind == VALUE_STRING)
            value->is.text = property->is.text;
        else
            value->is.mantissa = property->is.mantissa;
    } else {
        const struct json_node *node = json_at(event->document, place);

        value->kind = (enum value_kind)kinds[node->kind];
        value->is.text = (struct text){node->is.at, node->length};
    }
}
/* "/data/total" */
struct text event_property_pointer(const struct catalog_path *path, struct arena *arena);
