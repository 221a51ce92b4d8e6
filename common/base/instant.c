/*
 * instant.c - clock, conversions and RFC 3339.
 */
#include "common/base/instant.h"

#include "common/base/civil.h"
#include "common/base/digits.h"

#include <assert.h>
#include <endian.h>
#include <string.h>
#include <time.h>

static const int64_t NS_SECOND = 1000000000, NS_MS = 1000000, SECONDS_DAY = 86400;

struct instant instant_now(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now))
        assert(!"there is a clock");
    return (struct instant){(int64_t)now.tv_sec * NS_SECOND + now.tv_nsec};
}

/* count × unit + more, at the nearest end where that lies outside. */
static struct instant saturate(int64_t count, int64_t unit, int64_t more)
{
    int128 ns = (int128)count * unit + more;

    if (ns > INT64_MAX)
        return (struct instant){INT64_MAX};
    if (ns < INT64_MIN)
        return (struct instant){INT64_MIN};
    return (struct instant){(int64_t)ns};
}

struct instant instant_from_seconds(int64_t seconds)
{
    return saturate(seconds, NS_SECOND, 0);
}

struct instant instant_from_ms(int64_t ms)
{
    return saturate(ms, NS_MS, 0);
}

struct instant instant_from_minute(int64_t minute)
{
    return saturate(minute, 60 * NS_SECOND, 0);
}

