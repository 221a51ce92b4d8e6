#include "aggregator/rules/rows.h"

#include "proto/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { ROW_BYTES = 60 };

static const uint32_t GROUP_NULL = 0xffffffff;

static void *grown(void *at, size_t count, size_t size)
{
    void *more = realloc(at, count * size);

    if (!more)
        abort();
    return more;
}

void rows_deinit(struct rows *rows)
{
    for (uint32_t i = 0; i < rows->count; i++)
        free(rows->rows[i].uniques);
    for (uint32_t i = 0; i < rows->group_count; i++)
        free(rows->groups[i].bytes);
    free(rows->rows);
    free(rows->groups);
    index_deinit(&rows->by_group);
    index_deinit(&rows->by_row);
    *rows = (struct rows){0};
}

/* --- groups --- */

static bool group_equal(const void *owner, uint32_t id, const void *wanted)
{
    const struct rows_group *group = &((const struct rows *)owner)->groups[id];
    const struct text *bytes = wanted;

    return group->length == bytes->length &&
           (bytes->length == 0 || memcmp(group->bytes, bytes->at, bytes->length) == 0);
}

static uint32_t intern(struct rows *rows, struct text bytes)
{
    uint64_t hash = XXH3_64bits(bytes.at, bytes.length);
    uint32_t id = index_find(&rows->by_group, hash, group_equal, rows, &bytes);

    if (id != INDEX_NONE)
        return id;
    if (rows->group_count == rows->group_room) {
        rows->group_room = rows->group_room ? rows->group_room * 2 : 16;
        rows->groups = grown(rows->groups, rows->group_room, sizeof(*rows->groups));
    }
    id = rows->group_count++;
    rows->groups[id] =
        (struct rows_group){.bytes = grown(NULL, bytes.length + 1, 1), .length = bytes.length};
    if (bytes.length)
        memcpy(rows->groups[id].bytes, bytes.at, bytes.length);
    index_add(&rows->by_group, hash, id);
    return id;
}

void rows_init(struct rows *rows, const struct query *query)
{
    *rows = (struct rows){.value_count = (size_t)query->by_subscription + query->by_subject +
                                         query->group_count};
}

uint32_t rows_group(struct rows *rows, const struct text *values)
{
    CLEANUP(buffer_deinit) struct buffer bytes = {0};
    uint8_t length[4];

    for (size_t i = 0; i < rows->value_count; i++) {
        bool is_null = text_is_absent(values[i]);
        wire_store_u32(length, is_null ? GROUP_NULL : (uint32_t)values[i].length);
        buffer_add(&bytes, length, sizeof(length));
        if (!is_null)
            buffer_add_text(&bytes, values[i]);
    }
    return intern(rows, buffer_text(&bytes));
}

/* Cuts the next value off a group's bytes. */
static struct text next_value(struct text *rest)
{
    uint32_t length;
    struct text value;

    assert(rest->length >= 4);
    length = wire_load_u32((const uint8_t *)rest->at);
    *rest = text_from(rest->at + 4, rest->length - 4);
    if (length == GROUP_NULL)
        return text_of(NULL);
    assert(length <= rest->length);
    value = text_from(rest->at, length);
    *rest = text_from(rest->at + length, rest->length - length);
    return value;
}

static bool is_group(struct text bytes, size_t value_count)
{
    size_t values = 0;

    while (bytes.length) {
        uint32_t length;
        if (bytes.length < 4 || ++values > value_count)
            return false;
        length = wire_load_u32((const uint8_t *)bytes.at);
        if (length == GROUP_NULL)
            length = 0;
        if (length > bytes.length - 4)
            return false;
        bytes = text_from(bytes.at + 4 + length, bytes.length - 4 - length);
    }
    return values == value_count;
}

/* --- rows --- */

static bool row_equal(const void *owner, uint32_t id, const void *wanted)
{
    const struct row *a = &((const struct rows *)owner)->rows[id], *b = wanted;

    return a->from_minute == b->from_minute && a->group == b->group;
}

