/*
 * loadgen.c - sends a month of made-up traffic, or a file of real events, to ingest, and says what
 * it sent.
 */
#include "bench/load_file.h"
#include "bench/load_lag.h"
#include "bench/load_scenario.h"
#include "bench/load_sender.h"

#include "common/base/decimal.h"
#include "common/io/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { TURN_MS = 20, PROGRESS_EVERY_MS = 200, BAR = 30 };

struct loadgen_config {
    const char *url, *key;
    const char *catalog, *month, *log, *events_file;
    const char *duplicates, *late, *broken;
    const char *lag_url, *admin_key;
    int64_t events, seed, horizon_ms, late_first_ms, batch, connections, rate, lag_max, give_up_ms,
        repeat_every;
    bool json;
};

/* Where batches come from: one of the two. */
struct loadgen {
    const struct loadgen_config *config;
    struct load_catalog *catalog;
    struct load_scenario *scenario;
    struct load_file *file;
    struct load_sender *sender;
    struct load_lag lag;
    struct load_counts answered;
    FILE *log;
    struct load_batch *held; /* made, but not allowed out yet */
    bool is_made;
    int64_t started_ms, shown_ms;
};

/* --- settings --- */

/* "0.2%" in millionths; -1 when it isn't a share. */
static int64_t share_of(const char *written)
{
    size_t length = written ? strlen(written) : 0;
    struct decimal percent;

    if (length == 0)
        return 0;
    if (written[length - 1] == '%')
        length--;
    if (decimal_parse(text_from(written, length), &percent) != 0 || percent.units < 0 ||
        decimal_compare(percent, decimal_from_int(100)) > 0)
        return -1;
    return (int64_t)(percent.units / 100000000);
}

static const char *wrong_share(const char *written)
{
    return share_of(written) < 0 ? "a share like 0.5%" : NULL;
}

static bool month_of(const char *written, struct instant *from, struct instant *to)
{
    char text[INSTANT_TEXT_MAX];
    int year, month, end = 0;

    if (sscanf(written, "%4d-%2d%n", &year, &month, &end) != 2 || written[end] || end != 7)
        return false;
    snprintf(text, sizeof(text), "%04d-%02d-01T00:00:00Z", year, month);
    if (instant_parse(text_of(text), from) != 0)
        return false;
    snprintf(text, sizeof(text), "%04d-%02d-01T00:00:00Z", year + month / 12, month % 12 + 1);
    return instant_parse(text_of(text), to) == 0;
}

static const char *wrong_month(const char *written)
{
    struct instant from, to;

    return month_of(written, &from, &to) ? NULL : "a month like 2026-10";
}