static int64_t divide_floored(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t instant_ms(struct instant instant)
{
    return divide_floored(instant.ns, NS_MS);
}

int64_t instant_minute(struct instant instant)
{
    return divide_floored(instant.ns, 60 * NS_SECOND);
}

int64_t instant_day(struct instant instant)
{
    return divide_floored(instant.ns, SECONDS_DAY * NS_SECOND);
}

struct scan {
    const char *at, *end;
};

static bool at_digit(const struct scan *scan)
{
    return scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9';
}

/* The number of two digits; *is_wrong where they aren't. */
static int pair_at(const char *at, bool *is_wrong)
{
    unsigned tens = (unsigned char)at[0] - (unsigned)'0',
             ones = (unsigned char)at[1] - (unsigned)'0';

    *is_wrong |= (tens > 9) | (ones > 9);
    return (int)(tens * 10 + ones);
}

/* "10:20" */
static bool take_hour_and_minute(struct scan *scan, int *seconds)
{
    bool is_wrong = false;
    int hour, minute;

    if (scan->end - scan->at < 5 || scan->at[2] != ':')
        return false;
    hour = pair_at(scan->at, &is_wrong);
    minute = pair_at(scan->at + 3, &is_wrong);
    scan->at += 5;
    *seconds = hour * 3600 + minute * 60;
    return !is_wrong && hour < 24 && minute < 60;
}

/* "2026-10-25T10:20:30", whose every byte has its place; `second` may be 60. */
static bool take_date_and_time(struct scan *scan, struct civil_date *date, int *of_day, int *second)
{
    const char *at = scan->at;
    bool is_wrong = false;

    if (scan->end - at < 19 || at[4] != '-' || at[7] != '-' || (at[10] != 'T' && at[10] != 't') ||
        at[16] != ':')
        return false;
    date->year = pair_at(at, &is_wrong) * 100 + pair_at(at + 2, &is_wrong);
    date->month = pair_at(at + 5, &is_wrong);
    date->day = pair_at(at + 8, &is_wrong);
    *second = pair_at(at + 17, &is_wrong);
    scan->at = at + 11;
    if (!take_hour_and_minute(scan, of_day) || is_wrong)
        return false;
    scan->at = at + 19;
    return civil_is_date(*date) && *second <= 60;
}

/* ".5": nanoseconds, what follows them is cut. None is 0. */
static bool take_fraction(struct scan *scan, int64_t *ns)
{
    int64_t value = 0;
    int places = 0;

    *ns = 0;
    if (scan->at == scan->end || *scan->at != '.')
        return true;
    scan->at++;
    if (!at_digit(scan))
        return false;
    for (; at_digit(scan); scan->at++, places++)
        if (places < 9)
            value = value * 10 + (*scan->at - '0');
    for (; places < 9; places++)
        value *= 10;
    *ns = value;
    return true;
}

/* "Z" or "+02:00", in seconds east. */
static bool take_offset(struct scan *scan, int *seconds)
{
    char sign = scan->at == scan->end ? '\0' : *scan->at++;

    *seconds = 0;
    if (sign == 'Z' || sign == 'z')
        return true;
    if ((sign != '+' && sign != '-') || !take_hour_and_minute(scan, seconds))
        return false;
    if (sign == '-')
        *seconds = -*seconds;
    return true;
}

/* Whether the UTC second is the last of its month, the only place where a leap second may follow.
 */
static bool ends_month(int64_t seconds)
{
    int64_t next = seconds + 1;

    return next % SECONDS_DAY == 0 && civil_from_day(next / SECONDS_DAY).day == 1;
}

/* Eight bytes of a time's usual spelling: where `form` has zeros there are digits, whose worth is
 * left of them; anything else stands as it does in `form`. `over`, for each byte from the last to
 * the first, takes 10 to the top bit where there is a digit (0x76), and 1 elsewhere (0x7f). */
static inline bool take_eight(const char *at, const char form[9], uint64_t over, uint64_t *digits)
{
    uint64_t bytes, wanted;

    memcpy(&bytes, at, sizeof(bytes));
    memcpy(&wanted, form, sizeof(wanted));
    *digits = le64toh(bytes ^ wanted);
    return !(((*digits + over) | *digits) & 0x8080808080808080u);
}

/* The number of the two digits at `place`. */
static inline int pair_of(uint64_t digits, int place)
{
    digits >>= 8 * place;
    return (int)((digits & 0xff) * 10 + (digits >> 8 & 0xff));
}

/* "2026-10-25T10:20:30.123Z", as most clocks write. False: it isn't that, but may be a time. */
static bool parse_usual(struct text text, int64_t *seconds, int64_t *fraction)
{
    uint64_t first, middle, last;
    struct civil_date date;
    int hour, minute, second;

    if (text.length != 24 || !take_eight(text.at, "0000-00-", 0x7f76767f76767676, &first) ||
        !take_eight(text.at + 8, "00T00:00", 0x76767f76767f7676, &middle) ||
        !take_eight(text.at + 16, ":00.000Z", 0x7f7676767f76767f, &last))
        return false;
    date = (struct civil_date){.year = pair_of(first, 0) * 100 + pair_of(first, 2),
                               .month = pair_of(first, 5),
                               .day = pair_of(middle, 0)};
    hour = pair_of(middle, 3);
    minute = pair_of(middle, 6);
    second = pair_of(last, 1);
    if (hour > 23 || minute > 59 || second > 59 || !civil_is_date(date))
        return false;
    *seconds = civil_to_day(date) * SECONDS_DAY + hour * 3600 + minute * 60 + second;
    *fraction = (pair_of(last, 4) * 10 + (int)(last >> 48 & 0xff)) * NS_MS;
    return true;
}

static int parse(struct text text, int64_t *seconds, int64_t *fraction)
{
    struct scan scan = {text.at, text.length ? text.at + text.length : text.at};
    struct civil_date date;
    int of_day, second, offset;

    if (!take_date_and_time(&scan, &date, &of_day, &second) || !take_fraction(&scan, fraction) ||
        !take_offset(&scan, &offset) || scan.at != scan.end)
        return INSTANT_NOT_A_TIME;
    *seconds = civil_to_day(date) * SECONDS_DAY + of_day - offset + second;
    if (second == 60) {
        --*seconds;
        *fraction = NS_SECOND - 1;
        if (!ends_month(*seconds))
            return INSTANT_NOT_A_TIME;
    }
    return 0;
}

int instant_parse(struct text text, struct instant *instant)
{
    int64_t seconds, fraction;

    if (!parse_usual(text, &seconds, &fraction) && parse(text, &seconds, &fraction))
        return INSTANT_NOT_A_TIME;
    *instant = saturate(seconds, NS_SECOND, fraction);
    return 0;
}

/* An offset can lead out of the years 0 to 9999, which is all that can be written. */
int instant_parse_minute(struct text text, int64_t *minute)
{
    const struct civil_date first = {.year = 0, .month = 1, .day = 1};
    const struct civil_date behind = {.year = 10000, .month = 1, .day = 1};
    int64_t least = civil_to_day(first) * SECONDS_DAY / 60;
    int64_t most = civil_to_day(behind) * SECONDS_DAY / 60 - 1;
    int64_t seconds, fraction;

    if (!parse_usual(text, &seconds, &fraction) && parse(text, &seconds, &fraction))
        return INSTANT_NOT_A_TIME;
    *minute = divide_floored(seconds, 60);
    *minute = *minute < least ? least : *minute > most ? most : *minute;
    return 0;
}

/* Behind the seconds: "Z", or the fraction in 3, 6 or 9 digits and the Z. */
static char *write_fraction(char *at, uint64_t ns)
{
    if (ns) {
        *at++ = '.';
        at = ns % 1000000 == 0 ? digits_write(at, ns / 1000000, 3)
             : ns % 1000 == 0  ? digits_write(at, ns / 1000, 6)
                               : digits_write(at, ns, 9);
    }
    *at++ = 'Z';
    return at;
}

/* Years of four digits: an instant has 1677 to 2262, a minute 0 to 9999. */
static char *write_seconds(char *text, int64_t seconds)
{
    int64_t day = divide_floored(seconds, SECONDS_DAY);
    unsigned of_day = (unsigned)(seconds - day * SECONDS_DAY);
    struct civil_date date = civil_from_day(day);

    memcpy(text, "0000-00-00T00:00:00", 19);
    digits_write(text, (uint64_t)date.year, 4);
    digits_write_pair(text + 5, (unsigned)date.month);
    digits_write_pair(text + 8, (unsigned)date.day);
    digits_write_pair(text + 11, of_day / 3600);
    digits_write_pair(text + 14, of_day / 60 % 60);
    digits_write_pair(text + 17, of_day % 60);
    return text + 19;
}

size_t instant_format(struct instant instant, char text[INSTANT_TEXT_MAX])
{
    int64_t seconds = divide_floored(instant.ns, NS_SECOND);
    uint64_t fraction = (uint64_t)instant.ns - (uint64_t)seconds * (uint64_t)NS_SECOND;
    char *end = write_fraction(write_seconds(text, seconds), fraction);

    *end = '\0';
    return (size_t)(end - text);
}

size_t instant_format_minute(int64_t minute, char text[INSTANT_TEXT_MAX])
{
    char *end = write_fraction(write_seconds(text, minute * 60), 0);

    *end = '\0';
    return (size_t)(end - text);
}
