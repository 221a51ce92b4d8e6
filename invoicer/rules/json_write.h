/*
 * json_write.h - members of JSON documents that are written by hand, byte for byte the same for
 * ever.
 *
 * `before` is what stands before the value: ",\"amount\":". Amounts and quantities are strings.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"
#include "common/base/money.h"

void json_write_text(struct buffer *json, const char *before, struct text text); /* absent: null */
void json_write_int(struct buffer *json, const char *before, int64_t number);
void json_write_decimal(struct buffer *json, const char *before, struct decimal decimal);
void json_write_money(struct buffer *json, const char *before, struct money money,
                      const struct currency *currency);
void json_write_instant(struct buffer *json, const char *before, struct instant instant);
