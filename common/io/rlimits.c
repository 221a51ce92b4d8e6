#include "common/io/rlimits.h"

#include "common/io/log.h"

#include <sys/resource.h>

enum { OWN_FILES = 200 }; /* stores, Kafka clients, what a library opens */

void rlimits_forbid_core_dumps(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit))
        return;
    limit.rlim_cur = 0;
    (void)!setrlimit(RLIMIT_CORE, &limit);
}

void rlimits_open_files(int64_t connections)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)!setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < (rlim_t)(connections + OWN_FILES))
        log_message(LOG_WARN, "few_open_files",
                    "%lld files can be open at once, too few for %lld connections; remedy: raise "
                    "the hard limit (ulimit -Hn, LimitNOFILE=) or lower http-connections",
                    (long long)limit.rlim_max, (long long)connections);
}
