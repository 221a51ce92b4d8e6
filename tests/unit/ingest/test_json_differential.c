/*
 * The scanner against jansson: random documents, and mutated ones. Both accept or both refuse, and
 * what they accept has the same values - but for what the scanner is stricter in by rule: depth,
 * and a NUL byte, which jansson passes over.
 */
#include "ingest/rules/json_shape.h"
#include "ingest/rules/json_string.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DOCUMENTS = 20000, MUTATIONS = 12 };

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return (uint32_t)(dice->state >> 33) % sides;
}

static void write_string(struct dice *dice, struct buffer *out)
{
    static const char *const pieces[] = {
        "a",
        "bc",
        "total",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "\\u00e9",
        "\\u20ac",
        "\xC3\xA9",
        "\xE2\x82\xAC",
        "\\ud83d\\ude00",
        "\xF0\x9F\x98\x80",
        "0123456789abcdefghij",
        " ",
    };

    buffer_add_char(out, '"');
    for (uint32_t n = roll(dice, 5); n-- > 0;)
        buffer_add_string(out, pieces[roll(dice, ARRAY_LEN(pieces))]);
    buffer_add_char(out, '"');
}

static void write_space(struct dice *dice, struct buffer *out)
{
    if (roll(dice, 4) == 0)
        buffer_add_char(out, " \n\r\t"[roll(dice, 4)]);
}

static void write_number(struct dice *dice, struct buffer *out)
{
    static const char *const numbers[] = {"0",   "-0",   "1",      "-17",       "3.25",
                                          "1e3", "1E-2", "0.5e+1", "123456789", "99999999999999",
                                          "-0.0"};

    buffer_add_string(out, numbers[roll(dice, ARRAY_LEN(numbers))]);
}

static void write_value(struct dice *dice, struct buffer *out, unsigned depth);

static void write_container(struct dice *dice, struct buffer *out, unsigned depth, bool object)
{
    buffer_add_char(out, object ? '{' : '[');
    for (uint32_t i = 0, n = roll(dice, 5); i < n; i++) {
        if (i > 0)
            buffer_add_char(out, ',');
        write_space(dice, out);
        if (object) {
            write_string(dice, out);
            write_space(dice, out);
            buffer_add_char(out, ':');
        }
        write_value(dice, out, depth + 1);
    }
    buffer_add_char(out, object ? '}' : ']');
}

static void write_value(struct dice *dice, struct buffer *out, unsigned depth)
{
    write_space(dice, out);
    switch (roll(dice, depth > 6 ? 5 : 9)) {
    case 0:
        buffer_add_string(out, "null");
        break;
    case 1:
        buffer_add_string(out, roll(dice, 2) ? "true" : "false");
        break;
    case 2:
        write_number(dice, out);
        break;
    case 3:
    case 4:
        write_string(dice, out);
        break;
    default:
        write_container(dice, out, depth, roll(dice, 2));
        break;
    }
    write_space(dice, out);
}

static void mutate(struct dice *dice, struct buffer *out)
{
    static const char bytes[] = "{}[]\",:\\/u0e+-.19 \n\x01\x80\xC3\xFF";
    size_t at = roll(dice, (uint32_t)out->length);

    switch (roll(dice, 3)) {
    case 0:
        out->at[at] = bytes[roll(dice, sizeof(bytes) - 1)];
        break;
    case 1:
        memmove(out->at + at, out->at + at + 1, out->length - at - 1);
        out->length--;
        break;
    default:
        out->at[at] = (char)(out->at[at] ^ (1 << roll(dice, 8)));
        break;
    }
}

static unsigned depth_of(const json_t *value)
{
    unsigned deepest = 0;
    const char *name;
    json_t *child;
    size_t index;

    if (json_is_object(value))
        json_object_foreach((json_t *)(uintptr_t)value, name, child) deepest =
            depth_of(child) > deepest ? depth_of(child) : deepest;
    else if (json_is_array(value))
        json_array_foreach(value, index, child) deepest =
            depth_of(child) > deepest ? depth_of(child) : deepest;
    else
        return 0;
    return deepest + 1;
}

