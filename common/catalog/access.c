#include "common/catalog/access.h"

#include "common/io/api_key.h"

static bool is_of_bucket(const struct catalog *catalog, enum api_key_mode mode)
{
    return catalog_has_bucket(catalog) && (mode == API_KEY_LIVE) == catalog_is_live(catalog);
}

const struct catalog_key *access_check(const struct catalog *catalog, enum catalog_role role,
                                       struct text bearer, struct instant now)
{
    static const uint8_t dummy[API_KEY_DIGEST_BYTES];
    uint8_t digest[API_KEY_DIGEST_BYTES];
    enum api_key_mode mode = API_KEY_TEST;
    struct text id = text_of(NULL);
    const struct catalog_key *key = NULL;
    bool equal;

    if (bearer.length != API_KEY_LENGTH)
        return NULL;
    if (api_key_split(bearer, &mode, &id))
        key = catalog_key(catalog, id);
    api_key_digest(bearer, digest);
    equal = api_key_digest_equal(digest, key ? key->sha256 : dummy);
    if (!key || !equal || !is_of_bucket(catalog, mode) || key->role != role ||
        instant_compare(now, key->expires) >= 0)
        return NULL;
    return key;
}
