/*
 * setting_kinds.h - what each kind of setting looks like when written, and what it becomes.
 *
 * Units      Durations are milliseconds, sizes bytes.
 * Errors     A wrong text leaves the config untouched and says in `wrong` what is wrong and what
 *            would be right ("\"5 days\" isn't a duration: …").
 * Threads    Any.
 */
#pragma once

#include "common/io/settings.h"

/* The placeholder of a value in help and manual: "DURATION", "json|logfmt". */
const char *setting_placeholder(const struct setting *row);

/* Whether `written` is right for the row; then it is stored at the row's place in `config`. A text
 * is stored as `written` itself; a secret's is left to setting_read_secret. */
MUST_USE bool setting_take(const struct setting *row, const char *written, void *config,
                           struct buffer *wrong);

/* The content of the file without its last line end: free() it. NULL with `wrong` filled. */
MUST_USE char *setting_read_secret(const char *path, struct buffer *wrong);

/* "P35D", "PT0.25S"; "64 KiB". Reads back to the same value. */
void setting_write_duration(int64_t ms, struct buffer *out);
void setting_write_bytes(int64_t bytes, struct buffer *out);
