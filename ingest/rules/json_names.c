/*
 * Names that repeat in a large object: sorted by heap, so that no input makes the check quadratic
 * and no memory but the arena's is used. Small objects are checked by the scanner as it goes.
 */
#include "ingest/rules/json_document.h"

static int compare(const struct json_document *document, uint32_t a, uint32_t b)
{
    return text_compare(json_name(json_at(document, a)), json_name(json_at(document, b)));
}

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t held = *a;

    *a = *b;
    *b = held;
}

static void sift(const struct json_document *document, uint32_t *heap, size_t root, size_t count)
{
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= count)
            return;
        if (child + 1 < count && compare(document, heap[child], heap[child + 1]) < 0)
            child++;
        if (compare(document, heap[root], heap[child]) >= 0)
            return;
        swap(&heap[root], &heap[child]);
        root = child;
    }
}

static void sort(const struct json_document *document, uint32_t *members, size_t count)
{
    for (size_t i = count / 2; i-- > 0;)
        sift(document, members, i, count);
    for (size_t last = count; last-- > 1;) {
        swap(&members[0], &members[last]);
        sift(document, members, 0, last);
    }
}

static size_t gather(const struct json_document *document, uint32_t object, uint32_t *members)
{
    size_t count = 0;

    for (uint32_t i = object + 1; i < document->count; i = json_after(document, i))
        members[count++] = i;
    return count;
}

bool json_names_repeat(const struct json_document *document, uint32_t object, uint32_t *twice)
{
    size_t count = json_at(document, object)->length;
    uint32_t *members = arena_take(document->strings, (count + 1) * sizeof(*members));

    *twice = object;
    if (!members)
        return true;
    count = gather(document, object, members);
    sort(document, members, count);
    for (size_t i = 1; i < count; i++) {
        if (compare(document, members[i - 1], members[i]) != 0)
            continue;
        *twice = members[i - 1] > members[i] ? members[i - 1] : members[i];
        return true;
    }
    return false;
}
