#include "bench/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

static bool take(const struct word *word, const char *value)
{
    char *end;

    if (word->text) {
        *word->text = value;
        return true;
    }
    errno = 0;
    *word->number = strtoll(value, &end, 10);
    return errno == 0 && *value && !*end;
}

static bool read_one(const char *argument, const struct word *words, int count)
{
    const char *sign = strchr(argument, '=');

    if (!sign)
        return false;
    for (int i = 0; i < count; i++)
        if (strlen(words[i].name) == (size_t)(sign - argument) &&
            strncmp(words[i].name, argument, (size_t)(sign - argument)) == 0)
            return take(&words[i], sign + 1);
    return false;
}

void words_read(const char *program, int argc, char **argv, const struct word *words, int count)
{
    for (int i = 1; i < argc; i++) {
        if (read_one(argv[i], words, count))
            continue;
        fprintf(stderr, "%s: what is \"%s\"? It takes", program, argv[i]);
        for (int j = 0; j < count; j++)
            fprintf(stderr, " %s=%s", words[j].name, words[j].text ? "TEXT" : "NUMBER");
        fprintf(stderr, "\n");
        exit(EX_USAGE);
    }
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_process_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t clock_wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}
