#include "ingest/rules/json_shape.h"

#include "ingest/rules/json_number.h"
#include "ingest/rules/json_scan.h"
#include "ingest/rules/json_string.h"

#include <string.h>

/* --- following --- */

static inline bool stands(const struct json_step *step, const char *at, const char *end)
{
    if (end - at >= JSON_STEP_BYTES)
        return plain_same(at, step->bytes, step->length);
    return end - at >= step->length && memcmp(at, step->bytes, step->length) == 0;
}

/* Behind a string that isn't plain; NULL where something of it is refused, which is left to who can
 * say so. */
COLD static const char *follow_special(const char *at, const char *end, struct arena *arena,
                                       struct text *text)
{
    const char *why;
    struct json_string string;

    if (json_string_scan(&at, end, &string, &why) || string.refused)
        return NULL;
    *text = string.escaped ? json_string_spelled(string.raw, arena) : string.raw;
    return text_is_absent(*text) ? NULL : at;
}

/* Behind the string whose first byte is at `at`. */
static inline const char *follow_string(const char *at, const char *end, struct arena *arena,
                                        struct text *text)
{
    const char *behind = plain_end(at, end);

    if (behind == end || *behind != '"')
        return follow_special(at, end, arena, text);
    *text = (struct text){at, (size_t)(behind - at)};
    return behind + 1;
}

/* Behind the value whose step ends at `at`; NULL when it isn't of that kind, or is refused. */
static inline const char *follow_value(struct json_node *node, const char *at, const char *end,
                                       struct arena *arena)
{
    const char *behind;
    struct text text = {at, 0};

    if (node->kind == NODE_STRING) {
        behind = follow_string(at, end, arena, &text);
    } else if (node->kind == NODE_NUMBER) {
        behind = json_pass_number(at, end);
        text.length = behind ? (size_t)(behind - at) : 0;
    } else {
        return at;
    }
    node->is.at = text.at;
    node->length = (uint32_t)text.length;
    return behind;
}

/* A loop that knows each value's name, and asks nobody about it. */
static const char *follow_steps(struct json_document *document, const char *at, const char *end)
{
    const struct json_shape *shape = document->shape;
    const struct json_step *step = shape->steps, *const last = step + shape->count;
    struct json_node *node = document->nodes;

    for (; step < last; step++, node++) {
        const char *behind;

        if (!stands(step, at, end))
            break;
        *node = step->node;
        node->name = at + step->name;
        behind = follow_value(node, at + step->length, end, document->strings);
        if (!behind)
            break;
        at = behind;
    }
    document->count = (uint32_t)(step - shape->steps);
    if (document->count > 0)
        document->nodes[0].name = NULL; /* the root has none */
    return at;
}

const char *json_shape_follow(struct json_document *document, const char *at, const char *end)
{
    struct json_shape *shape = document->shape;
    const struct json_step *last = &shape->steps[shape->count];
    bool fits;

    assert(document->count == 0 && shape->count <= document->room);
    at = follow_steps(document, at, end);
    fits = shape->count > 0 && document->count == shape->count;
    if (fits && shape->is_whole)
        fits = stands(last, at, end);
    shape->fits += fits;
    shape->misses = fits ? 0 : shape->misses + 1;
    document->is_as_shape = fits && shape->is_whole;
    return document->is_as_shape ? at + last->length : at;
}

/* --- learning --- */

/* How many bytes of a value the step to it has. */
static size_t bytes_of_step(enum node_kind kind)
{
    static const uint8_t bytes[] = {
        [NODE_NULL] = 4,   [NODE_FALSE] = 5, [NODE_TRUE] = 4,   [NODE_NUMBER] = 0,
        [NODE_STRING] = 1, [NODE_ARRAY] = 1, [NODE_OBJECT] = 1,
    };

    return bytes[kind];
}

/* Where the node's value begins; false when its name doesn't stand in the text as it is. */
static bool find_value(const struct json_node *node, struct text text, size_t *position)
{
    if (node->parent == JSON_NONE) {
        *position = json_skip_space(text, *position);
        return true;
    }
    if (!node->name || node->name < text.at || node->name >= text.at + text.length)
        return false;
    *position = json_skip_space(text, (size_t)(node->name - text.at) + node->name_length + 1);
    *position = json_skip_space(text, *position + 1);
    return true;
}

/* Behind the value whose step ends at `position`. */
static size_t behind_value(const struct json_node *node, struct text text, size_t position)
{
    const char *at = text.at + position, *why;
    struct json_string string;

    if (node->kind == NODE_NUMBER)
        return position + node->length;
    if (node->kind != NODE_STRING || json_string_scan(&at, text.at + text.length, &string, &why))
        return position;
    return (size_t)(at - text.at);
}

/* False when there are too many bytes. */
static bool fill(struct json_step *step, const char *begin, size_t length)
{
    if (length > JSON_STEP_BYTES)
        return false;
    *step = (struct json_step){.length = (uint32_t)length};
    memcpy(step->bytes, begin, length);
    return true;
}

/* The step from *position to the node's value, and *position behind that. */
static bool learn_step(struct json_step *step, const struct json_node *node, struct text text,
                       size_t *position)
{
    size_t begin = *position, end = begin;

    if (node->kind == NODE_ARRAY || !find_value(node, text, &end))
        return false;
    end += bytes_of_step(node->kind);
    if (!fill(step, text.at + begin, end - begin))
        return false;
    step->name = node->name ? (uint32_t)((size_t)(node->name - text.at) - begin) : 0;
    step->node = *node;
    *position = behind_value(node, text, end);
    return true;
}

/* Where producers take turns at each event, a shape is learned in vain more often than not: then
 * ever fewer are, until one has been worth it. */
static void forget(struct json_shape *shape)
{
    if (shape->count == 0 || shape->fits >= JSON_FITS_WORTH)
        shape->patience = JSON_PATIENCE_LEAST;
    else if (shape->patience < JSON_PATIENCE_MAX)
        shape->patience *= 2;
    shape->fits = shape->misses = 0;
    shape->is_whole = shape->has_places = false;
}

void json_shape_learn(struct json_shape *shape, const struct json_document *document,
                      struct text text)
{
    size_t position = 0;

    forget(shape);
    shape->number++;
    for (shape->count = 0; shape->count < document->count; shape->count++)
        if (shape->count == JSON_STEPS_MAX ||
            !learn_step(&shape->steps[shape->count], json_at(document, shape->count), text,
                        &position))
            return;
    shape->is_whole = fill(&shape->steps[shape->count], text.at + position, text.length - position);
}
