#include "common/io/store.h"

#include "common/base/fault.h"
#include "common/io/heap.h"
#include "common/io/store_parts.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static const char format_table[] = "tollway";
static const char format_key[] = "format";

static pthread_mutex_t open_stores_lock = PTHREAD_MUTEX_INITIALIZER;
static struct store *open_stores;

/* --- the folder --- */

int store_make_folder(const char *folder)
{
    char path[PATH_MAX];
    size_t length = strlen(folder);

    if (length == 0 || length >= sizeof(path))
        return fault(FAULT_REFUSE, "the data folder's path has %zu bytes; remedy: set --data",
                     length);
    memcpy(path, folder, length + 1);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    if (mkdir(path, 0700) && errno != EEXIST)
        return fault(errno == ENOSPC ? FAULT_RETRY : FAULT_REFUSE,
                     "cannot make the folder %s: %s; remedy: set --data to where it can be made",
                     folder, strerror(errno));
    return 0;
}

/* LMDB's locks break when a process opens one environment twice: that is our mistake. */
static int claim_folder(struct store *store)
{
    struct stat found;

    if (stat(store->folder, &found))
        return fault(FAULT_STOP, "cannot read the folder %s: %s", store->folder, strerror(errno));
    store->device = found.st_dev;
    store->inode = found.st_ino;
    pthread_mutex_lock(&open_stores_lock);
    for (struct store *other = open_stores; other; other = other->next)
        assert(other->device != store->device || other->inode != store->inode);
    store->next = open_stores;
    open_stores = store;
    pthread_mutex_unlock(&open_stores_lock);
    return 0;
}

static void release_folder(struct store *store)
{
    pthread_mutex_lock(&open_stores_lock);
    for (struct store **at = &open_stores; *at; at = &(*at)->next) {
        if (*at == store) {
            *at = store->next;
            break;
        }
    }
    pthread_mutex_unlock(&open_stores_lock);
}

/* --- faults --- */

static void describe_space(const struct store *store, char *line, size_t size)
{
    struct statvfs disk;

    if (statvfs(store->folder, &disk)) {
        snprintf(line, size, "free space unknown");
        return;
    }
    snprintf(line, size, "%llu of %llu bytes free",
             (unsigned long long)disk.f_bavail * disk.f_frsize,
             (unsigned long long)disk.f_blocks * disk.f_frsize);
}

/* A full disk shows as ENOSPC, EDQUOT or, after a short write, as EIO: all alike to us. */
static bool is_disk_trouble(int rc)
{
    return rc == ENOSPC || rc == EIO || rc == EDQUOT || rc == EFBIG;
}

int store_fault(struct store *store, const char *what, int rc)
{
    char space[96];

    if (rc == MDB_MAP_FULL) {
        store->full = true;
        return fault(FAULT_RETRY, "%s %s: the map of %lld bytes is full and will be grown", what,
                     store->folder, (long long)store_bytes_mapped(store));
    }
    if (is_disk_trouble(rc)) {
        describe_space(store, space, sizeof(space));
        return fault(FAULT_RETRY, "%s %s: %s (%s); remedy: make room on that disk", what,
                     store->folder, mdb_strerror(rc), space);
    }
    if (rc == ENOMEM || rc == EAGAIN || rc == MDB_READERS_FULL || rc == MDB_BAD_TXN)
        return fault(FAULT_RETRY, "%s %s: %s", what, store->folder, mdb_strerror(rc));
    if (rc == EACCES || rc == EPERM || rc == EROFS)
        return fault(FAULT_REFUSE, "%s %s: %s; remedy: let this user write there, or set --data",
                     what, store->folder, mdb_strerror(rc));
    return fault(FAULT_STOP, "%s %s: %s", what, store->folder, mdb_strerror(rc));
}

/* --- opening --- */

/* LMDB makes lists for 131,072 pages, 3 MiB, and uses a hundredth of them.
 * NOTLS: a read transaction belongs to its object, not to the thread it began in. */
static int open_files(struct store *store)
{
    struct heap_hole *holes = heap_fill_holes();
    int rc = mdb_env_open(store->env, store->folder, MDB_NOTLS, 0600);

    heap_open_holes(holes);
    return rc;
}

static int open_environment(struct store *store, int64_t map_bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = ((size_t)map_bytes + page - 1) / page * page;
    int dead;
    int rc = mdb_env_create(&store->env);

    if (!rc)
        rc = mdb_env_set_maxdbs(store->env, STORE_TABLES_MAX + 1);
    if (!rc)
        rc = mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
    if (!rc)
        rc = mdb_env_set_mapsize(store->env, bytes);
    if (!rc)
        rc = open_files(store);
    /* Readers of processes that were killed would keep old pages from being used again. */
    if (!rc)
        rc = mdb_reader_check(store->env, &dead);
    return rc ? store_fault(store, "cannot open the store", rc) : 0;
}

