/*
 * catalog_follow.h - the bucket's catalog in memory, kept up by following <bucket>.catalog.
 *
 * It is *loaded* once everything that the topic held at the start is applied and the bucket's
 * record is there. Who drives it decides on which thread it waits: connecting can take seconds,
 * fetching as long as it is told, applying doesn't wait.
 *
 * Threads    One at a time; fetching touches nothing that the questions below read.
 */
#pragma once

#include "common/io/kafka.h"
#include "proto/catalog.h"

enum { CATALOG_FOLLOW_TEXT_MAX = 512 };

struct catalog_follow;

/* `config` must outlive it. */
struct catalog_follow *catalog_follow_new(const struct kafka_config *config, const char *bucket,
                                          enum catalog_extent extent);
struct catalog_follow *catalog_follow_free(struct catalog_follow *follow);

/* Touches nothing that the questions below read. Faults: FAULT_RETRY when the broker is away or the
 * topic missing, FAULT_DENIED. */
MUST_USE int catalog_follow_connect(struct catalog_follow *follow);
/* Reads what is new, after connecting: the number of records, or a fault; FAULT_RETRY goes away by
 * itself. */
MUST_USE int catalog_follow_fetch(struct catalog_follow *follow, int timeout_ms);
void catalog_follow_apply(struct catalog_follow *follow); /* what was fetched last */
/* Why it isn't loaded; news is logged. */
void catalog_follow_miss(struct catalog_follow *follow, const char *why);

bool catalog_follow_is_loaded(const struct catalog_follow *follow);
const struct catalog *catalog_follow_catalog(const struct catalog_follow *follow);
int64_t catalog_follow_next_offset(const struct catalog_follow *follow); /* after what is applied */
/* What keeps it from being loaded, with the remedy; "" when nothing does. */
const char *catalog_follow_missing(const struct catalog_follow *follow);
