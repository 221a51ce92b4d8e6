/*
 * civil.c - the Gregorian calendar by eras of 400 years, which have 146097 days each.
 *
 * Years are counted from March, so that the leap day is the last of its year and the months before
 * it have fixed starts: month m of them (March is 0) starts on day (153 m + 2) / 5.
 */
#include "common/base/civil.h"

enum { DAYS_ERA = 146097, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int civil_month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && is_leap(year));
}

bool civil_is_date(struct civil_date date)
{
    return date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= civil_month_days(date.year, date.month);
}

static int64_t divide_floored(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t civil_to_day(struct civil_date date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = divide_floored(year, 400);
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;

    return era * DAYS_ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

struct civil_date civil_from_day(int64_t day)
{
    int64_t era = divide_floored(day + DAYS_TO_1970, DAYS_ERA);
    int64_t of_era = day + DAYS_TO_1970 - era * DAYS_ERA;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t from_march = (5 * of_year + 2) / 153;
    int month = (int)(from_march < 10 ? from_march + 3 : from_march - 9);

    return (struct civil_date){
        .year = year + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(of_year - (153 * from_march + 2) / 5 + 1),
    };
}
