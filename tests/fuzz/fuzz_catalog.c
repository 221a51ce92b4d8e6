/*
 * fuzz_catalog.c - catalog_apply on any messages: a line each, key and value parted by a space; a
 * line without a space is a tombstone. Every subscription stays findable, and a catalog of cuts
 * knows the same ones.
 */
#include "proto/catalog.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

/* What visiting counts, to be compared with what the catalog says. */
struct visited {
    const struct catalog *catalog, *cuts;
    size_t count;
};

static void check_subscription(void *context, const struct catalog_subscription *subscription)
{
    struct visited *visited = context;
    const struct catalog_subscription *found;
    size_t cut_count = 0;
    const uint16_t *cuts = catalog_cuts(visited->cuts, subscription->id, &cut_count);
    int r = catalog_find_subject(visited->catalog, subscription->customer_key, NULL,
                                 subscription->active_from, &found);

    visited->count++;
    assert(cuts && cut_count > 0 && cuts[0] < 1440);
    assert(catalog_subscription(visited->catalog, subscription->id) == subscription);
    assert(r != CATALOG_SUBJECT_UNKNOWN);
}

static void check(const struct catalog *catalog, const struct catalog *cuts, struct text key)
{
    struct visited visited = {catalog, cuts, 0};
    struct text id = key, kind = text_cut(&id, '/');
    size_t count;

    catalog_each_subscription(catalog, check_subscription, &visited);
    assert(visited.count == catalog_subscription_count(catalog));
    if (text_is(kind, "subscription"))
        assert(!catalog_subscription(catalog, id) == !catalog_cuts(cuts, id, &count));
    if (text_is(kind, "meter") && catalog_meter(catalog, id))
        assert(catalog_meters_of(catalog, catalog_meter(catalog, id)->event_type, &count));
    if (text_is(kind, "key") && catalog_key(catalog, id))
        assert(text_equal(catalog_key(catalog, id)->id, id));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct catalog *catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    struct catalog *cuts = catalog_new(CATALOG_CUTS);
    struct text rest = text_from(bytes, length);

    while (rest.length > 0) {
        struct text value = text_cut(&rest, '\n');
        bool is_tombstone = value.length == 0 || !memchr(value.at, ' ', value.length);
        struct text key = text_cut(&value, ' ');
        const char *reason = NULL;
        int r, r_of_cuts;

        if (is_tombstone)
            value = (struct text){NULL, 0};
        r = catalog_apply(catalog, key, value, &reason);
        assert((r == CATALOG_MALFORMED) == (reason != NULL));
        r_of_cuts = catalog_apply(cuts, key, value, &reason);
        assert(r_of_cuts == r);
        check(catalog, cuts, key);
    }
    catalog_free(catalog);
    catalog_free(cuts);
    return 0;
}