static void compare(const struct json_document *document, uint32_t index, const json_t *value);

static void compare_children(const struct json_document *document, uint32_t index,
                             const json_t *value)
{
    uint32_t end = json_after(document, index);
    size_t position = 0;

    for (uint32_t i = index + 1; i < end; i = json_after(document, i), position++) {
        struct text name = json_name(json_at(document, i));
        json_t *child = json_is_object(value) ? json_object_getn(value, name.at, name.length)
                                              : json_array_get(value, position);
        cr_assert_not_null(child);
        compare(document, i, child);
    }
    cr_assert_eq(position,
                 json_is_object(value) ? json_object_size(value) : json_array_size(value));
    cr_assert_eq(position, json_at(document, index)->length);
}

static void compare_number(struct text text, const json_t *value)
{
    char *copy = text_copy(text);

    if (json_is_integer(value))
        cr_assert_eq(strtoll(copy, NULL, 10), json_integer_value(value));
    else
        cr_assert(fabs(strtod(copy, NULL) - json_real_value(value)) == 0);
    free(copy);
}

static void compare(const struct json_document *document, uint32_t index, const json_t *value)
{
    const struct json_node *node = json_at(document, index);

    switch (node->kind) {
    case NODE_OBJECT:
    case NODE_ARRAY:
        cr_assert_eq(node->kind == NODE_OBJECT, json_is_object(value));
        compare_children(document, index, value);
        break;
    case NODE_STRING:
        cr_assert(text_equal(json_text(node),
                             text_from(json_string_value(value), json_string_length(value))));
        break;
    case NODE_NUMBER:
        compare_number(json_text(node), value);
        break;
    default:
        cr_assert_eq(node->kind == NODE_NULL   ? 0
                     : node->kind == NODE_TRUE ? 1
                                               : 2,
                     json_is_null(value)   ? 0
                     : json_is_true(value) ? 1
                                           : 2);
        break;
    }
}

/* jansson can't hold integers past 64 bits and reals past a double; JSON can. */
static bool is_jansson_limit(const json_error_t *error)
{
    return json_error_code(error) == json_error_numeric_overflow;
}

static void check(struct given *given, struct text text)
{
    json_error_t error;
    json_t *value =
        json_loadb(text.at, text.length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    int r = given_scan(given, text);

    if (r == JSON_TOO_DEEP)
        cr_assert(!value || depth_of(value) > JSON_DEPTH_MAX);
    else if (value && memchr(text.at, '\0', text.length))
        cr_assert_eq(r, JSON_BROKEN);
    else if (value)
        cr_assert_eq(r, 0, "refused (%d, %s at %zu): %.*s", r, given_error.what, given_error.offset,
                     (int)text.length, text.at);
    else if (!is_jansson_limit(&error))
        cr_assert_neq(r, 0, "accepted, though %s: %.*s", error.text, (int)text.length, text.at);
    if (r == 0 && value)
        compare(&given->document, 0, value);
    json_decref(value);
    arena_reset(&given->arena);
}

Test(json_differential, random_and_mutated_documents_get_jansson_s_verdict_and_values)
{
    struct dice dice = {.state = 0x9E3779B97F4A7C15};
    struct buffer out = {.length = 0};
    struct json_shape shape; /* of each document, for what is mutated of it */
    struct given given;
    size_t accepted = 0;

    given_init(&given);
    given.document.shape = &shape;
    for (size_t i = 0; i < DOCUMENTS; i++) {
        shape = (struct json_shape){.count = 0};
        buffer_clear(&out);
        write_value(&dice, &out, 0);
        check(&given, buffer_text(&out));
        accepted += given_scan(&given, buffer_text(&out)) == 0;
        for (size_t m = 0; m < MUTATIONS && out.length > 1; m++) {
            mutate(&dice, &out);
            check(&given, buffer_text(&out));
        }
    }
    cr_assert_gt(accepted, DOCUMENTS / 2, "the generator makes valid documents");
    buffer_deinit(&out);
    given_deinit(&given);
}
