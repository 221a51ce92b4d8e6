/*
 * audit_rate.c - prices by rational numbers.
 *
 * A number that can't be read ends the rating: nothing is taken for 0 that isn't there.
 */
#include "invoicer/rules/audit_rate.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

struct work {
    const json_t *price;
    int digits;
    mpq_t percent;  /* 0 to 100 */
    mpq_t quantity; /* converted, less the usage discount */
    mpq_t scale;    /* 10^digits */
    bool is_wrong;
    struct audit_rating *rating;
};

void audit_rating_deinit(struct audit_rating *rating)
{
    free(rating->details);
    *rating = (struct audit_rating){0};
}

/* --- numbers --- */

/* "12.5" is 125/10. */
static bool set_decimal(mpq_t number, const char *text)
{
    const char *point = strchr(text, '.');
    size_t length = strlen(text), places = point ? length - (size_t)(point - text) - 1 : 0;
    char digits[96];
    bool is_number;

    if (length == 0 || length >= sizeof(digits))
        return false;
    memcpy(digits, text, length + 1);
    if (point)
        memmove(digits + (point - text), point + 1, places + 1);
    is_number = mpz_set_str(mpq_numref(number), digits, 10) == 0;
    mpz_ui_pow_ui(mpq_denref(number), 10, places);
    mpq_canonicalize(number);
    return is_number;
}

static void read(struct work *work, const json_t *object, const char *name, mpq_t number)
{
    const char *text = json_string_value(json_object_get(object, name));

    if (!text || !set_decimal(number, text))
        work->is_wrong = true;
}

/* False when the member isn't there. */
static bool read_optional(struct work *work, const json_t *object, const char *name, mpq_t number)
{
    const json_t *member = json_object_get(object, name);

    if (!member || json_is_null(member))
        return false;
    read(work, object, name, number);
    return true;
}

static void set_units(mpq_t number, struct decimal decimal)
{
    char text[DECIMAL_TEXT_MAX];

    (void)decimal_format(decimal, text);
    (void)set_decimal(number, text);
}

/* Half away from zero; none of these numbers is negative. */
static void round_half(mpz_t rounded, const mpq_t number)
{
    mpz_t twice;

    mpz_init(twice);
    mpz_mul_2exp(twice, mpq_numref(number), 1);
    mpz_add(twice, twice, mpq_denref(number));
    mpz_fdiv_q(rounded, twice, mpq_denref(number));
    mpz_fdiv_q_2exp(rounded, rounded, 1);
    mpz_clear(twice);
}

static int128 whole_of(struct work *work, const mpz_t number)
{
    uint64_t limbs[2] = {0};
    size_t count;

    if (mpz_sizeinbase(number, 2) > 126) {
        work->is_wrong = true;
        return 0;
    }
    (void)mpz_export(limbs, &count, -1, sizeof(limbs[0]), 0, 0, number);
    return (int128)((uint128)limbs[1] << 64 | limbs[0]) * (mpz_sgn(number) < 0 ? -1 : 1);
}

/* --- lines --- */

static void keep(struct work *work, struct audit_detail detail)
{
    struct audit_rating *rating = work->rating;

    if (detail.amount == 0)
        return;
    if (rating->count == rating->room) {
        rating->room = rating->room ? rating->room * 2 : 8;
        rating->details = realloc(rating->details, rating->room * sizeof(*rating->details));
        if (!rating->details)
            abort();
    }
    rating->details[rating->count++] = detail;
}

/* An exact amount becomes a line: rounded, and its percentage discount rounded. */
static void add_line(struct work *work, const mpq_t exact)
{
    struct audit_detail detail;
    mpq_t scaled;
    mpz_t rounded, discount;

    mpq_init(scaled);
    mpz_inits(rounded, discount, NULL);
    mpq_mul(scaled, exact, work->scale);
    round_half(rounded, scaled);
    mpq_set_z(scaled, rounded);
    mpq_mul(scaled, scaled, work->percent);
    mpz_mul_ui(mpq_denref(scaled), mpq_denref(scaled), 100);
    mpq_canonicalize(scaled);
    round_half(discount, scaled);
    detail.amount = whole_of(work, rounded);
    detail.discount = whole_of(work, discount);
    detail.total = detail.amount - detail.discount;
    keep(work, detail);
    mpz_clears(rounded, discount, NULL);
    mpq_clear(scaled);
}

