#include "ingest/rules/base64.h"

static int digit_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t padding_of(struct text text)
{
    if (text.length == 0 || text.at[text.length - 1] != '=')
        return 0;
    return text.at[text.length - 2] == '=' ? 2 : 1;
}

bool base64_decode(struct text text, char *into, size_t *length)
{
    size_t padding, digits, written = 0;
    uint32_t bits = 0;

    if (text.length % 4 != 0)
        return false;
    padding = padding_of(text);
    digits = text.length - padding;
    for (size_t i = 0; i < digits; i++) {
        int digit = digit_of(text.at[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0)
            into[written++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xFF);
    }
    *length = written;
    return true;
}
