/*
 * audit_credit.c - shares by rational numbers.
 */
#include "invoicer/rules/audit_credit.h"

#include <gmp.h>
#include <stdlib.h>
#include <string.h>

/* A line's part. */
struct part {
    const json_t *line;
    size_t index;
    int128 fee, share;
    mpz_t rest; /* of fee × used / sum of the fees */
};

struct checking {
    const struct currency *currency;
    struct part *parts;
    size_t count;
    int128 fees;
    struct audit_credit_difference *difference;
};

static const char *string_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static int128 amount_of(const json_t *object, const char *name, const struct currency *currency)
{
    struct money money;

    return money_parse(text_of(string_of(object, name)), currency, &money) ? 0 : money.minor;
}

struct money audit_credit_used(const json_t *invoice, const struct currency *currency)
{
    return (struct money){amount_of(json_object_get(invoice, "credit"), "used", currency)};
}

static int compare(const struct checking *it, const json_t *object, const json_t *line,
                   const char *what, int128 found)
{
    if (amount_of(object, what, it->currency) == found)
        return 0;
    *it->difference = (struct audit_credit_difference){
        .line = line, .what = what, .stated = string_of(object, what), .found = {found}};
    return AUDIT_CREDIT_DIFFERS;
}

static bool is_paid_by_credit(const json_t *line)
{
    const json_t *price = json_object_get(line, "price");

    return strcmp(string_of(line, "kind"), "fee") == 0 &&
           strcmp(string_of(price, "type"), "flat") == 0 &&
           strcmp(string_of(price, "paymentTerm"), "in_advance") == 0;
}

static void list_parts(struct checking *it, const json_t *invoice)
{
    const json_t *lines = json_object_get(invoice, "lines");
    json_t *line;
    size_t i;

    it->count = json_array_size(lines);
    it->parts = calloc(it->count + 1, sizeof(*it->parts));
    if (!it->parts)
        abort();
    json_array_foreach((json_t *)lines, i, line)
    {
        struct part *part = &it->parts[i];

        part->line = line;
        part->index = i;
        if (is_paid_by_credit(line))
            part->fee =
                amount_of(line, "amount", it->currency) - amount_of(line, "discount", it->currency);
        it->fees += part->fee;
        mpz_init(part->rest);
    }
}

static void set_number(mpz_t number, int128 value)
{
    uint64_t limbs[2] = {(uint64_t)value, (uint64_t)(value >> 64)};

    mpz_import(number, 2, -1, sizeof(limbs[0]), 0, 0, limbs);
}

static int128 number_of(const mpz_t number)
{
    uint64_t limbs[2] = {0};
    size_t count;

    (void)mpz_export(limbs, &count, -1, sizeof(limbs[0]), 0, 0, number);
    return (int128)((uint128)limbs[1] << 64 | limbs[0]);
}

/* The largest rest first, and the first line of those with the same. */
static int by_rest(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    int order = mpz_cmp(y->rest, x->rest);

    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int by_index(const void *a, const void *b)
{
    const struct part *x = a, *y = b;

    return (x->index > y->index) - (x->index < y->index);
}

/* used × fee / fees, cut off; then a unit more for the largest rests until all of it is given. */
static void share_out(struct checking *it, int128 used)
{
    int128 left = used;
    mpz_t product, fees;

    mpz_inits(product, fees, NULL);
    set_number(fees, it->fees);
    for (size_t i = 0; i < it->count && it->fees > 0; i++) {
        struct part *part = &it->parts[i];
        mpz_t share;

        mpz_init(share);
        set_number(product, used);
        set_number(share, part->fee);
        mpz_mul(product, product, share);
        mpz_fdiv_qr(share, part->rest, product, fees);
        part->share = number_of(share);
        left -= part->share;
        mpz_clear(share);
    }
    mpz_clears(product, fees, NULL);
    qsort(it->parts, it->count, sizeof(*it->parts), by_rest);
    for (size_t i = 0; i < it->count && left > 0; i++, left--)
        it->parts[i].share++;
    qsort(it->parts, it->count, sizeof(*it->parts), by_index);
}

static int compare_lines(const struct checking *it)
{
    for (size_t i = 0; i < it->count; i++) {
        const struct part *part = &it->parts[i];
        int r = compare(it, part->line, part->line, "credit", part->share);

        if (r)
            return r;
    }
    return 0;
}

/* An invoice with nothing left of a credit doesn't speak of it. */
static int compare_credit(struct checking *it, const json_t *invoice,
                          const struct money *used_before)
{
    const json_t *credit = json_object_get(invoice, "credit");
    int128 before =
        used_before ? used_before->minor : amount_of(credit, "usedBefore", it->currency);
    int128 left = amount_of(credit, "granted", it->currency) - before;
    int128 used = left < it->fees ? left : it->fees;
    int r = 0;

    if (!credit)
        left = used = 0;
    else
        r = compare(it, credit, NULL, "usedBefore", before);
    if (!r && credit)
        r = compare(it, credit, NULL, "used", used);
    if (!r && credit)
        r = compare(it, credit, NULL, "remaining", left - used);
    if (r)
        return r;
    share_out(it, used);
    return compare_lines(it);
}

int audit_credit(const json_t *invoice, const struct currency *currency,
                 const struct money *used_before, struct audit_credit_difference *difference)
{
    struct checking it = {.currency = currency, .difference = difference};
    int r;

    list_parts(&it, invoice);
    r = compare_credit(&it, invoice, used_before);
    for (size_t i = 0; i < it.count; i++)
        mpz_clear(it.parts[i].rest);
    free(it.parts);
    return r;
}
