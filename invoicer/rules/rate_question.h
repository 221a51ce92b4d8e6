/*
 * rate_question.h - a rating question's JSON as numbers (rate_json.h shows its form).
 *
 * Ownership  What the question points to is the arena's and the JSON's.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/question.h"
#include "invoicer/rules/rating.h"

struct rate_question {
    const struct currency *currency;
    struct price price;
    struct price_discounts discounts;
    struct rating_slice slice;
};

MUST_USE int rate_question_read(const json_t *json, struct arena *arena,
                                struct rate_question *question, struct price_issue *issue);
/* Why rating_rate refused the question, with the member that it is about. */
MUST_USE int rate_question_refuse(const struct rate_question *question, int outcome,
                                  struct price_issue *issue);
