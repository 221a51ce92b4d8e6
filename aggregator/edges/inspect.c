#include "aggregator/edges/inspect.h"

#include "aggregator/edges/shard.h"
#include "common/base/fault.h"
#include "common/io/settings.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum { PARTITIONS_MAX = 100000, MAP_BYTES = 1 << 20 };

static int ascending(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* The partitions that have a folder, ascending; free() them. */
static size_t list_partitions(const char *data, const char *bucket, int32_t **list)
{
    char path[SHARD_PATH_MAX];
    struct dirent *entry;
    size_t count = 0;
    DIR *folder;

    *list = malloc(PARTITIONS_MAX * sizeof(**list));
    if (!*list)
        abort();
    (void)snprintf(path, sizeof(path), "%s/%s", data, bucket);
    folder = opendir(path);
    while (folder && count < PARTITIONS_MAX && (entry = readdir(folder))) {
        char *end;
        long number = entry->d_name[0] == 'p' ? strtol(entry->d_name + 1, &end, 10) : -1;

        if (number >= 0 && end != entry->d_name + 1 && *end == '\0')
            (*list)[count++] = (int32_t)number;
    }
    if (folder)
        closedir(folder);
    qsort(*list, count, sizeof(**list), ascending);
    return count;
}

static void print_state(int32_t partition, const struct vault_state *state, const char *verdict)
{
    char digest[DIGEST_TEXT_BYTES];

    digest_format(state->digest, digest);
    printf("p%d offset %lld digest %s%s%s\n", partition, (long long)state->next_offset, digest,
           verdict[0] ? " " : "", verdict);
}

static int look_at(const char *folder, int32_t partition)
{
    struct vault_state state = {0};
    int r = vault_peek(folder, &state);

    if (r == VAULT_EMPTY)
        printf("p%d empty\n", partition);
    else if (r)
        printf("p%d damaged: %s\n", partition, r < 0 ? fault_text() : "the row of the state");
    else
        print_state(partition, &state, "");
    return r == 0 || r == VAULT_EMPTY ? 0 : EXIT_STATE_CORRUPT;
}

static int verify_one(const char *folder, int32_t partition)
{
    CLEANUP(vault_close) struct vault vault = {0};
    CLEANUP(buffer_deinit) struct buffer reason = {0};
    struct vault_state state = {0};
    struct tally *tally;
    int r = vault_peek(folder, &state);

    if (r == VAULT_EMPTY) {
        printf("p%d empty\n", partition);
        return 0;
    }
    if (r == 0)
        r = vault_open(folder, MAP_BYTES, &vault);
    if (r) {
        printf("p%d damaged: %s\n", partition, r < 0 ? fault_text() : "the row of the state");
        return EXIT_STATE_CORRUPT;
    }
    tally = tally_new(state.partition, state.partitions, state.horizon_ms);
    r = vault_verify(&vault, tally, &reason);
    tally_free(tally);
    if (r == 0) {
        print_state(partition, &state, "ok");
        return 0;
    }
    printf("p%d damaged: %.*s\n", partition, r < 0 ? (int)strlen(fault_text()) : (int)reason.length,
           r < 0 ? fault_text() : reason.at);
    return EXIT_STATE_CORRUPT;
}

static int each(const char *data, const char *bucket, int (*look)(const char *, int32_t))
{
    int32_t *list;
    size_t count = list_partitions(data, bucket, &list);
    int status = count ? 0 : EX_NOINPUT;

    for (size_t i = 0; i < count; i++) {
        char folder[SHARD_PATH_MAX];
        int r = EX_NOINPUT;

        if (shard_folder(data, bucket, list[i], folder))
            r = look(folder, list[i]);
        if (r)
            status = r;
    }
    free(list);
    if (count == 0)
        (void)fprintf(stderr, "aggregator: no partition below %s/%s\n", data, bucket);
    return status;
}

int inspect_digest(const char *data, const char *bucket)
{
    return each(data, bucket, look_at);
}

int inspect_verify(const char *data, const char *bucket)
{
    return each(data, bucket, verify_one);
}