int rows_take(struct rows *rows, int64_t from_minute, int64_t to_minute, uint32_t group,
              enum aggregation aggregation, struct row **row)
{
    struct row wanted = {.from_minute = from_minute,
                         .to_minute = to_minute,
                         .group = group,
                         .total = {.aggregation = aggregation}};
    uint64_t parts[2] = {(uint64_t)from_minute, group};
    uint64_t hash = XXH3_64bits(parts, sizeof(parts));
    uint32_t id = index_find(&rows->by_row, hash, row_equal, rows, &wanted);

    if (id == INDEX_NONE) {
        if (rows->count == ROWS_MAX)
            return ROWS_TOO_MANY;
        if (rows->count == rows->room) {
            rows->room = rows->room ? rows->room * 2 : 64;
            rows->rows = grown(rows->rows, rows->room, sizeof(*rows->rows));
        }
        id = rows->count++;
        rows->rows[id] = wanted;
        index_add(&rows->by_row, hash, id);
    }
    *row = &rows->rows[id];
    return 0;
}

int row_add(struct row *row, const struct total *total)
{
    return total_merge(&row->total, total) ? ROWS_OVERFLOW : 0;
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, 16);
}

static void settle_uniques(struct row *row)
{
    size_t kept = 0;

    if (row->unique_sorted == row->unique_count)
        return;
    qsort(row->uniques, row->unique_count, sizeof(*row->uniques), compare_hashes);
    for (size_t i = 0; i < row->unique_count; i++)
        if (kept == 0 || memcmp(row->uniques[kept - 1], row->uniques[i], 16) != 0)
            memcpy(row->uniques[kept++], row->uniques[i], 16);
    row->unique_count = row->unique_sorted = kept;
}

void row_add_unique(struct row *row, const uint8_t hash[16])
{
    if (row->unique_count == row->unique_room)
        settle_uniques(row);
    if (row->unique_count * 2 >= row->unique_room) {
        row->unique_room = row->unique_room ? row->unique_room * 2 : 8;
        row->uniques = grown(row->uniques, row->unique_room, sizeof(*row->uniques));
    }
    memcpy(row->uniques[row->unique_count++], hash, 16);
}

/* --- to and from peers --- */

static void encode_row(const struct rows *rows, struct row *row, struct buffer *bytes)
{
    const struct rows_group *group = &rows->groups[row->group];
    uint8_t fixed[ROW_BYTES];

    settle_uniques(row);
    wire_store_i64(fixed, row->from_minute);
    wire_store_i64(fixed + 8, row->to_minute);
    wire_store_i128(fixed + 16, row->total.value.units);
    wire_store_u64(fixed + 32, row->total.count);
    wire_store_i64(fixed + 40, row->total.time.ns);
    wire_store_u32(fixed + 48, (uint32_t)row->total.aggregation);
    wire_store_u32(fixed + 52, (uint32_t)group->length);
    wire_store_u32(fixed + 56, (uint32_t)row->unique_count);
    buffer_add(bytes, fixed, sizeof(fixed));
    buffer_add(bytes, group->bytes, group->length);
    if (row->unique_count)
        buffer_add(bytes, row->uniques, row->unique_count * 16);
}

void rows_encode(const struct rows *rows, struct buffer *bytes)
{
    for (uint32_t i = 0; i < rows->count; i++)
        encode_row(rows, &rows->rows[i], bytes);
}

