/*
 * One loop over values; open containers are a bit each (object or array) and the parent links of
 * their nodes, so nothing recurses and no nesting is too deep to be passed over. `recording` ends
 * with the first refusal: from there on the grammar alone is read.
 *
 * Names are looked for twice as they come while an object is small: a bit of each name's hash tells
 * most of them apart, and siblings are compared only where the bit is taken. Larger objects are
 * sorted once they end (json_names.c).
 */
#include "ingest/rules/json_scan.h"

#include "ingest/rules/json_string.h"
#include "ingest/rules/plain.h"

#include <string.h>

enum { LEVELS_INLINE = 128, NAMES_SMALL = 48 };

enum step { STEP_VALUE, STEP_AFTER_VALUE, STEP_END, STEP_BROKEN };

struct scan {
    struct json_document *document;
    const char *start, *at, *end;
    struct json_place place; /* of the value that comes next */
    unsigned level;          /* of a container that would open next; 1 is the event's object */
    size_t open;             /* containers */
    uint8_t *is_object;      /* a bit for each open container */
    size_t levels_room;
    uint8_t levels_inline[LEVELS_INLINE / 8];
    uint64_t names[JSON_DEPTH_MAX + 1]; /* a bit for each name's hash, by level */
    bool recording;
    int outcome;
    struct json_error *error;
};

static void report(struct scan *scan, int outcome, const char *what, const char *at,
                   struct text pointer)
{
    scan->recording = false;
    scan->outcome = outcome;
    *scan->error = (struct json_error){
        .what = what,
        .offset = (size_t)(at - scan->start),
        .pointer = pointer,
    };
}

/* The first refusal stands. */
static void refuse(struct scan *scan, int outcome, const char *what, const char *at)
{
    if (scan->outcome == 0)
        report(scan, outcome, what, at,
               json_pointer_to(scan->document, &scan->place, scan->document->strings));
}

/* A broken grammar outdoes a refusal. */
static enum step broken(struct scan *scan, const char *what)
{
    report(scan, JSON_BROKEN, what, scan->at,
           json_pointer_to(scan->document, &scan->place, scan->document->strings));
    return STEP_BROKEN;
}

static inline bool is_space(char c)
{
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && is_space(*scan->at))
        scan->at++;
}

static bool is_next(const struct scan *scan, char c)
{
    return scan->at < scan->end && *scan->at == c;
}

static uint32_t record(struct scan *scan, enum node_kind kind, struct text text)
{
    uint32_t index;

    if (!scan->recording)
        return JSON_NONE;
    index = json_add(scan->document, &scan->place, kind, text);
    if (index == JSON_NONE)
        refuse(scan, JSON_TOO_LONG, "it has more values than an event may have", scan->at);
    return index;
}

/* What a scanned string spells; a copy only where it has escapes. */
static struct text spelled(struct scan *scan, const struct json_string *string)
{
    char *copy;

    if (!string->escaped || !scan->recording)
        return string->raw;
    copy = arena_take(scan->document->strings, string->raw.length);
    if (copy)
        return text_from(copy, json_string_decode(string->raw, copy));
    refuse(scan, JSON_TOO_LONG, "its strings are longer than an event may be", scan->at);
    return string->raw;
}

/* Scans from behind the opening quote. Most strings are plain from one quote to the other. */
static inline int pass_string(struct scan *scan, struct json_string *string, const char **why)
{
    const char *begin = scan->at, *end = plain_end(begin, scan->end);

    if (end == scan->end || *end != '"')
        return json_string_scan(&scan->at, scan->end, string, why);
    scan->at = end + 1;
    *string = (struct json_string){.raw = {begin, (size_t)(end - begin)}};
    return 0;
}

static enum step scan_string(struct scan *scan)
{
    const char *begin = scan->at++, *why;
    struct json_string string;

    if (pass_string(scan, &string, &why))
        return broken(scan, why);
    if (string.refused)
        refuse(scan, JSON_BAD_STRING, string.refused, begin);
    record(scan, NODE_STRING, spelled(scan, &string));
    return STEP_AFTER_VALUE;
}

static const char *pass_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Behind the fraction or exponent that begins with `lead`, where there is one; NULL without digits.
 */
static const char *pass_tail(const char *at, const char *end, bool exponent)
{
    const char *digits = at + 1;

    if (exponent && digits < end && (*digits == '+' || *digits == '-'))
        digits++;
    at = pass_digits(digits, end);
    return at > digits ? at : NULL;
}

