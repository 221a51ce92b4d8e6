/*
 * question.h - what the questions of rate, periods and prorate share: one JSON object from outside,
 * of which every member is known and of the right form, or a refusal that says which isn't.
 *
 * Each function that refuses fills the issue: code, JSON pointer from the question's root, detail.
 *
 * Errors     QUESTION_REFUSED.
 * Threads    Any.
 */
#pragma once

#include "common/base/instant.h"
#include "invoicer/rules/price.h"

enum question_outcome { QUESTION_REFUSED = 1 };

/* The members that an object may have. */
struct question_members {
    const char *const *names;
    size_t count;
};

/* Fills the issue and returns QUESTION_REFUSED. */
MUST_USE int question_refuse(struct price_issue *issue, const char *code, const char *pointer,
                             const char *format, ...) PRINTF_LIKE(4, 5);

/* An object without duplicate members; json_decref it. */
MUST_USE int question_parse(struct text text, json_t **json, struct price_issue *issue);
/* `json`, which stands at `place`, is an object that has no member but these. */
MUST_USE int question_check(const json_t *json, const char *place,
                            const struct question_members *members, struct price_issue *issue);

/* A decimal string, not negative, as large as a sum may be. NULL, null: it is missing. */
MUST_USE int question_amount(const json_t *json, const char *pointer, struct price_issue *issue,
                             struct decimal *amount);
/* RFC 3339, in the years that struct instant holds. */
MUST_USE int question_instant(const json_t *json, const char *pointer, struct price_issue *issue,
                              struct instant *instant);
/* The object's member "currency". */
MUST_USE int question_currency(const json_t *json, struct price_issue *issue,
                               const struct currency **currency);
/* A text; NULL, null: it is missing. */
MUST_USE int question_text(const json_t *json, const char *pointer, struct price_issue *issue,
                           struct text *text);
bool question_has(const json_t *json); /* neither absent nor null */

/* {"error":{"code","pointer","detail"}} */
void question_write_error(const struct price_issue *issue, struct buffer *answer);
/* "/quantity is negative (negative_value)" */
void question_describe_error(const struct price_issue *issue, struct buffer *answer);
