#include "invoicer/edges/engine.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"
#include "common/base/instant.h"
#include "common/io/log.h"
#include "invoicer/edges/books.h"
#include "invoicer/edges/follow.h"
#include "invoicer/edges/mirror.h"
#include "invoicer/edges/outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { SHARED_STEP_MS = 20, QUEUE_BYTES_MAX = 64 * 1024 * 1024, MESSAGE_TIMEOUT_MS = 30000 };

struct engine {
    struct engine_config config;
    struct store *store;
    char *folder;
    int lock;  /* -1: another process has it */
    int claim; /* of engine_claim; -1: none */

    struct producer *producer;
    struct follow *catalog, *invoices;
    struct mirror *mirror;
    struct tenure *tenure;
    struct outbox *outbox;
    bool was_acting;
    bool is_started;  /* false: the parts are to be started, again */
    bool is_followed; /* the store says that it holds what the topics held at our start */
};

struct store *engine_store(const struct engine *engine)
{
    return engine->store;
}

bool engine_is_owner(const struct engine *engine)
{
    return engine->lock >= 0;
}

enum tenure_state engine_tenure(const struct engine *engine)
{
    return engine->tenure ? tenure_state(engine->tenure) : TENURE_WAITING;
}

/* Takes a lock in the folder if it is free; *lock stays -1 otherwise. */
static int try_lock(const struct engine *engine, const char *name, int *lock)
{
    CLEANUP(buffer_deinit) struct buffer path = {0};
    int file;

    buffer_printf(&path, "%s/%s", engine->folder, name);
    buffer_add_char(&path, '\0');
    file = open(path.at, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return fault(FAULT_RETRY, "%s: %s", path.at, strerror(errno));
    if (flock(file, LOCK_EX | LOCK_NB)) {
        close(file);
        return 0;
    }
    *lock = file;
    return 0;
}

int engine_claim(struct engine *engine, const char *what)
{
    CLEANUP(buffer_deinit) struct buffer name = {0};
    int r;

    assert(engine->claim < 0);
    buffer_printf(&name, "%s.lock", what);
    buffer_add_char(&name, '\0');
    r = try_lock(engine, name.at, &engine->claim);
    if (r)
        return fault_pass(r);
    return engine->claim >= 0
               ? 0
               : fault(FAULT_RETRY, "another process is at %s on %s", what, engine->folder);
}

/* The state of a store with writes that Kafka never got, while another store's invoicer went on: it
 * is another's past. They were not answered. */
static int is_overtaken(void *context, struct store_txn *txn)
{
    int64_t foreign;
    bool is_empty = true;
    int r = books_number(txn, "tenure/foreign", 0, &foreign);

    (void)context;
    if (!r && foreign)
        r = outbox_is_empty(txn, &is_empty);
    return r ? fault_pass(r) : !is_empty;
}

/* They are dropped with all that was built on them: the topics are read from their beginning. */
static int forget_if_overtaken(struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine->store, STORE_WRITE, &txn);

    if (!r)
        r = is_overtaken(NULL, txn);
    if (r <= 0)
        return r ? fault_pass(r) : 0;
    log_event(LOG_WARN, "store_overtaken", NULL);
    r = books_wipe(txn);
    if (!r)
        r = store_commit(&txn);
    return r ? fault_pass(r) : 0;
}

static int start_acting_parts(struct engine *engine)
{
    const struct engine_config *config = &engine->config;
    int r = producer_new(&config->kafka, QUEUE_BYTES_MAX, MESSAGE_TIMEOUT_MS, &engine->producer);

    if (!r)
        r = tenure_new(&config->kafka, config->bucket, engine->store, engine->producer,
                       &engine->tenure);
    if (!r)
        engine->outbox = outbox_new(engine->store, config->bucket);
    return r ? fault_pass(r) : 0;
}

/* What the owner of the folder runs. */
static int start_parts(struct engine *engine)
{
    const struct engine_config *config = &engine->config;
    int r = forget_if_overtaken(engine);

    if (!r)
        r = follow_new(&config->kafka, config->bucket, TOPIC_CATALOG, engine->store,
                       &engine->catalog);
    if (!r)
        r = follow_new(&config->kafka, config->bucket, TOPIC_INVOICES, engine->store,
                       &engine->invoices);
    if (!r && config->role != ENGINE_READS)
        engine->mirror = mirror_new(&config->kafka, config->bucket, engine->store);
    if (!r && config->role == ENGINE_ACTS)
        r = start_acting_parts(engine);
    engine->is_started = r == 0;
    engine->is_followed = false;
    return r ? fault_pass(r) : 0;
}