static void add_product(struct work *work, const mpq_t quantity, const mpq_t amount)
{
    mpq_t product;

    mpq_init(product);
    mpq_mul(product, quantity, amount);
    add_line(work, product);
    mpq_clear(product);
}

/* --- prices --- */

static void rate_unit(struct work *work, const char *member)
{
    mpq_t amount;

    mpq_init(amount);
    read(work, work->price, member, amount);
    add_product(work, work->quantity, amount);
    mpq_clear(amount);
}

static void rate_flat(struct work *work)
{
    mpq_t amount;

    mpq_init(amount);
    read(work, work->price, "amount", amount);
    add_line(work, amount);
    mpq_clear(amount);
}

static void rate_package(struct work *work)
{
    mpq_t amount, size, packages;
    mpz_t begun;

    mpq_inits(amount, size, packages, NULL);
    mpz_init(begun);
    read(work, work->price, "amount", amount);
    read(work, work->price, "quantityPerPackage", size);
    if (mpq_sgn(size) > 0) {
        mpq_div(packages, work->quantity, size);
        mpz_cdiv_q(begun, mpq_numref(packages), mpq_denref(packages));
        mpq_set_z(packages, begun);
        add_product(work, packages, amount);
    } else {
        work->is_wrong = true;
    }
    mpz_clear(begun);
    mpq_clears(amount, size, packages, NULL);
}

/* A tier's part of the price: {"unitPrice":{"amount"}}, {"flatPrice":{"amount"}} or {"rate"}. */
static bool read_part(struct work *work, const json_t *tier, const char *name, mpq_t amount)
{
    const json_t *part = json_object_get(tier, name);

    if (!part || json_is_null(part))
        return false;
    if (json_is_object(part)) {
        read(work, part, "amount", amount);
        return true;
    }
    read(work, tier, name, amount);
    mpz_mul_ui(mpq_denref(amount), mpq_denref(amount), 100); /* a rate is in per cent */
    mpq_canonicalize(amount);
    return true;
}

static void add_tier(struct work *work, const json_t *tier, const mpq_t part, bool has_flat)
{
    mpq_t amount;

    mpq_init(amount);
    if (read_part(work, tier, "unitPrice", amount) || read_part(work, tier, "rate", amount))
        add_product(work, part, amount);
    if (has_flat && read_part(work, tier, "flatPrice", amount))
        add_line(work, amount);
    mpq_clear(amount);
}

static void rate_graduated(struct work *work)
{
    const json_t *tiers = json_object_get(work->price, "tiers");
    mpq_t before, upto, part;
    json_t *tier;
    size_t i;

    mpq_inits(before, upto, part, NULL);
    json_array_foreach((json_t *)tiers, i, tier)
    {
        bool is_entered = i == 0 || mpq_cmp(work->quantity, before) > 0;

        if (!read_optional(work, tier, "upToAmount", upto) || mpq_cmp(work->quantity, upto) < 0)
            mpq_set(upto, work->quantity);
        if (mpq_cmp(upto, before) > 0)
            mpq_sub(part, upto, before);
        else
            mpq_set_ui(part, 0, 1);
        add_tier(work, tier, part, is_entered);
        if (!read_optional(work, tier, "upToAmount", before))
            break;
    }
    mpq_clears(before, upto, part, NULL);
}

