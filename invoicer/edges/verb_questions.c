/*
 * `rate`, `periods`, `prorate`: prices, periods and credits tried out. They need no bucket, broker
 * or store: a stream of questions goes in, their answers come out in order.
 */
#include "invoicer/edges/config.h"
#include "invoicer/edges/questions.h"
#include "invoicer/rules/periods_json.h"
#include "invoicer/rules/prorate_json.h"
#include "invoicer/rules/rate_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 64 * 1024 * 1024, WRITE_BYTES = 64 * 1024 };

/* What one verb works with. */
struct desk {
    bool json;
    struct arena arena;
    struct zone_cache zones;
    struct buffer answers; /* not written yet */
    size_t answered;
    int (*answer)(struct desk *desk, struct text question, struct buffer *answer);
};

static int rate(struct desk *desk, struct text question, struct buffer *answer)
{
    arena_reset(&desk->arena);
    return desk->json ? rate_json(question, &desk->arena, answer)
                      : rate_table(question, &desk->arena, answer);
}

static int periods(struct desk *desk, struct text question, struct buffer *answer)
{
    return desk->json ? periods_json(question, &desk->zones, answer)
                      : periods_table(question, &desk->zones, answer);
}

static int prorate(struct desk *desk, struct text question, struct buffer *answer)
{
    return desk->json ? prorate_json(question, answer) : prorate_table(question, answer);
}

/* False: nobody can be told any more. */
static bool write_answers(struct desk *desk)
{
    size_t length = desk->answers.length;
    bool is_written = length == 0 || fwrite(desk->answers.at, 1, length, stdout) == length;

    buffer_clear(&desk->answers);
    return fflush(stdout) == 0 && is_written;
}

static int refuse_length(const struct desk *desk, struct buffer *answer)
{
    struct price_issue issue;
    int r = question_refuse(&issue, "too_large", "", "is longer than %d bytes", QUESTION_BYTES_MAX);

    if (desk->json)
        question_write_error(&issue, answer);
    else
        question_describe_error(&issue, answer);
    return r;
}

/* Tables stand apart; a refusal says which line it is about. */
static bool add_answer(struct desk *desk, const struct question_line *question, bool is_too_long)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    struct buffer *answers = &desk->answers;
    int r =
        is_too_long ? refuse_length(desk, &answer) : desk->answer(desk, question->text, &answer);

    if (!desk->json && desk->answered++ > 0)
        buffer_add_char(answers, '\n');
    if (!desk->json && r)
        buffer_printf(answers, "line %zu: ", question->number);
    buffer_add_text(answers, buffer_text(&answer));
    if (desk->json || r)
        buffer_add_char(answers, '\n');
    return r == 0;
}

static int complain(const char *path, const char *what, int status)
{
    fprintf(stderr, "invoicer: %s can't be %s: %s\n", path && strcmp(path, "-") != 0 ? path : "-",
            what, strerror(errno));
    return status;
}

static int answer_all(struct desk *desk, struct questions *questions, const char *path)
{
    struct question_line question;
    int status = EX_OK;
    int r;

    while ((r = questions_next(questions, &question)) == 0 || r == QUESTIONS_TOO_LONG) {
        if (!add_answer(desk, &question, r == QUESTIONS_TOO_LONG))
            status = EX_DATAERR;
        /* Whoever asks one at a time waits for the answer before the next question. */
        if (desk->answers.length < WRITE_BYTES && questions_has_line(questions))
            continue;
        if (!write_answers(desk))
            return complain("standard output", "written", EX_IOERR);
    }
    if (r == QUESTIONS_UNREADABLE)
        return complain(path, "read", EX_IOERR);
    return status;
}

static int answer_file(const struct invoicer_config *config, const char *path,
                       int (*answer)(struct desk *, struct text, struct buffer *))
{
    struct desk desk = {.json = config->json, .answer = answer};
    struct questions questions;
    int status;

    if (questions_open(&questions, path))
        return complain(path, "read", EX_NOINPUT);
    arena_init(&desk.arena, ARENA_BYTES_MAX);
    status = answer_all(&desk, &questions, path);
    buffer_deinit(&desk.answers);
    zone_cache_deinit(&desk.zones);
    arena_deinit(&desk.arena);
    questions_close(&questions);
    return status;
}

int verb_rate(void *config, int argc, char **argv)
{
    (void)argc;
    return answer_file(config, argv[0], rate);
}

int verb_periods(void *config, int argc, char **argv)
{
    (void)argc;
    return answer_file(config, argv[0], periods);
}

int verb_prorate(void *config, int argc, char **argv)
{
    (void)argc;
    return answer_file(config, argv[0], prorate);
}
