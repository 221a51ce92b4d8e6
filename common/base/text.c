/*
 * text.c - borrowed runs of bytes.
 */
#include "common/base/text.h"

#include <stdlib.h>
#include <string.h>

int text_compare(struct text a, struct text b)
{
    size_t shorter = a.length < b.length ? a.length : b.length;
    int order;

    if (!a.at || !b.at)
        return (a.at != NULL) - (b.at != NULL);
    order = memcmp(a.at, b.at, shorter);
    if (order)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

bool text_starts(struct text text, const char *prefix)
{
    size_t length = strlen(prefix);

    return text.at && text.length >= length && memcmp(text.at, prefix, length) == 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether eight bytes are the same but for the case of letters: that is bit 5 of a byte. */
static bool eight_equal(const char *a, const char *b)
{
    const uint64_t each = 0x0101010101010101, high = 0x80 * each, case_bits = 0x20 * each;
    uint64_t x, y, low, letters;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    if ((x ^ y) & ~case_bits)
        return false;
    low = (x | case_bits) & ~high;
    letters = (low + (0x80 - 'a') * each) & ~(low + (0x7f - 'z') * each) & ~x & high;
    return (((x ^ y) << 2) & ~letters) == 0;
}

bool text_letters_equal(struct text a, struct text b)
{
    if (a.length >= 8) {
        for (size_t i = 0; i + 8 < a.length; i += 8) {
            if (!eight_equal(a.at + i, b.at + i))
                return false;
        }
        return eight_equal(a.at + a.length - 8, b.at + a.length - 8);
    }
    for (size_t i = 0; i < a.length; i++) {
        if (a.at[i] != b.at[i] && lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct text text_trim(struct text text)
{
    while (text.length && is_blank(text.at[0])) {
        text.at++;
        text.length--;
    }
    while (text.length && is_blank(text.at[text.length - 1]))
        text.length--;
    return text;
}

struct text text_cut(struct text *rest, char separator)
{
    struct text whole = *rest;
    const char *end = whole.length ? memchr(whole.at, separator, whole.length) : NULL;
    size_t length;

    if (!end) {
        *rest = (struct text){whole.at ? whole.at + whole.length : NULL, 0};
        return whole;
    }
    length = (size_t)(end - whole.at);
    *rest = (struct text){end + 1, whole.length - length - 1};
    return (struct text){whole.at, length};
}

char *text_copy(struct text text)
{
    char *copy = malloc(text.length + 1);

    if (!copy)
        abort();
    if (text.length)
        memcpy(copy, text.at, text.length);
    copy[text.length] = '\0';
    return copy;
}
