/*
 * publisher.h - tells the invoicer what a partition has counted: totals that changed, then a mark.
 *
 * Totals are absolute and read back from the store after the commit, so publishing them twice, late
 * or after a crash changes nothing. What a crash kept from being published is found again by the
 * days that changed after the store's published_offset.
 *
 * A window whose minutes or quarter-hours have aged can't be given on new cuts any more and is left
 * as it was published: a period is long closed by then.
 *
 * Publishing goes in passes, and a pass in steps between which the partition is counted on: what is
 * noted meanwhile belongs to the next pass. A pass begins with the mark that it ends with; its
 * totals may be newer than that, and say so. Windows that have ended come first, before anything
 * more is counted when they are ten thousand or less: a close bills those, and stands at no mark
 * that one of them is newer than. The mark waits until Kafka has confirmed the totals. When one was
 * refused the pass ends without a mark, and the next one sends all that changed behind the last
 * confirmed mark.
 *
 * Errors     FAULT_RETRY when Kafka's queue stays full: what is left stays changed. FAULT_STOP when
 *            the store is damaged.
 * Threads    The partition's consumer thread.
 */
#pragma once

#include "aggregator/edges/catalog_feed.h"
#include "aggregator/edges/vault.h"
#include "aggregator/rules/publish.h"
#include "proto/counters.h"

/* How far a partition is on `counters` for certain. Lives longer than its publisher. */
struct published {
    int64_t offset;      /* a confirmed mark's; -1: everything is to be published again */
    uint32_t generation; /* marks of an earlier one confirm nothing */
    bool has_lost;       /* Kafka has refused a total: the next pass sends it again */
    int64_t unconfirmed; /* totals that Kafka hasn't answered for */
    int64_t followed;    /* in the topic: what others wrote before is mended where it had to be */
    int64_t last_total;  /* in the topic, confirmed; -1: none */
};

/* The window that a series was noted in last since the pass began; empty: in none. */
struct noted_window {
    int32_t from, to; /* minutes: an instant's are less than 2^28 */
};

struct publisher {
    struct producer *producer;
    struct catalog_feed *feed;
    const char *topic, *owner;   /* borrowed */
    const char *writer;          /* borrowed; what it signs its records with: peers.h */
    struct published *published; /* borrowed */
    int64_t catalog_offset;      /* whose cuts `windows` are on */
    uint64_t catalog_changes;    /* of cuts, then */
    uint32_t catalog_accounts;   /* whose cuts were looked at then */
    struct windows windows;      /* noted since the pass began */
    struct windows sending;      /* of the pass */
    struct windows whole;        /* noted of a whole group since then: `line` is that */
    int64_t followed;            /* what is noted mends all before; or PEERS_CATCHING_UP */
    struct counters_mark mark;   /* of the pass */
    int64_t pass_followed;
    uint32_t ended;             /* of its windows, which come first */
    uint32_t sent;              /* of its windows */
    uint32_t mixed_passes;      /* from the one on that is sent: with windows on earlier cuts */
    bool is_sending;            /* a pass is under way */
    uint32_t pass_generation;   /* of `published` when it began */
    struct noted_window *noted; /* by series */
    uint32_t noted_room;
    struct buffer key, value, dimensions;
};

void publisher_init(struct publisher *publisher);
void publisher_deinit(struct publisher *publisher);

/* Notes the windows of what the tally holds uncommitted: before each commit. */
MUST_USE int publisher_note(struct publisher *publisher, const struct vault *vault,
                            struct tally *tally);
/* Notes every window of the days that changed after `offset`. */
void publisher_note_days(struct publisher *publisher, const struct tally *tally, int64_t offset);
/* Notes every window of the subscriptions whose cuts aren't those that they were published on. */
void publisher_note_cuts(struct publisher *publisher, struct tally *tally);
/* Notes the window of a total that somebody else has written, when it has changed since the state
 * before `next_offset`, which that total is of. A foreign key is nothing. */
void publisher_note_foreign(struct publisher *publisher, const struct tally *tally, struct text key,
                            int64_t next_offset);
/* Begins a pass with what is noted, and the mark of what is committed and of the catalog as it is
 * now; none is under way. */
void publisher_begin(struct publisher *publisher, const struct vault *vault, struct tally *tally);
/* Is there more to send now? Not while a mark waits for its totals. */
bool publisher_can_step(const struct publisher *publisher);
/* Is it to be stepped on before anything more is counted? */
bool publisher_is_urgent(const struct publisher *publisher);
/* Sends some of the pass, in the end its mark: then none is under way. */
MUST_USE int publisher_step(struct publisher *publisher, const struct vault *vault,
                            const struct tally *tally);
/* Ends the pass and makes another one of all that is noted; each waits that long at most for what
 * Kafka confirms. Of what Kafka refuses, totals that others had overwritten are no longer noted:
 * then there is no other pass, and the next owner looks for them. */
MUST_USE int publisher_send(struct publisher *publisher, const struct vault *vault,
                            struct tally *tally, int flush_ms);
