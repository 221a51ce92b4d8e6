/*
 * fuzz_catalog.c - catalog_apply on any messages: a line each, key and value parted by a space; a
 * line without a space is a tombstone. Every subscription stays findable.
 */
#include "proto/catalog.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

/* What visiting counts, to be compared with what the catalog says. */
struct visited {
    const struct catalog *catalog;
    size_t count;
};

static void check_subscription(void *context, const struct catalog_subscription *subscription)
{
    struct visited *visited = context;
    const struct catalog_subscription *found;
    int r = catalog_find_subject(visited->catalog, subscription->customer_key, NULL,
                                 subscription->active_from, &found);

    visited->count++;
    assert(subscription->cut_count > 0 && subscription->cuts[0] < 1440);
    assert(catalog_subscription(visited->catalog, subscription->id) == subscription);
    assert(r != CATALOG_SUBJECT_UNKNOWN);
}

static void check(const struct catalog *catalog, struct text key)
{
    struct visited visited = {catalog, 0};
    struct text id = key, kind = text_cut(&id, '/');
    size_t count;

    catalog_each_subscription(catalog, check_subscription, &visited);
    assert(visited.count == catalog_subscription_count(catalog));
    if (text_is(kind, "meter") && catalog_meter(catalog, id))
        assert(catalog_meters_of(catalog, catalog_meter(catalog, id)->event_type, &count));
    if (text_is(kind, "key") && catalog_key(catalog, id))
        assert(text_equal(catalog_key(catalog, id)->id, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct catalog *catalog = catalog_new();
    struct text rest = text_from(bytes, length);

    while (rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        bool is_tombstone = value.length == 0 || !memchr(value.at, ' ', value.length);
        struct text key = text_cut(&value, ' ');
        const char *reason = NULL;
        int r = catalog_apply(catalog, key, is_tombstone ? (struct text){NULL, 0} : value, &reason);

        assert((r == CATALOG_MALFORMED) == (reason != NULL));
        check(catalog, key);
    }
    catalog_free(catalog);
    return 0;
}
