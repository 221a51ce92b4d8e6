/*
 * json_number.h - where a JSON number ends. Inline, as the scanner passes a few an event.
 *
 * Threads    Any.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

static inline const char *json_pass_digits(const char *at, const char *end)
{
    while (at < end && (unsigned char)(*at - '0') <= 9)
        at++;
    return at;
}

/* Behind the fraction or exponent that begins at `at`, where there is one; NULL without digits. */
static inline const char *json_pass_tail(const char *at, const char *end, bool exponent)
{
    const char *digits = at + 1;

    if (exponent && digits < end && (*digits == '+' || *digits == '-'))
        digits++;
    at = json_pass_digits(digits, end);
    return at > digits ? at : NULL;
}

/* Behind the number at `at`; NULL when it isn't one. */
static inline const char *json_pass_number(const char *at, const char *end)
{
    const char *digits;

    if (at < end && *at == '-')
        at++;
    digits = at;
    at = json_pass_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.')
        at = json_pass_tail(at, end, false);
    if (at && at < end && (*at == 'e' || *at == 'E'))
        at = json_pass_tail(at, end, true);
    return at;
}
