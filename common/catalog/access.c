#include "common/catalog/access.h"

#include <string.h>

static bool is_of_bucket(const struct catalog *catalog, enum api_key_mode mode)
{
    return catalog_has_bucket(catalog) && (mode == API_KEY_LIVE) == catalog_is_live(catalog);
}

static struct access_known *place_of(struct access_memo *memo, struct text bearer)
{
    return &memo->known[(unsigned char)bearer.at[bearer.length - 1] % ACCESS_KNOWN_MAX];
}

static void digest(struct access_memo *memo, struct text bearer, uint8_t sha256[])
{
    const struct access_known *known = memo ? place_of(memo, bearer) : NULL;

    if (known && api_key_equal(known->key, bearer.at))
        memcpy(sha256, known->sha256, sizeof(known->sha256));
    else
        api_key_digest(bearer, sha256);
}

static void remember(struct access_memo *memo, struct text bearer, const uint8_t sha256[])
{
    struct access_known *known = place_of(memo, bearer);

    memcpy(known->key, bearer.at, sizeof(known->key));
    memcpy(known->sha256, sha256, sizeof(known->sha256));
}

const struct catalog_key *access_check(const struct catalog *catalog, enum catalog_role role,
                                       struct text bearer, struct instant now,
                                       struct access_memo *memo)
{
    static const uint8_t dummy[API_KEY_DIGEST_BYTES];
    uint8_t sha256[API_KEY_DIGEST_BYTES];
    enum api_key_mode mode = API_KEY_TEST;
    struct text id = text_of(NULL);
    const struct catalog_key *key = NULL;
    bool equal;

    if (bearer.length != API_KEY_LENGTH)
        return NULL;
    if (api_key_split(bearer, &mode, &id))
        key = catalog_key(catalog, id);
    digest(memo, bearer, sha256);
    equal = api_key_digest_equal(sha256, key ? key->sha256 : dummy);
    if (!key || !equal || !is_of_bucket(catalog, mode) || key->role != role ||
        instant_compare(now, key->expires) >= 0)
        return NULL;
    if (memo)
        remember(memo, bearer, sha256);
    return key;
}