static void stop_parts(struct engine *engine)
{
    /* First: it tells the other two what became of their messages. */
    engine->producer = engine->producer ? producer_free(engine->producer) : NULL;
    engine->tenure = tenure_free(engine->tenure);
    engine->outbox = outbox_free(engine->outbox);
    engine->mirror = mirror_free(engine->mirror);
    engine->catalog = follow_free(engine->catalog);
    engine->invoices = follow_free(engine->invoices);
}

int engine_open(const struct engine_config *config, struct engine **engine)
{
    struct engine *made = calloc(1, sizeof(*made));
    int r;

    assert(made);
    made->config = *config;
    made->lock = made->claim = -1;
    r = books_open(config->data, config->bucket, &made->store, &made->folder);
    if (!r)
        r = try_lock(made, "lock", &made->lock);
    if (!r && engine_is_owner(made))
        r = start_parts(made);
    if (r) {
        engine_close(made);
        return fault_pass(r);
    }
    *engine = made;
    return 0;
}

struct engine *engine_close(struct engine *engine)
{
    if (!engine)
        return NULL;
    stop_parts(engine);
    store_close(engine->store);
    if (engine->lock >= 0)
        close(engine->lock);
    if (engine->claim >= 0)
        close(engine->claim);
    free(engine->folder);
    free(engine);
    return NULL;
}

void engine_drop(struct engine **engine)
{
    *engine = engine_close(*engine);
}

/* Another process moves the store; should it end, this one goes on in its place. */
static int step_shared(struct engine *engine, int timeout_ms)
{
    int r;

    pause_ms(timeout_ms < SHARED_STEP_MS ? timeout_ms : SHARED_STEP_MS);
    r = try_lock(engine, "lock", &engine->lock);
    if (!r && engine_is_owner(engine))
        r = start_parts(engine);
    return r ? fault_pass(r) : 0;
}

static int step_outbox(struct engine *engine)
{
    int r;

    if (tenure_state(engine->tenure) != TENURE_ACTING) {
        engine->was_acting = false;
        return 0;
    }
    if (!engine->was_acting)
        outbox_restart(engine->outbox);
    engine->was_acting = true;
    r = outbox_send(engine->outbox, engine->producer, tenure_epoch(engine->tenure));
    if (!r)
        r = outbox_confirm(engine->outbox, follow_next(engine->catalog),
                           follow_next(engine->invoices));
    return r ? fault_pass(r) : 0;
}

/* Another's epoch in a topic is the end of ours, even if the group hasn't said so yet. */
static int check_fences(struct engine *engine)
{
    int64_t epoch = tenure_epoch(engine->tenure);
    int r = 0;

    if (tenure_state(engine->tenure) >= TENURE_FENCED &&
        (follow_epoch(engine->catalog) > epoch || follow_epoch(engine->invoices) > epoch))
        r = tenure_lose(engine->tenure);
    return r ? fault_pass(r) : 0;
}

static int step_acting(struct engine *engine, int timeout_ms)
{
    int r;

    producer_poll(engine->producer, 0);
    r = tenure_step(engine->tenure, timeout_ms, follow_next(engine->catalog),
                    follow_next(engine->invoices));
    if (!r)
        r = check_fences(engine);
    if (!r)
        r = step_outbox(engine);
    return r ? fault_pass(r) : 0;
}

static int look(struct engine *engine, engine_state *is_there, void *context)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r = store_begin(engine->store, STORE_READ, &txn);

    return r ? fault_pass(r) : is_there(context, txn);
}

/* The store holds what the topics of records held when the parts were started. */
static bool has_followed(const struct engine *engine)
{
    return engine->is_started && follow_is_caught_up(engine->catalog) &&
           follow_is_caught_up(engine->invoices);
}

/* Says so in the store: whoever reads it beside us waits for that, should it be new. */
static int note_followed(struct engine *engine)
{
    CLEANUP(store_abort) struct store_txn *txn = NULL;
    int r;

    if (engine->is_followed || !has_followed(engine))
        return 0;
    r = store_begin(engine->store, STORE_WRITE, &txn);
    if (!r)
        r = books_set_number(txn, "followed", 1);
    if (!r)
        r = store_commit(&txn);
    engine->is_followed = r == 0;
    return r ? fault_pass(r) : 0;
}

static int restart_parts(struct engine *engine)
{
    int r;

    stop_parts(engine);
    r = start_parts(engine);
    return r ? fault_pass(r) : 0;
}

