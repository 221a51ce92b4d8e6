/*
 * replay.c - runs a fuzz target over its corpus, every file whole and cut at some places.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_BYTES_MAX = 1 << 20, CUTS = 64 };

/* The file's bytes in memory of exactly their size; NULL when it can't be read. */
static uint8_t *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size;

    if (!file)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 && size <= FILE_BYTES_MAX) {
        rewind(file);
        bytes = malloc((size_t)size + 1);
        *length = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
    }
    fclose(file);
    return bytes;
}

static void run_exactly(const uint8_t *bytes, size_t length)
{
    uint8_t *copy = malloc(length ? length : 1);

    if (!copy)
        abort();
    memcpy(copy, bytes, length);
    (void)LLVMFuzzerTestOneInput(copy, length);
    free(copy);
}

static int replay(const char *path)
{
    size_t length = 0;
    uint8_t *bytes = read_file(path, &length);

    if (!bytes) {
        fprintf(stderr, "%s can't be read\n", path);
        return 0;
    }
    run_exactly(bytes, length);
    for (size_t i = 1; i < CUTS; i++)
        run_exactly(bytes, length * i / CUTS);
    free(bytes);
    return 1;
}

int main(int argc, char **argv)
{
    struct dirent *entry;
    char path[4096];
    int count = 0;
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;

    if (!folder) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
        return 64;
    }
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        count += replay(path);
    }
    closedir(folder);
    printf("%d files replayed\n", count);
    return count > 0 ? 0 : 1;
}
