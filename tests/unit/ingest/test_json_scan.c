#include "ingest/rules/json_string.h"
#include "ingest/rules/plain_scalar.h"
#include "ingest/rules/plain.h"
#include "tests/unit/ingest/given.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct given given;

static void setup(void)
{
    given_init(&given);
}

static void teardown(void)
{
    given_deinit(&given);
}

TestSuite(json_scan, .init = setup, .fini = teardown);

static int scan(const char *json)
{
    return given_scan(&given, text_of(json));
}

static const struct json_node *member(const char *name)
{
    uint32_t index = json_member(&given.document, 0, text_of(name));

    cr_assert_neq(index, JSON_NONE);
    return json_at(&given.document, index);
}

static void expect_broken(const char *json)
{
    cr_assert_eq(scan(json), JSON_BROKEN, "taken as JSON: %s", json);
}

static void expect_outcome(const char *json, int outcome, const char *pointer)
{
    int r = scan(json);

    cr_assert_eq(r, outcome, "%d instead of %d: %s", r, outcome, json);
    cr_assert(text_is(given_error.pointer, pointer), "pointer '%.*s': %s",
              (int)given_error.pointer.length, given_error.pointer.at, json);
}

Test(json_scan, every_kind_of_value_becomes_a_node)
{
    cr_assert_eq(
        scan(" { \"n\" : null , \"t\":true,\"f\":false,\"d\":-1.5e+3,\"s\":\"x\",\"a\":[1,[]],"
             "\"o\":{}}\n"),
        0);

    cr_assert_eq(member("n")->kind, NODE_NULL);
    cr_assert_eq(member("t")->kind, NODE_TRUE);
    cr_assert_eq(member("f")->kind, NODE_FALSE);
    cr_assert(text_is(json_text(member("d")), "-1.5e+3"));
    cr_assert(text_is(json_text(member("s")), "x"));
    cr_assert_eq(member("a")->length, 2);
    cr_assert_eq(member("o")->kind, NODE_OBJECT);
    cr_assert_eq(json_at(&given.document, 0)->length, 7);
    cr_assert_eq(json_after(&given.document, 0), given.document.count);
}

Test(json_scan, a_string_without_escapes_points_into_the_input)
{
    const char *json = "[\"plain\"]";

    cr_assert_eq(scan(json), 0);

    cr_assert_eq(json_at(&given.document, 1)->is.at, json + 2);
}

Test(json_scan, escapes_are_decoded_with_surrogate_pairs)
{
    cr_assert_eq(scan("[\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\uD83D\\uDE00z\"]"), 0);

    cr_assert(text_is(json_text(json_at(&given.document, 1)),
                      "a\"\\/\b\f\n\r\t\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z"));
}