static int merge_row(struct rows *rows, const uint8_t *fixed, struct text group,
                     const uint8_t *uniques)
{
    struct total total = {.aggregation = (enum aggregation)wire_load_u32(fixed + 48),
                          .value = {wire_load_i128(fixed + 16)},
                          .count = wire_load_u64(fixed + 32),
                          .time = {wire_load_i64(fixed + 40)}};
    struct row *row;
    int r = rows_take(rows, wire_load_i64(fixed), wire_load_i64(fixed + 8), intern(rows, group),
                      total.aggregation, &row);

    for (uint32_t i = 0; !r && i < wire_load_u32(fixed + 56); i++)
        row_add_unique(row, uniques + (size_t)i * 16);
    if (!r && total.aggregation != AGGREGATION_UNIQUE_COUNT)
        r = row->total.aggregation == total.aggregation ? row_add(row, &total) : ROWS_FOREIGN;
    return r;
}

int rows_merge(struct rows *rows, struct text bytes)
{
    while (bytes.length) {
        const uint8_t *fixed = (const uint8_t *)bytes.at;
        size_t group, uniques;
        struct text name;
        int r;

        if (bytes.length < ROW_BYTES || wire_load_u32(fixed + 48) > AGGREGATION_UNIQUE_COUNT)
            return ROWS_FOREIGN;
        group = wire_load_u32(fixed + 52);
        uniques = (size_t)wire_load_u32(fixed + 56) * 16;
        if (group > bytes.length - ROW_BYTES || uniques > bytes.length - ROW_BYTES - group)
            return ROWS_FOREIGN;
        name = text_from(bytes.at + ROW_BYTES, group);
        if (!is_group(name, rows->value_count))
            return ROWS_FOREIGN;
        r = merge_row(rows, fixed, name, fixed + ROW_BYTES + group);
        if (r)
            return r;
        bytes = text_from(bytes.at + ROW_BYTES + group + uniques,
                          bytes.length - ROW_BYTES - group - uniques);
    }
    return 0;
}

/* --- order --- */

static int compare_groups(const struct rows_group *a, const struct rows_group *b)
{
    struct text left = text_from(a->bytes, a->length), right = text_from(b->bytes, b->length);

    while (left.length && right.length) {
        int order = text_compare(next_value(&left), next_value(&right));
        if (order)
            return order;
    }
    return 0;
}

static int compare_rows(const void *left, const void *right, void *context)
{
    const struct rows *rows = context;
    const struct row *a = left, *b = right;

    if (a->from_minute != b->from_minute)
        return a->from_minute < b->from_minute ? -1 : 1;
    return compare_groups(&rows->groups[a->group], &rows->groups[b->group]);
}

void rows_sort(struct rows *rows)
{
    if (rows->count)
        qsort_r(rows->rows, rows->count, sizeof(*rows->rows), compare_rows, rows);
    for (uint32_t i = 0; i < rows->count; i++)
        settle_uniques(&rows->rows[i]);
}

/* --- writing --- */

static size_t format_value(const struct row *row, char text[DECIMAL_TEXT_MAX])
{
    struct total total = row->total;

    if (total.aggregation == AGGREGATION_UNIQUE_COUNT)
        total.count = row->unique_count;
    return decimal_format(total_answer(&total), text);
}

static struct text format_minute(int64_t minute, char text[INSTANT_TEXT_MAX])
{
    if (minute == INT64_MIN || minute == INT64_MAX)
        return text_of(NULL);
    return text_from(text, instant_format_minute(minute, text));
}

static void add_minute(struct buffer *out, const char *name, int64_t minute)
{
    char text[INSTANT_TEXT_MAX];

    buffer_printf(out, ",\"%s\":", name);
    buffer_add_json_string(out, format_minute(minute, text));
}

static void write_row(const struct rows *rows, const struct query *query, const struct row *row,
                      struct buffer *out)
{
    const struct rows_group *group = &rows->groups[row->group];
    struct text rest = text_from(group->bytes, group->length);
    struct text subscription = query->by_subscription ? next_value(&rest) : text_of(NULL);
    struct text subject = query->by_subject ? next_value(&rest) : text_of(NULL);
    char value[DECIMAL_TEXT_MAX];