/* Behind the number at `at`; NULL when it isn't one. */
static const char *pass_number(const char *at, const char *end)
{
    const char *digits;

    if (at < end && *at == '-')
        at++;
    digits = at;
    at = pass_digits(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return NULL;
    if (at < end && *at == '.')
        at = pass_tail(at, end, false);
    if (at && at < end && (*at == 'e' || *at == 'E'))
        at = pass_tail(at, end, true);
    return at;
}

static enum step scan_number(struct scan *scan)
{
    const char *begin = scan->at, *behind = pass_number(begin, scan->end);

    if (!behind)
        return broken(scan, "a value isn't written as JSON has it");
    scan->at = behind;
    record(scan, NODE_NUMBER, (struct text){begin, (size_t)(behind - begin)});
    return STEP_AFTER_VALUE;
}

static enum step scan_literal(struct scan *scan, enum node_kind kind, const char *literal)
{
    size_t length = strlen(literal);

    if ((size_t)(scan->end - scan->at) < length || memcmp(scan->at, literal, length) != 0)
        return broken(scan, "a value isn't written as JSON has it");
    scan->at += length;
    record(scan, kind, (struct text){NULL, 0});
    return STEP_AFTER_VALUE;
}

static uint64_t name_bit(struct text name)
{
    size_t hash = name.length * 5;

    if (name.length > 0)
        hash += (size_t)(unsigned char)name.at[0] * 3 + (unsigned char)name.at[name.length - 1];
    return (uint64_t)1 << (hash & 63);
}

static bool is_named(const struct json_node *node, struct text name)
{
    return node->name_length == name.length && memcmp(node->name, name.at, name.length) == 0;
}

static bool names_collide(struct scan *scan, struct text name)
{
    uint64_t *names = &scan->names[scan->level - 1];
    uint64_t bit = name_bit(name);
    bool taken = (*names & bit) != 0;

    *names |= bit;
    if (!taken || json_at(scan->document, scan->place.parent)->length >= NAMES_SMALL)
        return false;
    for (uint32_t i = scan->place.parent + 1; i < scan->document->count;
         i = json_after(scan->document, i)) {
        if (is_named(json_at(scan->document, i), name))
            return true;
    }
    return false;
}

static void take_name(struct scan *scan, const struct json_string *string, const char *begin)
{
    if (string->refused)
        refuse(scan, JSON_BAD_STRING, string->refused, begin);
    if (!scan->recording)
        return;
    scan->place.name = spelled(scan, string);
    if (scan->recording && names_collide(scan, scan->place.name))
        refuse(scan, JSON_NAME_TWICE, "the name stands twice in its object", begin);
}

static enum step scan_name(struct scan *scan)
{
    const char *begin = scan->at, *why;
    struct json_string string;

    if (!is_next(scan, '"'))
        return broken(scan, "a member's name is missing");
    scan->at++;
    if (pass_string(scan, &string, &why))
        return broken(scan, why);
    take_name(scan, &string, begin);
    skip_space(scan);
    if (!is_next(scan, ':'))
        return broken(scan, "a ':' is missing behind a name");
    scan->at++;
    return STEP_VALUE;
}

/* Room for as many levels as the rest of the text can open. */
static bool more_levels(struct scan *scan)
{
    size_t bytes = scan->levels_room / 8 + (size_t)(scan->end - scan->at) / 8 + 1;
    uint8_t *levels = arena_take(scan->document->strings, bytes);

    if (!levels)
        return false;
    memcpy(levels, scan->is_object, scan->levels_room / 8);
    scan->is_object = levels;
    scan->levels_room = bytes * 8;
    return true;
}

static bool in_object(const struct scan *scan)
{
    size_t top = scan->open - 1;

    return scan->is_object[top / 8] >> (top % 8) & 1;
}

static void push_level(struct scan *scan, bool object)
{
    size_t top = scan->open++;
    uint8_t bit = (uint8_t)(1u << (top % 8));

    scan->is_object[top / 8] =
        (uint8_t)(object ? scan->is_object[top / 8] | bit : scan->is_object[top / 8] & ~bit);
}

static void enter(struct scan *scan, enum node_kind kind)
{
    uint32_t index;

    if (scan->recording && scan->level > JSON_DEPTH_MAX)
        refuse(scan, JSON_TOO_DEEP, "it is nested more than 16 levels deep", scan->at);
    index = record(scan, kind, (struct text){NULL, 0});
    if (!scan->recording)
        return;
    scan->place = (struct json_place){.parent = index};
    scan->names[scan->level++] = 0;
}

static enum step leave(struct scan *scan)
{
    struct json_document *document = scan->document;
    uint32_t container = scan->place.parent, twice;

    scan->at++;
    scan->open--;
    if (!scan->recording)
        return STEP_AFTER_VALUE;
    if (json_at(document, container)->kind == NODE_OBJECT &&
        json_at(document, container)->length > NAMES_SMALL &&
        json_names_repeat(document, container, &twice)) {
        report(scan, JSON_NAME_TWICE, "the name stands twice in its object", scan->at - 1,
               json_pointer(document, twice, document->strings));
        return STEP_AFTER_VALUE;
    }
    json_close(document, container);
    scan->place = (struct json_place){.parent = json_at(document, container)->parent};
    scan->level--;
    return STEP_AFTER_VALUE;
}

static enum step scan_container(struct scan *scan, enum node_kind kind)
{
    bool object = kind == NODE_OBJECT;

    if (scan->open == scan->levels_room && !more_levels(scan))
        return broken(scan, "it is nested too deep to be read");
    push_level(scan, object);
    enter(scan, kind);
    scan->at++;
    skip_space(scan);
    if (is_next(scan, object ? '}' : ']'))
        return leave(scan);
    return object ? scan_name(scan) : STEP_VALUE;
}

static enum step scan_value(struct scan *scan)
{
    skip_space(scan);
    if (scan->at == scan->end)
        return broken(scan, "the text ends where a value is due");
    switch (*scan->at) {
    case '"':
        return scan_string(scan);
    case '{':
        return scan_container(scan, NODE_OBJECT);
    case '[':
        return scan_container(scan, NODE_ARRAY);
    case 't':
        return scan_literal(scan, NODE_TRUE, "true");
    case 'f':
        return scan_literal(scan, NODE_FALSE, "false");
    case 'n':
        return scan_literal(scan, NODE_NULL, "null");
    default:
        return scan_number(scan);
    }
}

static enum step scan_next(struct scan *scan)
{
    if (scan->open == 0)
        return STEP_END;
    scan->place.name = (struct text){NULL, 0};
    skip_space(scan);
    if (is_next(scan, ',')) {
        scan->at++;
        if (!in_object(scan))
            return STEP_VALUE;
        skip_space(scan);
        return scan_name(scan);
    }
    if (is_next(scan, in_object(scan) ? '}' : ']'))
        return leave(scan);
    return broken(scan, scan->at == scan->end ? "the text ends inside a container"
                                              : "a ',' or a closing bracket is missing");
}

int json_scan(struct json_document *document, struct text text, size_t *position,
              const struct json_place *place, unsigned level, struct json_error *error)
{
    struct scan scan;
    enum step step = STEP_VALUE;

    scan.document = document;
    scan.start = text.at;
    scan.at = text.at + *position;
    scan.end = text.at + text.length;
    scan.place = *place;
    scan.level = level;
    scan.open = 0;
    scan.is_object = scan.levels_inline;
    scan.levels_room = LEVELS_INLINE;
    scan.recording = true;
    scan.outcome = 0;
    scan.error = error;
    memset(scan.levels_inline, 0, sizeof(scan.levels_inline));
    while (step != STEP_END && step != STEP_BROKEN)
        step = step == STEP_VALUE ? scan_value(&scan) : scan_next(&scan);
    if (step == STEP_END)
        *position = (size_t)(scan.at - scan.start);
    return scan.outcome;
}

size_t json_skip_space(struct text text, size_t position)
{
    while (position < text.length && is_space(text.at[position]))
        position++;
    return position;
}

int json_scan_whole(struct json_document *document, struct text text,
                    const struct json_place *place, unsigned level, struct json_error *error)
{
    size_t position = 0;
    int r = json_scan(document, text, &position, place, level, error);

    if (r == JSON_BROKEN)
        return r;
    position = json_skip_space(text, position);
    if (position == text.length)
        return r;
    *error = (struct json_error){
        .what = "something stands behind the value", .offset = position, .pointer = text_of("")};
    return JSON_BROKEN;
}

bool json_elements_begin(struct json_elements *elements, struct text text)
{
    size_t position = json_skip_space(text, 0);

    if (position == text.length || text.at[position] != '[')
        return false;
    *elements = (struct json_elements){.text = text, .position = position + 1};
    return true;
}

/* Whether nothing but white space follows the closing bracket. */
static bool end_elements(struct json_elements *elements, const char **broken)
{
    elements->position = json_skip_space(elements->text, elements->position + 1);
    *broken =
        elements->position == elements->text.length ? NULL : "something stands behind the array";
    return false;
}

bool json_elements_next(struct json_elements *elements, const char **broken)
{
    struct text text = elements->text;
    size_t at = json_skip_space(text, elements->position);

    elements->position = at;
    *broken = NULL;
    if (at == text.length) {
        *broken = "the text ends inside the array";
        return false;
    }
    if (text.at[at] == ']')
        return end_elements(elements, broken);
    if (elements->count > 0 && text.at[at] != ',') {
        *broken = "a ',' or the closing ']' is missing";
        return false;
    }
    elements->position = elements->count > 0 ? at + 1 : at;
    elements->count++;
    return true;
}
