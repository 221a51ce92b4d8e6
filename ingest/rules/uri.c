/*
 * A reference is made of RFC 3986's characters and whole %XX only, has one fragment at the most,
 * and where a colon stands before any of / ? # what is before it is a scheme.
 */
#include "ingest/rules/uri.h"

#include <string.h>

static bool is_letter(char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What a URI is made of, # and % left out. */
static bool is_uri_byte(char c)
{
    static const bool fits[256] = {
        ['!'] = true, ['$'] = true, ['&'] = true, ['\''] = true, ['('] = true, [')'] = true,
        ['*'] = true, ['+'] = true, [','] = true, ['-'] = true,  ['.'] = true, ['/'] = true,
        ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true,  ['4'] = true, ['5'] = true,
        ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true,  [':'] = true, [';'] = true,
        ['='] = true, ['?'] = true, ['@'] = true, ['A'] = true,  ['B'] = true, ['C'] = true,
        ['D'] = true, ['E'] = true, ['F'] = true, ['G'] = true,  ['H'] = true, ['I'] = true,
        ['J'] = true, ['K'] = true, ['L'] = true, ['M'] = true,  ['N'] = true, ['O'] = true,
        ['P'] = true, ['Q'] = true, ['R'] = true, ['S'] = true,  ['T'] = true, ['U'] = true,
        ['V'] = true, ['W'] = true, ['X'] = true, ['Y'] = true,  ['Z'] = true, ['['] = true,
        [']'] = true, ['_'] = true, ['a'] = true, ['b'] = true,  ['c'] = true, ['d'] = true,
        ['e'] = true, ['f'] = true, ['g'] = true, ['h'] = true,  ['i'] = true, ['j'] = true,
        ['k'] = true, ['l'] = true, ['m'] = true, ['n'] = true,  ['o'] = true, ['p'] = true,
        ['q'] = true, ['r'] = true, ['s'] = true, ['t'] = true,  ['u'] = true, ['v'] = true,
        ['w'] = true, ['x'] = true, ['y'] = true, ['z'] = true,  ['~'] = true,
    };

    return fits[(unsigned char)c];
}

/* How many of them stand in front. */
static size_t uri_bytes(struct text text)
{
    const char *at = text.at, *end = at + text.length;

    while (end - at >= 4 &&
           is_uri_byte(at[0]) + is_uri_byte(at[1]) + is_uri_byte(at[2]) + is_uri_byte(at[3]) == 4)
        at += 4;
    while (at < end && is_uri_byte(*at))
        at++;
    return (size_t)(at - text.at);
}

static bool characters_fit(struct text text)
{
    size_t fragments = 0;

    for (size_t i = uri_bytes(text); i < text.length; i++) {
        char c = text.at[i];
        if (is_uri_byte(c))
            continue;
        if (c == '#')
            fragments++;
        else if (c != '%' || text.length - i < 3 || !is_hex(text.at[i + 1]) ||
                 !is_hex(text.at[i + 2]))
            return false;
    }
    return fragments <= 1;
}

/* The length of what stands before the first colon, where one comes before / ? #; else 0. */
static size_t scheme_length(struct text text)
{
    const char *colon = memchr(text.at, ':', text.length);
    size_t length = colon ? (size_t)(colon - text.at) : 0;

    for (size_t i = 0; i < length; i++)
        if (text.at[i] == '/' || text.at[i] == '?' || text.at[i] == '#')
            return 0;
    return length;
}

static bool is_scheme(struct text text)
{
    if (text.length == 0 || !is_letter(text.at[0]))
        return false;
    for (size_t i = 1; i < text.length; i++)
        if (!is_letter(text.at[i]) && !is_digit(text.at[i]) && !strchr("+-.", text.at[i]))
            return false;
    return true;
}

bool uri_is_absolute(struct text text)
{
    return characters_fit(text) && is_scheme(text_from(text.at, scheme_length(text)));
}

bool uri_is_reference(struct text text)
{
    size_t scheme;

    if (text.length == 0 || text.at[0] == ':' || !characters_fit(text))
        return false;
    scheme = scheme_length(text);
    return scheme == 0 || is_scheme(text_from(text.at, scheme));
}
