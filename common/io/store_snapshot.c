#include "common/base/fault.h"
#include "common/io/store_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The new name is on disk only when its folder is. */
static int sync_folder_of(const char *file)
{
    char path[PATH_MAX];
    int folder, rc;

    snprintf(path, sizeof(path), "%s", file);
    folder = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return errno;
    rc = fsync(folder) ? errno : 0;
    close(folder);
    return rc;
}

static int copy_into(struct store *store, int part)
{
    int rc;

    store_reader_enter(store); /* the copy reads in a transaction of its own */
    rc = mdb_env_copyfd2(store->env, part, MDB_CP_COMPACT);
    store_reader_leave(store);
    if (!rc && fsync(part))
        rc = errno;
    return rc;
}

int store_snapshot(struct store *store, const char *file)
{
    char aside[PATH_MAX];
    int part, rc;

    if (snprintf(aside, sizeof(aside), "%s.part", file) >= (int)sizeof(aside))
        return fault(FAULT_STOP, "the snapshot's path is too long: %s", file);
    part = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (part < 0)
        return store_fault(store, "cannot write a snapshot of", errno);
    rc = copy_into(store, part);
    if (close(part) && !rc)
        rc = errno;
    if (!rc && rename(aside, file))
        rc = errno;
    if (!rc)
        rc = sync_folder_of(file);
    if (rc) {
        (void)unlink(aside);
        return store_fault(store, "cannot write a snapshot of", rc);
    }
    return 0;
}
