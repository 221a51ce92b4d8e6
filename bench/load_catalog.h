/*
 * load_catalog.h - from a catalog file, what traffic can be made for: subscriptions with the event
 * types of their plans.
 *
 * Ownership  Everything is the catalog's, until load_catalog_free.
 * Threads    One.
 */
#pragma once

#include "common/base/instant.h"
#include "proto/catalog.h"

enum load_role {
    LOAD_DIMENSION,
    LOAD_NUMBER, /* SUM, MIN, MAX, AVG, LATEST */
    LOAD_TEXT,   /* UNIQUE_COUNT */
};

/* A property that some meter of the type reads. Sorted by path; no two are the same. */
struct load_property {
    struct catalog_path path;
    struct text name; /* of the dimension, or the last step */
    enum load_role role;
};

struct load_type {
    struct text name;
    struct load_property *properties;
    size_t property_count;
};

struct load_subscription {
    struct text id;
    struct text subject; /* a name that finds it alone; absent: none */
    struct instant from, to;
    size_t *types; /* indices */
    size_t type_count;
};

struct load_catalog {
    struct load_type *types;
    size_t type_count;
    struct load_subscription *subscriptions;
    size_t subscription_count;
    struct load_catalog_memory *memory;
};

/* Reads the file. NULL after a message on stderr. */
struct load_catalog *load_catalog_read(const char *file);
struct load_catalog *load_catalog_free(struct load_catalog *catalog);
