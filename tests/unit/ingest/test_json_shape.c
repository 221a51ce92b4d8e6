/*
 * What is guessed from the events before changes nothing: each text is scanned with a shape and
 * without one, and everything that comes of it is compared. The texts are events and what is left
 * of them with one byte changed, missing, doubled, or the rest cut off.
 */
#include "ingest/rules/json_shape.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char usual[] =
    "{\"specversion\":\"1.0\",\"id\":\"0123456789abcdef0\",\"source\":\"/"
    "gateway\",\"type\":\"request\","
    "\"time\":\"2026-11-24T10:00:00Z\",\"data\":{\"value\":-12.50e3,\"deep\":{\"a\":{\"b\":null}},"
    "\"ok\":true,\"no\":false,\"path\":\"/v1/\"},\"subject\":\"consumer-1\",\"n\":7}";
static const char spaced[] =
    "\n {\n  \"id\" : \"1\" ,\n  \"data\" : {\n    \"v\" : 12 ,\n    \"w\" : "
    "\"caf\xC3\xA9 \\u00e9\" } ,\n \"z\" : {} }";
static const char listed[] = "{\"id\":\"1\",\"a\":[1,\"x\",{\"b\":2}],\"c\":3,\"d\":\"e\"}";
static const char escaped[] = "{\"id\":\"1\",\"\\u0062\":2,\"c\":\"3\",\"\":\"\",\"d\":{\"\":1}}";
static const char wide[] =
    "{\"id\":\"1\",\"a name of more bytes than a step has\":2,\"c\":\"3\",\"d\":4}";

static struct given plain, guessed;
static struct json_shape shape;
static char *page_end; /* nothing behind it can be read */

static void setup(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(pages, MAP_FAILED);
    page_end = pages + page;
    cr_assert_eq(mprotect(page_end, page, PROT_NONE), 0);
    memset(&shape, 0, sizeof(shape));
    given_init(&plain);
    given_init(&guessed);
    guessed.document.shape = &shape;
}

static void teardown(void)
{
    given_deinit(&plain);
    given_deinit(&guessed);
}

TestSuite(json_shape, .init = setup, .fini = teardown);

static int scan(struct given *given, struct text text, size_t *position, struct json_error *error)
{
    struct json_place root = {.parent = JSON_NONE};

    json_document_reset(&given->document);
    return json_scan(&given->document, text, position, &root, 1, error);
}

/* Another shape: that of an event which was scanned so often that it is learned. */
static void learn(const char *event)
{
    shape = (struct json_shape){.count = 0};
    for (size_t i = 0; i <= JSON_PATIENCE_LEAST; i++) {
        struct json_error error;
        size_t position = 0;

        cr_assert_eq(scan(&guessed, text_of(event), &position, &error), 0, "%s", event);
    }
}

static void expect_same_node(uint32_t index)
{
    const struct json_node *a = json_at(&plain.document, index);
    const struct json_node *b = json_at(&guessed.document, index);

    cr_assert_eq(a->kind, b->kind);
    cr_assert_eq(a->parent, b->parent);
    cr_assert_eq(a->length, b->length);
    cr_assert_eq(a->name == NULL, b->name == NULL);
    cr_assert(!a->name || text_equal(json_name(a), json_name(b)));
    if (json_is_container(a))
        cr_assert_eq(a->is.after, b->is.after);
    else if (a->kind == NODE_STRING || a->kind == NODE_NUMBER)
        cr_assert(text_equal(json_text(a), json_text(b)));
}

static void expect_same(struct text text)
{
    struct json_error error = {.what = NULL}, guessed_error = {.what = NULL};
    size_t position = 0, guessed_position = 0;
    int r = scan(&plain, text, &position, &error);

    cr_assert_eq(scan(&guessed, text, &guessed_position, &guessed_error), r, "%.*s",
                 (int)text.length, text.at);
    cr_assert_eq(position, guessed_position);
    if (r == 0)
        cr_assert_eq(plain.document.count, guessed.document.count);
    for (uint32_t i = 0; r == 0 && i < plain.document.count; i++)
        expect_same_node(i);
    if (r == 0)
        return;
    cr_assert_eq(error.what, guessed_error.what, "%s, %s: %.*s", error.what, guessed_error.what,
                 (int)text.length, text.at);
    cr_assert_eq(error.offset, guessed_error.offset);
    cr_assert(text_equal(error.pointer, guessed_error.pointer));
}

/* The text ends where nothing more can be read. */
static void expect_same_of(const char *begin, size_t length)
{
    char *at = page_end - length;

    memmove(at, begin, length);
    expect_same(text_from(at, length));
}

/* The event with `cut` bytes at `at` replaced. */
static void expect_same_with(const char *event, size_t at, size_t cut, const char *instead)
{
    size_t length = strlen(event), more = strlen(instead);
    char text[1024];

    if (at + cut > length)
        return;
    memcpy(text, event, at);
    memcpy(text + at, instead, more);
    memcpy(text + at + more, event + at + cut, length - at - cut);
    expect_same_of(text, length - cut + more);
}

