/*
 * load_lag.c - reads `lag` from the ledger.
 */
#include "bench/load_lag.h"

#include "common/base/instant.h"
#include "common/io/http_client.h"

#include <jansson.h>
#include <stdio.h>

enum { ASK_EVERY_MS = 50, ASK_TIMEOUT_MS = 5000 };

static bool read_lag(struct load_lag *lag, int64_t *read)
{
    CLEANUP(buffer_deinit) struct buffer url = {0}, body = {0};
    struct http_call call = {.method = "GET", .bearer = lag->key, .timeout_ms = ASK_TIMEOUT_MS};
    const json_t *member;
    bool is_read;
    json_t *ledger;

    /* A subscription that isn't there keeps the answer short. */
    buffer_printf(&url, "%s/v1/ledger?filterSubscription=-", lag->url);
    buffer_add_char(&url, '\0');
    call.url = url.at;
    lag->status = 0;
    if (http_fetch(&call, &lag->status, &body) != 0 || lag->status != 200)
        return false;
    ledger = json_loadb(body.at ? body.at : "", body.length, 0, NULL);
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
    if (now_ms - lag->asked_at_ms < ASK_EVERY_MS)
        return false;
    lag->asked_at_ms = now_ms;
    if (!read_lag(lag, &read)) {
        lag->silent_since_ms = lag->silent_since_ms ? lag->silent_since_ms : now_ms;
        return false;
    }
    lag->silent_since_ms = 0;
    lag->read = read;
    lag->since = 0;
    if (lag->read + (int64_t)count > lag->most)
        return false;
    lag->since = (int64_t)count;
    return true;
}

bool load_lag_is_hopeless(const struct load_lag *lag)
{
    bool is_refused = lag->status >= 400 && lag->status < 500;

    if (!lag->silent_since_ms ||
        (!is_refused && lag->asked_at_ms - lag->silent_since_ms < lag->give_up_ms))
        return false;
    fprintf(stderr, "loadgen: %s/v1/ledger doesn't say the lag: %s\n", lag->url,
            lag->status == 401 ? "the admin key is refused"
            : lag->status == 0 ? "no answer"
                               : "it isn't an aggregator, or not a ready one");
    return true;
}
