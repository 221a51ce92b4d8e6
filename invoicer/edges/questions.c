#include "invoicer/edges/questions.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 * 1024 };

int questions_open(struct questions *questions, const char *path)
{
    struct stat status;
    int file = path && strcmp(path, "-") != 0 ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

    if (file < 0)
        return QUESTIONS_UNREADABLE;
    if (fstat(file, &status) == 0 && S_ISDIR(status.st_mode)) {
        if (file != STDIN_FILENO)
            (void)close(file);
        errno = EISDIR;
        return QUESTIONS_UNREADABLE;
    }
    *questions = (struct questions){.file = file, .line = 1};
    return 0;
}

void questions_close(struct questions *questions)
{
    buffer_deinit(&questions->bytes);
    if (questions->file > STDIN_FILENO)
        (void)close(questions->file);
    questions->file = -1;
}

/* --- reading --- */

static void forget_given(struct questions *questions)
{
    struct buffer *bytes = &questions->bytes;

    if (questions->at == 0)
        return;
    memmove(bytes->at, bytes->at + questions->at, bytes->length - questions->at);
    bytes->length -= questions->at;
    questions->at = 0;
}

static int read_more(struct questions *questions)
{
    struct buffer *bytes = &questions->bytes;
    ssize_t got;

    forget_given(questions);
    buffer_reserve(bytes, CHUNK_BYTES);
    do {
        got = read(questions->file, bytes->at + bytes->length, CHUNK_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return QUESTIONS_UNREADABLE;
    questions->has_ended = got == 0;
    bytes->length += (size_t)got;
    return 0;
}

bool questions_has_line(const struct questions *questions)
{
    const struct buffer *bytes = &questions->bytes;

    return questions->at < bytes->length &&
           memchr(bytes->at + questions->at, '\n', bytes->length - questions->at);
}

/* The line that begins `from` bytes behind what comes next; the last one may lack its newline. */
static int find_line(struct questions *questions, size_t from, struct text *line)
{
    const struct buffer *bytes = &questions->bytes;
    size_t searched = from;

    for (;;) {
        const char *begin = bytes->at + questions->at;
        size_t there = bytes->length - questions->at;
        const char *newline =
            there > searched ? memchr(begin + searched, '\n', there - searched) : NULL;
        int r;

        if (newline) {
            *line = text_from(begin + from, (size_t)(newline + 1 - begin) - from);
            return 0;
        }
        if (questions->has_ended) {
            *line = text_from(begin + from, there - from);
            return there > from ? 0 : QUESTIONS_END;
        }
        if (there > QUESTION_BYTES_MAX)
            return QUESTIONS_TOO_LONG;
        searched = there;
        r = read_more(questions);
        if (r)
            return r;
    }
}

/* To the end of a line that is too long to keep. */
static int pass_over_line(struct questions *questions)
{
    while (!questions_has_line(questions) && !questions->has_ended) {
        int r;

        questions->at = questions->bytes.length;
        r = read_more(questions);
        if (r)
            return r;
    }
    if (questions_has_line(questions)) {
        const char *begin = questions->bytes.at + questions->at;
        const char *newline = memchr(begin, '\n', questions->bytes.length - questions->at);

        questions->at += (size_t)(newline + 1 - begin);
    } else {
        questions->at = questions->bytes.length;
    }
    questions->line++;
    return 0;
}

/* --- objects over several lines --- */

struct nesting {
    int64_t depth;  /* brackets that are open */
    bool is_broken; /* a string that its line doesn't end */
};

static void follow(struct nesting *nesting, struct text line)
{
    bool in_string = false;

    for (size_t i = 0; i < line.length; i++) {
        char c = line.at[i];

        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            nesting->depth++;
        else if (!in_string && (c == '}' || c == ']'))
            nesting->depth--;
    }
    nesting->is_broken = in_string;
}

/* Blanks before its first character; the line's length where it has no other. */
static size_t indent_of(struct text line)
{
    size_t indent = 0;

    while (indent < line.length && strchr(" \t\r\n", line.at[indent]) && line.at[indent])
        indent++;
    return indent;
}

/* How many bytes the question has that begins with this line: its own when nothing closes it. */
static int measure(struct questions *questions, struct text line, size_t *length)
{
    struct nesting nesting = {.depth = 0};
    size_t indent = indent_of(line), total = line.length;

    *length = line.length;
    follow(&nesting, line);
    while (nesting.depth > 0 && !nesting.is_broken) {
        int r = find_line(questions, total, &line);
        size_t own;

        if (r == QUESTIONS_UNREADABLE)
            return r;
        if (r)
            return 0; /* it ends, or is too long, before it is closed */
        own = indent_of(line);
        if (own < line.length && own <= indent && line.at[own] == '{')
            return 0;
        follow(&nesting, line);
        total += line.length;
    }
    if (!nesting.is_broken)
        *length = total;
    return 0;
}

static void take(struct questions *questions, size_t length, struct question_line *question)
{
    const char *begin = questions->bytes.at + questions->at;

    *question = (struct question_line){text_from(begin, length), questions->line};
    for (const char *at = begin; (at = memchr(at, '\n', length - (size_t)(at - begin))); at++)
        questions->line++;
    questions->at += length;
    if (begin[length - 1] == '\n')
        question->text.length--;
}

int questions_next(struct questions *questions, struct question_line *question)
{
    struct question_line passed;
    struct text line;
    size_t length;
    int r;

    for (;;) {
        r = find_line(questions, 0, &line);
        if (r == QUESTIONS_TOO_LONG) {
            *question = (struct question_line){.number = questions->line};
            r = pass_over_line(questions);
            return r ? r : QUESTIONS_TOO_LONG;
        }
        if (r)
            return r;
        if (indent_of(line) < line.length)
            break;
        take(questions, line.length, &passed);
    }
    r = measure(questions, line, &length);
    if (r == 0)
        take(questions, length, question);
    return r;
}
