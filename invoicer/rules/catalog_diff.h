/*
 * catalog_diff.h - what applying a file would change: every record of it as added, changed or same.
 *
 * A changed plan becomes the plan's next version, a record of its own; subscriptions that don't
 * name a version keep theirs, new ones get the newest. A changed configuration is merged into the
 * one that stands. Order is that of the file: meters, features, plans, customers, subscriptions,
 * configuration.
 *
 * Ownership  struct catalog_changes owns everything: catalog_changes_deinit.
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/catalog_state.h"

enum change_kind { CHANGE_SAME, CHANGE_ADDED, CHANGE_CHANGED };

struct catalog_change {
    enum change_kind kind;
    char *key;     /* "plan/pro@2", as on <bucket>.catalog */
    char *record;  /* JSON, sorted and compact, without epoch */
    char *differs; /* "/name, /phases/0/…" of a changed one, else NULL */
};

struct catalog_changes {
    struct catalog_change *at;
    size_t count, room;
    size_t added, changed, same;
};

/* `file` is what catalog_file_read made, without errors. */
void catalog_changes_of(const json_t *file, const struct catalog_state *state,
                        struct catalog_changes *changes);
void catalog_changes_deinit(struct catalog_changes *changes);
const char *change_name(enum change_kind kind); /* "added" */
