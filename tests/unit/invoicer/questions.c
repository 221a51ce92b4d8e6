/*
 * The stream of questions: where one ends, whatever is wrong with it.
 */
#include "invoicer/edges/questions.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct given {
    struct buffer texts; /* a '|' behind each */
    size_t count, last_line;
};

static void deinit_given(struct given *given)
{
    buffer_deinit(&given->texts);
}

static void write_file(const char *path, const char *text, size_t length)
{
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
}

static void take_all(struct questions *questions, struct given *given)
{
    struct question_line question;
    int r;

    while ((r = questions_next(questions, &question)) == 0 || r == QUESTIONS_TOO_LONG) {
        buffer_add_text(&given->texts, r ? text_of("(too long)") : question.text);
        buffer_add_char(&given->texts, '|');
        given->count++;
        given->last_line = question.number;
    }
    cr_assert_eq(r, QUESTIONS_END);
    questions_close(questions);
}

static struct given of_text(const char *text, size_t length)
{
    char path[] = "/tmp/tollway_questions_XXXXXX";
    struct given given = {.count = 0};
    struct questions questions;

    cr_assert_geq(mkstemp(path), 0);
    write_file(path, text, length);
    cr_assert_eq(questions_open(&questions, path), 0);
    take_all(&questions, &given);
    cr_assert_eq(unlink(path), 0);
    return given;
}

static void assert_given(const char *text, const char *expected)
{
    CLEANUP(deinit_given) struct given given = of_text(text, strlen(text));

    buffer_add_char(&given.texts, '\0');
    cr_assert_str_eq(given.texts.at, expected, "of %s", text);
}

Test(questions, each_line_is_one_and_empty_lines_are_none)
{
    assert_given("", "");
    assert_given("\n \n\t\r\n", "");
    assert_given("{}\n\n {\"a\":1}\r\n{}", "{}| {\"a\":1}\r|{}|");
}

Test(questions, an_object_may_go_on_over_lines)
{
    assert_given("{\n\"a\":[\n1\n]\n}\n{}\n", "{\n\"a\":[\n1\n]\n}|{}|");
    assert_given("{\"a\":[\n  {\"b\":1},\n\n  {\"b\":2}]}\n",
                 "{\"a\":[\n  {\"b\":1},\n\n  {\"b\":2}]}|");
    assert_given("  {\n    \"a\": {\n    }\n  }\n  {\n  }\n",
                 "  {\n    \"a\": {\n    }\n  }|  {\n  }|");
}

Test(questions, brackets_in_strings_are_text)
{
    assert_given("{\"a\":\"{[\"}\n{\"b\":\"\\\"{\"}\n", "{\"a\":\"{[\"}|{\"b\":\"\\\"{\"}|");
}

Test(questions, a_broken_line_takes_none_of_those_behind_it_along)
{
    assert_given("{\"a\":\n{\"b\":1}\n", "{\"a\":|{\"b\":1}|");
    assert_given("{\"a\":\nnonsense\n{\"b\":1}\n", "{\"a\":|nonsense|{\"b\":1}|");
    assert_given("{\"a\n{\"b\":1}\n", "{\"a|{\"b\":1}|");
    assert_given("[[\n\"a\n{}", "[[|\"a|{}|");
    assert_given("}}\n{}", "}}|{}|");
    assert_given("{\"a\":1", "{\"a\":1|");
}

Test(questions, knows_the_line_that_a_question_begins_on)
{
    CLEANUP(deinit_given) struct given given = of_text("\n{\n}\n\n{\n}\n{", 11);

    cr_assert_eq(given.count, 3);
    cr_assert_eq(given.last_line, 7);
}

Test(questions, a_line_that_is_too_long_is_passed_over)
{
    size_t length = QUESTION_BYTES_MAX + 1024 * 1024;
    char *text = malloc(length + 4);
    struct given given;

    cr_assert_not_null(text);
    memset(text, 'x', length);
    memcpy(text + length, "\n{}\n", 4);

    given = of_text(text, length + 4);
    cr_assert(text_is(buffer_text(&given.texts), "(too long)|{}|"));
    deinit_given(&given);

    given = of_text(text, length);
    cr_assert(text_is(buffer_text(&given.texts), "(too long)|"));
    deinit_given(&given);
    free(text);
}

/* A byte a read, as packets are: where reads end must not show. */
Test(questions, are_the_same_however_they_arrive)
{
    static const char text[] = "{\n \"a\":1}\n{\"b\":\n{}\n\n[1]";
    CLEANUP(deinit_given) struct given given = {.count = 0};
    struct questions questions = {.line = 1};
    int ends[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    questions.file = ends[0];
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        cr_assert_eq(write(ends[1], &text[i], 1), 1);
    cr_assert_eq(close(ends[1]), 0);

    take_all(&questions, &given);

    cr_assert(text_is(buffer_text(&given.texts), "{\n \"a\":1}|{\"b\":|{}|[1]|"));
}

Test(questions, a_file_that_is_missing_or_a_folder_is_unreadable)
{
    struct questions questions;

    cr_assert_eq(questions_open(&questions, "/nowhere/at/all"), QUESTIONS_UNREADABLE);
    cr_assert_eq(questions_open(&questions, "/tmp"), QUESTIONS_UNREADABLE);
}
