/*
 * backtest_render.c - a backtest as a table and as JSON (backtest.h).
 */
#include "invoicer/rules/backtest_words.h"

#include "invoicer/rules/grid.h"
#include "invoicer/rules/json_write.h"
#include "invoicer/rules/render_words.h"

#include <assert.h>

/* --- words --- */

void backtest_signed(struct money money, const struct currency *currency, struct buffer *text)
{
    if (money.minor > 0)
        buffer_add_char(text, '+');
    render_money(money, currency, text);
}

void backtest_percent(struct money now, struct money then, struct buffer *text)
{
    const struct currency tenths = {.digits = 1};
    struct money change = {then.minor - now.minor}, share;
    bool falls = change.minor < 0;
    int128 size = falls ? -change.minor : change.minor;

    for (; now.minor > (int128)1 << 96 || size > (int128)1 << 96; now.minor /= 2)
        size /= 2; /* for people, so many digits are enough */
    if (now.minor <= 0 || size > now.minor * 100)
        return;
    share.minor = (size * 1000 * 2 + now.minor) / (now.minor * 2);
    if (falls)
        share.minor = -share.minor;
    backtest_signed(share, &tenths, text);
    buffer_add_string(text, " %");
}

void backtest_verdict(const struct backtest_sums *sums, struct buffer *text)
{
    const char *code = sums->currency->code;

    render_money(sums->now, sums->currency, text);
    buffer_printf(text, " %s become ", code);
    render_money(sums->then, sums->currency, text);
    buffer_printf(text, " %s, ", code);
    backtest_signed((struct money){sums->then.minor - sums->now.minor}, sums->currency, text);
    buffer_printf(text, ": %zu pay more, %zu less, %zu the same", sums->more, sums->less,
                  sums->same);
}

/* --- a table --- */

static void add_cell(struct grid *grid, struct buffer *cell)
{
    grid_add(grid, buffer_text(cell));
    buffer_clear(cell);
}

static void add_row(struct grid *grid, const struct backtest_row *row)
{
    CLEANUP(buffer_deinit) struct buffer cell = {0};

    grid_add(grid, row->subscription);
    grid_add(grid, row->customer);
    grid_add(grid, row->plan);
    render_money(row->now, row->currency, &cell);
    add_cell(grid, &cell);
    render_money(row->then, row->currency, &cell);
    add_cell(grid, &cell);
    backtest_signed((struct money){row->then.minor - row->now.minor}, row->currency, &cell);
    add_cell(grid, &cell);
    backtest_percent(row->now, row->then, &cell);
    add_cell(grid, &cell);
}

static void add_head(struct grid *grid, const struct backtest_sums *sums, struct text plan)
{
    CLEANUP(buffer_deinit) struct buffer cell = {0};
    static const char *const names[] = {"Subscription", "Customer", "Plan"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        grid_add(grid, text_of(names[i]));
    buffer_printf(&cell, "Now %s", sums->currency->code);
    add_cell(grid, &cell);
    buffer_add_text(&cell, plan);
    add_cell(grid, &cell);
    grid_add(grid, text_of("Difference"));
    grid_add(grid, text_of(""));
}

static size_t of_currency(const struct backtest_sums *sums)
{
    return sums->more + sums->less + sums->same;
}

static void add_currency(const struct backtest *backtest, const struct backtest_sums *sums,
                         size_t first, size_t shown, struct buffer *text)
{
    CLEANUP(grid_deinit)
    struct grid grid = {.column_count = 7, .is_number = {[3] = true, true, true, true}};
    size_t count = of_currency(sums), left_out = count > 2 * shown ? count - 2 * shown : 0;

    add_head(&grid, sums, backtest->plan);
    for (size_t i = 0; i < count; i++) {
        if (left_out && i >= shown && i < shown + left_out)
            continue;
        add_row(&grid, &backtest->rows[first + i]);
    }
    grid_write(&grid, text);
    if (left_out)
        buffer_printf(text, "(%zu with smaller differences are left out)\n", left_out);
    backtest_verdict(sums, text);
    buffer_add_string(text, "\n\n");
}

void backtest_table(const struct backtest *backtest, size_t shown, struct buffer *text)
{
    size_t first = 0;

    for (size_t i = 0; i < backtest->sum_count; i++) {
        add_currency(backtest, &backtest->sums[i], first, shown, text);
        first += of_currency(&backtest->sums[i]);
    }
    for (size_t i = backtest->compared; i < backtest->count; i++) {
        buffer_add_string(text, "not compared: ");
        grid_show(text, backtest->rows[i].subscription);
        buffer_add_string(text, ": ");
        grid_show(text, backtest->rows[i].why_not);
        buffer_add_char(text, '\n');
    }
    buffer_printf(text, "%zu subscriptions compared, %zu not\n", backtest->compared,
                  backtest->count - backtest->compared);
}

/* --- JSON --- */

static void write_row(const struct backtest_row *row, struct buffer *json)
{
    json_write_text(json, "{\"subscription\":", row->subscription);
    json_write_text(json, ",\"customer\":", row->customer);
    json_write_text(json, ",\"plan\":", row->plan);
    if (!text_is_absent(row->why_not)) {
        json_write_text(json, ",\"notCompared\":", row->why_not);
        buffer_add_char(json, '}');
        return;
    }
    json_write_text(json, ",\"currency\":", text_of(row->currency->code));
    json_write_money(json, ",\"now\":", row->now, row->currency);
    json_write_money(json, ",\"then\":", row->then, row->currency);
    json_write_money(json, ",\"difference\":", (struct money){row->then.minor - row->now.minor},
                     row->currency);
    buffer_add_char(json, '}');
}

static void write_sums(const struct backtest_sums *sums, struct buffer *json)
{
    json_write_text(json, "{\"currency\":", text_of(sums->currency->code));
    json_write_money(json, ",\"now\":", sums->now, sums->currency);
    json_write_money(json, ",\"then\":", sums->then, sums->currency);
    json_write_money(json, ",\"difference\":", (struct money){sums->then.minor - sums->now.minor},
                     sums->currency);
    json_write_int(json, ",\"more\":", (int64_t)sums->more);
    json_write_int(json, ",\"less\":", (int64_t)sums->less);
    json_write_int(json, ",\"same\":", (int64_t)sums->same);
    buffer_add_char(json, '}');
}

void backtest_json(const struct backtest *backtest, struct buffer *json)
{
    json_write_text(json, "{\"plan\":", backtest->plan);
    json_write_instant(json, ",\"from\":", backtest->range.from);
    json_write_instant(json, ",\"to\":", backtest->range.to);
    buffer_add_string(json, ",\"totals\":[");
    for (size_t i = 0; i < backtest->sum_count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_sums(&backtest->sums[i], json);
    }
    buffer_add_string(json, "],\"subscriptions\":[");
    for (size_t i = 0; i < backtest->count; i++) {
        buffer_add_string(json, i ? "," : "");
        write_row(&backtest->rows[i], json);
    }
    buffer_add_string(json, "]}");
}
