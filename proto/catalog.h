/*
 * catalog.h - what <bucket>.catalog says, in memory: the records that ingest and aggregator work
 * by.
 *
 * Each record is one JSON object under the key `kind/id`; a tombstone removes it. catalog_apply
 * takes them in log order; each carries the invoicer's tenure ("epoch") and one of an older epoch
 * than the last seen is ignored. The invoicer writes them (it alone validates plans); members that
 * a process doesn't know are skipped, so that an older process reads a newer one's records.
 *
 *   bucket/<key>        {"epoch","partitions","seed"(32 hex),"mode":"test"|"live","createdAt",
 *                        "hash"?:"xxh3"|"hmac-sha256"}   (absent: xxh3)
 *   meter/<slug>        {"epoch","slug","name","eventType","aggregation","valueProperty"?,
 *                        "groupBy"?,"eventFrom"?}
 *   subscription/<id>   {"epoch","id","customerKey","plan":{"key","version"},"currency"?,
 *                        "activeFrom","activeTo"?,"billingAnchor","consumer":{"name"}?,
 *                        "cuts":[minute of the UTC day,…]}   (cuts: counters.h; absent: [0])
 *   key/<id>            {"epoch","id","role":"ingest"|"admin","sha256"(hex of the whole key),
 *                        "createdAt","expiresAt"?}
 *   configuration/default   {"epoch","numberedSources"?:[source,…],…}: the sources whose events are
 *                       known by their number
 *   feature/<key>  plan/<key>@<version>  draft/<key>  customer/<key>
 *                       product.md shapes with "epoch": the invoicer's, of which only the epoch is
 *                       looked at here. So for kinds that are new.
 *
 * Null members count as absent. A million subscriptions take some 180 bytes each, their cuts alone
 * some 70.
 *
 * Errors     catalog_apply's outcomes; a refused record leaves the catalog as it was.
 * Ownership  Everything found belongs to the catalog, until the next catalog_apply.
 * Threads    One; or read-locked by the owner.
 */
#pragma once

#include "common/base/instant.h"
#include "proto/usage.h"

enum {
    CATALOG_PATH_STEPS_MAX = 8,
    CATALOG_CUTS_MAX = 49, /* an hourly cadence on two minutes of the hour, and an end */
    CATALOG_KEY_MAX = 64,  /* bytes of a slug */
    CATALOG_SHORT_ID = 28, /* bytes of an id that stands in its subscription: a ULID has 26 */
    CATALOG_ID_MAX = 256,  /* bytes of subscription ids, customer keys, consumer names */
    CATALOG_PARTITIONS_MAX = 10000,
    CATALOG_SOURCES_MAX = 2000, /* numbered ones, each of CATALOG_ID_MAX bytes */
    CATALOG_METERS_MAX = 1000,  /* in a bucket; USAGE_METERS_MAX of one event type */
};

/* $.a.b, from `data`. */
struct catalog_path {
    size_t count; /* at least one */
    struct text steps[CATALOG_PATH_STEPS_MAX];
    struct text spelling; /* as written: "$.total" */
};

/*
 * metering.md 5: `$` and 1 to 8 steps `.name` or `['text']`. A name is letters, digits, `_`, `-`
 * and bytes above 127, not starting with a digit or `-`; in a text, quote and backslash follow a
 * backslash. The steps point into `text`, or into `scratch` (of text.length bytes) where quoted.
 */
MUST_USE bool catalog_path_parse(struct text text, char *scratch, struct catalog_path *path);

struct catalog_dimension {
    struct text name;
    struct catalog_path path;
};

struct catalog_meter {
    struct text slug, event_type;
    enum aggregation aggregation;
    struct catalog_path value;                                 /* unused for COUNT */
    struct catalog_dimension dimensions[USAGE_DIMENSIONS_MAX]; /* sorted by name */
    size_t dimension_count;
    size_t series_size;  /* of a series of it, but for subscription, subject, dimensions' values */
    struct instant from; /* eventFrom, or the far past */
};

/* What an event asks for stands in the first cache line, short ids with it: at its start, as what
 * compares them may load 32 bytes. */
struct catalog_subscription {
    char short_id[CATALOG_SHORT_ID]; /* read `id` */
    int32_t partition;               /* -1 while there is no bucket record */
    struct text id;
    struct instant active_from, active_to;   /* active_to: the far future when open */
    struct text customer_key, consumer_name; /* consumer_name absent: none */
};

enum catalog_role { CATALOG_INGEST, CATALOG_ADMIN };

struct catalog_key {
    struct text id;
    enum catalog_role role;
    uint8_t sha256[32];
    struct instant expires; /* far future: never */
};

