/*
 * Proration: the share that is used up, and the credit for the rest.
 */
#include "invoicer/rules/proration.h"

#include <criterion/criterion.h>

static struct instant at(const char *text)
{
    struct instant instant;

    cr_assert_eq(instant_parse(text_of(text), &instant), 0);
    return instant;
}

static struct decimal number(const char *text)
{
    struct decimal decimal;

    cr_assert_eq(decimal_parse(text_of(text), &decimal), 0);
    return decimal;
}

/* 29.00 for the thirty days of June, asked in its middle. */
static struct proration_question june(void)
{
    return (struct proration_question){
        .price = {2900},
        .period = {at("2026-06-01T00:00:00Z"), at("2026-07-01T00:00:00Z")},
        .at = at("2026-06-16T00:00:00Z"),
    };
}

static struct proration answer(const struct proration_question *question)
{
    struct proration proration;

    cr_assert_eq(proration_of(question, &proration), 0);
    cr_assert(proration.credit.minor + proration.charge.minor == question->price.minor);
    return proration;
}

static int64_t credit_of(const struct proration_question *question)
{
    return (int64_t)answer(question).credit.minor;
}

Test(proration, the_larger_of_time_and_consumption_is_used_up)
{
    struct proration_use use = {number("7000"), number("10000")};
    struct proration_question question = june();

    question.uses = &use;
    question.use_count = 1;

    cr_assert_eq(credit_of(&question), 870); /* the published example */
    cr_assert(answer(&question).ratio.units == number("0.7").units);

    use.usage = number("4000");
    cr_assert_eq(credit_of(&question), 1450, "half of the time is more than 40 %%");
}

Test(proration, of_several_quotas_the_most_consumed_counts)
{
    const struct proration_use uses[] = {{number("5"), number("100")},
                                         {number("0.000000000003"), number("0.000000000004")},
                                         {number("60"), number("100")}};
    struct proration_question question = june();

    question.uses = uses;
    question.use_count = 3;

    cr_assert_eq(credit_of(&question), 725);
}

Test(proration, consumption_above_the_quota_is_all_of_it)
{
    const struct proration_use use = {number("10001"), number("10000")};
    struct proration_question question = june();

    question.uses = &use;
    question.use_count = 1;

    cr_assert_eq(credit_of(&question), 0);
    cr_assert(answer(&question).ratio.units == number("1").units);
}

Test(proration, without_a_quota_time_alone_decides)
{
    const struct proration_use use = {number("10001"), number("0")};
    struct proration_question question = june();

    cr_assert_eq(credit_of(&question), 1450);

    question.uses = &use;
    question.use_count = 1;
    cr_assert_eq(credit_of(&question), 1450);
}

Test(proration, time_based_ignores_consumption)
{
    const struct proration_use use = {number("7000"), number("10000")};
    struct proration_question question = june();

    question.mode = PRORATION_TIME_BASED;
    question.uses = &use;
    question.use_count = 1;

    cr_assert_eq(credit_of(&question), 1450);
}

Test(proration, none_gives_nothing_back)
{
    struct proration_question question = june();

    question.mode = PRORATION_NONE;

    cr_assert_eq(credit_of(&question), 0);
    cr_assert(answer(&question).ratio.units == number("1").units);
}

Test(proration, an_instant_outside_the_period_counts_as_its_nearest_end)
{
    struct proration_question question = june();

    question.at = at("2026-05-31T23:59:59Z");
    cr_assert_eq(credit_of(&question), 2900);
    question.at = at("2026-07-01T00:00:01Z");
    cr_assert_eq(credit_of(&question), 0);
}

Test(proration, time_counts_in_whole_seconds)
{
    struct proration_question question = june();

    question.price.minor = 2592000; /* a cent a second */
    question.at = at("2026-06-01T00:00:01.999Z");

    cr_assert_eq(credit_of(&question), 2592000 - 1);
}

Test(proration, the_credit_is_rounded_half_away_from_zero)
{
    struct proration_question question = june();

    question.price.minor = 1; /* half of a cent */
    cr_assert_eq(credit_of(&question), 1);
    question.price.minor = 1001; /* 500.5 cents */
    cr_assert_eq(credit_of(&question), 501);
    question.at.ns++;
    cr_assert_eq(credit_of(&question), 501);
    question.at = at("2026-06-16T00:00:01Z");
    cr_assert_eq(credit_of(&question), 500);
}

Test(proration, the_ratio_has_twelve_decimals)
{
    struct proration_question question = june();

    question.at = at("2026-06-11T00:00:00Z");

    cr_assert(answer(&question).ratio.units == number("0.333333333333").units);
}

Test(proration, the_largest_price_and_quota_have_room)
{
    const struct proration_use use = {number("999999999999999.999999999998"),
                                      number("999999999999999.999999999999")};
    struct proration_question question = june();

    question.price.minor = (int128)(~(uint128)0 >> 1);
    question.uses = &use;
    question.use_count = 1;

    cr_assert(answer(&question).credit.minor == question.price.minor / use.quota.units);
}

Test(proration, a_period_of_no_length_is_an_outcome)
{
    struct proration_question question = june();
    struct proration proration = {.credit = {7}};

    question.mode = PRORATION_NONE;
    question.period.to = question.period.from;
    question.period.to.ns += 999999999;

    cr_assert_eq(proration_of(&question, &proration), PRORATION_NO_PERIOD);
    cr_assert(proration.credit.minor == 7, "a refused call leaves its out parameter alone");
}
