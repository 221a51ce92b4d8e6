/*
 * json_document.h - a JSON value as a flat array of nodes.
 *
 * Nodes stand in document order, a container right before its children. The same form is built by
 * hand of binary mode's attributes, so that their rules know one form alone.
 *
 * Limits     JSON_NODES_MAX: more than an event of JSON_EVENT_BYTES_MAX can need.
 * Errors     Building returns JSON_NONE, and lookups too, when there is no room or no such member.
 * Ownership  The shape is borrowed, and may be shared by documents that are read in turn. Nodes and
 * decoded strings are in the document's arenas; other texts are the input's. Threads    One at a
 * time.
 */
#pragma once

#include "common/base/arena.h"

enum {
    JSON_DEPTH_MAX = 16,                /* the event's object is level 1; arrays count */
    JSON_EVENT_BYTES_MAX = 1024 * 1024, /* one event, wherever it stands */
    JSON_NODES_MAX = 512 * 1024 + 1024,
    JSON_POINTER_MAX = 1024, /* longer ones end at the deepest parent that fits */
};
#define JSON_NONE UINT32_MAX

enum node_kind {
    NODE_NULL,
    NODE_FALSE,
    NODE_TRUE,
    NODE_NUMBER,
    NODE_STRING,
    NODE_ARRAY,
    NODE_OBJECT,
};

struct json_node {
    const char *name; /* of an object's member, decoded; NULL for others */
    union {
        const char *at; /* a number as spelled, a string decoded */
        uint32_t after; /* a container: the node behind its last descendant */
    } is;
    uint32_t name_length;
    uint32_t length; /* bytes of a number or string; children of a container */
    uint32_t parent; /* JSON_NONE for the root */
    enum node_kind kind;
};

struct json_document {
    struct arena *nodes_arena; /* the node array alone: it outlives one event */
    struct arena *strings;     /* decoded strings */
    struct json_shape *shape;  /* of the events so far (json_shape.h); NULL: none is kept */
    bool is_as_shape;          /* the event has its shape, to the end */
    struct json_node *nodes;
    uint32_t count, room;
};

void json_document_init(struct json_document *document, struct arena *nodes_arena,
                        struct arena *strings);
/* Forgets the nodes, keeps the room. */
void json_document_reset(struct json_document *document);

/* Where the next value stands: in which container, under which name (absent in an array). */
struct json_place {
    uint32_t parent; /* JSON_NONE: the root */
    struct text name;
};
/* Room for at least one more node; false at the limit. */
MUST_USE bool json_grow(struct json_document *document);

/* Adds a scalar or opens a container (closed by json_close) and counts it in its parent. Inline, as
 * the scanner adds some twenty an event. */
MUST_USE static inline uint32_t json_add(struct json_document *document,
                                         const struct json_place *place, enum node_kind kind,
                                         struct text text)
{
    uint32_t index = document->count;
    struct json_node *node;

    if (index == document->room && !json_grow(document))
        return JSON_NONE;
    node = &document->nodes[index];
    node->name = place->name.at;
    node->name_length = (uint32_t)place->name.length;
    node->parent = place->parent;
    node->kind = kind;
    node->is.at = text.at; /* of a container: replaced by json_close */
    node->length = (uint32_t)text.length;
    document->count = index + 1;
    if (place->parent != JSON_NONE)
        document->nodes[place->parent].length++;
    return index;
}
void json_close(struct json_document *document, uint32_t container);

static inline const struct json_node *json_at(const struct json_document *document, uint32_t index)
{
    return &document->nodes[index];
}
static inline bool json_is_container(const struct json_node *node)
{
    return node->kind >= NODE_ARRAY;
}
/* The node behind this one and all it holds. */
static inline uint32_t json_after(const struct json_document *document, uint32_t index)
{
    const struct json_node *node = &document->nodes[index];
    return json_is_container(node) ? node->is.after : index + 1;
}
/* Of a number or a string. */
static inline struct text json_text(const struct json_node *node)
{
    assert(node->kind == NODE_NUMBER || node->kind == NODE_STRING);
    return text_from(node->is.at, node->length);
}
static inline struct text json_name(const struct json_node *node)
{
    return text_from(node->name, node->name_length);
}
/* The member of an object; JSON_NONE when it has none or isn't an object. */
uint32_t json_member(const struct json_document *document, uint32_t object, struct text name);

/* Whether two members of an open or closed object share a name; *twice is the later one. Takes room
 * from `strings`; without any the answer is yes. */
bool json_names_repeat(const struct json_document *document, uint32_t object, uint32_t *twice);

/* RFC 6901 pointer of a node, from the root, in the arena; "" for the root. */
struct text json_pointer(const struct json_document *document, uint32_t index, struct arena *arena);
/* Of a value that has no node: the parent's pointer and the name, or the index in an array. */
struct text json_pointer_to(const struct json_document *document, const struct json_place *place,
                            struct arena *arena);
