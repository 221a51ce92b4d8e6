/*
 * http_easy.h - one call as a libcurl easy handle, shared by the blocking and the loop's client.
 *
 * Ownership  The handle holds copies of what it needs.
 * Threads    One a call.
 */
#pragma once

#include "common/io/http_client.h"

#include <curl/curl.h>

struct http_easy {
    CURL *curl;
    struct curl_slist *headers;
    struct buffer body;
    size_t header_bytes; /* of the answer, so far */
    char error[CURL_ERROR_SIZE];
};

/* Prepares `easy` in place: it must not move until http_easy_deinit. */
void http_easy_init(struct http_easy *easy, const struct http_call *call);
void http_easy_deinit(struct http_easy *easy);
/* The status; 0 when `rc` says that no answer came, with why in `easy->error`. */
int http_easy_status(struct http_easy *easy, CURLcode rc);
