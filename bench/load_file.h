/*
 * load_file.h - batches out of an NDJSON file of events, some of them twice.
 *
 * Threads    One.
 */
#pragma once

#include "bench/load_batch.h"

struct load_file;
/* `repeat_every` n: every n-th batch comes twice; 0: none. NULL after a message on stderr. */
struct load_file *load_file_open(const char *path, int64_t batch, int64_t repeat_every, FILE *log);
struct load_file *load_file_free(struct load_file *file);
MUST_USE bool load_file_next(struct load_file *file, struct load_batch *batch);
const struct load_counts *load_file_counts(const struct load_file *file);
/* Lines in the file, the repeated ones counted again: for the progress bar. */
uint64_t load_file_total(const struct load_file *file);
