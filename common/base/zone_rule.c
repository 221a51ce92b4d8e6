/*
 * zone_rule.c - POSIX time zone rules.
 */
#include "common/base/zone_rule.h"

#include "common/base/civil.h"

enum { HOUR = 3600, DAY_SECONDS = 86400, HOURS_MAX = 167, CHANGES = 6 };

/* --- reading --- */

static bool skip(struct text *rest, char c)
{
    if (rest->length == 0 || *rest->at != c)
        return false;
    rest->at++;
    rest->length--;
    return true;
}

static bool at_digit(struct text rest)
{
    return rest.length && *rest.at >= '0' && *rest.at <= '9';
}

static bool cut_number(struct text *rest, int most, int *number)
{
    int value = 0;

    if (!at_digit(*rest))
        return false;
    for (; at_digit(*rest) && value <= most; rest->at++, rest->length--)
        value = value * 10 + (*rest->at - '0');
    *number = value;
    return value <= most;
}

/* "<-03>" or "CET". */
static bool cut_name(struct text *rest)
{
    const char *from = rest->at;

    if (skip(rest, '<')) {
        (void)text_cut(rest, '>');
        return true;
    }
    while (rest->length &&
           ((*rest->at >= 'A' && *rest->at <= 'Z') || (*rest->at >= 'a' && *rest->at <= 'z'))) {
        rest->at++;
        rest->length--;
    }
    return rest->at != from;
}

/* "[+-]hh[:mm[:ss]]" */
static bool cut_time(struct text *rest, int32_t *seconds)
{
    bool negative = skip(rest, '-');
    int hours, minutes = 0, rest_seconds = 0;

    if (!negative)
        (void)skip(rest, '+');
    if (!cut_number(rest, HOURS_MAX, &hours))
        return false;
    if (skip(rest, ':') && !cut_number(rest, 59, &minutes))
        return false;
    if (skip(rest, ':') && !cut_number(rest, 59, &rest_seconds))
        return false;
    *seconds = hours * HOUR + minutes * 60 + rest_seconds;
    if (negative)
        *seconds = -*seconds;
    return true;
}

static bool cut_day(struct text *rest, struct zone_day *day)
{
    *day = (struct zone_day){.kind = ZONE_DAY_OF_YEAR, .seconds = 2 * HOUR};
    if (skip(rest, 'M')) {
        day->kind = ZONE_DAY_OF_WEEK;
        if (!cut_number(rest, 12, &day->month) || day->month == 0 || !skip(rest, '.') ||
            !cut_number(rest, 5, &day->week) || day->week == 0 || !skip(rest, '.'))
            return false;
    } else if (skip(rest, 'J')) {
        day->kind = ZONE_DAY_WITHOUT_LEAP;
    }
    if (!cut_number(rest, day->kind == ZONE_DAY_OF_WEEK ? 6 : 365, &day->day))
        return false;
    return !skip(rest, '/') || cut_time(rest, &day->seconds);
}

/* The offsets are written as what is added to local time: west is positive. */
int zone_rule_parse(struct text text, struct zone_rule *rule)
{
    struct zone_rule read = {0};
    int32_t west;

    if (!cut_name(&text) || !cut_time(&text, &west))
        return ZONE_RULE_NOT_ONE;
    read.standard = -west;
    if (text.length) {
        read.changes = true;
        read.summer = read.standard + HOUR;
        if (!cut_name(&text))
            return ZONE_RULE_NOT_ONE;
        if (text.length && *text.at != ',') {
            if (!cut_time(&text, &west))
                return ZONE_RULE_NOT_ONE;
            read.summer = -west;
        }
        if (!skip(&text, ',') || !cut_day(&text, &read.start) || !skip(&text, ',') ||
            !cut_day(&text, &read.end) || text.length)
            return ZONE_RULE_NOT_ONE;
    }
    *rule = read;
    return 0;
}

/* --- asking --- */

static int64_t day_in_year(const struct zone_day *rule, int64_t year)
{
    int64_t january = civil_to_day((struct civil_date){year, 1, 1});
    int64_t first, found;
    int weekday;

    if (rule->kind == ZONE_DAY_OF_YEAR)
        return january + rule->day;
    if (rule->kind == ZONE_DAY_WITHOUT_LEAP)
        return january + rule->day - 1 + (rule->day >= 60 && civil_month_days(year, 2) == 29);
    first = civil_to_day((struct civil_date){year, rule->month, 1});
    weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    found = first + (rule->day - weekday + 7) % 7 + 7 * (rule->week - 1);
    while (found >= first + civil_month_days(year, rule->month))
        found -= 7;
    return found;
}

struct change {
    int64_t at;
    int32_t offset; /* from then on */
};

static int64_t change_at(const struct zone_day *rule, int64_t year, int32_t offset_before)
{
    return day_in_year(rule, year) * DAY_SECONDS + rule->seconds - offset_before;
}

/* The changes of three years in the order of time; of two at once the later written stays later. */
static void list_changes(const struct zone_rule *rule, int64_t year, struct change list[CHANGES])
{
    for (size_t i = 0; i < CHANGES; i++) {
        bool starts = i % 2 == 0;
        int64_t of_year = year - 1 + (int64_t)(i / 2);
        struct change change = {
            .at = starts ? change_at(&rule->start, of_year, rule->standard)
                         : change_at(&rule->end, of_year, rule->summer),
            .offset = starts ? rule->summer : rule->standard,
        };
        size_t place = i;

        for (; place > 0 && list[place - 1].at > change.at; place--)
            list[place] = list[place - 1];
        list[place] = change;
    }
}

/* Drops changes that another follows at once and those to the offset that already holds. */
static size_t keep_real(struct change list[CHANGES])
{
    size_t count = 0;

    for (size_t i = 0; i < CHANGES; i++) {
        bool followed = i + 1 < CHANGES && list[i + 1].at == list[i].at;

        if (!followed && (count == 0 || list[count - 1].offset != list[i].offset))
            list[count++] = list[i];
    }
    return count;
}

struct zone_segment zone_rule_segment(const struct zone_rule *rule, int64_t seconds)
{
    int64_t day = seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
    struct change changes[CHANGES];
    struct zone_segment segment = {.from = INT64_MIN, .to = INT64_MAX};
    size_t count, i;

    list_changes(rule, civil_from_day(day).year, changes);
    count = keep_real(changes);
    if (count <= 2) { /* each summer begins as the last one ends: these are the list's own ends */
        segment.offset = changes[0].offset;
        return segment;
    }
    segment.offset = changes[0].offset == rule->summer ? rule->standard : rule->summer;
    for (i = 0; i < count && changes[i].at <= seconds; i++) {
        segment.from = changes[i].at;
        segment.offset = changes[i].offset;
    }
    if (i < count)
        segment.to = changes[i].at;
    return segment;
}