static void rate_volume(struct work *work)
{
    const json_t *tiers = json_object_get(work->price, "tiers");
    json_t *tier;
    mpq_t upto;
    size_t i;

    mpq_init(upto);
    json_array_foreach((json_t *)tiers, i, tier)
    {
        if (read_optional(work, tier, "upToAmount", upto) && mpq_cmp(work->quantity, upto) > 0)
            continue;
        add_tier(work, tier, work->quantity, true);
        break;
    }
    mpq_clear(upto);
}

/* Of a sum and a number of events; a catalog has no other (docs/decisions/percentage-of-sums.md).
 */
static void rate_percentage(struct work *work, uint64_t events)
{
    mpq_t rate, fixed, count, beyond;

    mpq_inits(rate, fixed, count, beyond, NULL);
    read(work, work->price, "rate", rate);
    (void)read_optional(work, work->price, "freeAmount", beyond);
    mpq_sub(beyond, work->quantity, beyond);
    if (mpq_sgn(beyond) < 0)
        mpq_set_ui(beyond, 0, 1);
    (void)read_optional(work, work->price, "fixedAmount", fixed);
    mpz_mul_ui(mpq_denref(rate), mpq_denref(rate), 100);
    mpq_canonicalize(rate);
    mpq_mul(rate, rate, beyond);
    mpq_set_ui(count, events, 1);
    mpq_mul(fixed, fixed, count);
    mpq_add(rate, rate, fixed);
    add_line(work, rate);
    mpq_clears(rate, fixed, count, beyond, NULL);
}

static void rate_matrix(struct work *work, const struct decimal *values)
{
    const json_t *list = json_object_get(work->price, "values");
    size_t count = json_array_size(list);
    mpq_t amount, quantity;

    mpq_inits(amount, quantity, NULL);
    for (size_t i = 0; i <= count; i++) {
        read(work, i < count ? json_array_get(list, i) : work->price, "amount", amount);
        set_units(quantity, values[i]);
        add_product(work, quantity, amount);
    }
    mpq_clears(amount, quantity, NULL);
}

static void rate_tiered(struct work *work)
{
    const char *mode = json_string_value(json_object_get(work->price, "mode"));

    if (mode && strcmp(mode, "volume") == 0)
        rate_volume(work);
    else
        rate_graduated(work);
}

static void rate_price(struct work *work, const struct audit_counted *counted)
{
    const char *type = json_string_value(json_object_get(work->price, "type"));

    if (!type)
        work->is_wrong = true;
    else if (strcmp(type, "flat") == 0)
        rate_flat(work);
    else if (strcmp(type, "unit") == 0)
        rate_unit(work, "amount");
    else if (strcmp(type, "dynamic") == 0)
        rate_unit(work, "multiplier");
    else if (strcmp(type, "package") == 0)
        rate_package(work);
    else if (strcmp(type, "tiered") == 0)
        rate_tiered(work);
    else if (strcmp(type, "graduated_percentage") == 0)
        rate_graduated(work);
    else if (strcmp(type, "percentage") == 0)
        rate_percentage(work, counted->events);
    else if (strcmp(type, "matrix") == 0 && counted->values)
        rate_matrix(work, counted->values);
    else
        work->is_wrong = true;
}

/* --- before and after --- */

/* Rounded at `places` decimals; "none" is half away from zero at the twelfth. */
static void round_conversion(mpq_t quantity, const char *rounding, int places)
{
    mpz_t unit, rounded;

    mpz_inits(unit, rounded, NULL);
    mpz_ui_pow_ui(unit, 10, (unsigned long)places);
    mpz_mul(mpq_numref(quantity), mpq_numref(quantity), unit);
    mpq_canonicalize(quantity);
    if (strcmp(rounding, "up") == 0)
        mpz_cdiv_q(rounded, mpq_numref(quantity), mpq_denref(quantity));
    else if (strcmp(rounding, "down") == 0)
        mpz_fdiv_q(rounded, mpq_numref(quantity), mpq_denref(quantity));
    else
        round_half(rounded, quantity);
    mpz_set(mpq_numref(quantity), rounded);
    mpz_set(mpq_denref(quantity), unit);
    mpq_canonicalize(quantity);
    mpz_clears(unit, rounded, NULL);
}