static int judge_format(const struct store *store, uint32_t found, struct store_formats formats)
{
    if (found > formats.current)
        return fault(FAULT_STOP,
                     "%s has format %u, written by a newer version; this one reads up to %u; "
                     "remedy: run the newer version, or rebuild from the log in an empty folder",
                     store->folder, found, formats.current);
    if (found < formats.least)
        return fault(FAULT_STOP,
                     "%s has format %u, written by an older version; this one reads from %u on; "
                     "remedy: run the older version, or rebuild from the log in an empty folder",
                     store->folder, found, formats.least);
    return 0;
}

/* Refuses a foreign format and writes ours down; a table of its own, beside the caller's. */
static int check_format(struct store *store, MDB_txn *txn, struct store_formats formats)
{
    MDB_dbi table;
    MDB_val key = {sizeof(format_key) - 1, (void *)(uintptr_t)format_key};
    MDB_val value;
    uint32_t found = 0;
    int rc = mdb_dbi_open(txn, format_table, MDB_CREATE, &table), r;

    if (!rc)
        rc = mdb_get(txn, table, &key, &value);
    if (!rc && value.mv_size != sizeof(found))
        return fault(FAULT_STOP, "%s: its format number has %zu bytes instead of 4", store->folder,
                     value.mv_size);
    if (!rc)
        memcpy(&found, value.mv_data, sizeof(found));
    if (!rc && (r = judge_format(store, found, formats)))
        return fault_pass(r);
    if (rc && rc != MDB_NOTFOUND)
        return store_fault(store, "cannot read the format of", rc);
    if (found == formats.current)
        return 0;
    value = (MDB_val){sizeof(formats.current), &formats.current};
    rc = mdb_put(txn, table, &key, &value, 0);
    return rc ? store_fault(store, "cannot write the format of", rc) : 0;
}

static int open_tables(struct store *store, MDB_txn *txn, const char *const *tables)
{
    for (size_t i = 0; i < store->table_count; i++) {
        int rc = mdb_dbi_open(txn, tables[i], MDB_CREATE, &store->tables[i]);

        if (rc)
            return store_fault(store, "cannot open a table of", rc);
    }
    return 0;
}

static int prepare(struct store *store, const char *const *tables, struct store_formats formats)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    int r;

    if (rc)
        return store_fault(store, "cannot write to", rc);
    r = check_format(store, txn, formats);
    if (!r)
        r = open_tables(store, txn, tables);
    if (r) {
        mdb_txn_abort(txn);
        return r;
    }
    rc = mdb_txn_commit(txn);
    return rc ? store_fault(store, "cannot write to", rc) : 0;
}

int store_open(const char *folder, const char *const *tables, size_t table_count, int64_t map_bytes,
               uint32_t format, struct store **store)
{
    return store_open_since(folder, tables, table_count, map_bytes,
                            (struct store_formats){.current = format}, store);
}

int store_open_since(const char *folder, const char *const *tables, size_t table_count,
                     int64_t map_bytes, struct store_formats formats, struct store **store)
{
    pthread_condattr_t attributes;
    struct store *opened;
    int r;

    assert(table_count <= STORE_TABLES_MAX);
    assert(map_bytes > 0 && formats.current > 0);
    r = store_make_folder(folder);
    if (r)
        return fault_pass(r);
    opened = calloc(1, sizeof(*opened));
    assert(opened);
    opened->folder = strdup(folder);
    opened->table_count = table_count;
    pthread_mutex_init(&opened->gate, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&opened->gate_moved, &attributes);
    pthread_condattr_destroy(&attributes);
    r = claim_folder(opened);
    if (!r)
        r = open_environment(opened, map_bytes);
    if (!r)
        r = prepare(opened, tables, formats);
    if (r) {
        store_close(opened);
        return fault_pass(r);
    }
    *store = opened;
    return 0;
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    assert(store->readers == 0);
    if (store->env)
        mdb_env_close(store->env);
    release_folder(store);
    pthread_cond_destroy(&store->gate_moved);
    pthread_mutex_destroy(&store->gate);
    free(store->folder);
    free(store);
    return NULL;
}

int64_t store_bytes_used(const struct store *store)
{
    MDB_envinfo info;
    MDB_stat stat;

    mdb_env_info(store->env, &info);
    mdb_env_stat(store->env, &stat);
    return ((int64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

int64_t store_bytes_mapped(const struct store *store)
{
    MDB_envinfo info;

    mdb_env_info(store->env, &info);
    return (int64_t)info.me_mapsize;
}
