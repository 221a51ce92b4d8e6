/*
 * http_easy.c - libcurl set up the way all our calls are: verified, bounded, no redirects.
 */
#include "common/io/http_easy.h"

#include "common/base/fault.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS_MAX = 10000, HEADER_NAME_MAX = 64 };

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start_curl(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        abort();
}

static size_t on_body(char *at, size_t size, size_t count, void *context)
{
    struct http_easy *easy = context;

    if (size * count > HTTP_CLIENT_BODY_MAX - easy->body.length)
        return 0;
    buffer_add(&easy->body, at, size * count);
    return size * count;
}

/* libcurl keeps them; this counts. */
static size_t on_header(char *at, size_t size, size_t count, void *context)
{
    struct http_easy *easy = context;

    (void)at;
    if (size * count > HTTP_CLIENT_HEADERS_MAX - easy->header_bytes)
        return 0;
    easy->header_bytes += size * count;
    return size * count;
}

static void add_header(struct http_easy *easy, const char *name, const char *value)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    struct curl_slist *grown;

    if (!value)
        return;
    assert(!strpbrk(value, "\r\n"));
    buffer_add_string(&line, name);
    buffer_add_string(&line, value);
    buffer_add_char(&line, '\0');
    grown = curl_slist_append(easy->headers, line.at);
    if (!grown)
        abort();
    easy->headers = grown;
}

static void set_request(struct http_easy *easy, const struct http_call *call)
{
    CURL *curl = easy->curl;
    bool has_body = !text_is_absent(call->body);

    if (has_body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.length);
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, call->body.length ? call->body.at : "");
    }
    if (strcmp(call->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (strcmp(call->method, "GET") != 0 || has_body)
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    add_header(easy, "Authorization: Bearer ", call->bearer);
    add_header(easy, "Content-Type: ",
               call->content_type ? call->content_type
               : has_body         ? "application/octet-stream"
                                  : NULL);
    add_header(easy, "Accept: ", call->accept);
    for (size_t i = 0; i < call->header_count; i++) {
        char name[HEADER_NAME_MAX];

        assert(strlen(call->headers[i].name) + 2 < sizeof(name));
        snprintf(name, sizeof(name), "%s: ", call->headers[i].name);
        add_header(easy, name, call->headers[i].value);
    }
    add_header(easy, "Expect:", ""); /* a round trip that our own servers don't need */
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, easy->headers);
}

void http_easy_init(struct http_easy *easy, const struct http_call *call)
{
    pthread_once(&started, start_curl);
    *easy = (struct http_easy){.curl = curl_easy_init()};
    if (!easy->curl)
        abort();
    curl_easy_setopt(easy->curl, CURLOPT_URL, call->url);
    curl_easy_setopt(easy->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy->curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy->curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(easy->curl, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
    curl_easy_setopt(easy->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS_MAX);
    curl_easy_setopt(easy->curl, CURLOPT_USERAGENT, "tollway/" TOLLWAY_VERSION);
    curl_easy_setopt(easy->curl, CURLOPT_ERRORBUFFER, easy->error);
    curl_easy_setopt(easy->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy->curl, CURLOPT_WRITEDATA, easy);
    curl_easy_setopt(easy->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy->curl, CURLOPT_HEADERDATA, easy);
    set_request(easy, call);
}

void http_easy_deinit(struct http_easy *easy)
{
    curl_easy_cleanup(easy->curl);
    curl_slist_free_all(easy->headers);
    buffer_deinit(&easy->body);
}

int http_easy_status(struct http_easy *easy, CURLcode rc)
{
    long status = 0;

    if (rc == CURLE_OK && !curl_easy_getinfo(easy->curl, CURLINFO_RESPONSE_CODE, &status))
        return (int)status;
    if (!easy->error[0])
        snprintf(easy->error, sizeof(easy->error), "%s", curl_easy_strerror(rc));
    return 0;
}

int http_fetch(const struct http_call *call, int *status, struct buffer *body)
{
    struct http_easy easy;
    int answered;
    int r = 0;

    assert(call->timeout_ms > 0);

    http_easy_init(&easy, call);
    answered = http_easy_status(&easy, curl_easy_perform(easy.curl));
    if (answered) {
        buffer_add_text(body, buffer_text(&easy.body));
        *status = answered;
    } else {
        r = fault(FAULT_RETRY, "%s %s: %s", call->method, call->url, easy.error);
    }
    http_easy_deinit(&easy);
    return r;
}
