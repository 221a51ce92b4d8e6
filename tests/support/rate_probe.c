/*
 * rate_probe.c - answers rating questions, one JSON object a line, for tests/oracle/rating.py.
 */
#include "invoicer/rules/rate_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(arena_deinit) struct arena arena;
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int status = 0;

    arena_init(&arena, 64 * 1024 * 1024);
    while ((length = getline(&line, &room, stdin)) > 0) {
        if (rate_json(text_from(line, (size_t)length), &arena, &answer))
            status = 65;
        buffer_add_char(&answer, '\n');
        (void)fwrite(answer.at, 1, answer.length, stdout);
        buffer_clear(&answer);
        arena_reset(&arena);
    }
    free(line);
    return status;
}
