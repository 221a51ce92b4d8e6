/*
 * `audit [INVOICE]`: recomputes issued invoices from the log with code of its own, and says where
 * they differ.
 *
 * Exit status: 0 every quantity and every cent agrees; 65 something differs, or there is no such
 * invoice; 75 the log can't be read now; 80 the log doesn't go back far enough.
 */
#include "common/base/fault.h"
#include "invoicer/edges/audits.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/refuse.h"
#include "invoicer/rules/grid.h"
#include "invoicer/rules/json_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HINT_MAX = 256 };

struct shown {
    struct audit_report report;
    int64_t horizon_ms; /* that was counted by */
    bool is_given;      /* on the command line */
    bool is_theirs;     /* the aggregators say that they counted by it */
};

static void on_progress(void *context, int64_t done, int64_t total)
{
    bool *is_shown = context;

    if (*is_shown && total)
        fprintf(stderr, "\r\033[Kreading the log: %lld of %lld batches", (long long)done,
                (long long)total);
}

/* Where the differences may be for another horizon than the aggregators' own; "" elsewhere. */
static void hint_of(const struct shown *shown, char *hint, size_t size)
{
    const char *what = shown->is_given
                           ? "do it without --dedup-horizon, or with the aggregators' own"
                           : "give --dedup-horizon if the aggregators' is another";

    hint[0] = '\0';
    if (shown->report.count && !shown->is_theirs)
        (void)snprintf(hint, size,
                       "%llu events were left out as older than a dedup horizon of %lld s, which "
                       "the aggregators don't say is theirs: %s",
                       (unsigned long long)shown->report.late, (long long)shown->horizon_ms / 1000,
                       what);
}

static void show_json(const struct shown *shown)
{
    const struct audit_report *report = &shown->report;
    char hint[HINT_MAX];
    CLEANUP(buffer_deinit) struct buffer json = {0};

    json_write_int(&json, "{\"invoices\":", (int64_t)report->invoices);
    json_write_int(&json, ",\"lines\":", (int64_t)report->lines);
    json_write_int(&json, ",\"quantities\":", (int64_t)report->quantities);
    json_write_int(&json, ",\"amounts\":", (int64_t)report->amounts);
    json_write_int(&json, ",\"events\":", (int64_t)report->events);
    json_write_int(&json, ",\"late\":", (int64_t)report->late);
    json_write_int(&json, ",\"dedupHorizonSeconds\":", shown->horizon_ms / 1000);
    hint_of(shown, hint, sizeof(hint));
    json_write_text(&json, ",\"hint\":", text_of(hint[0] ? hint : NULL));
    json_write_int(&json, ",\"partitionsWithoutBeginning\":", (int64_t)report->missing);
    buffer_add_string(&json, ",\"differences\":[");
    for (size_t i = 0; i < report->count; i++) {
        const struct audit_difference *difference = &report->differences[i];

        json_write_text(&json,
                        i ? ",{\"invoice\":" : "{\"invoice\":", text_of(difference->invoice));
        json_write_text(&json, ",\"line\":", text_of(difference->line));
        json_write_text(&json, ",\"what\":", text_of(difference->what));
        json_write_text(&json, ",\"stated\":", text_of(difference->stated));
        json_write_text(&json, ",\"found\":", text_of(difference->found));
        buffer_add_char(&json, '}');
    }
    buffer_add_string(&json, "]}\n");
    fwrite(json.at, 1, json.length, stdout);
}

