/*
 * fault.h - what a function returns when it failed, named by what the process has to do about it.
 *
 * 0 is done. Above 0 is an outcome: promised by this very function in its own enum, handled by its
 * caller, never forwarded. Below 0 is a fault: forwarded unchanged to the process loop, which alone
 * logs it. Mistakes of ours are asserted, in release too.
 *
 * Ownership  The text of the last fault is thread-local and lives until the thread's next fault.
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

enum fault {
    FAULT_RETRY = -1,  /* the outside world is unwell: keep the batch, back off, try again */
    FAULT_REFUSE = -2, /* this input can never be taken: set it aside with the reason, go on */
    FAULT_STOP = -3,   /* our own state breaks its rules: exit before another write */
    FAULT_FENCED = -4, /* another process has taken this one's place: exit, it goes on */
    FAULT_DENIED = -5, /* we are not let in, and never were: exit, the credentials are wrong */
};

/* Raises a fault: return fault(FAULT_RETRY, "broker %s: %s", name, why); */
#define fault(code, ...) fault_raise((code), __func__, __LINE__, __VA_ARGS__)

/* Passes a fault up. An outcome that reaches this line was forgotten, and is asserted. */
#define fault_pass(code) fault_forward((code), __func__, __LINE__)

MUST_USE int fault_raise(enum fault code, const char *function, int line, const char *format, ...)
    PRINTF_LIKE(4, 5);
MUST_USE int fault_forward(int code, const char *function, int line);

/* The text of this thread's last fault, "" when there was none. */
const char *fault_text(void);

/* The functions that it came through, innermost first: "store_begin:41 < counters_apply:88". */
const char *fault_trace(void);
