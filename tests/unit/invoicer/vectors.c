/*
 * vectors.c - the published questions of tests/golden, with their answers.
 */
#include "invoicer/rules/periods_json.h"
#include "invoicer/rules/prorate_json.h"
#include "invoicer/rules/rate_json.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct zone_cache zones;

static json_t *answer_of(const char *verb, struct text question)
{
    CLEANUP(buffer_deinit) struct buffer answer = {0};
    CLEANUP(arena_deinit) struct arena arena;
    json_t *json;

    arena_init(&arena, 1 << 20);
    if (strcmp(verb, "rate") == 0)
        (void)!rate_json(question, &arena, &answer);
    else if (strcmp(verb, "periods") == 0)
        (void)!periods_json(question, &zones, &answer);
    else
        (void)!prorate_json(question, &answer);
    json = json_loadb(answer.at, answer.length, 0, NULL);
    cr_assert_not_null(json, "%.*s", (int)answer.length, answer.at);
    return json;
}

/* Lines that move no money may be there or not. */
static void drop_idle_lines(json_t *answer)
{
    json_t *lines = json_object_get(answer, "lines");

    for (size_t i = json_array_size(lines); i-- > 0;) {
        const char *amount = json_string_value(json_object_get(json_array_get(lines, i), "amount"));

        if (strspn(amount, "0.") == strlen(amount))
            (void)json_array_remove(lines, i);
    }
}

/* Whether all that is expected is there; members that aren't named may be anything. */
static bool holds(const json_t *answer, const json_t *expected)
{
    const char *name;
    json_t *member;
    size_t i;

    if (json_is_array(expected) && json_array_size(answer) != json_array_size(expected))
        return false;
    json_array_foreach(expected, i, member)
    {
        if (!holds(json_array_get(answer, i), member))
            return false;
    }
    json_object_foreach((json_t *)expected, name, member)
    {
        if (!holds(json_object_get(answer, name), member))
            return false;
    }
    return json_is_array(expected) || json_is_object(expected) || json_equal(answer, expected);
}

static void check_vector(const char *text)
{
    json_t *vector = json_loads(text, 0, NULL);
    const char *line = json_string_value(json_object_get(vector, "line"));
    char *question =
        line ? strdup(line) : json_dumps(json_object_get(vector, "question"), JSON_COMPACT);
    json_t *answer =
        answer_of(json_string_value(json_object_get(vector, "ask")), text_of(question));

    drop_idle_lines(answer);
    cr_assert(holds(answer, json_object_get(vector, "answer")), "%s\n%s", text,
              json_dumps(answer, JSON_COMPACT));
    json_decref(answer);
    free(question);
    json_decref(vector);
}

static size_t check_folder(const char *pattern)
{
    glob_t files;
    size_t checked = 0, room = 0;
    char *line = NULL;

    cr_assert_eq(glob(pattern, 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        FILE *file = fopen(files.gl_pathv[i], "re");

        cr_assert_not_null(file, "%s", files.gl_pathv[i]);
        for (; getline(&line, &room, file) > 0; checked++)
            check_vector(line);
        (void)fclose(file);
    }
    free(line);
    globfree(&files);
    zone_cache_deinit(&zones);
    return checked;
}

Test(vectors, of_rating_and_proration_are_answered_as_published)
{
    cr_assert_geq(check_folder(TOLLWAY_SOURCE_DIR "/tests/golden/rating/*.ndjson"), 225);
}

Test(vectors, of_the_calendar_are_answered_as_published)
{
    cr_assert_geq(check_folder(TOLLWAY_SOURCE_DIR "/tests/golden/calendar/*.ndjson"), 900);
}
