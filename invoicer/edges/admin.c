#include "invoicer/edges/admin.h"

#include "common/catalog/access.h"
#include "common/io/api_key.h"
#include "invoicer/edges/books.h"

/* A stored record as it stood on the topic; one that isn't there, or can't be read, admits nobody.
 */
static void add_record(struct catalog *catalog, struct store_txn *txn, const char *kind,
                       struct text id)
{
    CLEANUP(buffer_deinit) struct buffer key = {0}, record = {0};
    const char *reason;
    struct text json;
    int64_t offset;

    buffer_printf(&key, "%s/%.*s", kind, (int)id.length, id.at);
    if (books_catalog_get(txn, buffer_text(&key), &json, &offset) || json.length < 2)
        return;
    buffer_printf(&record, "{\"epoch\":0,%.*s", (int)json.length - 1, json.at + 1);
    (void)!catalog_apply(catalog, buffer_text(&key), buffer_text(&record), &reason);
}

bool admin_admits(struct store_txn *txn, const char *bucket, const struct http_request *request)
{
    struct text bearer = http_bearer(request), id;
    struct catalog *catalog = catalog_new(CATALOG_SUBSCRIPTIONS);
    enum api_key_mode mode;
    bool admitted;

    add_record(catalog, txn, "bucket", text_of(bucket));
    if (!text_is_absent(bearer) && api_key_parse(bearer, &mode, &id))
        add_record(catalog, txn, "key", id);
    admitted = access_check(catalog, CATALOG_ADMIN, bearer, instant_now(), NULL);
    catalog_free(catalog);
    return admitted;
}
