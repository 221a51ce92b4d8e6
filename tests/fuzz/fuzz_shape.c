/*
 * fuzz_shape.c - two texts, parted by the first NUL: the second one is scanned by the shape of the
 * first and without any. All that comes of it is the same.
 */
#include "ingest/rules/json_scan.h"
#include "ingest/rules/json_shape.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

struct scanned {
    struct arena nodes, strings;
    struct json_document document;
    struct json_error error;
    size_t position;
    int outcome;
};

static void scan(struct scanned *scanned, struct text text)
{
    struct json_place root = {.parent = JSON_NONE};

    scanned->position = 0;
    json_document_reset(&scanned->document);
    scanned->outcome =
        json_scan(&scanned->document, text, &scanned->position, &root, 1, &scanned->error);
}

static void scanned_init(struct scanned *scanned, struct json_shape *shape)
{
    arena_init(&scanned->nodes, 64 << 20);
    arena_init(&scanned->strings, 64 << 20);
    json_document_init(&scanned->document, &scanned->nodes, &scanned->strings);
    scanned->document.shape = shape;
}

static void scanned_deinit(struct scanned *scanned)
{
    arena_deinit(&scanned->nodes);
    arena_deinit(&scanned->strings);
}

static void compare_nodes(const struct json_node *a, const struct json_node *b)
{
    assert(a->kind == b->kind && a->parent == b->parent && a->length == b->length);
    assert(!a->name == !b->name);
    assert(!a->name || text_equal(json_name(a), json_name(b)));
    if (json_is_container(a))
        assert(a->is.after == b->is.after);
    else if (a->kind >= NODE_NUMBER)
        assert(text_equal(json_text(a), json_text(b)));
}

static void compare(const struct scanned *a, const struct scanned *b)
{
    assert(a->outcome == b->outcome && a->position == b->position);
    if (a->outcome) {
        assert(a->error.what == b->error.what && a->error.offset == b->error.offset);
        assert(text_equal(a->error.pointer, b->error.pointer));
        return;
    }
    assert(a->document.count == b->document.count);
    for (uint32_t i = 0; i < a->document.count; i++)
        compare_nodes(json_at(&a->document, i), json_at(&b->document, i));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text rest = text_from(bytes, length), first = text_cut(&rest, '\0');
    struct json_shape shape = {.count = 0};
    struct scanned plain, guessed;

    scanned_init(&plain, NULL);
    scanned_init(&guessed, &shape);
    for (unsigned i = 0; i < JSON_PATIENCE_LEAST; i++)
        scan(&guessed, first);
    scan(&plain, rest);
    scan(&guessed, rest);
    compare(&plain, &guessed);
    scanned_deinit(&plain);
    scanned_deinit(&guessed);
    return 0;
}