Test(json_scan, numbers_are_those_of_the_grammar)
{
    static const char *const good[] = {"0", "-0", "10", "1.0", "1e5", "1E-5", "0.1e+07"};
    static const char *const bad[] = {"01",  "-",   "+1",        "1.",  ".5",   "1e", "1e+",
                                      "0x1", "NaN", "-Infinity", "--1", "1.e1", "1 2"};

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        cr_assert_eq(scan(good[i]), 0, "%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_broken(bad[i]);
}

Test(json_scan, what_breaks_the_grammar_is_broken)
{
    static const char *const bad[] = {
        "",          " ",         "{",     "[",       "{\"a\"}",     "{\"a\":}", "{\"a\":1,}",
        "[1,]",      "[,1]",      "[1 2]", "{,}",     "{a:1}",       "{'a':1}",  "[1}",
        "{\"a\":1]", "\"abc",     "\"a\\", "\"\\x\"", "\"\\u12G4\"", "\"\\u123", "tru",
        "nul",       "truex",     "[1]]",  "{}{}",    "\"a\nb\"",    "[\"\t\"]", "\xEF\xBB\xBF{}",
        "// c\n1",   "{\"a\" 1}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_broken(bad[i]);
}

Test(json_scan, sixteen_levels_pass_and_seventeen_are_too_deep)
{
    expect_outcome("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", JSON_TOO_DEEP,
                   "/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0/0");
    cr_assert_eq(scan("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), 0);
}

Test(json_scan, nesting_of_any_depth_is_passed_over)
{
    enum { DEPTH = 100000 };
    char *json = malloc(2 * DEPTH + 1);
    struct json_place root = {.parent = JSON_NONE};
    size_t position = 0;

    memset(json, '[', DEPTH);
    memset(json + DEPTH, ']', DEPTH);
    json[2 * DEPTH] = '\0';

    cr_assert_eq(json_scan(&given.document, text_of(json), &position, &root, 1, &given_error),
                 JSON_TOO_DEEP);
    cr_assert_eq(position, 2 * DEPTH);
    json[2 * DEPTH - 1] = '}';
    expect_broken(json);
    free(json);
}

Test(json_scan, a_name_twice_in_one_object_is_refused_anywhere)
{
    expect_outcome("{\"a\":1,\"b\":2,\"a\":3}", JSON_NAME_TWICE, "/a");
    expect_outcome("{\"a\":[0,{\"x\":1,\"\\u0078\":2}]}", JSON_NAME_TWICE, "/a/1/x");
    expect_outcome("{\"\":1,\"\":1}", JSON_NAME_TWICE, "/");
    cr_assert_eq(scan("{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}"), 0);
}

/* {"k0":0,"k1":0,…}, the last name replaced. */
static char *many_names(size_t count, const char *last)
{
    char *json = malloc(count * 16 + 64), *at = json;

    *at++ = '{';
    for (size_t i = 0; i + 1 < count; i++)
        at += sprintf(at, "\"k%zu\":0,", i);
    sprintf(at, "\"%s\":0}", last);
    return json;
}

Test(json_scan, names_are_compared_in_objects_of_every_size)
{
    for (size_t count = 2; count < 200; count += 1) {
        char *unique = many_names(count, "other"), *twice = many_names(count, "k0");

        cr_assert_eq(scan(unique), 0, "%zu names", count);
        expect_outcome(twice, JSON_NAME_TWICE, "/k0");
        free(unique);
        free(twice);
    }
}

Test(json_scan, a_hundred_thousand_names_are_compared_in_no_time)
{
    char *json = many_names(100000, "k77777");

    expect_outcome(json, JSON_NAME_TWICE, "/k77777");
    free(json);
}

Test(json_scan, nul_and_lone_surrogates_are_refused_anywhere)
{
    expect_outcome("{\"a\":\"x\\u0000\"}", JSON_BAD_STRING, "/a");
    expect_outcome("{\"a\":\"\\uD800\"}", JSON_BAD_STRING, "/a");
    expect_outcome("{\"a\":\"\\uDC00\\uD800\"}", JSON_BAD_STRING, "/a");
    expect_outcome("{\"a\":\"\\uD800\\u0041\"}", JSON_BAD_STRING, "/a");
    expect_outcome("{\"b\":{\"\\uDFFF\":1}}", JSON_BAD_STRING, "/b");
}

Test(json_scan, bytes_that_are_not_utf8_are_refused)
{
    static const char *const bad[] = {
        "[\"\x80\"]",
        "[\"\xC0\x80\"]",
        "[\"\xC1\xBF\"]",
        "[\"\xE0\x9F\xBF\"]",
        "[\"\xED\xA0\x80\"]",
        "[\"\xF0\x8F\xBF\xBF\"]",
        "[\"\xF4\x90\x80\x80\"]",
        "[\"\xF5\x80\x80\x80\"]",
        "[\"\xE2\x82\"]",
        "[\"\xFF\"]",
        "[\"\xC3\"]",
        "[\"0123456789abcdef\xC3(\"]",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_outcome(bad[i], JSON_BAD_STRING, "/0");
    cr_assert_eq(scan("[\"\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF"
                      "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\"]"),
                 0);
}

Test(json_scan, behind_a_refusal_the_value_is_read_to_its_end)
{
    struct text text = text_of("{\"a\":1,\"a\":{\"b\":[\"}\"]}} , next");
    struct json_place root = {.parent = JSON_NONE};
    size_t position = 0;

    cr_assert_eq(json_scan(&given.document, text, &position, &root, 1, &given_error),
                 JSON_NAME_TWICE);

    cr_assert_eq(position, 23);
}

Test(json_scan, a_broken_grammar_outdoes_an_earlier_refusal)
{
    expect_broken("{\"a\":1,\"a\":2");
    cr_assert_eq(given_error.offset, 12);
}

Test(json_scan, pointers_escape_tilde_and_slash_and_count_elements)
{
    expect_outcome("{\"a/b\":{\"~\":[[1],{},\"\\u0000\"]}}", JSON_BAD_STRING, "/a~1b/~0/2");
}

Test(json_scan, a_name_that_is_no_string_points_to_its_object)
{
    expect_outcome("{\"a\":[5,{\"\\u0000\":1}]}", JSON_BAD_STRING, "/a/1");
    expect_outcome("{\"b\":1,\"\\ud800\":1}", JSON_BAD_STRING, "");
}

Test(json_scan, a_pointer_that_would_be_too_long_ends_at_a_parent)
{
    char *json = malloc(8192);

    sprintf(json, "{\"a\":{\"%01500d\":{\"x\":\"\\u0000\"}}}", 0);
    expect_outcome(json, JSON_BAD_STRING, "/a");
    free(json);
}

Test(json_scan, every_cut_of_a_document_is_broken_and_no_byte_behind_it_is_read)
{
    const char *json =
        "{\"id\":\"\\u00e9x\",\"d\":[1.5e3,true,null,{\"k\":\"\xE2\x82\xAC\"}],\"z\":-0}";

    for (size_t length = 0; length < strlen(json); length++) {
        char *cut = malloc(length ? length : 1); /* the sanitizer guards its end */
        memcpy(cut, json, length);
        cr_assert_eq(given_scan(&given, text_from(cut, length)), JSON_BROKEN, "%zu", length);
        free(cut);
    }
    cr_assert_eq(scan(json), 0);
}

Test(json_scan, the_elements_of_an_array_come_one_at_a_time)
{
    struct json_elements elements;
    struct json_place root = {.parent = JSON_NONE};
    const char *broken = NULL;
    size_t count = 0;

    cr_assert(json_elements_begin(&elements, text_of(" [ {\"a\":1} , {\"a\":1,\"a\":2},3 ] \n")));
    while (json_elements_next(&elements, &broken)) {
        json_document_reset(&given.document);
        int r =
            json_scan(&given.document, elements.text, &elements.position, &root, 1, &given_error);
        cr_assert_eq(r, count == 1 ? JSON_NAME_TWICE : 0);
        count++;
    }

    cr_assert_null(broken);
    cr_assert_eq(count, 3);
}

Test(json_scan, a_broken_array_says_so)
{
    static const char *const bad[] = {"[", "[1", "[1 2]", "[1] x", "[1}", "[]]"};
    struct json_place root = {.parent = JSON_NONE};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json_elements elements;
        const char *broken = NULL;
        int r = 0;
        cr_assert(json_elements_begin(&elements, text_of(bad[i])));
        while (r != JSON_BROKEN && json_elements_next(&elements, &broken))
            r = json_scan(&given.document, elements.text, &elements.position, &root, 1,
                          &given_error);
        cr_assert(broken || r == JSON_BROKEN, "%s", bad[i]);
    }
    cr_assert_not(json_elements_begin(&(struct json_elements){.count = 0}, text_of("{}")));
}

Test(json_scan, the_fast_string_scan_stops_where_the_plain_one_does)
{
    unsigned seed = 7;
    char bytes[80];

    for (size_t round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(bytes); i++) {
            seed = seed * 1103515245 + 12345;
            bytes[i] = (char)('a' + (seed >> 16) % 26);
        }
        bytes[(seed >> 8) % sizeof(bytes)] = (char)(seed >> 20);
        for (size_t from = 0; from < 20; from++)
            cr_assert_eq(plain_end(bytes + from, bytes + sizeof(bytes)),
                         plain_end_scalar(bytes + from, bytes + sizeof(bytes)));
    }
}

Test(json_scan, the_fast_comparison_agrees_with_the_plain_one)
{
    char a[PLAIN_SAME_BYTES] = {0}, b[PLAIN_SAME_BYTES] = {0};

    for (size_t other = 0; other < sizeof(a); other++)
        for (size_t length = 0; length <= sizeof(a); length++) {
            b[other] = 1;
            cr_assert_eq(plain_same(a, b, length), length <= other);
            cr_assert_eq(plain_same_scalar(a, b, length), length <= other);
            b[other] = 0;
            cr_assert(plain_same(a, b, length));
        }
}

Test(json_scan, arenas_that_are_full_make_a_refusal_not_a_crash)
{
    const char *json = "{\"a\":[1,2,3,\"\\u00e9\\u00e9\\u00e9\"],\"b\":{\"\\u00e9\":[[[[]]]]}}";

    for (size_t limit = 0; limit < 512; limit += 16) {
        struct given small;
        int r;
        given_init(&small);
        small.arena.limit = limit;
        r = given_scan(&small, text_of(json));
        cr_assert(r == 0 || r == JSON_TOO_LONG, "%d with %zu bytes", r, limit);
        given_deinit(&small);
    }
    given.nodes.limit = 64;
    cr_assert_eq(scan(json), JSON_TOO_LONG);
}
