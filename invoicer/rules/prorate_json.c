#include "invoicer/rules/prorate_json.h"

#include "invoicer/rules/grid.h"
#include "invoicer/rules/proration.h"
#include "invoicer/rules/render_words.h"

#include <assert.h>

struct prorate_question {
    const struct currency *currency;
    struct proration_question asked;
    struct proration_use use;
};

/* --- reading --- */

static int read_mode(const json_t *json, struct price_issue *issue, enum proration_mode *mode)
{
    const json_t *member = json_object_get(json, "mode");
    struct text name;
    int r;

    *mode = PRORATION_MAX_CONSUMPTION_BASED;
    if (!question_has(member))
        return 0;
    r = question_text(member, "/mode", issue, &name);
    if (r == 0 && !proration_mode_from(name, mode))
        return question_refuse(issue, "invalid_pro_rating_mode", "/mode",
                               "isn't one of max_consumption_based, time_based, none");
    return r;
}

static int read_price(const json_t *json, const struct currency *currency,
                      struct price_issue *issue, struct money *price)
{
    struct decimal amount;
    int r = question_amount(json_object_get(json, "price"), "/price", issue, &amount);

    if (r == 0 && money_of(amount, currency, price))
        return question_refuse(issue, "amount_finer_than_minor_unit", "/price",
                               "has decimals below the currency's minor unit");
    return r;
}

static int read_period(const json_t *json, struct price_issue *issue, struct window *period)
{
    static const char *const names[] = {"from", "to"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    const json_t *member = json_object_get(json, "period");
    int r;

    if (!question_has(member))
        return question_refuse(issue, "missing_member", "/period", "is missing");
    r = question_check(member, "/period", &members, issue);
    if (r == 0)
        r = question_instant(json_object_get(member, "from"), "/period/from", issue, &period->from);
    if (r == 0)
        r = question_instant(json_object_get(member, "to"), "/period/to", issue, &period->to);
    return r;
}

static int read_use(const json_t *json, struct price_issue *issue, struct proration_use *use)
{
    const json_t *usage = json_object_get(json, "usage"), *quota = json_object_get(json, "quota");
    int r = 0;

    if (question_has(usage))
        r = question_amount(usage, "/usage", issue, &use->usage);
    if (r == 0 && question_has(quota))
        r = question_amount(quota, "/quota", issue, &use->quota);
    return r;
}

/* The question points into itself: it stays where it is. */
static int read_question(const json_t *json, struct price_issue *issue,
                         struct prorate_question *question)
{
    static const char *const names[] = {"mode", "price", "currency", "period",
                                        "at",   "usage", "quota"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    struct proration_question *asked = &question->asked;
    int r = question_check(json, "", &members, issue);

    if (r == 0)
        r = read_mode(json, issue, &asked->mode);
    if (r == 0)
        r = question_currency(json, issue, &question->currency);
    if (r == 0)
        r = read_price(json, question->currency, issue, &asked->price);
    if (r == 0)
        r = read_period(json, issue, &asked->period);
    if (r == 0)
        r = question_instant(json_object_get(json, "at"), "/at", issue, &asked->at);
    if (r == 0)
        r = read_use(json, issue, &question->use);
    asked->uses = &question->use;
    asked->use_count = 1;
    return r;
}

/* --- writing --- */

/* Always with twelve decimals: a ratio isn't an amount, and 0.7 would look as if it were rounded.
 */
static void add_ratio(struct decimal ratio, struct buffer *answer)
{
    const int128 one = decimal_from_int(1).units;

    assert(ratio.units >= 0 && ratio.units <= one);

    buffer_printf(answer, "%d.%012lld", ratio.units == one,
                  (long long)(ratio.units == one ? 0 : ratio.units));
}

static void write_json(const struct proration *proration, const struct currency *currency,
                       struct buffer *answer)
{
    char credit[MONEY_TEXT_MAX], charge[MONEY_TEXT_MAX];

    (void)money_format(proration->credit, currency, credit);
    (void)money_format(proration->charge, currency, charge);
    buffer_add_string(answer, "{\"ratio\":\"");
    add_ratio(proration->ratio, answer);
    buffer_printf(answer, "\",\"credit\":\"%s\",\"charge\":\"%s\"}", credit, charge);
}

static void add_money_row(struct grid *grid, const char *name, struct money money,
                          const struct currency *currency)
{
    CLEANUP(buffer_deinit) struct buffer cell = {0};

    buffer_printf(&cell, "%s %s", name, currency->code);
    grid_add(grid, buffer_text(&cell));
    buffer_clear(&cell);
    render_money(money, currency, &cell);
    grid_add(grid, buffer_text(&cell));
}

static void write_table(const struct proration *proration, const struct currency *currency,
                        struct buffer *answer)
{
    CLEANUP(grid_deinit) struct grid grid = {.column_count = 2, .is_number = {false, true}};
    CLEANUP(buffer_deinit) struct buffer cell = {0};

    grid_add(&grid, text_of("Used up"));
    add_ratio(proration->ratio, &cell);
    grid_add(&grid, buffer_text(&cell));
    add_money_row(&grid, "Credit", proration->credit, currency);
    add_money_row(&grid, "Charge", proration->charge, currency);
    grid_write(&grid, answer);
}

/* --- answering --- */

static int prorate(struct text text, struct prorate_question *question, struct proration *proration,
                   struct price_issue *issue)
{
    json_t *json;
    int r = question_parse(text, &json, issue);

    if (r)
        return r;
    r = read_question(json, issue, question);
    json_decref(json);
    if (r)
        return r;
    if (proration_of(&question->asked, proration))
        return question_refuse(issue, "period_empty", "/period", "doesn't last a second");
    return 0;
}

int prorate_json(struct text text, struct buffer *answer)
{
    struct prorate_question question = {.currency = NULL};
    struct proration proration;
    struct price_issue issue;
    int r = prorate(text, &question, &proration, &issue);

    if (r)
        question_write_error(&issue, answer);
    else
        write_json(&proration, question.currency, answer);
    return r;
}

int prorate_table(struct text text, struct buffer *answer)
{
    struct prorate_question question = {.currency = NULL};
    struct proration proration;
    struct price_issue issue;
    int r = prorate(text, &question, &proration, &issue);

    if (r)
        question_describe_error(&issue, answer);
    else
        write_table(&proration, question.currency, answer);
    return r;
}
