/*
 * engine.h - what moves an invoicer's store on: it follows the topics, holds the tenure, sends the
 * outbox.
 *
 * One engine a store moves: the one that holds the lock of the store's folder. `serve` has it for
 * as long as it runs; a command takes it when it is free. A command beside a `serve` works through
 * the store that both have open: it writes records and outbox in one transaction and waits until
 * the store says that they are confirmed. Every wait is for a state in the store, so both ways are
 * one: step until the state is there.
 *
 * Writes that Kafka never got while another store's invoicer acted were not answered: the engine
 * empties a store that holds any as soon as it reads of the other, and reads the topics from their
 * beginning. The store's generation grows then.
 *
 * Errors     FAULT_RETRY when the broker is away or time is up: safe to do again. FAULT_STOP as
 *            kafka.h and store.h say.
 * Threads    One.
 */
#pragma once

#include "common/io/kafka.h"
#include "common/io/store.h"
#include "invoicer/edges/tenure.h"

enum engine_role {
    ENGINE_READS, /* follows catalog and invoices */
    ENGINE_LOOKS, /* the counters too; needs the bucket's record */
    ENGINE_ACTS,  /* and holds the tenure, when it is given to it */
};

struct engine_config {
    struct kafka_config kafka;
    const char *data, *bucket;
    int64_t wait_ms; /* how long the engine_until_… wait at the most */
    enum engine_role role;
};

struct engine;
MUST_USE int engine_open(const struct engine_config *config, struct engine **engine);
struct engine *engine_close(struct engine *engine); /* accepts NULL; returns NULL */
void engine_drop(struct engine **engine);           /* for CLEANUP */
struct store *engine_store(const struct engine *engine);
bool engine_is_owner(const struct engine *engine); /* holds the folder's lock */
enum tenure_state engine_tenure(const struct engine *engine);
/* For what one process does at a time on a folder, until the engine is closed. FAULT_RETRY: another
 * one does it. Called once. */
MUST_USE int engine_claim(struct engine *engine, const char *what);

/* Moves on once, waiting up to timeout_ms when there is nothing to do. */
MUST_USE int engine_step(struct engine *engine, int timeout_ms);

/* A state of the store to wait for: 1 when it is there, 0 not yet, or a fault. */
typedef int engine_state(void *context, struct store_txn *txn);
/* Steps until the state is there; FAULT_RETRY with `what` in its text when wait_ms are over. */
MUST_USE int engine_until(struct engine *engine, const char *what, engine_state *is_there,
                          void *context);
/* Until the store holds what the topics held when its owner's engine was opened. */
MUST_USE int engine_until_followed(struct engine *engine);
/* Until an invoicer acts on this store. */
MUST_USE int engine_until_acting(struct engine *engine);
/* Until everything up to this sequence of the outbox is confirmed. */
MUST_USE int engine_until_sent(struct engine *engine, int64_t sequence);

/* The same as a state, for whoever steps the engine himself. */
struct engine_sent {
    int64_t sequence, generation;
};
MUST_USE int engine_sent_from(struct engine *engine, int64_t sequence, struct engine_sent *sent);
int engine_is_sent(void *sent, struct store_txn *txn);

/* Begins a write that goes through the outbox: FAULT_RETRY unless an invoicer acts. */
MUST_USE int engine_begin(struct engine *engine, struct store_txn **txn);