/* What it keeps of a subscription: whose events are its, or where its billing windows end. */
enum catalog_extent { CATALOG_SUBSCRIPTIONS, CATALOG_CUTS };

struct catalog;
struct catalog *catalog_new(enum catalog_extent extent);
struct catalog *catalog_free(struct catalog *catalog);

enum catalog_outcome {
    CATALOG_MALFORMED = 1, /* *reason says why, a static text */
    CATALOG_OLDER_EPOCH,
};
/* Takes one message of the topic; `value` absent is a tombstone. *reason is written on MALFORMED.
 */
MUST_USE int catalog_apply(struct catalog *catalog, struct text key, struct text value,
                           const char **reason);

bool catalog_has_bucket(const struct catalog *catalog);
int32_t catalog_partitions(const struct catalog *catalog);  /* 0 without a bucket record */
const uint8_t *catalog_seed(const struct catalog *catalog); /* 16 bytes */
/* What fingerprints are made by: a fast hash, or one that withstands who knows what it gives. */
enum catalog_hash { CATALOG_HASH_XXH3, CATALOG_HASH_HMAC };
enum catalog_hash catalog_hash(const struct catalog *catalog);
bool catalog_is_live(const struct catalog *catalog);
int64_t catalog_epoch(const struct catalog *catalog); /* the last seen; 0 before the first */

/* Of CATALOG_CUTS: the subscription's cuts, ascending minutes of the UTC day, at least one; NULL
 * when it isn't known. */
const uint16_t *catalog_cuts(const struct catalog *catalog, struct text id, size_t *count);
/* Counts the changes of anybody's cuts, those of new subscriptions and of removed ones included. */
uint64_t catalog_cuts_changes(const struct catalog *catalog);
/* Whose change that was, from 0: one of the last CATALOG_CUTS_RECENT. Good until the next one. */
enum { CATALOG_CUTS_RECENT = 1024 };
struct text catalog_cuts_changed(const struct catalog *catalog, uint64_t change);
/* What cuts are known by; never 0. */
uint64_t catalog_cuts_hash(const uint16_t *cuts, size_t count);
/* Those that are known by it, whoever has or had them; NULL when nobody. They are few, and stay in
 * the cache: of a million subscriptions that saves a search for each. */
const uint16_t *catalog_cuts_known(const struct catalog *catalog, uint64_t hash, size_t *count);

/* The meters of an event type, sorted by slug; NULL and 0 when there are none. */
const struct catalog_meter *const *catalog_meters_of(const struct catalog *catalog,
                                                     struct text event_type, size_t *count);
const struct catalog_meter *catalog_meter(const struct catalog *catalog, struct text slug);
const struct catalog_key *catalog_key(const struct catalog *catalog, struct text id);
/* Are the source's events known by `sequence` instead of `id` (metering.md 13)? */
bool catalog_is_numbered(const struct catalog *catalog, struct text source);

/* --- of CATALOG_SUBSCRIPTIONS --- */

size_t catalog_subscription_count(const struct catalog *catalog);
const struct catalog_subscription *catalog_subscription(const struct catalog *catalog,
                                                        struct text id);
/*
 * Fetches into the caches what looking these up will touch; absent ones are skipped. With many
 * subscriptions a look-up waits for memory twice, one after the other: those of a group wait
 * together. `guesses` are whom each may be, or NULL: catalog_subscription_like needs no search
 * where the guess is right. A hint, which changes no answer; good until the catalog changes.
 */
enum { CATALOG_PREFETCH_MAX = 16 };
void catalog_prefetch(const struct catalog *catalog, const struct text *ids, size_t count,
                      const struct catalog_subscription **guesses);
/* catalog_subscription with a guess, or NULL. */
const struct catalog_subscription *
catalog_subscription_like(const struct catalog *catalog, struct text id,
                          const struct catalog_subscription *guess);

/* From active_from on and before active_to; the far future too is before an open end. */
bool catalog_is_active(const struct catalog_subscription *subscription, struct instant time);

enum catalog_subject_outcome {
    CATALOG_SUBJECT_UNKNOWN = 1,
    CATALOG_SUBJECT_AMBIGUOUS,
    CATALOG_SUBJECT_INACTIVE,
};
/* metering.md 9: the subject as subscription id, consumer name, customer key, active at `time`.
 * `guess` is whose id it may be, or NULL. */
MUST_USE int catalog_find_subject(const struct catalog *catalog, struct text subject,
                                  const struct catalog_subscription *guess, struct instant time,
                                  const struct catalog_subscription **subscription);
/* Calls back for every subscription. */
void catalog_each_subscription(const struct catalog *catalog,
                               void (*visit)(void *context,
                                             const struct catalog_subscription *subscription),
                               void *context);
