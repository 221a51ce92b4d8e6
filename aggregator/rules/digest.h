/*
 * digest.h - what a partition's state is known by: the same for the same log prefix, whatever
 * crashes, moves and commits led to it.
 *
 * A multiset hash: the sum mod 2^128 of XXH3-128 over each entry, so that a changed entry costs one
 * subtraction and one addition. A block of counters or of the ledger is one entry: its own checksum
 * (block.h). That works because the numbers of series and accounts are a function of the log, and
 * what is counted under a number is; which text has which number is an entry of its own.
 * Cells and values are summed a UTC day and level; what has aged leaves as a whole by not being
 * summed any more, wherever its rows still lie.
 *
 * Threads    Any.
 */
#pragma once

#include "aggregator/rules/cells.h"
#include "aggregator/rules/ledger.h"

struct day_sums {
    uint128 ids;            /* dedup.h's sum */
    uint128 levels[LEVELS]; /* cells and unique values of the day, each level */
};

uint128 digest_unique(enum level level, int64_t window, const uint8_t series[16],
                      const uint8_t value[16]);
enum digest_name { DIGEST_SERIES, DIGEST_ACCOUNT };
/* The series or account of that number is called so; absent: the account of nobody. */
uint128 digest_name(enum digest_name kind, uint32_t number, struct text text);
/* A day's share of the state; a level that has aged is 0 in `sums`. */
uint128 digest_day(int32_t day, const struct day_sums *sums);

enum { DIGEST_TEXT_BYTES = 33 };
void digest_format(uint128 digest, char text[DIGEST_TEXT_BYTES]); /* 32 hex digits and NUL */
