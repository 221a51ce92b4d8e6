/*
 * refuse.h - says why a verb doesn't do what it is asked to, in one way for all of them.
 *
 * A line "invoicer: DETAIL (CODE)" goes to stderr; with --json
 * {"error":{"code","pointer","detail"}} goes to stdout too, without the pointer where there is
 * none. What stands on the command line itself (exit status 64) and faults are told elsewhere, and
 * the issues of a catalog file are lines of their own.
 *
 * Threads    One.
 */
#pragma once

#include "invoicer/edges/config.h"

/* Returns EX_DATAERR, what most verbs exit with then. `pointer`: where in the input, or NULL. */
int refuse(const struct invoicer_config *config, const char *code, const char *pointer,
           const char *format, ...) PRINTF_LIKE(4, 5);
