/*
 * questions.h - a stream of questions from a file: one JSON object a line, or one over several.
 *
 * A line that leaves brackets open goes on in the lines that follow, up to the one that closes
 * them. When none does, or a line begins another object no deeper than this one began, the line is
 * broken and stands alone, so that a broken line takes none of those behind it along. Empty lines
 * are passed over. Memory is bounded by QUESTION_BYTES_MAX, whatever comes.
 *
 * Errors     Outcomes of questions_open and questions_next, with errno's text.
 * Ownership  The question's text is the stream's, until the next call.
 * Threads    One at a time.
 */
#pragma once

#include "common/base/text.h"

enum { QUESTION_BYTES_MAX = 16 * 1024 * 1024 };

struct questions {
    int file;
    struct buffer bytes; /* read and not yet given, from `at` on */
    size_t at, line;     /* of what comes next; lines from 1 */
    bool has_ended;
};

enum questions_outcome {
    QUESTIONS_END = 1,
    QUESTIONS_TOO_LONG,   /* the question's line was passed over; its number is given */
    QUESTIONS_UNREADABLE, /* errno says why */
};

struct question_line {
    struct text text;
    size_t number; /* of its first line */
};

/* "-" or NULL: standard input. */
MUST_USE int questions_open(struct questions *questions, const char *path);
void questions_close(struct questions *questions);
/* Waits for the next one. */
MUST_USE int questions_next(struct questions *questions, struct question_line *question);
/* Whether a whole line is there already: without one, questions_next may wait. */
bool questions_has_line(const struct questions *questions);
