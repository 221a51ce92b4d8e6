/*
 * restore.h - brings a partition's folder to the best state there is, before it is opened.
 *
 * Threads    One a partition.
 */
#pragma once

#include "aggregator/edges/vault.h"

struct restore_place {
    const char *folder;    /* the partition's own */
    const char *snapshots; /* folder of snapshots, or NULL */
    const char *bucket;
    int32_t partition;
    int64_t map_bytes;
};

/*
 * Opens the folder's store and fills a new tally: of the folder itself, or of the newest snapshot
 * that is valid and further on. What is damaged is set aside. *found is false when there was
 * nothing: the log alone.
 * Faults: FAULT_REFUSE when the state is another partition's, count's or horizon's.
 */
MUST_USE int restore_open(const struct restore_place *place, struct tally *(*make)(void *context),
                          void *context, struct vault *vault, struct tally **tally, bool *found);
/* Writes a snapshot of what is committed and deletes older ones. */
MUST_USE int restore_snapshot(const struct restore_place *place, struct vault *vault);
/* Marks a folder whose state ended the process: the next restore_open reads every row of it before
 * it goes on from there, and sets it aside if one is damaged. */
void restore_suspect(const char *folder);
