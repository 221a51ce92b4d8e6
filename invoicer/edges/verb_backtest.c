/*
 * `backtest --plan NEW --from TIME --to TIME`: what every subscription would have paid by another
 * plan on its real usage; a table, JSON, and a page with a chart.
 *
 * Exit status: 0; 65 there is no such plan; 80 some subscriptions couldn't be compared.
 */
#include "common/base/fault.h"
#include "invoicer/edges/backtests.h"
#include "invoicer/edges/config.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/refuse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES_MAX = 1024 * 1024 * 1024, ROWS_SHOWN = 15 };

static bool read_time(const char *name, const char *text, struct instant *instant)
{
    if (instant_parse(text_of(text), instant) == 0 && instant->ns % 60000000000 == 0)
        return true;
    fprintf(stderr,
            "invoicer: --%s %s isn't an RFC 3339 time of a whole minute, as in "
            "2026-01-01T00:00:00Z\n",
            name, text);
    return false;
}

static bool read_range(const struct invoicer_config *config, struct window *range)
{
    if (!read_time("from", config->from, &range->from) || !read_time("to", config->to, &range->to))
        return false;
    if (instant_compare(range->from, range->to) < 0)
        return true;
    fprintf(stderr, "invoicer: --to %s isn't after --from %s\n", config->to, config->from);
    return false;
}

static int write_page(const char *path, const struct backtest *backtest)
{
    CLEANUP(buffer_deinit) struct buffer html = {0};
    FILE *file = fopen(path, "we");
    bool is_written;

    backtest_html(backtest, &html);
    is_written = file && fwrite(html.at, 1, html.length, file) == html.length;
    if (file && fclose(file))
        is_written = false;
    return is_written ? 0 : fault(FAULT_RETRY, "%s: %s", path, strerror(errno));
}

static int show(const struct invoicer_config *config, const struct backtest *backtest)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};
    int r = config->page ? write_page(config->page, backtest) : 0;

    if (config->json) {
        backtest_json(backtest, &text);
        buffer_add_char(&text, '\n');
    } else {
        backtest_table(backtest, ROWS_SHOWN, &text);
    }
    fwrite(text.at, 1, text.length, stdout);
    return r ? fault_pass(r) : 0;
}

static int run(const struct invoicer_config *config, struct window range, struct arena *arena,
               struct backtest *backtest)
{
    CLEANUP(engine_drop) struct engine *engine = NULL;
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int32_t partitions = 0;
    int r = config_engine(config, ENGINE_READS, &engine);

    if (!r)
        r = engine_until_followed(engine);
    if (!r)
        r = store_begin(engine_store(engine), STORE_READ, &txn);
    if (!r)
        r = mirror_partitions(txn, config->common.bucket, &partitions);
    if (!r && partitions == 0)
        return BACKTESTS_NO_PLAN;
    if (!r)
        r = backtests_run(txn, text_of(config->plan), range, partitions, arena, backtest);
    if (!r)
        r = show(config, backtest);
    return r < 0 ? fault_pass(r) : r;
}

int verb_backtest(void *context, int argc, char **argv)
{
    static struct backtest backtest; /* large */
    const struct invoicer_config *config = context;
    struct window range;
    struct arena arena;
    int r;

    (void)argc;
    (void)argv;
    if (!read_range(config, &range))
        return EX_USAGE;
    arena_init(&arena, ARENA_BYTES_MAX);
    r = run(config, range, &arena, &backtest);
    arena_deinit(&arena);
    free(backtest.rows);
    if (r == BACKTESTS_NO_PLAN)
        return refuse(config, "plan_not_found", NULL, "there is no plan %s", config->plan);
    if (r)
        return config_exit(r, "backtest_failed");
    return backtest.compared < backtest.count ? EXIT_PARTIAL : EX_OK;
}
