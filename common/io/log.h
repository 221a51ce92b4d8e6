/*
 * log.h - one line an event on stderr, as JSON or logfmt.
 *
 *   log_event(LOG_INFO, "partition_assigned", "partition", "3", NULL) is written as
 *   {"time":"…","level":"info","process":"aggregator","event":"partition_assigned","partition":"3"}
 *   or, in logfmt, time=… level=info process=aggregator event=partition_assigned partition=3
 *
 * Warnings of one kind (event, and what its first field says but for digits) are written at most
 * once in LOG_REPEAT_MS: the next one has a last field repeated=N, how many were left out before
 * it, and log_end tells the rest. Errors are all written.
 *
 * program_run calls log_init and log_end. Only process files and edges log; rules never do; who
 * returns a fault doesn't log it. Threads    Any. A line is one write(2).
 */
#pragma once

#include "common/base/text.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_form { LOG_LOGFMT, LOG_JSON };

void log_init(const char *process, enum log_level least, enum log_form form);
void log_end(void); /* the process ends */
/* Pairs of name and text follow, ended by NULL: log_event(LOG_INFO, "ready", "port", port, NULL).
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
/* A printf message as the field `message`. */
void log_message(enum log_level level, const char *event, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* The thread's last fault with its trace. */
void log_fault(enum log_level level, const char *event);
