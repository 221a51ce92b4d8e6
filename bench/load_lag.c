/*
 * load_lag.c - reads `lag` from the ledger.
 */
#include "bench/load_lag.h"

#include "common/base/instant.h"
#include "common/io/http_client.h"

#include <jansson.h>

enum { ASK_EVERY_MS = 50, ASK_TIMEOUT_MS = 5000 };

static bool read_lag(const struct load_lag *lag, int64_t *read)
{
    CLEANUP(buffer_deinit) struct buffer url = {0}, body = {0};
    struct http_call call = {.method = "GET", .bearer = lag->key, .timeout_ms = ASK_TIMEOUT_MS};
    const json_t *member;
    int status = 0;
    bool is_read;
    json_t *ledger;

    /* A subscription that isn't there keeps the answer short. */
    buffer_printf(&url, "%s/v1/ledger?filterSubscription=-", lag->url);
    buffer_add_char(&url, '\0');
    call.url = url.at;
    if (http_fetch(&call, &status, &body) != 0 || status != 200)
        return false;
    ledger = json_loadb(body.at, body.length, 0, NULL);
    member = json_object_get(ledger, "lag");
    is_read = json_is_integer(member);
    if (is_read)
        *read = json_integer_value(member);
    json_decref(ledger);
    return is_read;
}

bool load_lag_allows(struct load_lag *lag, size_t count)
{
    int64_t now_ms = instant_ms(instant_now()), read;

    if (!lag->url || lag->read + lag->since + (int64_t)count <= lag->most) {
        lag->since += (int64_t)count;
        return true;
    }
    if (now_ms - lag->read_at_ms < ASK_EVERY_MS)
        return false;
    lag->read_at_ms = now_ms;
    if (!read_lag(lag, &read))
        return false;
    lag->read = read;
    lag->since = 0;
    if (lag->read + (int64_t)count > lag->most)
        return false;
    lag->since = (int64_t)count;
    return true;
}
