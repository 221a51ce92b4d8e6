/*
 * fuzz_json.c - the event scanner on any bytes: it takes what jansson takes, but for what it is
 * stricter in by rule (depth, NUL bytes) and for numbers that jansson has no type for. Each node's
 * pointer leads back to it.
 */
#include "ingest/rules/json_scan.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <jansson.h>
#include <string.h>

static void compare(int outcome, struct text text)
{
    json_error_t error;
    json_t *value = json_loadb(text.at ? text.at : "", text.length,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    if (outcome == 0)
        assert(value || json_error_code(&error) == json_error_numeric_overflow);
    else if (value)
        assert(outcome == JSON_TOO_DEEP || memchr(text.at, '\0', text.length));
    json_decref(value);
}

static void check_tree(const struct json_document *document, struct arena *arena)
{
    uint32_t end = json_after(document, 0);

    assert(end == document->count);
    for (uint32_t i = 0; i < end; i++) {
        const struct json_node *node = json_at(document, i);
        assert(json_after(document, i) > i && json_after(document, i) <= end);
        assert(i == 0 ? node->parent == JSON_NONE : node->parent < i);
        if (i < 64 && i > 0 && json_at(document, node->parent)->kind == NODE_OBJECT)
            assert(json_member(document, node->parent, json_name(node)) == i);
        if (i < 64)
            assert(!text_is_absent(json_pointer(document, i, arena)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text text = text_from(bytes, length);
    struct json_place root = {.parent = JSON_NONE};
    struct json_document document;
    struct json_error error = {.what = NULL};
    struct arena nodes, strings;
    int r;

    arena_init(&nodes, 64 << 20);
    arena_init(&strings, 64 << 20);
    json_document_init(&document, &nodes, &strings);
    r = json_scan_whole(&document, text, &root, 1, &error);
    assert(r == 0 || (error.what && error.offset <= length));
    if (r == 0)
        check_tree(&document, &strings);
    compare(r, text);
    arena_deinit(&nodes);
    arena_deinit(&strings);
    return 0;
}
