/*
 * rlimits.h - what the system allows this process, set at its start.
 *
 * Threads    Before there are any.
 */
#pragma once

#include <stdint.h>

/* No core dumps: they would hold clients' keys and the broker's password. Only the soft limit is
 * set: `prlimit --core` allows one process a dump when somebody looks for a fault. */
void rlimits_forbid_core_dumps(void);
/* As many open files as the hard limit allows, since the soft one is 1024 on most systems. Warns
 * when that is too few for so many connections. */
void rlimits_open_files(int64_t connections);
