#include "aggregator/edges/restore.h"

#include "common/base/fault.h"
#include "common/io/log.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 1400, SNAPSHOTS_KEPT = 2, COPY_BYTES = 1 << 20, LOAD_ATTEMPTS_MAX = 3 };

struct snapshot {
    int64_t offset;
    char path[PATH_BYTES_MAX];
};

/* --- snapshots --- */

/* "<bucket>.usage.p<N>.": what the names of a partition's snapshots begin with. */
static int snapshot_prefix(const struct restore_place *place, char prefix[PATH_BYTES_MAX])
{
    return snprintf(prefix, PATH_BYTES_MAX, "%s.usage.p%d.", place->bucket, place->partition);
}

static int newest_first(const void *a, const void *b)
{
    const struct snapshot *x = a, *y = b;

    return x->offset < y->offset ? 1 : x->offset > y->offset ? -1 : strcmp(y->path, x->path);
}

/* The partition's snapshots, newest first; free() them. */
static size_t list_snapshots(const struct restore_place *place, struct snapshot **list)
{
    char prefix[PATH_BYTES_MAX];
    int length = snapshot_prefix(place, prefix);
    DIR *folder = place->snapshots ? opendir(place->snapshots) : NULL;
    struct dirent *entry;
    size_t count = 0;

    *list = NULL;
    while (folder && (entry = readdir(folder))) {
        size_t name_length = strlen(entry->d_name);
        struct snapshot *found;

        if (strncmp(entry->d_name, prefix, (size_t)length) != 0 || name_length < 4 ||
            strcmp(entry->d_name + name_length - 4, ".mdb") != 0)
            continue;
        *list = realloc(*list, (count + 1) * sizeof(**list));
        if (!*list)
            abort();
        found = &(*list)[count++];
        found->offset = strtoll(entry->d_name + length, NULL, 10);
        (void)snprintf(found->path, sizeof(found->path), "%s/%s", place->snapshots, entry->d_name);
    }
    if (folder)
        closedir(folder);
    if (count > 1)
        qsort(*list, count, sizeof(**list), newest_first);
    return count;
}

int restore_snapshot(const struct restore_place *place, struct vault *vault)
{
    char path[PATH_BYTES_MAX], prefix[PATH_BYTES_MAX], digest[DIGEST_TEXT_BYTES];
    struct snapshot *list;
    size_t count;
    int r;

    if (mkdir(place->snapshots, 0777) && errno != EEXIST)
        return fault(FAULT_RETRY, "%s can't be made: %s", place->snapshots, strerror(errno));
    (void)snapshot_prefix(place, prefix);
    digest_format(vault->state.digest, digest);
    if (snprintf(path, sizeof(path), "%s/%s%020lld.%s.mdb", place->snapshots, prefix,
                 (long long)vault->state.next_offset, digest) >= (int)sizeof(path))
        return fault(FAULT_REFUSE, "the path of the snapshots is too long");
    r = store_snapshot(vault->store, path);
    if (r)
        return fault_pass(r);
    count = list_snapshots(place, &list);
    for (size_t i = SNAPSHOTS_KEPT; i < count; i++)
        (void)unlink(list[i].path);
    free(list);
    return 0;
}

/* --- copies --- */

static int copy_bytes(int from, int to)
{
    char *bytes = malloc(COPY_BYTES);
    ssize_t got = 0;

    if (!bytes)
        abort();
    while ((got = read(from, bytes, COPY_BYTES)) > 0)
        if (write(to, bytes, (size_t)got) != got) {
            got = -1;
            break;
        }
    free(bytes);
    return got == 0 ? fsync(to) : -1;
}

static int copy_file(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int rc = source < 0 || target < 0 ? -1 : copy_bytes(source, target);

    if (source >= 0)
        close(source);
    if (target >= 0 && close(target))
        rc = -1;
    return rc ? fault(FAULT_RETRY, "%s can't be copied to %s: %s", from, to, strerror(errno)) : 0;
}

