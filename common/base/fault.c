/*
 * fault.c - the last fault of each thread: its text and the way it came.
 */
#include "common/base/fault.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { FAULT_TEXT_MAX = 512, FAULT_TRACE_MAX = 512 };

static _Thread_local char text[FAULT_TEXT_MAX];
static _Thread_local char trace[FAULT_TRACE_MAX];

/* A trace that is full keeps its innermost steps: they say where it began. */
static void add_step(const char *function, int line)
{
    size_t length = strlen(trace);

    (void)snprintf(trace + length, sizeof(trace) - length, "%s%s:%d", length ? " < " : "", function,
                   line);
}

int fault_raise(enum fault code, const char *function, int line, const char *format, ...)
{
    char fresh[FAULT_TEXT_MAX]; /* the arguments may quote the last fault's text */
    va_list arguments;

    assert(code < 0);

    va_start(arguments, format);
    (void)vsnprintf(fresh, sizeof(fresh), format, arguments);
    va_end(arguments);
    memcpy(text, fresh, sizeof(text));
    trace[0] = '\0';
    add_step(function, line);
    return code;
}

int fault_forward(int code, const char *function, int line)
{
    assert(code < 0);

    add_step(function, line);
    return code;
}

const char *fault_text(void)
{
    return text;
}

const char *fault_trace(void)
{
    return trace;
}
