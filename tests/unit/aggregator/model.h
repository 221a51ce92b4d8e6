/*
 * model.h - a second, slow counting engine for tests: plain lists, searched from the start, written
 * from metering.md without looking at the rules it checks.
 *
 * It holds a partition's whole history. A stream of random events feeds it and the real one alike.
 */
#pragma once

#include "aggregator/rules/count.h"
#include "proto/usage.h"

enum { MODEL_SERIES_TEXT_MAX = 160, MODEL_HASHES_MAX = 64, MODEL_STEP = 4096 };

struct model_cell {
    enum level level;
    int64_t window;
    char series[MODEL_SERIES_TEXT_MAX]; /* subscription|meter|aggregation|subject|name=value|… */
    int128 value;
    uint64_t count;
    int64_t time_ns;
    uint8_t hashes[MODEL_HASHES_MAX][16];
};

struct model_id {
    int64_t day; /* unless it is numbered */
    struct fingerprint id;
    bool is_numbered;
    uint64_t sequence;
};

struct model_account {
    char subscription[32];
    struct account_counts counts;
};

struct model {
    int64_t horizon_ms;
    size_t combinations_max;
    int64_t clock_ms, watermark_ms;
    struct model_cell *cells;
    size_t cell_count;
    struct model_id *ids;
    size_t id_count;
    struct model_account accounts[16];
    size_t account_count;
    int32_t partition, partitions;
};

void model_init(struct model *model, int64_t horizon_ms, size_t combinations_max);
void model_deinit(struct model *model);
void model_count(struct model *model, const struct usage_batch *batch);
/* The series as the model writes it. */
void model_series_text(const struct usage_series *series, bool is_other,
                       char text[MODEL_SERIES_TEXT_MAX]);
const struct model_cell *model_find(const struct model *model, enum level level, int64_t window,
                                    const char *series);

/* --- random streams --- */

struct stream {
    uint64_t state; /* of the random numbers */
    int64_t now_ms;
    uint64_t numbers[3]; /* of each numbered source: the next */
    struct usage_writer *writer;
    struct usage_reader *reader;
    struct usage_batch batch;
    char *bytes;
    size_t length;
};

void stream_init(struct stream *stream, uint64_t seed);
void stream_deinit(struct stream *stream);
uint64_t stream_random(struct stream *stream, uint64_t below);
/* Makes the next batch: `batch`, and its bytes. */
void stream_next(struct stream *stream);
