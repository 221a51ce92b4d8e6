/*
 * backtest_html.c - a backtest as a page: for each currency a chart of all differences, from who
 * would pay most more to who would pay most less, and a table of the largest.
 */
#include "invoicer/rules/backtest_words.h"

#include "invoicer/rules/html.h"
#include "invoicer/rules/render_words.h"

enum { CHART_WIDTH = 756, CHART_HEIGHT = 220, BARS_MAX = 252, ROWS_MAX = 500 };

static const char style[] =
    "<style>.more{fill:#b4543a}.less{fill:#2f6f6a}.axis{stroke:#98a2b3;stroke-width:1}"
    "h2{margin:34px 0 4px;font-size:18px}p{margin:0 0 12px}svg.chart{width:100%;height:auto;"
    "margin:10px 0 4px}td.up{color:#b4543a}td.down{color:#2f6f6a}"
    "tbody td{padding:5px 0 5px 16px}tbody tr:last-child td{padding-bottom:5px}</style>\n";

static int128 size_of(int128 value)
{
    return value < 0 ? -value : value;
}

static int128 difference_of(const struct backtest_row *row)
{
    return row->then.minor - row->now.minor;
}

/* part × whole / of, where a picture needs no more than the nearest whole below. */
static long long scaled(int128 part, int128 of, int whole)
{
    while (of > (int128)1 << 96) {
        part /= 2;
        of /= 2;
    }
    return of ? (long long)(part * whole / of) : 0;
}

/* --- the chart --- */

/* With more rows than bars, a bar is the mean of its neighbours. */
struct chart {
    const struct backtest_row *rows;
    size_t count, bars;
    int128 top, bottom; /* the largest difference and the least, 0 included */
};

static int128 bar_value(const struct chart *chart, size_t bar)
{
    size_t from = bar * chart->count / chart->bars, to = (bar + 1) * chart->count / chart->bars;
    int128 sum = 0;

    for (size_t i = from; i < to; i++)
        sum += difference_of(&chart->rows[i]) / (int128)(to - from);
    return sum;
}

static struct chart chart_of(const struct backtest_row *rows, size_t count)
{
    struct chart chart = {.rows = rows, .count = count, .bars = count};

    if (chart.bars > BARS_MAX)
        chart.bars = BARS_MAX;
    for (size_t i = 0; i < chart.bars; i++) {
        int128 value = bar_value(&chart, i);

        if (value > chart.top)
            chart.top = value;
        if (value < chart.bottom)
            chart.bottom = value;
    }
    return chart;
}

static void add_bar(struct buffer *html, const struct chart *chart, size_t bar, long long zero)
{
    long long left = (long long)(bar * CHART_WIDTH / chart->bars);
    long long right = (long long)((bar + 1) * CHART_WIDTH / chart->bars);
    int128 value = bar_value(chart, bar);
    long long height = scaled(size_of(value), chart->top - chart->bottom, CHART_HEIGHT);

    if (value == 0)
        return;
    height = height ? height : 1;
    buffer_printf(html, "<rect class=\"%s\" x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%lld\"/>",
                  value > 0 ? "more" : "less", left, value > 0 ? zero - height : zero,
                  right - left > 1 ? right - left - 1 : 1, height);
}

static void add_chart(struct buffer *html, const struct backtest_row *rows, size_t count)
{
    struct chart chart = chart_of(rows, count);
    long long zero = scaled(chart.top, chart.top - chart.bottom, CHART_HEIGHT);

    if (chart.top == chart.bottom)
        return;
    buffer_printf(html,
                  "<svg class=\"chart\" viewBox=\"0 -1 %d %d\" role=\"img\" aria-label=\"The "
                  "difference for each subscription, from the largest increase to the largest "
                  "decrease\">",
                  CHART_WIDTH, CHART_HEIGHT + 2);
    for (size_t i = 0; i < chart.bars; i++)
        add_bar(html, &chart, i, zero);
    buffer_printf(
        html,
        "<line class=\"axis\" x1=\"0\" y1=\"%lld\" x2=\"%d\" y2=\"%lld\"/></svg>\n"
        "<p class=\"soft\">One bar for each %s, from who would pay most more to who would "
        "pay most less.</p>\n",
        zero, CHART_WIDTH, zero,
        chart.bars == count ? "subscription" : "group of neighbouring subscriptions");
}

/* --- the table --- */