    format_value(row, value);
    buffer_printf(out, "{\"value\":\"%s\"", value);
    add_minute(out, "windowStart", row->from_minute);
    add_minute(out, "windowEnd", row->to_minute);
    buffer_add_string(out, ",\"subject\":");
    buffer_add_json_string(out, subject);
    buffer_add_string(out, ",\"subscription\":");
    buffer_add_json_string(out, subscription);
    buffer_add_string(out, ",\"groupBy\":{");
    for (size_t i = 0; i < query->group_count; i++) {
        if (i)
            buffer_add_char(out, ',');
        buffer_add_json_string(out, query->group_by[i]);
        buffer_add_char(out, ':');
        buffer_add_json_string(out, next_value(&rest));
    }
    buffer_add_string(out, "}}");
}

void rows_write_json(const struct rows *rows, const struct query *query, struct buffer *out)
{
    char text[INSTANT_TEXT_MAX];

    buffer_add_char(out, '{');
    if (query->has_from)
        buffer_printf(out, "\"from\":\"%s\",", format_minute(query->from_minute, text).at);
    if (query->has_to)
        buffer_printf(out, "\"to\":\"%s\",", format_minute(query->to_minute, text).at);
    if (query->has_window)
        buffer_printf(out, "\"windowSize\":\"%s\",", window_size_name(query->window));
    buffer_add_string(out, "\"data\":[");
    for (uint32_t i = 0; i < rows->count; i++) {
        if (i)
            buffer_add_char(out, ',');
        write_row(rows, query, &rows->rows[i], out);
    }
    buffer_add_string(out, "]}\n");
}

/* RFC 4180; null is empty, "" is quoted; what a spreadsheet would run gets a ' before it. */
static void add_field(struct buffer *out, struct text text)
{
    bool is_formula = text.length && memchr("=+-@\t\r", text.at[0], 6);
    bool is_quoted = !text_is_absent(text) && text.length == 0;

    for (size_t i = 0; i < text.length; i++)
        is_quoted = is_quoted || memchr("\",\r\n", text.at[i], 4);
    if (!is_quoted && !is_formula) {
        buffer_add_text(out, text);
        return;
    }
    if (is_quoted)
        buffer_add_char(out, '"');
    if (is_formula)
        buffer_add_char(out, '\'');
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '"')
            buffer_add_char(out, '"');
        buffer_add_char(out, text.at[i]);
    }
    if (is_quoted)
        buffer_add_char(out, '"');
}

static void write_csv_row(const struct rows *rows, const struct query *query, const struct row *row,
                          struct buffer *out)
{
    const struct rows_group *group = &rows->groups[row->group];
    struct text rest = text_from(group->bytes, group->length);
    struct text subscription = query->by_subscription ? next_value(&rest) : text_of(NULL);
    struct text subject = query->by_subject ? next_value(&rest) : text_of(NULL);
    char text[INSTANT_TEXT_MAX], value[DECIMAL_TEXT_MAX];

    add_field(out, format_minute(row->from_minute, text));
    buffer_add_char(out, ',');
    add_field(out, format_minute(row->to_minute, text));
    buffer_add_char(out, ',');
    add_field(out, subject);
    buffer_add_char(out, ',');
    if (query->by_subscription) {
        add_field(out, subscription);
        buffer_add_char(out, ',');
    }
    for (size_t i = 0; i < query->group_count; i++) {
        add_field(out, next_value(&rest));
        buffer_add_char(out, ',');
    }
    format_value(row, value);
    buffer_printf(out, "%s\r\n", value);
}

void rows_write_csv(const struct rows *rows, const struct query *query, struct buffer *out)
{
    buffer_add_string(out, "window_start,window_end,subject,");
    if (query->by_subscription)
        buffer_add_string(out, "subscription,");
    for (size_t i = 0; i < query->group_count; i++) {
        add_field(out, query->group_by[i]);
        buffer_add_char(out, ',');
    }
    buffer_add_string(out, "value\r\n");
    for (uint32_t i = 0; i < rows->count; i++)
        write_csv_row(rows, query, &rows->rows[i], out);
}