static void convert(struct work *work)
{
    const json_t *conversion = json_object_get(work->price, "unitConversion");
    const char *operation = json_string_value(json_object_get(conversion, "operation"));
    const char *rounding = json_string_value(json_object_get(conversion, "rounding"));
    int precision = (int)json_integer_value(json_object_get(conversion, "precision"));
    mpq_t factor;

    if (!conversion)
        return;
    mpq_init(factor);
    read(work, conversion, "factor", factor);
    if (!operation || !rounding || mpq_sgn(factor) <= 0) {
        work->is_wrong = true;
    } else {
        if (strcmp(operation, "divide") == 0)
            mpq_div(work->quantity, work->quantity, factor);
        else
            mpq_mul(work->quantity, work->quantity, factor);
        round_conversion(work->quantity, rounding,
                         strcmp(rounding, "none") == 0 ? DECIMAL_PLACES : precision);
    }
    mpq_clear(factor);
}

static void take_off_usage(struct work *work, const json_t *discounts)
{
    mpq_t units;

    mpq_init(units);
    if (read_optional(work, discounts, "usage", units))
        mpq_sub(work->quantity, work->quantity, units);
    if (mpq_sgn(work->quantity) < 0)
        mpq_set_ui(work->quantity, 0, 1);
    mpq_clear(units);
}

static bool read_commitment(struct work *work, const char *name, int128 *minor)
{
    mpq_t amount;
    mpz_t whole;
    bool is_there;

    mpq_init(amount);
    mpz_init(whole);
    is_there = read_optional(work, work->price, name, amount);
    mpq_mul(amount, amount, work->scale);
    round_half(whole, amount);
    *minor = whole_of(work, whole);
    mpz_clear(whole);
    mpq_clear(amount);
    return is_there;
}

static int128 sum_of_totals(const struct audit_rating *rating)
{
    int128 sum = 0;

    for (size_t i = 0; i < rating->count; i++)
        sum += rating->details[i].total;
    return sum;
}

/* The maximum is used up in line order; the minimum is a line of its own, without a discount. */
static void commit(struct work *work)
{
    struct audit_rating *rating = work->rating;
    int128 most, least;

    if (read_commitment(work, "maximumAmount", &most)) {
        for (size_t i = 0; i < rating->count; i++) {
            struct audit_detail *detail = &rating->details[i];

            if (detail->total > most) {
                detail->discount += detail->total - most;
                detail->total = most;
            }
            most -= detail->total;
        }
    }
    if (read_commitment(work, "minimumAmount", &least) && sum_of_totals(rating) < least) {
        least -= sum_of_totals(rating);
        keep(work, (struct audit_detail){.amount = least, .total = least});
    }
}

static void sum_up(struct audit_rating *rating)
{
    rating->sum = (struct audit_detail){0};
    for (size_t i = 0; i < rating->count; i++) {
        rating->sum.amount += rating->details[i].amount;
        rating->sum.discount += rating->details[i].discount;
        rating->sum.total += rating->details[i].total;
    }
}

int audit_rate(const json_t *line, const struct audit_counted *counted, int digits,
               struct audit_rating *rating)
{
    const json_t *discounts = json_object_get(line, "discounts");
    struct work work = {
        .price = json_object_get(line, "price"), .digits = digits, .rating = rating};

    mpq_inits(work.percent, work.quantity, work.scale, NULL);
    mpz_ui_pow_ui(mpq_numref(work.scale), 10, (unsigned long)digits);
    set_units(work.quantity, counted->quantity);
    (void)read_optional(&work, discounts, "percentage", work.percent);
    convert(&work);
    take_off_usage(&work, discounts);
    rate_price(&work, counted);
    commit(&work);
    sum_up(rating);
    mpq_clears(work.percent, work.quantity, work.scale, NULL);
    return work.is_wrong ? AUDIT_UNKNOWN : 0;
}
