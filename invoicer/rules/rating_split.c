/*
 * rating_split.c - an amount over parts, the sum kept (rating.md 18).
 */
#include "invoicer/rules/rating.h"

#include <assert.h>

/* size × weight / sum: whole part and rest, by 128 bits where they suffice. */
struct share {
    uint128 whole, rest;
};

static bool share_of(uint128 size, uint128 weight, uint128 sum, struct share *share)
{
    uint128 product;

    if (__builtin_mul_overflow(size, weight, &product))
        return false;
    *share = (struct share){product / sum, product % sum};
    return true;
}

static bool sum_of(const struct money *weights, size_t count, uint128 *sum)
{
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        assert(weights[i].minor >= 0);
        if (__builtin_add_overflow(*sum, (uint128)weights[i].minor, sum))
            return false;
    }
    return true;
}

/* Parts whose rest is larger, or as large and earlier, get one of what is left before this one. */
static size_t rank_of(const struct money *weights, size_t count, uint128 size, uint128 sum,
                      size_t part)
{
    struct share own = {0}, other = {0};
    size_t rank = 0;

    (void)share_of(size, (uint128)weights[part].minor, sum, &own);
    for (size_t i = 0; i < count; i++) {
        (void)share_of(size, (uint128)weights[i].minor, sum, &other);
        rank += other.rest > own.rest || (other.rest == own.rest && i < part);
    }
    return rank;
}

int rating_split(struct money amount, const struct money *weights, size_t count,
                 struct money *shares)
{
    bool negative = amount.minor < 0;
    uint128 size = negative ? -(uint128)amount.minor : (uint128)amount.minor, sum, left = size;
    struct share share;

    if (!sum_of(weights, count, &sum))
        return RATING_OVERFLOW;
    assert(sum > 0);

    for (size_t i = 0; i < count; i++) {
        if (!share_of(size, (uint128)weights[i].minor, sum, &share))
            return RATING_OVERFLOW;
        shares[i].minor = (int128)share.whole;
        left -= share.whole;
    }
    for (size_t i = 0; left > 0 && i < count; i++)
        shares[i].minor += rank_of(weights, count, size, sum, i) < left;
    for (size_t i = 0; negative && i < count; i++)
        shares[i].minor = -shares[i].minor;
    return 0;
}
