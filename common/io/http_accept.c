/*
 * http_accept.c - which of several forms of an answer a client would like best.
 */
#include "common/io/http.h"

enum { QUALITY_MOST = 1000 };

/* "0.25" in thousandths; what isn't a quality is none. */
static int quality_of(struct text text)
{
    int quality = 0;
    int place = QUALITY_MOST;

    if (text.length == 0 || text.length > 5 || (text.length > 1 && text.at[1] != '.'))
        return 0;
    for (size_t i = 0; i < text.length; i++) {
        if (i == 1)
            continue;
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0;
        quality += (text.at[i] - '0') * place;
        place /= 10;
    }
    return quality > QUALITY_MOST ? 0 : quality;
}

static struct text unquoted(struct text text)
{
    bool is_quoted = text.length > 1 && text.at[0] == '"' && text.at[text.length - 1] == '"';

    return is_quoted ? text_from(text.at + 1, text.length - 2) : text;
}

/* How much a range of the header likes the offer: 0 when it doesn't name it. */
static int quality_for(struct text range, const struct http_offer *offer)
{
    struct text type = text_trim(text_cut(&range, ';'));
    int quality = QUALITY_MOST;

    if (!text_equal_ignoring_case(type, text_of(offer->type)))
        return 0;
    while (range.length) {
        struct text value = text_cut(&range, ';');
        struct text name = text_trim(text_cut(&value, '='));

        value = unquoted(text_trim(value));
        if (text_equal_ignoring_case(name, text_of("q")))
            quality = quality_of(value);
        else if (offer->version && text_equal_ignoring_case(name, text_of("version")) &&
                 !text_is(value, offer->version))
            return 0;
    }
    return quality;
}

size_t http_choose(const struct http_request *request, const struct http_offer *offers,
                   size_t count)
{
    struct text accept = http_header(request, "accept");
    size_t chosen = 0;
    int best = 0;

    while (accept.length) {
        struct text range = text_cut(&accept, ',');

        for (size_t i = 0; i < count; i++) {
            int quality = quality_for(range, &offers[i]);

            if (quality > best) {
                best = quality;
                chosen = i;
            }
        }
    }
    return chosen;
}
