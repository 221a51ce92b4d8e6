#include "invoicer/edges/stripe_api.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL_MS_MAX = 80000 }; /* Stripe's own clients wait as long */

/* --- the key --- */

static bool starts_with(const char *key, const char *prefix)
{
    return strncmp(key, prefix, strlen(prefix)) == 0;
}

static bool is_key(const char *key)
{
    bool is_known = starts_with(key, "sk_test_") || starts_with(key, "rk_test_") ||
                    starts_with(key, "sk_live_") || starts_with(key, "rk_live_");

    return is_known && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_") == strlen(key);
}

/* Whether the URL is http and its host, whole, this machine's own. */
static bool is_local(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        const char *rest = url + strlen(hosts[i]);

        if (!starts_with(url, hosts[i]))
            continue;
        if (*rest == ':')
            rest += 1 + strspn(rest + 1, "0123456789");
        return *rest == '\0' || *rest == '/';
    }
    return false;
}

/* A key goes over the network as it is: only with TLS, or to this machine. */
static bool is_safe(const char *url)
{
    return starts_with(url, "https://") || is_local(url);
}

int stripe_api_open(const char *url, const char *version, const char *key, int64_t wait_ms,
                    struct stripe_api *api)
{
    *api = (struct stripe_api){.url = url, .version = version, .wait_ms = wait_ms, .key = key};
    if (!is_safe(url))
        return fault(FAULT_REFUSE,
                     "--stripe-url %s is neither https nor on this machine: the key could be read",
                     url);
    if (!is_key(key))
        return fault(FAULT_REFUSE,
                     "--stripe-key names a file without a key of Stripe's: one begins "
                     "with rk_test_, rk_live_, sk_test_ or sk_live_");
    return 0;
}

bool stripe_api_is_live(const struct stripe_api *api)
{
    return starts_with(api->key + 2, "_live_");
}

bool stripe_api_is_secret(const struct stripe_api *api)
{
    return api->key[0] == 's';
}

/* --- requests --- */

struct sending {
    void (*done)(void *context, const struct stripe_answer *answer);
    void *context;
};

static void on_reply(void *context, const struct http_reply *reply)
{
    struct sending *sending = context;
    const struct stripe_answer answer = {
        .status = reply->status,
        .body = reply->body,
        .retry_after = http_reply_header(reply, "Retry-After"),
        .should_retry = http_reply_header(reply, "Stripe-Should-Retry"),
        .replayed = http_reply_header(reply, "Idempotent-Replayed"),
        .request_id = http_reply_header(reply, "Request-Id"),
    };

    sending->done(sending->context, &answer);
    free(sending);
}

void stripe_api_send(const struct stripe_api *api, struct http_client *client,
                     const struct stripe_request *request,
                     void (*done)(void *context, const struct stripe_answer *answer), void *context)
{
    CLEANUP(buffer_deinit) struct buffer url = {0}, key = {0};
    struct sending *sending = malloc(sizeof(*sending));
    struct http_call_header headers[] = {{"Stripe-Version", api->version},
                                         {"Idempotency-Key", NULL}};
    struct http_call call = {
        .method = request->method,
        .bearer = api->key,
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body = request->body,
        .content_type = text_is_absent(request->body) ? NULL : "application/x-www-form-urlencoded",
        .timeout_ms = CALL_MS_MAX,
    };

    assert(sending);
    *sending = (struct sending){done, context};
    buffer_printf(&url, "%s%s", api->url, request->path);
    buffer_add_char(&url, '\0');
    call.url = url.at;
    if (!text_is_absent(request->key)) {
        buffer_add_text(&key, request->key);
        buffer_add_char(&key, '\0');
        headers[1].value = key.at;
    }
    http_client_send(client, &call, on_reply, sending);
}

/* --- one that is waited for --- */

struct waiting {
    uv_loop_t loop;
    struct stripe_judgement judgement;
    json_t *object;
    int tries;
};

static void on_closed(void *context)
{
    (void)context;
}

static void on_answer(void *context, const struct stripe_answer *answer)
{
    struct waiting *waiting = context;

    stripe_judge(answer, waiting->tries, (uint64_t)monotonic_ns(), &waiting->judgement);
    if (waiting->judgement.verdict == STRIPE_DONE)
        waiting->object = json_loadb(answer->body.at, answer->body.length, 0, NULL);
    uv_stop(&waiting->loop);
}

static void ask_once(const struct stripe_api *api, const struct stripe_request *request,
                     struct waiting *waiting)
{
    struct http_client *client;

    if (uv_loop_init(&waiting->loop))
        abort();
    client = http_client_new(&waiting->loop);
    waiting->tries++;
    stripe_api_send(api, client, request, on_answer, waiting);
    uv_run(&waiting->loop, UV_RUN_DEFAULT); /* until it is answered */
    http_client_close(client, on_closed, NULL);
    uv_run(&waiting->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&waiting->loop))
        abort();
}

static bool is_undecided(const struct stripe_judgement *judgement)
{
    return judgement->verdict == STRIPE_AGAIN || judgement->verdict == STRIPE_SLOWER;
}

/* Whether to ask once more, after the wait that is due. */
static bool asks_again(const struct waiting *waiting, int64_t end_ms)
{
    const struct stripe_judgement *judgement = &waiting->judgement;

    if (!is_undecided(judgement) || waiting->tries >= STRIPE_TRIES_MAX ||
        monotonic_ms() + judgement->wait_ms > end_ms)
        return false;
    pause_ms(judgement->wait_ms);
    return true;
}

int stripe_api_fetch(const struct stripe_api *api, const struct stripe_request *request,
                     json_t **object)
{
    int64_t end_ms = monotonic_ms() + api->wait_ms;
    struct waiting waiting = {0};

    do
        ask_once(api, request, &waiting);
    while (asks_again(&waiting, end_ms));
    if (waiting.judgement.verdict == STRIPE_DONE) {
        *object = waiting.object;
        return 0;
    }
    return fault(is_undecided(&waiting.judgement)           ? FAULT_RETRY
                 : waiting.judgement.verdict == STRIPE_STOP ? FAULT_DENIED
                                                            : FAULT_REFUSE,
                 "%s", waiting.judgement.why);
}

int stripe_api_account(const struct stripe_api *api, char id[STRIPE_ACCOUNT_MAX])
{
    const struct stripe_request request = {.method = "GET", .path = "/v1/account"};
    const char *said;
    json_t *account;
    int r = stripe_api_fetch(api, &request, &account);

    if (r)
        return fault_pass(r);
    said = json_string_value(json_object_get(account, "id"));
    snprintf(id, STRIPE_ACCOUNT_MAX, "%s", said ? said : "");
    json_decref(account);
    return id[0] ? 0 : fault(FAULT_REFUSE, "Stripe named no account");
}