static const struct setting settings[] = {
    {.name = "url",
     .usual = "http://127.0.0.1:8080",
     .help = "Where ingest listens; events go to /v1/events there.",
     .offset = offsetof(struct loadgen_config, url)},
    {.name = "key",
     .help = "The ingest key that is sent as bearer token.",
     .offset = offsetof(struct loadgen_config, key)},
    {.name = "catalog",
     .help = "The catalog file that traffic is made for: its subscriptions, each with the event "
             "types of its plan.",
     .offset = offsetof(struct loadgen_config, catalog)},
    {.name = "month",
     .wrong = wrong_month,
     .help = "The month that the events happen in, 2026-10.",
     .offset = offsetof(struct loadgen_config, month)},
    {.name = "events",
     .kind = SETTING_NUMBER,
     .usual = "100000",
     .least = 1,
     .most = 1000000000,
     .help = "How many events are sent, duplicates, late and broken ones included.",
     .offset = offsetof(struct loadgen_config, events)},
    {.name = "seed",
     .kind = SETTING_NUMBER,
     .usual = "1",
     .least = 0,
     .help = "The same seed makes the same events in the same order.",
     .offset = offsetof(struct loadgen_config, seed)},
    {.name = "duplicates",
     .usual = "0%",
     .wrong = wrong_share,
     .help = "The share of events that are sent a second time, in a later place.",
     .offset = offsetof(struct loadgen_config, duplicates)},
    {.name = "late",
     .usual = "0%",
     .wrong = wrong_share,
     .help = "The share of events that are older than the horizon.",
     .offset = offsetof(struct loadgen_config, late)},
    {.name = "broken",
     .usual = "0%",
     .wrong = wrong_share,
     .help = "The share of events that ingest must refuse, in many ways.",
     .offset = offsetof(struct loadgen_config, broken)},
    {.name = "horizon",
     .kind = SETTING_DURATION,
     .usual = "P35D",
     .least = 0,
     .help =
         "The aggregator's --dedup-horizon: late events lie further back from the month's start.",
     .offset = offsetof(struct loadgen_config, horizon_ms)},
    {.name = "late-first",
     .kind = SETTING_DURATION,
     .usual = "PT0S",
     .least = 0,
     .most = 10 * 86400000ll,
     .help = "Instead: late events happen in the month's first hours, this long but for the last "
             "hour of it, and all others after; for subscriptions that begin with the month, and a "
             "horizon that ends in that last hour.",
     .offset = offsetof(struct loadgen_config, late_first_ms)},
    {.name = "events-file",
     .help = "Sends the events of this NDJSON file instead of making any.",
     .offset = offsetof(struct loadgen_config, events_file)},
    {.name = "repeat-every",
     .kind = SETTING_NUMBER,
     .usual = "0",
     .least = 0,
     .help = "With --events-file: sends every n-th batch twice; 0 none.",
     .offset = offsetof(struct loadgen_config, repeat_every)},
    {.name = "batch",
     .kind = SETTING_NUMBER,
     .usual = "100",
     .least = 1,
     .most = 1000,
     .help = "Events a request.",
     .offset = offsetof(struct loadgen_config, batch)},
    {.name = "connections",
     .kind = SETTING_NUMBER,
     .usual = "4",
     .least = 1,
     .most = LOAD_CONNECTIONS_MAX,
     .help = "Connections that are kept open, each with one request at a time.",
     .offset = offsetof(struct loadgen_config, connections)},
    {.name = "rate",
     .kind = SETTING_NUMBER,
     .usual = "0",
     .least = 0,
     .help = "Events a second at most; 0 no limit.",
     .offset = offsetof(struct loadgen_config, rate)},
    {.name = "lag-url",
     .help = "An aggregator, whose ledger says how much it hasn't read yet. No URL: no pacing.",
     .offset = offsetof(struct loadgen_config, lag_url)},
    {.name = "admin-key",
     .help = "The admin key for --lag-url.",
     .offset = offsetof(struct loadgen_config, admin_key)},
    {.name = "lag-max",
     .kind = SETTING_NUMBER,
     .usual = "20000",
     .least = 1000,
     .help = "Events that may be sent ahead of the aggregator. The embedded broker keeps 5 MiB a "
             "partition, some 60 bytes an event.",
     .offset = offsetof(struct loadgen_config, lag_max)},
    {.name = "give-up",
     .kind = SETTING_DURATION,
     .usual = "PT2M",
     .least = 1000,
     .help = "How long to try without any answer.",
     .offset = offsetof(struct loadgen_config, give_up_ms)},
    {.name = "log",
     .help = "Writes what was sent and answered to this NDJSON file (bench/load_batch.h).",
     .offset = offsetof(struct loadgen_config, log)},
    {.name = "json",
     .kind = SETTING_SWITCH,
     .usual = "false",
     .help = "Prints a summary as a JSON object.",
     .offset = offsetof(struct loadgen_config, json)},
};

/* --- making and sending --- */

static const struct load_counts *made(const struct loadgen *loadgen)
{
    return loadgen->file ? load_file_counts(loadgen->file)
                         : load_scenario_counts(loadgen->scenario);
}

static bool make_batch(struct loadgen *loadgen, struct load_batch *batch)
{
    return loadgen->file ? load_file_next(loadgen->file, batch)
                         : load_scenario_next(loadgen->scenario, batch);
}

