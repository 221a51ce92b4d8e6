#include "ingest/rules/json_document.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { NODES_FIRST = 256 };

void json_document_init(struct json_document *document, struct arena *nodes_arena,
                        struct arena *strings)
{
    *document = (struct json_document){.nodes_arena = nodes_arena, .strings = strings};
}

void json_document_reset(struct json_document *document)
{
    document->count = 0;
    document->is_as_shape = false;
}

bool json_grow(struct json_document *document)
{
    uint32_t room = document->room == 0 ? NODES_FIRST : document->room * 2;
    struct json_node *nodes;

    if (document->room >= JSON_NODES_MAX)
        return false;
    if (room > JSON_NODES_MAX)
        room = JSON_NODES_MAX;
    nodes = arena_take(document->nodes_arena, room * sizeof(*nodes));
    if (!nodes)
        return false;
    if (document->count > 0)
        memcpy(nodes, document->nodes, document->count * sizeof(*nodes));
    document->nodes = nodes;
    document->room = room;
    return true;
}

void json_close(struct json_document *document, uint32_t container)
{
    document->nodes[container].is.after = document->count;
}

uint32_t json_member(const struct json_document *document, uint32_t object, struct text name)
{
    uint32_t end;

    if (object == JSON_NONE || json_at(document, object)->kind != NODE_OBJECT)
        return JSON_NONE;
    end = json_after(document, object);
    for (uint32_t i = object + 1; i < end; i = json_after(document, i)) {
        const struct json_node *node = json_at(document, i);
        /* The first byte tells most names of one length apart without a call. */
        if (node->name_length == name.length && node->name[0] == name.at[0] &&
            memcmp(node->name, name.at, name.length) == 0)
            return i;
    }
    return JSON_NONE;
}

static size_t escaped_length(struct text name)
{
    size_t length = name.length;

    for (size_t i = 0; i < name.length; i++)
        length += name.at[i] == '~' || name.at[i] == '/';
    return length;
}

static void append_step(char *pointer, size_t *length, struct text name)
{
    pointer[(*length)++] = '/';
    for (size_t i = 0; i < name.length; i++) {
        char c = name.at[i];
        if (c == '~' || c == '/') {
            pointer[(*length)++] = '~';
            c = c == '~' ? '0' : '1';
        }
        pointer[(*length)++] = c;
    }
}

/* How many elements of the array stand before the node. */
static uint32_t position_in(const struct json_document *document, uint32_t array, uint32_t index)
{
    uint32_t position = 0;

    for (uint32_t i = array + 1; i < index; i++)
        position += json_at(document, i)->parent == array;
    return position;
}

/* The names from the root down to the place; `steps` has room for JSON_DEPTH_MAX + 2. */
static size_t steps_to(const struct json_document *document, const struct json_place *place,
                       struct json_place *steps)
{
    size_t count = 0;

    for (struct json_place here = *place; here.parent != JSON_NONE; count++) {
        const struct json_node *parent = json_at(document, here.parent);
        assert(count < JSON_DEPTH_MAX + 2);
        steps[count] = here;
        here = (struct json_place){.parent = parent->parent, .name = json_name(parent)};
    }
    return count;
}

static struct text step_text(const struct json_document *document, const struct json_place *step,
                             uint32_t child, char digits[16])
{
    if (json_at(document, step->parent)->kind == NODE_OBJECT)
        return step->name;
    snprintf(digits, 16, "%u", position_in(document, step->parent, child));
    return text_of(digits);
}

/* `index` is the place's node, or the document's count for one that has none yet. */
static struct text pointer_of(const struct json_document *document, const struct json_place *place,
                              uint32_t index, struct arena *arena)
{
    struct json_place steps[JSON_DEPTH_MAX + 2];
    size_t count = steps_to(document, place, steps), length = 0;
    char pointer[JSON_POINTER_MAX], digits[16];

    for (size_t i = count; i-- > 0;) {
        uint32_t child = i > 0 ? steps[i - 1].parent : index;
        struct text name = step_text(document, &steps[i], child, digits);
        if (length + 1 + escaped_length(name) > sizeof(pointer))
            break;
        append_step(pointer, &length, name);
    }
    return arena_copy(arena, text_from(pointer, length));
}

struct text json_pointer(const struct json_document *document, uint32_t index, struct arena *arena)
{
    const struct json_node *node = json_at(document, index);
    struct json_place place = {.parent = node->parent, .name = json_name(node)};

    return pointer_of(document, &place, index, arena);
}

struct text json_pointer_to(const struct json_document *document, const struct json_place *place,
                            struct arena *arena)
{
    /* A member whose name isn't known (yet): its object. */
    if (place->parent != JSON_NONE && text_is_absent(place->name) &&
        json_at(document, place->parent)->kind == NODE_OBJECT)
        return json_pointer(document, place->parent, arena);
    return pointer_of(document, place, document->count, arena);
}
