/*
 * card_json.c - the members of a line that follow from its rate card alone.
 */
#include "invoicer/rules/card_json.h"

#include "invoicer/rules/json_write.h"
#include "invoicer/rules/rate_json.h"

static void write_names(const struct rate_card *card, struct text phase_key, struct buffer *json)
{
    json_write_text(json, ",\"name\":", card->name);
    json_write_text(json, ",\"phaseKey\":", phase_key);
    json_write_text(json, ",\"rateCardKey\":", card->key);
    json_write_text(json, ",\"featureKey\":", card->feature_key);
}

static void write_terms(const struct rate_card *card, struct buffer *json)
{
    json_write_text(json, ",\"priceVersion\":", card->kept.version);
    buffer_add_string(json, ",\"price\":");
    price_write(&card->price, json);
    json_write_decimal(json, ",\"discounts\":{\"percentage\":", card->discounts.percent);
    json_write_decimal(json, ",\"usage\":", card->discounts.usage);
    buffer_add_char(json, '}');
}

bool card_keep_line(struct rate_card *card, struct text phase_key, struct arena *arena)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct card_kept *kept = &card->kept;

    write_names(card, phase_key, &text);
    kept->names = arena_copy(arena, buffer_text(&text));
    buffer_clear(&text);
    write_terms(card, &text);
    kept->terms = arena_copy(arena, buffer_text(&text));
    hash128(buffer_text(&text), kept->terms_digest);
    return !text_is_absent(kept->names) && !text_is_absent(kept->terms);
}

/* --- details --- */

static size_t place_of(const struct rated_line *detail)
{
    size_t tier = detail->tier ? detail->tier - 1 : 0;

    return 2 * tier + (detail->kind == RATED_FLAT);
}

const struct card_detail *card_kept_detail(const struct rate_card *card,
                                           const struct rated_line *detail)
{
    const struct card_kept *kept = &card->kept;
    size_t place = place_of(detail);

    if (detail->kind == RATED_MINIMUM || place >= kept->detail_count ||
        decimal_compare(kept->details[place].unit_amount, detail->unit_amount) != 0)
        return NULL;
    return &kept->details[place];
}

static struct rated_line detail_at(const struct price *price, size_t place)
{
    struct rated_line line = {.kind = place % 2 ? RATED_FLAT : RATED_USAGE,
                              .unit_amount = price->amount};

    if (price->tier_count) {
        const struct price_tier *tier = &price->tiers[place / 2];

        line.tier = place / 2 + 1;
        line.unit_amount = place % 2 ? tier->flat : tier->unit;
    }
    return line;
}

/* Not of a matrix, which can have a thousand values. */
static bool keep_details(const struct price *price, const struct currency *currency,
                         struct arena *arena, struct card_kept *kept)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    size_t count = price->kind == PRICE_MATRIX ? 0 : price->tier_count ? 2 * price->tier_count : 2;
    struct card_detail *details = arena_take(arena, count * sizeof(*details));

    for (size_t i = 0; details && i < count; i++) {
        struct rated_line line = detail_at(price, i);

        details[i].unit_amount = line.unit_amount;
        buffer_clear(&text);
        rated_write_before(&line, price, &text);
        details[i].before = arena_copy(arena, buffer_text(&text));
        buffer_clear(&text);
        rated_write_behind(&line, currency, &text);
        details[i].behind = arena_copy(arena, buffer_text(&text));
        if (text_is_absent(details[i].before) || text_is_absent(details[i].behind))
            return false;
    }
    kept->details = details;
    kept->detail_count = count;
    return details;
}

/* {plan}@{version}/{phase}/{card}, and what follows the subscription in a line's id. */
static bool keep_paths(const struct plan *plan, const struct phase *phase,
                       const struct rate_card *card, struct arena *arena, struct card_kept *kept)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    size_t of_plan;

    buffer_add_text(&text, plan->key);
    buffer_add_char(&text, '@');
    buffer_add_int(&text, plan->version);
    of_plan = text.length;
    buffer_printf(&text, "/%.*s/%.*s", (int)phase->key.length, phase->key.at, (int)card->key.length,
                  card->key.at);
    kept->version = arena_copy(arena, buffer_text(&text));
    buffer_add_string(&text, "/v[1]/period[");
    kept->path = arena_copy(arena, text_from(text.at + of_plan, text.length - of_plan));
    return !text_is_absent(kept->version) && !text_is_absent(kept->path);
}

bool card_keep(const struct plan *plan, const struct phase *phase, struct rate_card *card,
               struct arena *arena)
{
    return keep_paths(plan, phase, card, arena, &card->kept) &&
           card_keep_line(card, phase->key, arena) &&
           keep_details(&card->price, plan->currency, arena, &card->kept);
}