static bool rate_allows(const struct loadgen *loadgen)
{
    int64_t passed_ms = instant_ms(instant_now()) - loadgen->started_ms;

    return loadgen->config->rate == 0 ||
           (int64_t)made(loadgen)->events * 1000 <= loadgen->config->rate * passed_ms + 1000;
}

/* The next batch to send; NULL when there is none, or no connection or leave for it. */
static struct load_batch *next_batch(struct loadgen *loadgen)
{
    struct load_batch *batch = loadgen->held;

    if (!batch) {
        batch = load_sender_free_batch(loadgen->sender);
        if (!batch || loadgen->is_made || !rate_allows(loadgen))
            return NULL;
        loadgen->is_made = !make_batch(loadgen, batch);
        if (loadgen->is_made)
            return NULL;
    }
    loadgen->held = load_lag_allows(&loadgen->lag, batch->event_count) ? NULL : batch;
    return loadgen->held ? NULL : batch;
}

static void feed(struct loadgen *loadgen)
{
    struct load_batch *batch;

    while ((batch = next_batch(loadgen)))
        load_sender_submit(loadgen->sender, batch);
}

static void show_progress(struct loadgen *loadgen, bool is_end)
{
    int64_t now_ms = instant_ms(instant_now());
    uint64_t done = loadgen->answered.accepted + loadgen->answered.rejected;
    uint64_t all =
        loadgen->file ? load_file_total(loadgen->file) : (uint64_t)loadgen->config->events;
    uint64_t passed_ms = (uint64_t)(now_ms - loadgen->started_ms) + 1;
    uint64_t rate = done * 1000 / passed_ms, left = rate && all > done ? (all - done) / rate : 0;
    int filled = all ? (int)(done * BAR / all) : BAR;

    if (!isatty(STDERR_FILENO) || (!is_end && now_ms - loadgen->shown_ms < PROGRESS_EVERY_MS))
        return;
    loadgen->shown_ms = now_ms;
    filled = filled > BAR ? BAR : filled;
    fprintf(stderr, "\r[%.*s%*s] %3d %%  %llu events/s  %llu:%02llu left ", filled,
            "==============================", BAR - filled, "", (int)(all ? done * 100 / all : 100),
            (unsigned long long)rate, (unsigned long long)left / 60, (unsigned long long)left % 60);
    if (is_end)
        fputc('\n', stderr);
}

static int run_to_end(struct loadgen *loadgen)
{
    int r = 0;

    while (r == 0) {
        feed(loadgen);
        if (loadgen->is_made && !loadgen->held && load_sender_is_idle(loadgen->sender))
            break;
        r = load_sender_turn(loadgen->sender, TURN_MS, &loadgen->answered);
        if (r == 0 && load_lag_is_hopeless(&loadgen->lag))
            r = LOAD_GAVE_UP;
        show_progress(loadgen, false);
    }
    show_progress(loadgen, true);
    return r;
}

static void print_summary(const struct loadgen *loadgen)
{
    const struct load_counts *sent = made(loadgen), *answered = &loadgen->answered;
    int64_t ms = instant_ms(instant_now()) - loadgen->started_ms;

    if (!loadgen->config->json)
        return;
    printf("{\"events\":%llu,\"plain\":%llu,\"duplicate\":%llu,\"late\":%llu,\"broken\":%llu,",
           (unsigned long long)(sent->plain + sent->duplicate + sent->late + sent->broken),
           (unsigned long long)sent->plain, (unsigned long long)sent->duplicate,
           (unsigned long long)sent->late, (unsigned long long)sent->broken);
    printf("\"batches\":%llu,\"accepted\":%llu,\"rejected\":%llu,\"retries\":%llu,\"bytes\":%llu,"
           "\"ms\":%lld}\n",
           (unsigned long long)answered->batches, (unsigned long long)answered->accepted,
           (unsigned long long)answered->rejected, (unsigned long long)answered->tries,
           (unsigned long long)answered->bytes, (long long)ms);
}

/* --- setting up --- */

