/*
 * admin.h - whether a request comes from an admin of the bucket, by the catalog that is stored.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/http.h"
#include "common/io/store.h"

bool admin_admits(struct store_txn *txn, const char *bucket, const struct http_request *request);
