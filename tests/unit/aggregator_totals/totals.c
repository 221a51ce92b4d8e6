/*
 * Shards and what they publish, against a slow model: two processes take one partition from each
 * other, are killed, frozen out, ended and started again, while Kafka confirms some of what they
 * send, refuses some and loses some answers. The model knows the log alone. It checks each record
 * as it comes to the topic, and at rest what a reader finds there who sees the last of each key
 * only.
 */
#include "tests/unit/aggregator_totals/world.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 60, STEPS = 250 };

/* Now and then it is counted on between the beginning of a pass and its totals. */
static void tend_later(struct process *process)
{
    now_ms += 1 + random_below(400);
    if (random_below(4) == 0) {
        tend_until(process, 0);
        if (random_below(2))
            change_cuts();
        take_some(process, 1 + random_below(2));
        commit(process);
    }
    tend(process);
}

/* The partition goes to the other process; the former owner hears of it now or later. */
static void take_over(void)
{
    struct process *former = owner, *next = other_than(owner);

    if (next->shard)
        stop_process(next);
    if (random_below(3) > 0 && former->shard) {
        if (random_below(2))
            (void)!shard_settle(former->shard, now_ms, 4);
        stop_process(former);
    }
    start_process(next);
}

static void restart(struct process *process)
{
    if (random_below(2)) {
        (void)!shard_settle(process->shard, now_ms, 4);
        stop_process(process);
    }
    kill_process(process);
    if (random_below(4) == 0)
        lose_store(process);
    if (process == owner)
        start_process(process);
}

static void step(struct process *process)
{
    switch (random_below(24)) {
    case 0:
        restart(process);
        return;
    case 1:
        take_over();
        return;
    case 2:
        change_cuts();
        return;
    case 3:
        process->producer->is_refusing = random_below(3) == 0;
        return;
    case 4:
    case 5:
    case 6:
        take_some(process, 1 + random_below(4));
        return;
    case 7:
    case 8:
        commit(process);
        return;
    case 9:
        commit_to_a_full_disk(process);
        return;
    case 10:
    case 11:
    case 12:
        deliver(process->producer, (size_t)random_below((int64_t)process->producer->count + 1));
        return;
    case 13:
    case 14:
        look_further(process);
        return;
    case 15:
        deliver(process->producer, process->producer->count);
        return;
    default:
        tend_later(process);
    }
}

static void run(uint64_t seed)
{
    begin_world(seed);
    for (int i = 0; i < STEPS; i++) {
        struct process *process = &processes[random_below(2)];

        if (message_count < MESSAGES_MAX && random_below(3) == 0)
            write_message();
        step(process->shard ? process : owner);
        if (random_below(60) == 0)
            come_to_rest();
    }
    end_world();
}

TestSuite(totals, .init = open_world, .fini = close_world);

Test(totals, the_topic_says_what_the_log_does_whatever_happens_to_owners_and_records)
{
    const char *given = getenv("TOTALS_SEED"); /* others than the usual: the first of as many */
    uint64_t first = given ? strtoull(given, NULL, 10) : 4370;

    for (uint64_t seed = first; seed < first + SEEDS; seed++)
        run(seed);
}

/* All that is there is counted, and confirmed. */
static void publish_all(struct process *process)
{
    publish_once(process);
    publish_once(process);
    cr_assert_eq(process->published.offset, message_count);
}

Test(totals, an_orderly_end_vouches_for_no_mended_total_that_kafka_has_refused)
{
    struct process *process = &processes[0];
    struct record late;

    begin_world(1);
    write_event(0, 0, 1);
    publish_all(process);
    late = topic[0];
    cr_assert_not(late.is_mark);
    write_event(0, 0, 1);
    publish_all(process);
    (void)snprintf(late.writer, sizeof(late.writer), "another");
    topic[record_count++] = late;
    process->peers.visible = record_count;
    now_ms += 60000;
    tend(process); /* it is on its way again */
    cr_assert_gt(process->producer->count, 0);
    write_event(2, 1, 1);
    take_some(process, 1);
    process->producer->is_refusing_all = true;
    cr_assert_eq(shard_settle(process->shard, now_ms, 4), 0);
    kill_process(process);
    start_process(process);
    end_world();
}

Test(totals, whoever_publishes_everything_anew_reads_nothing_that_stood_there_before)
{
    struct process *process = &processes[0];

    begin_world(1);
    write_event(0, 0, 1);
    publish_all(process);
    write_event(0, 0, 1);
    take_some(process, 1);
    commit(process);
    kill_process(process);
    start_process(process);
    cr_assert_lt(process->peers.at, record_count);
    kill_process(process);
    lose_store(process);
    start_process(process);
    cr_assert_eq(process->peers.at, record_count);
    take_some(process, 1);
    commit(process);
    kill_process(process); /* before a mark */
    start_process(process);
    cr_assert_eq(process->peers.at, record_count);
    end_world();
}

Test(totals, an_end_that_has_no_time_left_waits_for_nothing)
{
    struct process *process = &processes[0];
    int64_t began_ms;

    begin_world(1);
    publish_all(process);
    write_event(0, 0, 1);
    take_some(process, 1);
    began_ms = monotonic_ms();
    cr_assert_eq(shard_settle(process->shard, now_ms, 0), 0);
    cr_assert_lt(monotonic_ms() - began_ms, 900);
    kill_process(process);
    start_process(process);
    end_world();
}

/* What a close is billed from is exactly the usage before a mark, though counting goes on. */
Test(totals, only_an_open_window_that_changes_while_it_is_published_is_newer_than_the_mark)
{
    struct process *process = &processes[0];

    begin_world(1);
    publish_all(process);
    for (int i = 0; i < 2; i++) {
        write_event(0, 2, 1); /* not over yet */
        write_event(0, 1, 1);
        write_event(1, 1, 1);
        take_some(process, 3);
        commit(process);
        now_ms += 60000;
        record_count = 0;
        tend_until(process, 0); /* begins the pass, when none is under way */
    }
    tend(process);
    deliver(process->producer, process->producer->count);
    tend(process);
    deliver(process->producer, process->producer->count);
    cr_assert_eq(record_count, 5);
    cr_assert(topic[4].is_mark);
    for (int64_t i = 0; i < 4; i++)
        cr_assert_eq(topic[i].total.next_offset,
                     topic[i].total.from_minute == (FIRST_DAY + 1) * MINUTES_A_DAY ? 3 : 6);
    end_world();
}

Test(totals, what_was_refused_is_looked_for_once)
{
    struct process *process = &processes[0];
    unsigned before;

    begin_world(1);
    process->setup.publish_ms = 10;
    for (int i = 0; i < 12; i++)
        write_event(i % 4, i / 4, 1);
    take_some(process, 12);
    commit(process);
    now_ms += 60000;
    tend(process);
    process->producer->is_refusing_all = true;
    deliver(process->producer, process->producer->count);
    for (int i = 0; i < 12; i++)
        write_event(i % 4, i / 4, 2);
    take_some(process, 12);
    commit(process); /* more than a pass is worth its while for just now */
    before = writers;
    for (int i = 0; i < 5; i++) {
        process->peers.visible = record_count;
        now_ms += i ? 1 : 10;
        tend(process);
    }
    cr_assert_eq(process->producer->count, 0);
    cr_assert_eq(writers, before + 1);
    process->producer->is_refusing_all = false;
    end_world();
}
