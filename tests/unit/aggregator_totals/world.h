/*
 * world.h - what shards publish to, for totals.c: a log, a catalog, a topic that may refuse, and
 * two processes of which one owns the partition.
 *
 * The producer, the catalog and the follower of `counters` are the test's own. Each record is
 * checked as it comes to the topic, against the log alone.
 */
#pragma once

#include "aggregator/edges/shard.h"

enum {
    MESSAGES_MAX = 80,
    QUEUE_MAX = 20000,
    FIRST_DAY = 20000,
};

struct record {
    bool is_mark;
    int line;
    struct counters_total total;
    char writer[PEERS_WRITER_BYTES];
    char key[96];
};

struct outgoing {
    char key[96], value[512], writer[PEERS_WRITER_BYTES];
    size_t key_length, value_length;
    producer_delivered *delivered;
    void *context;
};

struct producer {
    struct outgoing queue[QUEUE_MAX];
    size_t count;
    bool is_refusing;
    bool is_refusing_all; /* until it is flushed once */
};

/* What follows `counters` for a process. */
struct peers {
    int64_t at, until, visible;
    char writer[PEERS_WRITER_BYTES];
};

struct process {
    char folder[64];
    struct shard_setup setup;
    struct producer *producer;
    struct peers peers;
    struct published published;
    struct shard *shard; /* NULL: it doesn't run, or has no partition */
};

extern int64_t message_count; /* of the log */
extern struct record *topic;
extern int64_t record_count;
extern struct process processes[2], *owner;
extern int64_t now_ms;
extern unsigned writers; /* so many times a process has begun to follow */

int64_t random_below(int64_t below);
void write_message(void);
void write_event(int line, int64_t day, int64_t units);
void change_cuts(void);
void deliver(struct producer *producer, size_t count);
void look_further(struct process *process);
struct process *other_than(const struct process *process);
void start_process(struct process *process);
void stop_process(struct process *process);
void kill_process(struct process *process);
void lose_store(struct process *process); /* of one that doesn't run */
void take_some(struct process *process, int64_t most);
void commit(struct process *process);
void commit_to_a_full_disk(struct process *process);
void tend_until(struct process *process, int64_t until_ns);
void tend(struct process *process);
/* All that is in the log. */
void publish_once(struct process *process);
void come_to_rest(void);
void begin_world(uint64_t seed);
void end_world(void);
void open_world(void);
void close_world(void);
