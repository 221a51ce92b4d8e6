#include "invoicer/rules/duration.h"

/* Reads digits and their unit letter; 0 when that isn't what follows. */
static char read_part(struct text *rest, int64_t *number)
{
    size_t i = 0;
    int64_t value = 0;

    while (i < rest->length && rest->at[i] >= '0' && rest->at[i] <= '9') {
        value = value * 10 + (rest->at[i] - '0');
        if (value > DURATION_PART_MAX)
            return 0;
        i++;
    }
    if (i == 0 || i == rest->length)
        return 0;
    *number = value;
    rest->at += i + 1;
    rest->length -= i + 1;
    return rest->at[-1];
}

/* Where a unit stands in the only order that ISO 8601 allows; 0: no unit there. */
static int place_of(char unit, bool in_time)
{
    switch (unit) {
    case 'Y':
        return in_time ? 0 : 1;
    case 'M':
        return in_time ? 6 : 2;
    case 'W':
        return in_time ? 0 : 3;
    case 'D':
        return in_time ? 0 : 4;
    case 'H':
        return in_time ? 5 : 0;
    case 'S':
        return in_time ? 7 : 0;
    default:
        return 0;
    }
}

static bool add_part(struct duration *sum, int place, int64_t number)
{
    switch (place) {
    case 1:
        sum->months += 12 * number;
        return true;
    case 2:
        sum->months += number;
        return true;
    case 3:
        sum->days += 7 * number;
        return true;
    case 4:
        sum->days += number;
        return true;
    case 5:
        sum->minutes += 60 * number;
        return true;
    case 6:
        sum->minutes += number;
        return true;
    default:
        sum->minutes += number / 60;
        return number % 60 == 0;
    }
}

bool duration_parse(struct text text, struct duration *duration)
{
    struct duration sum = {0};
    bool in_time = false;
    int last = 0;

    if (text.length < 3 || text.at[0] != 'P' || text.at[text.length - 1] == 'T')
        return false;
    text.at++;
    text.length--;
    while (text.length > 0) {
        int64_t number = 0;
        int place;

        if (text.at[0] == 'T') {
            if (in_time)
                return false;
            in_time = true;
            text.at++;
            text.length--;
        }
        place = place_of(read_part(&text, &number), in_time);
        if (place <= last || !add_part(&sum, place, number))
            return false;
        last = place;
    }
    *duration = sum;
    return true;
}

bool duration_reaches_an_hour(struct duration duration)
{
    return duration.months > 0 || duration.days > 0 || duration.minutes >= 60;
}

static bool divides(int64_t a, int64_t b)
{
    return a > 0 && b > 0 && (a % b == 0 || b % a == 0);
}

bool duration_aligns(struct duration a, struct duration b)
{
    bool a_months = a.months && !a.days && !a.minutes;
    bool b_months = b.months && !b.days && !b.minutes;
    int64_t a_minutes = a.days * 1440 + a.minutes, b_minutes = b.days * 1440 + b.minutes;

    if (a_months && b_months)
        return divides(a.months, b.months);
    if (!a.months && !b.months)
        return divides(a_minutes, b_minutes);
    if (a_months && !b.months)
        return b_minutes > 0 && 1440 % b_minutes == 0;
    if (b_months && !a.months)
        return a_minutes > 0 && 1440 % a_minutes == 0;
    return a.months == b.months && a_minutes == b_minutes; /* mixed: equal alone */
}