static void make_folders(const char *path)
{
    char part[PATH_BYTES_MAX];

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        (void)snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        (void)mkdir(part, 0777);
    }
    (void)mkdir(path, 0777);
}

static int set_aside(const char *folder, const char *why)
{
    char aside[PATH_BYTES_MAX];
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(aside, sizeof(aside), "%s.damaged-%lld.%09ld", folder, (long long)now.tv_sec,
                   now.tv_nsec);
    if (rename(folder, aside))
        return fault(FAULT_STOP, "%s is damaged (%s) and can't be set aside: %s", folder, why,
                     strerror(errno));
    log_event(LOG_ERROR, "partition_set_aside", "reason", why, "kept_as", aside, NULL);
    return 0;
}

/* --- opening --- */

struct attempt {
    const struct restore_place *place;
    struct tally *(*make)(void *context);
    void *context;
    struct vault vault;
    struct tally *tally;
    struct buffer reason;
};

static void attempt_deinit(struct attempt *attempt)
{
    attempt->tally = tally_free(attempt->tally);
    vault_close(&attempt->vault);
    buffer_deinit(&attempt->reason);
}

/* 0, VAULT_EMPTY, VAULT_DAMAGED with the reason, or a fault. */
static int try_folder(struct attempt *attempt, bool whole)
{
    int r = vault_open(attempt->place->folder, attempt->place->map_bytes, &attempt->vault);

    attempt->tally = tally_free(attempt->tally);
    attempt->tally = attempt->make(attempt->context);
    if (r == 0)
        r = whole ? vault_verify(&attempt->vault, attempt->tally, &attempt->reason)
                  : vault_load(&attempt->vault, attempt->tally, &attempt->reason);
    if (r == 0 || r == VAULT_EMPTY)
        return r;
    vault_close(&attempt->vault);
    if (r == VAULT_OTHER)
        return fault(FAULT_REFUSE, "%.*s", (int)attempt->reason.length, attempt->reason.at);
    if (r == FAULT_STOP) { /* LMDB itself refuses it */
        buffer_clear(&attempt->reason);
        buffer_add_string(&attempt->reason, fault_text());
        return VAULT_DAMAGED;
    }
    return r < 0 ? fault_pass(r) : r;
}

static bool is_there(const char *folder)
{
    char path[PATH_BYTES_MAX];

    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    return access(path, F_OK) == 0;
}

/*
 * A damaged map can end the process by a signal while it is read (a file that was cut short does).
 * So a mark is left before loading and taken away after it: a byte an attempt. After
 * LOAD_ATTEMPTS_MAX of them that ended so, the folder is set aside unread. Fewer wouldn't do: a
 * process may be killed while it loads.
 */
static size_t begin_loading(const char *folder)
{
    char path[PATH_BYTES_MAX];
    struct stat mark = {0};
    int file;

    (void)snprintf(path, sizeof(path), "%s/loading", folder);
    file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0)
        return 0;
    if (fstat(file, &mark) || write(file, ".", 1) != 1)
        mark.st_size = 0;
    close(file);
    return (size_t)mark.st_size;
}

static void end_loading(const char *folder)
{
    char path[PATH_BYTES_MAX];

    (void)snprintf(path, sizeof(path), "%s/loading", folder);
    (void)unlink(path);
}

static void suspect_path(const char *folder, char path[PATH_BYTES_MAX])
{
    (void)snprintf(path, PATH_BYTES_MAX, "%s/suspect", folder);
}

void restore_suspect(const char *folder)
{
    char path[PATH_BYTES_MAX];
    int file;

    suspect_path(folder, path);
    file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (file >= 0)
        close(file);
}

