/*
 * catalog_file.h - reads a catalog file and says everything that is wrong with it.
 *
 * A file is one JSON object of `configuration`, `meters`, `features`, `plans`, `customers` and
 * `subscriptions`, all optional (metering.md 1 to 5). It is checked against itself and against the
 * catalog that stands, since it may leave out what is there already. What comes back is strict:
 * every default written out, every number a shortest decimal string, every time in UTC, so that two
 * files that mean the same are the same.
 *
 * Errors     All issues of the file, in file order; the file is refused when any of them is an
 * error. Threads    Any.
 */
#pragma once

#include "invoicer/rules/catalog_state.h"
#include "invoicer/rules/issue.h"

enum {
    CATALOG_FILE_BYTES_MAX = 64 * 1024 * 1024,
    CATALOG_PHASES_MAX = 32,
    CATALOG_CARDS_MAX = 100,
    CATALOG_TIERS_MAX = 64,
};

/* The strict file, new; NULL when it isn't one JSON object. Use it only without issues->errors. */
MUST_USE json_t *catalog_file_read(struct text file, const struct catalog_state *state,
                                   struct issues *issues);