static void show_differences(const struct audit_report *report)
{
    CLEANUP(grid_deinit) struct grid grid = {.column_count = 4, .is_number = {[2] = true, true}};
    CLEANUP(buffer_deinit) struct buffer text = {0};
    static const char *const head[] = {"Line", "What", "On the invoice", "By the log"};

    for (size_t i = 0; i < ARRAY_LEN(head); i++)
        grid_add(&grid, text_of(head[i]));
    for (size_t i = 0; i < report->count; i++) {
        const struct audit_difference *difference = &report->differences[i];

        grid_add(&grid, text_of(difference->line ? difference->line : difference->invoice));
        grid_add(&grid, text_of(difference->what));
        grid_add(&grid, text_of(difference->stated));
        grid_add(&grid, text_of(difference->found));
    }
    grid_write(&grid, &text);
    fwrite(text.at, 1, text.length, stdout);
}

static void show_table(const struct shown *shown)
{
    const struct audit_report *report = &shown->report;
    char hint[HINT_MAX];

    if (report->count)
        show_differences(report);
    if (report->missing)
        printf("%zu partitions of the log don't begin at offset 0 any more: what was before can't "
               "be counted again\n",
               report->missing);
    hint_of(shown, hint, sizeof(hint));
    if (hint[0])
        printf("%s\n", hint);
    printf("%zu invoices with %zu lines: %zu quantities and %zu amounts compared with %llu events "
           "of the log, %zu differences\n",
           report->invoices, report->lines, report->quantities, report->amounts,
           (unsigned long long)report->events, report->count);
}

/* The horizons to count by: what is given, else what the aggregators say. */
static int find_horizons(struct store_txn *txn, const struct invoicer_config *config,
                         int32_t partitions, int64_t *horizons_ms, struct shown *shown)
{
    int r = audits_horizons(txn, partitions, horizons_ms, &shown->is_theirs);

    shown->is_given = config->horizon_ms > 0;
    for (int32_t i = 0; i < partitions && shown->is_given; i++) {
        shown->is_theirs = shown->is_theirs && horizons_ms[i] == config->horizon_ms;
        horizons_ms[i] = config->horizon_ms;
    }
    shown->horizon_ms = partitions ? horizons_ms[0] : 0;
    return r ? fault_pass(r) : 0;
}

static int run(const struct invoicer_config *config, const char *invoice, struct shown *shown)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    char usage[TOPIC_NAME_MAX];
    struct audit_request request = {.kafka = config_kafka(config),
                                    .usage_topic = usage,
                                    .invoice = invoice,
                                    .subscription = config->only};
    int64_t *horizons_ms = NULL;
    bool is_shown = isatty(STDERR_FILENO) && !config->json;
    int r = config_engine(config, ENGINE_READS, &engine);

    topic_name(TOPIC_USAGE, config->common.bucket, usage);
    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r)
        r = mirror_partitions(txn, config->common.bucket, &request.partitions);
    if (!r) {
        horizons_ms = calloc((size_t)request.partitions + 1, sizeof(*horizons_ms));
        if (!horizons_ms)
            abort();
        request.horizons_ms = horizons_ms;
        r = find_horizons(txn, config, request.partitions, horizons_ms, shown);
    }
    if (!r)
        r = audits_run(txn, &request, on_progress, &is_shown, &shown->report);
    free(horizons_ms);
    if (is_shown)
        fprintf(stderr, "\r\033[K");
    return r < 0 ? fault_pass(r) : r;
}

static int verdict_of(const struct audit_report *report)
{
    if (report->missing)
        return EXIT_PARTIAL;
    return report->count ? EX_DATAERR : EX_OK;
}

int verb_audit(void *context, int argc, char **argv)
{
    const struct invoicer_config *config = context;
    struct shown shown = {0};
    int r = run(config, argc > 0 ? argv[0] : NULL, &shown), status;

    if (r == AUDITS_NO_INVOICE) {
        audit_report_deinit(&shown.report);
        return refuse(config, "invoice_not_found", NULL, "there is no invoice %s", argv[0]);
    }
    if (!r && config->json)
        show_json(&shown);
    else if (!r)
        show_table(&shown);
    status = r ? config_exit(r, "audit_failed") : verdict_of(&shown.report);
    audit_report_deinit(&shown.report);
    return status;
}