/* The folder's own state: its position, or -1 when there is none or it had to be set aside. */
static int try_own(struct attempt *attempt, int64_t *offset)
{
    char suspect[PATH_BYTES_MAX];
    int r;

    *offset = -1;
    suspect_path(attempt->place->folder, suspect);
    if (!is_there(attempt->place->folder))
        return 0;
    if (begin_loading(attempt->place->folder) >= LOAD_ATTEMPTS_MAX)
        return set_aside(attempt->place->folder, "the process ended each time that it was loaded");
    r = try_folder(attempt, access(suspect, F_OK) == 0);
    if (r == 0)
        (void)unlink(suspect);
    end_loading(attempt->place->folder);
    if (r < 0)
        return fault_pass(r);
    if (r == 0)
        *offset = attempt->vault.state.next_offset;
    if (r == VAULT_DAMAGED) {
        char *why = text_copy(buffer_text(&attempt->reason));

        r = set_aside(attempt->place->folder, why);
        free(why);
        return r ? fault_pass(r) : 0;
    }
    return 0;
}

/* Puts a snapshot in the folder's place, when it is whole. */
static int try_snapshot(struct attempt *attempt, const struct snapshot *snapshot, bool *taken)
{
    struct restore_place place = *attempt->place, whole = *attempt->place;
    char folder[PATH_BYTES_MAX], file[PATH_BYTES_MAX], own[PATH_BYTES_MAX];
    int r;

    *taken = false;
    vault_close(&attempt->vault);
    if (snprintf(folder, sizeof(folder), "%s.restored", place.folder) >= (int)sizeof(folder) ||
        snprintf(file, sizeof(file), "%s/data.mdb", folder) >= (int)sizeof(file))
        return fault(FAULT_REFUSE, "the path of --data is too long");
    make_folders(folder);
    r = copy_file(snapshot->path, file);
    if (r)
        return fault_pass(r);
    place.folder = folder;
    attempt->place = &place;
    r = try_folder(attempt, true);
    attempt->place = &whole;
    vault_close(&attempt->vault);
    if (r < 0)
        return fault_pass(r);
    if (r) {
        log_message(LOG_WARN, "snapshot_passed_over", "%s: %.*s", snapshot->path,
                    (int)attempt->reason.length, attempt->reason.at);
        return 0;
    }
    make_folders(whole.folder);
    if (snprintf(own, sizeof(own), "%s/data.mdb", whole.folder) >= (int)sizeof(own) ||
        rename(file, own))
        return fault(FAULT_RETRY, "%s can't be replaced: %s", own, strerror(errno));
    *taken = true;
    return 0;
}

static int try_all(struct attempt *attempt)
{
    const struct restore_place *place = attempt->place;
    struct snapshot *list;
    size_t count = list_snapshots(place, &list);
    bool taken = false;
    int64_t own;
    int r = try_own(attempt, &own);

    for (size_t i = 0; r == 0 && !taken && i < count && list[i].offset > own; i++) {
        r = try_snapshot(attempt, &list[i], &taken);
        attempt->place = place;
        if (r == 0 && taken)
            log_event(LOG_INFO, "snapshot_restored", "file", list[i].path, NULL);
    }
    free(list);
    return r ? fault_pass(r) : 0;
}

int restore_open(const struct restore_place *place, struct tally *(*make)(void *context),
                 void *context, struct vault *vault, struct tally **tally, bool *found)
{
    CLEANUP(attempt_deinit)
    struct attempt attempt = {.place = place, .make = make, .context = context};
    int r;

    make_folders(place->folder);
    r = try_all(&attempt);
    if (r)
        return fault_pass(r);
    if (!attempt.vault.store) {
        make_folders(place->folder);
        r = try_folder(&attempt, false);
        if (r < 0)
            return fault_pass(r);
        if (r == VAULT_DAMAGED)
            return fault(FAULT_STOP, "%.*s", (int)attempt.reason.length, attempt.reason.at);
        *found = r == 0;
    } else {
        *found = attempt.vault.state.partitions > 0;
    }
    *vault = attempt.vault;
    *tally = attempt.tally;
    attempt.vault = (struct vault){0};
    attempt.tally = NULL;
    return 0;
}
