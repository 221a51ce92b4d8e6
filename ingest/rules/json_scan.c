/*
 * One loop over values; open containers are a bit each (object or array) and the parent links of
 * their nodes, so nothing recurses and no nesting is too deep to be passed over. `recording` ends
 * with the first refusal: from there on the grammar alone is read.
 *
 * Where the scan stands is passed from function to function, so that it stays in a register: each
 * takes the position that it begins at and returns the one behind, NULL when the grammar broke.
 *
 * Names are looked for twice as they come while an object is small: a bit of each name's hash tells
 * most of them apart, and siblings are compared only where the bit is taken. Larger objects are
 * sorted once they end (json_names.c).
 */
#include "ingest/rules/json_scan.h"

#include "ingest/rules/json_number.h"
#include "ingest/rules/json_shape.h"
#include "ingest/rules/json_string.h"
#include "ingest/rules/plain.h"

#include <string.h>

enum { LEVELS_INLINE = 128, NAMES_SMALL = 48, PLAIN_MEMBER_ROOM = 24 };

static const char no_value[] = "a value isn't written as JSON has it";

struct scan {
    struct json_document *document;
    const char *start, *end;
    struct json_place place; /* of the value that comes next */
    unsigned level;          /* of a container that would open next; 1 is the event's object */
    char closer;             /* of the innermost container: '}' or ']' */
    bool is_fresh;           /* nothing has been read in it yet */
    bool recording;
    int outcome;
    size_t open;        /* containers */
    uint8_t *is_object; /* a bit for each open container */
    size_t levels_room;
    uint8_t levels_inline[LEVELS_INLINE / 8];
    uint64_t names[JSON_DEPTH_MAX + 1]; /* a bit for each name's hash, by level */
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
static const char *broken(struct scan *scan, const char *what, const char *at)
{
    report(scan, JSON_BROKEN, what, at,
           json_pointer_to(scan->document, &scan->place, scan->document->strings));
    return NULL;
}

static inline bool is_space(char c)
{
    return (unsigned char)c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t');
}

static inline const char *pass_space(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

static inline bool stands(const struct scan *scan, const char *at, char c)
{
    return at < scan->end && *at == c;
}

/* --- values --- */

static inline uint32_t record(struct scan *scan, enum node_kind kind, struct text text,
                              const char *at)
{
    uint32_t index;

    if (!scan->recording)
        return JSON_NONE;
    index = json_add(scan->document, &scan->place, kind, text);
    if (index == JSON_NONE)
        refuse(scan, JSON_TOO_LONG, "it has more values than an event may have", at);
    return index;
}

/* What a string with escapes spells. */
static struct text decoded(struct scan *scan, struct text raw, const char *at)
{
    struct text text;

    if (!scan->recording)
        return raw;
    text = json_string_spelled(raw, scan->document->strings);
    if (!text_is_absent(text))
        return text;
    refuse(scan, JSON_TOO_LONG, "its strings are longer than an event may be", at);
    return raw;
}

/* A string that isn't plain all through. `begin` is its quote. */
static const char *pass_special(struct scan *scan, const char *begin, struct text *text)
{
    const char *at = begin + 1, *why;
    struct json_string string;

    if (json_string_scan(&at, scan->end, &string, &why))
        return broken(scan, why, at);
    if (string.refused)
        refuse(scan, JSON_BAD_STRING, string.refused, begin);
    *text = string.escaped ? decoded(scan, string.raw, at) : string.raw;
    return at;
}

/* The string whose quote is at `begin`. Most are plain from one quote to the other. */
static inline const char *pass_string(struct scan *scan, const char *begin, struct text *text)
{
    const char *end = plain_end(begin + 1, scan->end);

    if (end == scan->end || *end != '"')
        return pass_special(scan, begin, text);
    *text = (struct text){begin + 1, (size_t)(end - begin - 1)};
    return end + 1;
}

static inline const char *scan_string(struct scan *scan, const char *at)
{
    struct text text;

    at = pass_string(scan, at, &text);
    if (at)
        record(scan, NODE_STRING, text, at);
    return at;
}

static inline const char *scan_number(struct scan *scan, const char *begin)
{
    const char *at = json_pass_number(begin, scan->end);

    if (!at)
        return broken(scan, no_value, begin);
    record(scan, NODE_NUMBER, (struct text){begin, (size_t)(at - begin)}, at);
    return at;
}

static const char *scan_literal(struct scan *scan, const char *at, enum node_kind kind,
                                struct text literal)
{
    if ((size_t)(scan->end - at) < literal.length || memcmp(at, literal.at, literal.length) != 0)
        return broken(scan, no_value, at);
    at += literal.length;
    record(scan, kind, (struct text){NULL, 0}, at);
    return at;
}

/* --- containers --- */

/* Room for as many levels as the rest of the text can open. */
static bool more_levels(struct scan *scan, const char *at)
{
    size_t bytes = scan->levels_room / 8 + (size_t)(scan->end - at) / 8 + 1;
    uint8_t *levels = arena_take(scan->document->strings, bytes);

    if (!levels)
        return false;
    memcpy(levels, scan->is_object, scan->levels_room / 8);
    scan->is_object = levels;
    scan->levels_room = bytes * 8;
    return true;
}

static char closer_of(bool object)
{
    return object ? '}' : ']';
}

static void push_level(struct scan *scan, bool object)
{
    size_t top = scan->open++;
    uint8_t bit = (uint8_t)(1u << (top % 8));

    scan->is_object[top / 8] =
        (uint8_t)(object ? scan->is_object[top / 8] | bit : scan->is_object[top / 8] & ~bit);
    scan->closer = closer_of(object);
    scan->is_fresh = true;
}

static void pop_level(struct scan *scan)
{
    size_t top;

    scan->open--;
    scan->is_fresh = false;
    if (scan->open == 0)
        return;
    top = scan->open - 1;
    scan->closer = closer_of(scan->is_object[top / 8] >> (top % 8) & 1);
}

/* Inside the container that the node is. */
static void open_node(struct scan *scan, uint32_t index)
{
    scan->place = (struct json_place){.parent = index};
    scan->names[scan->level++] = 0;
}

static void close_node(struct scan *scan, uint32_t container)
{
    scan->place = (struct json_place){.parent = json_at(scan->document, container)->parent};
    scan->level--;
}

static const char *enter(struct scan *scan, const char *at, enum node_kind kind)
{
    uint32_t index;

    if (scan->open == scan->levels_room && !more_levels(scan, at))
        return broken(scan, "it is nested too deep to be read", at);
    push_level(scan, kind == NODE_OBJECT);
    if (scan->recording && scan->level > JSON_DEPTH_MAX)
        refuse(scan, JSON_TOO_DEEP, "it is nested more than 16 levels deep", at);
    index = record(scan, kind, (struct text){NULL, 0}, at);
    if (scan->recording)
        open_node(scan, index);
    return at + 1;
}

/* `at` is the closing bracket. */
static const char *leave(struct scan *scan, const char *at)
{
    struct json_document *document = scan->document;
    uint32_t container = scan->place.parent, twice;

    pop_level(scan);
    if (!scan->recording)
        return at + 1;
    if (json_at(document, container)->kind == NODE_OBJECT &&
        json_at(document, container)->length > NAMES_SMALL &&
        json_names_repeat(document, container, &twice)) {
        report(scan, JSON_NAME_TWICE, "the name stands twice in its object", at,
               json_pointer(document, twice, document->strings));
        return at + 1;
    }
    json_close(document, container);
    close_node(scan, container);
    return at + 1;
}

/* --- names --- */

static inline uint64_t name_bit(struct text name)
{
    size_t hash = name.length;

    if (name.length > 0)
        hash += (size_t)(unsigned char)name.at[0] +
                11 * (size_t)(unsigned char)name.at[name.length - 1];
    return (uint64_t)1 << (hash & 63);
}

static bool is_among_siblings(const struct scan *scan, struct text name)
{
    const struct json_document *document = scan->document;

    if (json_at(document, scan->place.parent)->length >= NAMES_SMALL)
        return false;
    for (uint32_t i = scan->place.parent + 1; i < document->count; i = json_after(document, i)) {
        const struct json_node *node = json_at(document, i);
        if (node->name_length == name.length && memcmp(node->name, name.at, name.length) == 0)
            return true;
    }
    return false;
}

static inline void take_name(struct scan *scan, struct text name, const char *begin)
{
    uint64_t *names, bit = name_bit(name);
    bool is_taken;

    if (!scan->recording)
        return;
    names = &scan->names[scan->level - 1];
    is_taken = (*names & bit) != 0;
    *names |= bit;
    scan->place.name = name;
    if (is_taken && is_among_siblings(scan, name))
        refuse(scan, JSON_NAME_TWICE, "the name stands twice in its object", begin);
}

/* Behind a member's name and colon. */
static inline const char *scan_name(struct scan *scan, const char *begin)
{
    const char *at;
    struct text name;

    if (!stands(scan, begin, '"'))
        return broken(scan, "a member's name is missing", begin);
    at = pass_string(scan, begin, &name);
    if (!at)
        return NULL;
    take_name(scan, name, begin);
    at = pass_space(at, scan->end);
    if (!stands(scan, at, ':'))
        return broken(scan, "a ':' is missing behind a name", at);
    return at + 1;
}

/* --- members as nearly all are --- */

/* A call, where an addition would do: so it stays a branch, and what follows needn't wait for the
 * byte that it depends on. */
COLD static const char *behind_blank(const char *at)
{
    return at + 1;
}

static inline const char *pass_blank(const char *at)
{
    return *at == ' ' ? behind_blank(at) : at;
}

/*
 * The value of a member whose name is short and plain, with one space at the most behind comma and
 * colon. NULL when it isn't so, or too close to the end of the text to be looked at unchecked.
 */
static inline const char *to_plain_value(const char *at, const char *end, bool is_first,
                                         struct text *name)
{
    size_t length;

    if (end - at < PLAIN_MEMBER_ROOM)
        return NULL;
    if (!is_first) {
        if (*at++ != ',')
            return NULL;
        at = pass_blank(at);
    }
    if (*at++ != '"')
        return NULL;
    length = plain_run(at);
    if (at[length] != '"' || at[length + 1] != ':')
        return NULL;
    *name = (struct text){at, length};
    return pass_blank(at + length + 2);
}

/* Behind the plain string or the number at `at`; NULL when it is something else. */
static inline const char *pass_plain_value(const char *at, const char *end, enum node_kind *kind,
                                           struct text *text)
{
    const char *behind;

    if (*at == '"') {
        behind = plain_end(at + 1, end);
        *kind = NODE_STRING;
        *text = (struct text){at + 1, (size_t)(behind - at - 1)};
        return behind < end && *behind == '"' ? behind + 1 : NULL;
    }
    if ((unsigned char)(*at - '0') > 9)
        return NULL;
    behind = json_pass_number(at, end);
    if (!behind)
        return NULL;
    *kind = NODE_NUMBER;
    *text = (struct text){at, (size_t)(behind - at)};
    return behind;
}

/*
 * Takes members of the innermost object for as long as they are plain, in a loop that keeps all it
 * needs in registers: what scan_on and scan_value would do, for half the instructions. Stops at the
 * first value that isn't plain, its name taken and in scan->place; or at a member whose name may be
 * wrong, which is left to scan_on, as that knows what to say about it.
 */
static inline const char *take_plain_members(struct scan *scan, const char *at)
{
    struct json_document *document = scan->document;
    const char *const end = scan->end;
    uint64_t *names = &scan->names[scan->level - 1];
    struct json_place place = {.parent = scan->place.parent};

    while (document->count < document->room) {
        enum node_kind kind;
        struct text text;
        const char *value = to_plain_value(at, end, scan->is_fresh, &place.name);
        uint64_t bit;

        if (!value)
            return at;
        bit = name_bit(place.name);
        if ((*names & bit) && is_among_siblings(scan, place.name))
            return at;
        *names |= bit;
        scan->is_fresh = false;
        at = pass_plain_value(value, end, &kind, &text);
        if (!at) {
            scan->place.name = place.name;
            return value;
        }
        (void)!json_add(document, &place, kind, text);
    }
    return at;
}

/* --- the loop --- */

/* Behind the value at `at`, or behind the bracket of one that opens. */
static inline const char *scan_value(struct scan *scan, const char *at)
{
    at = pass_space(at, scan->end);
    if (at == scan->end)
        return broken(scan, "the text ends where a value is due", at);
    switch (*at) {
    case '"':
        return scan_string(scan, at);
    case '{':
        return enter(scan, at, NODE_OBJECT);
    case '[':
        return enter(scan, at, NODE_ARRAY);
    case 't':
        return scan_literal(scan, at, NODE_TRUE, text_of("true"));
    case 'f':
        return scan_literal(scan, at, NODE_FALSE, text_of("false"));
    case 'n':
        return scan_literal(scan, at, NODE_NULL, text_of("null"));
    default:
        return scan_number(scan, at);
    }
}

/* To the next value inside the open containers, or behind the last one's end. */
static inline const char *scan_on(struct scan *scan, const char *at)
{
    while (scan->open > 0) {
        scan->place.name = (struct text){NULL, 0};
        if (scan->closer == '}' && scan->recording) {
            at = take_plain_members(scan, at);
            if (!text_is_absent(scan->place.name))
                return at;
        }
        at = pass_space(at, scan->end);
        if (stands(scan, at, scan->closer)) {
            at = leave(scan, at);
            continue;
        }
        if (!scan->is_fresh && !stands(scan, at, ','))
            return broken(scan,
                          at == scan->end ? "the text ends inside a container"
                                          : "a ',' or a closing bracket is missing",
                          at);
        if (!scan->is_fresh)
            at = pass_space(at + 1, scan->end);
        scan->is_fresh = false;
        return scan->closer == '}' ? scan_name(scan, at) : at;
    }
    return at;
}

/* Behind the containers that are open. */
static const char *scan_rest(struct scan *scan, const char *at)
{
    at = scan_on(scan, at);
    while (at && scan->open > 0) {
        at = scan_value(scan, at);
        if (at)
            at = scan_on(scan, at);
    }
    return at;
}

/* --- events like the one before --- */

/* Brings the scan to where it would be behind the nodes, had it come to them by itself. */
static void catch_up(struct scan *scan)
{
    struct json_document *document = scan->document;

    scan->place.parent = JSON_NONE;
    for (uint32_t i = 0; i < document->count; i++) {
        struct json_node *node = &document->nodes[i];

        while (scan->place.parent != node->parent) {
            pop_level(scan);
            close_node(scan, scan->place.parent);
        }
        scan->is_fresh = false;
        if (i > 0) {
            scan->names[scan->level - 1] |= name_bit(json_name(node));
            document->nodes[node->parent].length++;
        }
        if (!json_is_container(node))
            continue;
        node->length = 0;
        push_level(scan, true);
        open_node(scan, i);
    }
}

static bool may_follow(const struct scan *scan)
{
    const struct json_document *document = scan->document;

    return document->shape && document->count == 0 && scan->level == 1 &&
           document->shape->count <= document->room;
}

/* Behind the first value of the text, or behind what of it is as the shape has it. */
static const char *scan_as_before(struct scan *scan, const char *at)
{
    at = json_shape_follow(scan->document, at, scan->end);
    if (scan->document->is_as_shape)
        return at;
    if (scan->document->count == 0)
        return scan_value(scan, at);
    catch_up(scan);
    return at;
}

int json_scan(struct json_document *document, struct text text, size_t *position,
              const struct json_place *place, unsigned level, struct json_error *error)
{
    const char *at = text.at + *position;
    bool is_guessed;
    struct scan scan;

    scan.document = document;
    scan.start = text.at;
    scan.end = text.at + text.length;
    scan.place = *place;
    scan.level = level;
    scan.is_fresh = false;
    scan.open = 0;
    scan.is_object = scan.levels_inline;
    scan.levels_room = LEVELS_INLINE;
    scan.recording = true;
    scan.outcome = 0;
    scan.error = error;
    memset(scan.levels_inline, 0, sizeof(scan.levels_inline));
    is_guessed = may_follow(&scan);
    at = is_guessed ? scan_as_before(&scan, at) : scan_value(&scan, at);
    if (at && scan.open > 0)
        at = scan_rest(&scan, at);
    if (!at)
        return scan.outcome;
    if (is_guessed && scan.outcome == 0 && json_shape_is_stale(document->shape))
        json_shape_learn(document->shape, document,
                         text_from(text.at + *position, (size_t)(at - text.at) - *position));
    *position = (size_t)(at - scan.start);
    return scan.outcome;
}

size_t json_skip_space(struct text text, size_t position)
{
    return (size_t)(pass_space(text.at + position, text.at + text.length) - text.at);
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
