/*
 * rate_json.h - one rating question in JSON, and its answer: prices can be tried without a catalog.
 *
 *   {"currency":"USD","price":PRICE,"quantity":"15000",
 *    "alreadyBilled":{"quantity":"0","amount":"0"},
 *    "discounts":{"percentage":"10","usage":"100"},"lastSlice":true}
 *   {"lines":[{"kind","tier","description","quantity","unitAmount","amount","discount","total"}],
 *    "billedQuantity","amount","discountTotal","total"}
 *
 * A percentage price has "events":["50",…] in place of quantity, a matrix price
 * "quantities":[{"dimensions":{…},"quantity":"5"}].
 *
 * Errors     QUESTION_REFUSED: the answer is why.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/question.h"
#include "invoicer/rules/rating.h"

enum { RATE_EVENTS_MAX = 100000 };

/* Appends the answer, or {"error":{"code","pointer","detail"}}. */
MUST_USE int rate_json(struct text question, struct arena *arena, struct buffer *answer);
/* The same for people: a table, or a sentence without its line's end. */
MUST_USE int rate_table(struct text question, struct arena *arena, struct buffer *answer);

/* One rated line as a JSON object, as it stands in the answer. */
void rated_write(const struct rated_line *line, const struct price *price,
                 const struct currency *currency, struct buffer *buffer);
/* The same without its last brace: members can follow. */
void rated_write_open(const struct rated_line *line, const struct price *price,
                      const struct currency *currency, struct buffer *buffer);
/* What stands in it before its quantity and behind it, up to its amount. */
void rated_write_before(const struct rated_line *line, const struct price *price,
                        struct buffer *buffer);
void rated_write_behind(const struct rated_line *line, const struct currency *currency,
                        struct buffer *buffer);
/* "First 1,000", "Over 10,000", "Packages of 100", "Minimum spend": what a detail line is. */
void rated_describe(const struct rated_line *line, const struct price *price,
                    struct buffer *buffer);
/* "1,234.5": for people. */
void quantity_describe(struct decimal quantity, struct buffer *buffer);