/* Late events are in the month's first hours or before it. */
static void plan_late(const struct loadgen_config *config, struct load_plan *plan)
{
    enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };
    int64_t from = instant_ms(plan->from);

    plan->plain_from = instant_from_ms(from + config->late_first_ms);
    if (config->late_first_ms > HOUR_MS) {
        plan->late_from = plan->from;
        plan->late_to = instant_from_ms(from + config->late_first_ms - HOUR_MS);
    } else {
        plan->late_to = instant_from_ms(from - config->horizon_ms);
        plan->late_from = instant_from_ms(from - config->horizon_ms - 10 * (int64_t)DAY_MS);
    }
}

static bool open_source(struct loadgen *loadgen)
{
    const struct loadgen_config *config = loadgen->config;
    struct load_plan plan = {
        .events = config->events,
        .batch = config->batch,
        .duplicate = share_of(config->duplicates),
        .late = share_of(config->late),
        .broken = share_of(config->broken),
        .seed = (uint64_t)config->seed,
    };

    if (config->events_file) {
        loadgen->file =
            load_file_open(config->events_file, config->batch, config->repeat_every, loadgen->log);
        return loadgen->file;
    }
    if (!config->catalog || !config->month || !month_of(config->month, &plan.from, &plan.to)) {
        fprintf(stderr, "loadgen: needs --catalog and --month, or --events-file\n");
        return false;
    }
    plan_late(config, &plan);
    loadgen->catalog = load_catalog_read(config->catalog);
    if (!loadgen->catalog)
        return false;
    loadgen->scenario = load_scenario_new(loadgen->catalog, &plan, loadgen->log);
    return true;
}

static bool open_log(struct loadgen *loadgen)
{
    if (!loadgen->config->log)
        return true;
    loadgen->log = fopen(loadgen->config->log, "w");
    if (!loadgen->log)
        fprintf(stderr, "loadgen: %s: %s\n", loadgen->config->log, strerror(errno));
    return loadgen->log;
}

static int close_log(struct loadgen *loadgen)
{
    if (!loadgen->log || fclose(loadgen->log) == 0)
        return EX_OK;
    fprintf(stderr, "loadgen: %s: %s\n", loadgen->config->log, strerror(errno));
    return EX_IOERR;
}

static int run(void *context, int argc, char **argv)
{
    const struct loadgen_config *config = context;
    struct loadgen loadgen = {
        .config = config,
        .lag = {.url = config->lag_url,
                .key = config->admin_key,
                .most = config->lag_max,
                .give_up_ms = config->give_up_ms},
        .started_ms = instant_ms(instant_now()),
    };
    int r;

    (void)argc;
    (void)argv;
    if (!open_log(&loadgen) || !open_source(&loadgen)) {
        load_catalog_free(loadgen.catalog);
        (void)close_log(&loadgen);
        return EX_USAGE;
    }
    loadgen.sender = load_sender_new(&(struct load_target){.url = config->url,
                                                           .key = config->key,
                                                           .connections = config->connections,
                                                           .give_up_ms = config->give_up_ms,
                                                           .log = loadgen.log});
    r = run_to_end(&loadgen);
    print_summary(&loadgen);
    load_sender_free(loadgen.sender);
    load_scenario_free(loadgen.scenario);
    load_file_free(loadgen.file);
    load_catalog_free(loadgen.catalog);
    if (r)
        (void)close_log(&loadgen);
    return r == LOAD_GAVE_UP ? EX_UNAVAILABLE : r ? EX_PROTOCOL : close_log(&loadgen);
}

int main(int argc, char **argv)
{
    static const struct command command = {
        .name = "", .arguments = "", .help = "Sends events to ingest.", .run = run};
    static const struct program program = {
        .name = "loadgen",
        .about = "Sends usage events to ingest over HTTP: a month of traffic made from a catalog "
                 "and a seed, or the events of a file. What is refused for now is sent again until "
                 "it is taken.",
        .settings = settings,
        .setting_count = ARRAY_LEN(settings),
        .commands = &command,
        .command_count = 1,
        .config_size = sizeof(struct loadgen_config),
    };

    return program_run(&program, argc, argv);
}