static void add_amount(struct buffer *html, const char *class_name, struct money money,
                       const struct currency *currency, bool is_signed)
{
    buffer_printf(html, "</td><td%s>", class_name);
    if (is_signed)
        backtest_signed(money, currency, html);
    else
        render_money(money, currency, html);
}

static void add_row(struct buffer *html, const struct backtest_row *row)
{
    int128 difference = difference_of(row);

    buffer_add_string(html, "<tr><td>");
    html_add_text(html, row->customer);
    buffer_add_string(html, "<small class=\"id\">");
    html_add_text(html, row->subscription);
    buffer_add_string(html, "</small></td><td>");
    html_add_text(html, row->plan);
    add_amount(html, "", row->now, row->currency, false);
    add_amount(html, "", row->then, row->currency, false);
    add_amount(html,
               difference > 0   ? " class=\"up\""
               : difference < 0 ? " class=\"down\""
                                : "",
               (struct money){difference}, row->currency, true);
    buffer_add_string(html, "</td><td>");
    backtest_percent(row->now, row->then, html);
    buffer_add_string(html, "</td></tr>\n");
}

static void add_table(struct buffer *html, const struct backtest *backtest,
                      const struct backtest_row *rows, size_t count)
{
    size_t left_out = count > ROWS_MAX ? count - ROWS_MAX : 0;

    buffer_add_string(html, "<table>\n<thead><tr><th>Customer</th><th>Plan</th><th>Now</th><th>");
    html_add_text(html, backtest->plan);
    buffer_add_string(html, "</th><th>Difference</th><th></th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < count; i++) {
        if (left_out && i >= ROWS_MAX / 2 && i < ROWS_MAX / 2 + left_out)
            continue;
        add_row(html, &rows[i]);
    }
    buffer_add_string(html, "</tbody></table>\n");
    if (left_out)
        buffer_printf(html, "<p class=\"soft\">%zu with smaller differences are left out.</p>\n",
                      left_out);
}

static void add_currency(struct buffer *html, const struct backtest *backtest,
                         const struct backtest_sums *sums, size_t first)
{
    size_t count = sums->more + sums->less + sums->same;

    buffer_printf(html, "<h2>%s</h2>\n<p>", sums->currency->code);
    backtest_verdict(sums, html);
    buffer_add_string(html, ".</p>\n");
    add_chart(html, &backtest->rows[first], count);
    add_table(html, backtest, &backtest->rows[first], count);
}

static void add_missing(struct buffer *html, const struct backtest *backtest)
{
    if (backtest->compared == backtest->count)
        return;
    buffer_add_string(html, "<h2>Not compared</h2>\n<table><tbody>\n");
    for (size_t i = backtest->compared; i < backtest->count; i++) {
        buffer_add_string(html, "<tr><td class=\"id\">");
        html_add_text(html, backtest->rows[i].subscription);
        buffer_add_string(html, "</td><td>");
        html_add_text(html, backtest->rows[i].why_not);
        buffer_add_string(html, "</td></tr>\n");
    }
    buffer_add_string(html, "</tbody></table>\n");
}

void backtest_html(const struct backtest *backtest, struct buffer *html)
{
    CLEANUP(buffer_deinit) struct buffer title = {0};
    size_t first = 0;

    buffer_add_string(&title, "Backtest of ");
    buffer_add_text(&title, backtest->plan);
    html_open(html, buffer_text(&title));
    buffer_add_string(html, style);
    buffer_add_string(html, "<header><div><h1>Backtest</h1><div class=\"soft\">");
    html_add_text(html, backtest->plan);
    buffer_add_string(html, " instead of each subscription's own plan, ");
    render_period(backtest->range, html);
    buffer_printf(html,
                  "</div></div><div class=\"due soft\">Subscriptions<b>%zu</b></div></header>\n",
                  backtest->compared);
    for (size_t i = 0; i < backtest->sum_count; i++) {
        add_currency(html, backtest, &backtest->sums[i], first);
        first += backtest->sums[i].more + backtest->sums[i].less + backtest->sums[i].same;
    }
    add_missing(html, backtest);
    buffer_add_string(
        html, "<footer>What each subscription would have paid on the usage that was counted, "
              "at the prices of both plans; charges that fall due within the time given, its "
              "end excluded for fees in advance. Credits and adjustments are left "
              "out.</footer>\n");
    html_close(html);
}
