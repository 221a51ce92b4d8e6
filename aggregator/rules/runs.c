#include "aggregator/rules/runs.h"

static int64_t up_to(int64_t minute, enum level level)
{
    return -floor_divide(-minute, level_minutes(level)) * level_minutes(level);
}

static int64_t down_to(int64_t minute, enum level level)
{
    return level_window(level, minute) * level_minutes(level);
}

static size_t add_run(struct run *runs, size_t count, struct run run)
{
    if (run.from >= run.to)
        return count;
    runs[count] = run;
    return count + 1;
}

size_t runs_of(int64_t from, int64_t to, enum level coarsest, struct run runs[RUNS_MAX])
{
    size_t count = 0;
    int64_t first, last;
    enum level finer;

    if (from >= to)
        return 0;
    if (coarsest == LEVEL_MINUTE) {
        runs[0] = (struct run){.level = LEVEL_MINUTE, .from = from, .to = to};
        return 1;
    }
    finer = (enum level)(coarsest - 1);
    first = up_to(from, coarsest);
    last = down_to(to, coarsest);
    if (first >= last)
        return runs_of(from, to, finer, runs);
    count = runs_of(from, first, finer, runs);
    count = add_run(runs, count, (struct run){.level = coarsest, .from = first, .to = last});
    return count + runs_of(last, to, finer, runs + count);
}
