/*
 * rate_json.c - rates a question and writes the answer, for programs and for people.
 */
#include "invoicer/rules/rate_json.h"

#include "invoicer/rules/json_write.h"

#include "invoicer/rules/grid.h"
#include "invoicer/rules/rate_question.h"
#include "invoicer/rules/render_words.h"

/* Plain words, but for a matrix price's dimensions. */
static void add_description(const struct rated_line *line, const struct price *price,
                            struct buffer *buffer)
{
    CLEANUP(buffer_deinit) struct buffer words = {0};

    if (price->kind == PRICE_MATRIX) {
        rated_describe(line, price, &words);
        json_write_text(buffer, ",\"description\":", buffer_text(&words));
        return;
    }
    buffer_add_string(buffer, ",\"description\":\"");
    rated_describe(line, price, buffer);
    buffer_add_char(buffer, '"');
}

void rated_write_before(const struct rated_line *line, const struct price *price,
                        struct buffer *buffer)
{
    buffer_add_string(buffer, "{\"kind\":\"");
    buffer_add_string(buffer, rated_kind_name(line->kind));
    buffer_add_string(buffer, "\",\"tier\":");
    if (line->tier)
        buffer_add_int(buffer, (int64_t)line->tier);
    else
        buffer_add_string(buffer, "null");
    add_description(line, price, buffer);
    buffer_add_string(buffer, ",\"quantity\":");
}

void rated_write_behind(const struct rated_line *line, const struct currency *currency,
                        struct buffer *buffer)
{
    if (line->kind == RATED_MINIMUM)
        json_write_money(buffer, ",\"unitAmount\":", line->amount, currency);
    else
        json_write_decimal(buffer, ",\"unitAmount\":", line->unit_amount);
}

void rated_write_open(const struct rated_line *line, const struct price *price,
                      const struct currency *currency, struct buffer *buffer)
{
    rated_write_before(line, price, buffer);
    json_write_decimal(buffer, "", line->quantity);
    rated_write_behind(line, currency, buffer);
    json_write_money(buffer, ",\"amount\":", line->amount, currency);
    json_write_money(buffer, ",\"discount\":", line->discount, currency);
    json_write_money(buffer, ",\"total\":", line->total, currency);
}

void rated_write(const struct rated_line *line, const struct price *price,
                 const struct currency *currency, struct buffer *buffer)
{
    rated_write_open(line, price, currency, buffer);
    buffer_add_char(buffer, '}');
}

static void add_answer(const struct rate_question *question, const struct rated_line *lines,
                       const struct rating *rating, struct buffer *answer)
{
    buffer_add_string(answer, "{\"lines\":[");
    for (size_t i = 0; i < rating->line_count; i++) {
        if (i)
            buffer_add_char(answer, ',');
        rated_write(&lines[i], &question->price, question->currency, answer);
    }
    json_write_decimal(answer, "],\"billedQuantity\":", rating->billed_quantity);
    json_write_money(answer, ",\"amount\":", rating->amount, question->currency);
    json_write_money(answer, ",\"discountTotal\":", rating->discount, question->currency);
    json_write_money(answer, ",\"total\":", rating->total, question->currency);
    buffer_add_char(answer, '}');
}

/* --- for people --- */

static void add_cell(struct grid *grid, struct buffer *cell)
{
    grid_add(grid, buffer_text(cell));
    buffer_clear(cell);
}

static void add_sums(struct grid *grid, struct money amount, struct money discount,
                     struct money total, const struct currency *currency)
{
    const struct money sums[] = {amount, discount, total};
    CLEANUP(buffer_deinit) struct buffer cell = {0};

    for (size_t i = 0; i < ARRAY_LEN(sums); i++) {
        render_money(sums[i], currency, &cell);
        add_cell(grid, &cell);
    }
}

static void add_line_row(const struct rate_question *question, const struct rated_line *line,
                         struct grid *grid)
{
    CLEANUP(buffer_deinit) struct buffer cell = {0};
    char unit[DECIMAL_TEXT_MAX];

    rated_describe(line, &question->price, &cell);
    add_cell(grid, &cell);
    quantity_describe(line->quantity, &cell);
    add_cell(grid, &cell);
    if (line->kind == RATED_MINIMUM)
        render_money(line->amount, question->currency, &cell);
    else
        buffer_add(&cell, unit, decimal_format(line->unit_amount, unit));
    add_cell(grid, &cell);
    add_sums(grid, line->amount, line->discount, line->total, question->currency);
}

static void add_table(const struct rate_question *question, const struct rated_line *lines,
                      const struct rating *rating, struct buffer *answer)
{
    static const char *const titles[] = {"", "quantity", "price", "amount", "discount", "total"};
    CLEANUP(grid_deinit) struct grid grid = {.column_count = ARRAY_LEN(titles)};
    CLEANUP(buffer_deinit) struct buffer cell = {0};

    for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
        grid.is_number[i] = i > 0;
        grid_add(&grid, text_of(titles[i]));
    }
    for (size_t i = 0; i < rating->line_count; i++)
        add_line_row(question, &lines[i], &grid);
    buffer_printf(&cell, "Total %s", question->currency->code);
    add_cell(&grid, &cell);
    add_cell(&grid, &cell);
    add_cell(&grid, &cell);
    add_sums(&grid, rating->amount, rating->discount, rating->total, question->currency);
    grid_write(&grid, answer);
    buffer_add_string(answer, "Billed quantity: ");
    quantity_describe(rating->billed_quantity, answer);
    buffer_add_char(answer, '\n');
}

/* --- answering --- */

typedef void writer(const struct rate_question *question, const struct rated_line *lines,
                    const struct rating *rating, struct buffer *answer);

static int answer_read(const json_t *json, struct arena *arena, writer *write,
                       struct price_issue *issue, struct buffer *answer)
{
    struct rate_question question;
    struct rated_line *lines;
    struct rating rating;
    int r = rate_question_read(json, arena, &question, issue);

    if (r)
        return r;
    lines = arena_take(arena, rating_lines_max(&question.price) * sizeof(*lines));
    if (!lines)
        return question_refuse(issue, "too_large", "", "has no room");
    r = rating_rate(&question.price, &question.discounts, question.currency, &question.slice, lines,
                    &rating);
    if (r)
        return rate_question_refuse(&question, r, issue);
    write(&question, lines, &rating, answer);
    return 0;
}

static int answer_question(struct text text, struct arena *arena, writer *write,
                           struct price_issue *issue, struct buffer *answer)
{
    json_t *json;
    int r = question_parse(text, &json, issue);

    if (r)
        return r;
    r = answer_read(json, arena, write, issue, answer);
    json_decref(json);
    return r;
}

int rate_json(struct text question, struct arena *arena, struct buffer *answer)
{
    struct price_issue issue;
    int r = answer_question(question, arena, add_answer, &issue, answer);

    if (r)
        question_write_error(&issue, answer);
    return r;
}

int rate_table(struct text question, struct arena *arena, struct buffer *answer)
{
    struct price_issue issue;
    int r = answer_question(question, arena, add_table, &issue, answer);

    if (r)
        question_describe_error(&issue, answer);
    return r;
}
