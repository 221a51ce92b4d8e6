/*
 * words.h - a benchmark tool's arguments, name=value each, and its clocks.
 *
 * Errors     A wrong word ends the program with 64 and says which names there are.
 * Threads    One.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct word {
    const char *name;
    const char **text; /* one of the two */
    int64_t *number;
};

void words_read(const char *program, int argc, char **argv, const struct word *words, int count);

int64_t clock_process_ns(void); /* CPU time of this process */
int64_t clock_wall_ns(void);
