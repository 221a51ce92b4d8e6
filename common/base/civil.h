/*
 * civil.h - dates of the proleptic Gregorian calendar and their day numbers.
 *
 * Units      Day numbers count from 1970-01-01; months 1..12, days of the month 1..31.
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct civil_date {
    int64_t year; /* astronomical: 0 is 1 BC */
    int month, day;
};

int civil_month_days(int64_t year, int month);
bool civil_is_date(struct civil_date date);
int64_t civil_to_day(struct civil_date date); /* a month's day may lie past its end: it counts on */
struct civil_date civil_from_day(int64_t day);
