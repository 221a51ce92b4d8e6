#include "invoicer/rules/periods_json.h"

#include "common/base/calendar.h"
#include "invoicer/rules/grid.h"

static const int64_t NS_MINUTE = (int64_t)60 * 1000000000;

struct periods_question {
    struct recurrence recurrence;
    struct instant from;
    int64_t count;
};

struct numbered_period {
    int64_t index;
    struct window window;
};

/* --- reading --- */

static int read_anchor(const json_t *json, struct price_issue *issue, struct instant *anchor)
{
    int r = question_instant(json_object_get(json, "anchor"), "/anchor", issue, anchor);

    if (r == 0 && anchor->ns % NS_MINUTE != 0)
        return question_refuse(issue, "not_a_whole_minute", "/anchor",
                               "has seconds: billing counts in whole minutes");
    return r;
}

static int read_cadence(const json_t *json, struct price_issue *issue, struct duration *cadence)
{
    struct text text;
    int r = question_text(json_object_get(json, "cadence"), "/cadence", issue, &text);

    if (r == 0 && (duration_parse(text, cadence) || !duration_is_cadence(*cadence)))
        return question_refuse(issue, "invalid_cadence", "/cadence",
                               "isn't one of PT1H, P1D, P1W, P2W, P4W, P1M, P3M, P6M, P12M, P1Y");
    return r;
}

static int read_zone(const json_t *json, struct zone_cache *zones, struct price_issue *issue,
                     const struct zone **zone)
{
    const json_t *member = json_object_get(json, "timeZone");
    struct text name;
    int r;

    *zone = zone_utc();
    if (!question_has(member))
        return 0;
    r = question_text(member, "/timeZone", issue, &name);
    if (r == 0 && zone_cache_find(zones, name, zone))
        return question_refuse(issue, "invalid_time_zone", "/timeZone",
                               "isn't an IANA time zone such as Europe/Berlin");
    return r;
}

static int read_count(const json_t *json, struct price_issue *issue, int64_t *count)
{
    const json_t *member = json_object_get(json, "count");

    if (!question_has(member))
        return question_refuse(issue, "missing_member", "/count", "is missing");
    if (!json_is_integer(member))
        return question_refuse(issue, "invalid_type", "/count", "isn't a whole number");
    *count = json_integer_value(member);
    if (*count < 1 || *count > PERIODS_COUNT_MAX)
        return question_refuse(issue, "out_of_range", "/count", "isn't 1 to %d", PERIODS_COUNT_MAX);
    return 0;
}

static int read_question(const json_t *json, struct zone_cache *zones, struct price_issue *issue,
                         struct periods_question *question)
{
    static const char *const names[] = {"anchor", "cadence", "timeZone", "from", "count"};
    static const struct question_members members = {names, ARRAY_LEN(names)};
    int r = question_check(json, "", &members, issue);

    if (r == 0)
        r = read_anchor(json, issue, &question->recurrence.anchor);
    if (r == 0)
        r = read_cadence(json, issue, &question->recurrence.cadence);
    if (r == 0)
        r = read_zone(json, zones, issue, &question->recurrence.zone);
    if (r == 0)
        r = question_instant(json_object_get(json, "from"), "/from", issue, &question->from);
    if (r == 0)
        r = read_count(json, issue, &question->count);
    return r;
}

/* --- writing --- */

struct form {
    void (*begin)(struct grid *grid, struct buffer *answer);
    void (*add)(const struct numbered_period *period, bool is_first, struct grid *grid,
                struct buffer *answer);
    void (*end)(const struct grid *grid, struct buffer *answer);
};

static void begin_json(struct grid *grid, struct buffer *answer)
{
    (void)grid;
    buffer_add_string(answer, "{\"periods\":[");
}

static void add_json(const struct numbered_period *period, bool is_first, struct grid *grid,
                     struct buffer *answer)
{
    char from[INSTANT_TEXT_MAX], to[INSTANT_TEXT_MAX];

    (void)grid;
    (void)instant_format(period->window.from, from);
    (void)instant_format(period->window.to, to);
    buffer_add_string(answer, is_first ? "{\"index\":" : ",{\"index\":");
    buffer_add_int(answer, period->index);
    buffer_printf(answer, ",\"from\":\"%s\",\"to\":\"%s\"}", from, to);
}

static void end_json(const struct grid *grid, struct buffer *answer)
{
    (void)grid;
    buffer_add_string(answer, "]}");
}

static void begin_table(struct grid *grid, struct buffer *answer)
{
    (void)answer;
    grid->column_count = 3;
    grid->is_number[0] = true;
    grid_add(grid, text_of("period"));
    grid_add(grid, text_of("from"));
    grid_add(grid, text_of("to"));
}

static void add_row(const struct numbered_period *period, bool is_first, struct grid *grid,
                    struct buffer *answer)
{
    CLEANUP(buffer_deinit) struct buffer number = {0};
    char text[INSTANT_TEXT_MAX];

    (void)is_first;
    (void)answer;
    buffer_add_int(&number, period->index);
    grid_add(grid, buffer_text(&number));
    grid_add(grid, text_from(text, instant_format(period->window.from, text)));
    grid_add(grid, text_from(text, instant_format(period->window.to, text)));
}

/* --- answering --- */

static const struct form json_form = {begin_json, add_json, end_json};
static const struct form table_form = {begin_table, add_row, grid_write};

/* The next one that isn't empty; its window ends where the one after it begins. */
static struct numbered_period next_period(const struct recurrence *recurrence,
                                          struct numbered_period period)
{
    do {
        period.index++;
        period.window.from = period.window.to;
        period.window.to = recurrence_boundary(recurrence, period.index + 1);
    } while (period.window.from.ns == period.window.to.ns && period.window.to.ns != INT64_MAX);
    return period;
}

static int write_periods(const struct periods_question *question, const struct form *form,
                         struct price_issue *issue, struct buffer *answer)
{
    const struct recurrence *recurrence = &question->recurrence;
    CLEANUP(grid_deinit) struct grid grid = {0};
    size_t start = answer->length;
    struct numbered_period period;

    period.index = recurrence_find(recurrence, question->from, &period.window);
    form->begin(&grid, answer);
    for (int64_t i = 0; i < question->count; i++) {
        if (period.window.from.ns == INT64_MIN || period.window.to.ns == INT64_MAX) {
            answer->length = start;
            return question_refuse(issue, "out_of_range", i ? "/count" : "/from",
                                   "leads to a period outside the years 1678 to 2261");
        }
        form->add(&period, i == 0, &grid, answer);
        period = next_period(recurrence, period);
    }
    form->end(&grid, answer);
    return 0;
}

static int answer_question(struct text text, struct zone_cache *zones, const struct form *form,
                           struct price_issue *issue, struct buffer *answer)
{
    struct periods_question question = {.count = 0};
    json_t *json;
    int r = question_parse(text, &json, issue);

    if (r)
        return r;
    r = read_question(json, zones, issue, &question);
    json_decref(json);
    return r ? r : write_periods(&question, form, issue, answer);
}

int periods_json(struct text question, struct zone_cache *zones, struct buffer *answer)
{
    struct price_issue issue;
    int r = answer_question(question, zones, &json_form, &issue, answer);

    if (r)
        question_write_error(&issue, answer);
    return r;
}

int periods_table(struct text question, struct zone_cache *zones, struct buffer *answer)
{
    struct price_issue issue;
    int r = answer_question(question, zones, &table_form, &issue, answer);

    if (r)
        question_describe_error(&issue, answer);
    return r;
}