static void expect_same_of_all_like(const char *event)
{
    static const char *const instead[] = {
        "",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "0",
        "1",
        "-",
        ".",
        "e",
        "a",
        "\x01",
        "\x7F",
        "\xC3",
        "\xFF",
        "\xC3\xA9",
        "null",
        "true",
        "[]",
        "{}",
        "\\n",
        "\\u00",
        "\\u0000",
        "\\ud800",
        "id",
        "d",
        "\"x\":1,",
        "\"id\":\"1\",",
        "},",
        "\",\"",
        "\"}}",
        "12345678901234567890",
        "0123456789abcdef\"",
    };

    for (size_t at = 0; at <= strlen(event); at++) {
        struct json_shape learned;

        learn(event);
        learned = shape;
        expect_same_of(event, at);
        for (size_t i = 0; i < ARRAY_LEN(instead); i++)
            for (size_t cut = 0; cut < 3; cut++) {
                shape = learned;
                expect_same_with(event, at, cut, instead[i]);
            }
        arena_reset(&plain.arena);
        arena_reset(&guessed.arena);
    }
}

Test(json_shape, is_whole_for_an_event_of_objects_and_plain_names)
{
    learn(usual);
    cr_assert(shape.is_whole);
    cr_assert_eq(shape.count, 16);

    learn(spaced);
    cr_assert(shape.is_whole);
    cr_assert_eq(shape.count, 6);
}

Test(json_shape, ends_before_an_array_an_escaped_name_and_too_many_bytes)
{
    learn(listed);
    cr_assert(!shape.is_whole);
    cr_assert_eq(shape.count, 2);

    learn(escaped);
    cr_assert(!shape.is_whole);
    cr_assert_eq(shape.count, 2);

    learn(wide);
    cr_assert(!shape.is_whole);
    cr_assert_eq(shape.count, 2);
}

static void expect_same_times(const char *event, size_t times)
{
    for (size_t i = 0; i < times; i++)
        expect_same(text_of(event));
}

Test(json_shape, that_was_worth_it_is_learned_anew_when_two_in_a_row_do_not_fit)
{
    learn(usual);
    expect_same_times(usual, JSON_FITS_WORTH);

    expect_same_times(spaced, 1);
    expect_same_times(usual, 1);
    expect_same_times(spaced, JSON_PATIENCE_LEAST - 1);
    cr_assert_eq(shape.count, 16);
    expect_same_times(spaced, 1);
    cr_assert_eq(shape.count, 6);
}

Test(json_shape, that_was_not_worth_it_makes_the_next_one_wait_twice_as_long)
{
    static const char *const events[] = {spaced, usual};
    size_t wait = JSON_PATIENCE_LEAST;

    learn(usual);
    for (size_t i = 0; wait <= JSON_PATIENCE_MAX; i++, wait *= 2) {
        uint32_t before = shape.count;

        expect_same_times(events[i % 2], wait - 1);
        cr_assert_eq(shape.count, before);
        expect_same_times(events[i % 2], 1);
        cr_assert_neq(shape.count, before);
    }
    cr_assert_eq(shape.patience, JSON_PATIENCE_MAX);
    expect_same_times(usual, JSON_FITS_WORTH);
    expect_same_times(listed, JSON_PATIENCE_LEAST);
    cr_assert_eq(shape.patience, JSON_PATIENCE_LEAST);
}

Test(json_shape, is_not_learned_from_what_is_refused)
{
    learn(usual);

    for (size_t i = 0; i < 2 * JSON_PATIENCE_LEAST; i++)
        expect_same(text_of("{\"id\":\"1\",\"id\":\"2\"}"));

    cr_assert_eq(shape.count, 16);
}

Test(json_shape, guesses_nothing_about_what_is_like_an_event)
{
    expect_same_of_all_like(usual);
}

Test(json_shape, guesses_nothing_about_what_is_spaced_and_not_plain)
{
    expect_same_of_all_like(spaced);
}

Test(json_shape, guesses_nothing_where_it_ends_early)
{
    expect_same_of_all_like(listed);
    expect_same_of_all_like(escaped);
    expect_same_of_all_like(wide);
}

/* `count` members, the last of which has the name of the first. */
static void write_members(struct buffer *out, unsigned count, const char *last)
{
    buffer_clear(out);
    buffer_add_char(out, '{');
    for (unsigned i = 0; i + 1 < count; i++)
        buffer_printf(out, "\"n%u\":%u,", i, i);
    buffer_printf(out, "\"%s\":1}", last);
}

Test(json_shape, finds_names_twice_behind_itself_in_objects_of_every_size)
{
    struct buffer once = {.length = 0}, twice = {.length = 0};

    for (unsigned count = 2; count < 3 * JSON_STEPS_MAX; count++) {
        write_members(&once, count, "last");
        write_members(&twice, count, "n0");
        buffer_add_char(&once, '\0');
        learn(once.at);
        cr_assert_eq(shape.is_whole, count < JSON_STEPS_MAX);
        expect_same(buffer_text(&twice));
    }
    buffer_deinit(&once);
    buffer_deinit(&twice);
}

Test(json_shape, passes_sixteen_levels_and_refuses_seventeen)
{
    char deep[256] = "", deeper[256] = "{\"a\":";

    for (size_t i = 0; i < JSON_DEPTH_MAX - 1; i++)
        strcat(deep, "{\"a\":");
    strcat(deep, "{}");
    for (size_t i = 0; i < JSON_DEPTH_MAX - 1; i++)
        strcat(deep, "}");
    strcat(deeper, deep);
    strcat(deeper, "}");
    learn(deep);

    cr_assert(shape.is_whole);
    expect_same(text_of(deep));
    expect_same(text_of(deeper));
}