/* Reads on in the topics. Returns how much it took, or a fault. */
static int step_followers(struct engine *engine, int timeout_ms)
{
    int taken = 0;
    int r = follow_step(engine->catalog, timeout_ms);

    if (r >= 0) {
        taken += r;
        r = follow_step(engine->invoices, 0);
    }
    if (r >= 0 && engine->mirror) {
        taken += r;
        r = mirror_step(engine->mirror, timeout_ms);
    }
    return r < 0 ? fault_pass(r) : taken + r;
}

int engine_step(struct engine *engine, int timeout_ms)
{
    int taken, r = 0;

    if (!engine_is_owner(engine)) {
        r = step_shared(engine, timeout_ms);
        return r ? fault_pass(r) : 0;
    }
    if (!engine->is_started)
        r = restart_parts(engine);
    if (r)
        return fault_pass(r);
    taken = step_followers(engine, engine->tenure ? 0 : timeout_ms / 2);
    if (taken > 0)
        r = look(engine, is_overtaken, NULL);
    if (taken < 0 || r < 0)
        return fault_pass(taken < 0 ? taken : r);
    if (r > 0) {
        r = restart_parts(engine);
        return r ? fault_pass(r) : 0;
    }
    r = note_followed(engine);
    if (!r && engine->tenure)
        r = step_acting(engine, taken ? 0 : timeout_ms);
    return r ? fault_pass(r) : 0;
}

int engine_until(struct engine *engine, const char *what, engine_state *is_there, void *context)
{
    int64_t end = monotonic_ms() + engine->config.wait_ms;

    for (;;) {
        int r = look(engine, is_there, context);

        if (r)
            return r < 0 ? fault_pass(r) : 0;
        if (monotonic_ms() > end)
            return fault(FAULT_RETRY, "%s: not within %lld s", what,
                         (long long)engine->config.wait_ms / 1000);
        r = engine_step(engine, 20);
        if (r == FAULT_RETRY)
            pause_ms(100); /* the broker is away: the deadline decides */
        else if (r)
            return fault_pass(r);
    }
}

static int is_followed(void *context, struct store_txn *txn)
{
    const struct engine *engine = context;
    int64_t followed;
    int r;

    if (engine_is_owner(engine))
        return has_followed(engine) &&
               (engine->config.role != ENGINE_LOOKS || mirror_is_caught_up(engine->mirror));
    r = books_number(txn, "followed", 0, &followed);
    return r ? fault_pass(r) : followed != 0;
}

int engine_until_followed(struct engine *engine)
{
    int r = engine_until(engine, "reading the topics catalog and invoices", is_followed, engine);

    return r ? fault_pass(r) : 0;
}

static int is_acting(void *context, struct store_txn *txn)
{
    int64_t acting;
    int r = books_number(txn, "tenure/acting", 0, &acting);

    (void)context;
    return r ? fault_pass(r) : acting != 0;
}

int engine_until_acting(struct engine *engine)
{
    int r = engine_until(engine, "becoming the bucket's invoicer (another one may be acting)",
                         is_acting, NULL);

    return r ? fault_pass(r) : 0;
}

int engine_is_sent(void *context, struct store_txn *txn)
{
    const struct engine_sent *sent = context;
    int64_t confirmed, generation;
    int r = outbox_confirmed(txn, &confirmed);

    if (!r)
        r = books_number(txn, "generation", 0, &generation);
    if (r)
        return fault_pass(r);
    if (generation != sent->generation)
        return fault(FAULT_RETRY,
                     "another invoicer took over before this was written; do it again");
    return confirmed >= sent->sequence;
}

int engine_sent_from(struct engine *engine, int64_t sequence, struct engine_sent *sent)
{
    int r = books_read_number(engine->store, "generation", 0, &sent->generation);

    sent->sequence = sequence;
    return r ? fault_pass(r) : 0;
}

int engine_until_sent(struct engine *engine, int64_t sequence)
{
    struct engine_sent sent;
    int r = engine_sent_from(engine, sequence, &sent);

    if (!r)
        r = engine_until(engine, "writing to Kafka", engine_is_sent, &sent);
    return r ? fault_pass(r) : 0;
}

int engine_begin(struct engine *engine, struct store_txn **txn)
{
    int64_t acting = 0;
    int r = store_begin(engine->store, STORE_WRITE, txn);

    if (!r)
        r = books_number(*txn, "tenure/acting", 0, &acting);
    if (!r && !acting)
        r = fault(FAULT_RETRY, "no invoicer acts on this data folder now");
    if (r)
        store_abort(txn);
    return r ? fault_pass(r) : 0;
}
