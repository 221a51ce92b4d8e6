/*
 * card_json.c - the members of a line that follow from its rate card alone.
 */
#include "invoicer/rules/card_json.h"

#include "invoicer/rules/hash128.h"
#include "invoicer/rules/json_write.h"

void card_write_names(const struct rate_card *card, struct text phase_key, struct buffer *json)
{
    if (!text_is_absent(card->kept.names)) {
        buffer_add_text(json, card->kept.names);
        return;
    }
    json_write_text(json, ",\"name\":", card->name);
    json_write_text(json, ",\"phaseKey\":", phase_key);
    json_write_text(json, ",\"rateCardKey\":", card->key);
    json_write_text(json, ",\"featureKey\":", card->feature_key);
}

void card_write_terms(const struct rate_card *card, struct text price_version, struct buffer *json)
{
    if (!text_is_absent(card->kept.terms)) {
        buffer_add_text(json, card->kept.terms);
        return;
    }
    json_write_text(json, ",\"priceVersion\":", price_version);
    buffer_add_string(json, ",\"price\":");
    price_write(&card->price, json);
    json_write_decimal(json, ",\"discounts\":{\"percentage\":", card->discounts.percent);
    json_write_decimal(json, ",\"usage\":", card->discounts.usage);
    buffer_add_char(json, '}');
}

static struct card_digest digest_of(struct text text)
{
    struct card_digest digest;

    static_assert(sizeof(digest.bytes) == HASH128_BYTES);
    hash128(text, digest.bytes);
    return digest;
}

struct card_digest card_digest_terms(const struct rate_card *card, struct text price_version)
{
    CLEANUP(buffer_deinit) struct buffer terms = {0};

    if (!text_is_absent(card->kept.terms))
        return card->kept.terms_digest;
    card_write_terms(card, price_version, &terms);
    return digest_of(buffer_text(&terms));
}

bool card_keep(const struct plan *plan, const struct phase *phase, struct rate_card *card,
               struct arena *arena)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    struct card_kept kept;

    buffer_add_text(&text, plan->key);
    buffer_add_char(&text, '@');
    buffer_add_int(&text, plan->version);
    buffer_printf(&text, "/%.*s/%.*s", (int)phase->key.length, phase->key.at, (int)card->key.length,
                  card->key.at);
    kept.version = arena_copy(arena, buffer_text(&text));
    buffer_clear(&text);
    card_write_names(card, phase->key, &text);
    kept.names = arena_copy(arena, buffer_text(&text));
    buffer_clear(&text);
    card_write_terms(card, kept.version, &text);
    kept.terms = arena_copy(arena, buffer_text(&text));
    kept.terms_digest = digest_of(buffer_text(&text));
    if (text_is_absent(kept.version) || text_is_absent(kept.names) || text_is_absent(kept.terms))
        return false;
    card->kept = kept;
    return true;
}
