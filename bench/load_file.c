/*
 * load_file.c - cuts a file into batches.
 */
#include "bench/load_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_BYTES_MAX = 3 * 1024 * 1024 }; /* ingest takes 4 MiB */

struct load_file {
    FILE *file, *log;
    size_t batch, repeat_every, line_count;
    struct load_counts counts;
    struct buffer last; /* a batch that comes once more */
    size_t last_count;
    uint64_t last_number, fresh; /* batches that aren't repeats */
    bool repeats;
    char *line;
    size_t line_room;
    ssize_t held; /* bytes of a line that didn't fit the batch before, 0: none */
};

struct load_file *load_file_open(const char *path, int64_t batch, int64_t repeat_every, FILE *log)
{
    struct load_file *file = calloc(1, sizeof(*file));

    if (!file)
        abort();
    file->batch = (size_t)batch;
    file->repeat_every = (size_t)repeat_every;
    file->log = log;
    file->file = fopen(path, "r");
    if (!file->file) {
        fprintf(stderr, "loadgen: %s: %s\n", path, strerror(errno));
        return load_file_free(file);
    }
    while (getline(&file->line, &file->line_room, file->file) > 0)
        file->line_count++;
    rewind(file->file);
    return file;
}

struct load_file *load_file_free(struct load_file *file)
{
    if (!file)
        return NULL;
    if (file->file)
        fclose(file->file);
    free(file->line);
    buffer_deinit(&file->last);
    free(file);
    return NULL;
}

const struct load_counts *load_file_counts(const struct load_file *file)
{
    return &file->counts;
}

uint64_t load_file_total(const struct load_file *file)
{
    uint64_t again = file->repeat_every ? file->line_count / file->repeat_every : 0;

    return file->line_count + again;
}

/* The next line that holds something, without its end. */
static struct text next_line(struct load_file *file)
{
    ssize_t length = file->held;

    file->held = 0;
    while (length <= 0) {
        length = getline(&file->line, &file->line_room, file->file);
        if (length < 0)
            return (struct text){NULL, 0};
        while (length > 0 && strchr("\r\n \t", file->line[length - 1]))
            length--;
    }
    return text_from(file->line, (size_t)length);
}

static void put(struct load_file *file, struct load_batch *batch, struct text event)
{
    struct load_line line = {.batch = batch->number,
                             .index = batch->event_count,
                             .kind = file->repeats ? "duplicate" : "plain",
                             .is_duplicate = file->repeats,
                             .of_batch = file->last_number,
                             .of_index = batch->event_count,
                             .event = event};

    load_log_event(file->log, &line);
    buffer_add_text(&batch->body, event);
    buffer_add_char(&batch->body, '\n');
    batch->event_count++;
    file->counts.events++;
    file->counts.plain += !file->repeats;
    file->counts.duplicate += file->repeats;
}

static void fill_again(struct load_file *file, struct load_batch *batch)
{
    struct text rest = buffer_text(&file->last);

    while (rest.length > 0)
        put(file, batch, text_cut(&rest, '\n'));
    file->repeats = false;
}

static void fill(struct load_file *file, struct load_batch *batch)
{
    while (batch->event_count < file->batch) {
        struct text line = next_line(file);

        if (text_is_absent(line))
            break;
        if (batch->event_count > 0 && batch->body.length + line.length > BODY_BYTES_MAX) {
            file->held = (ssize_t)line.length;
            break;
        }
        put(file, batch, line);
    }
    if (batch->event_count == 0)
        return;
    file->fresh++;
    file->repeats = file->repeat_every && file->fresh % file->repeat_every == 0;
    if (!file->repeats)
        return;
    buffer_clear(&file->last);
    buffer_add_text(&file->last, buffer_text(&batch->body));
    file->last_number = batch->number;
}

bool load_file_next(struct load_file *file, struct load_batch *batch)
{
    buffer_clear(&batch->body);
    batch->event_count = 0;
    batch->tries = 0;
    batch->number = file->counts.batches;
    batch->content_type = "application/x-ndjson";
    if (file->repeats)
        fill_again(file, batch);
    else
        fill(file, batch);
    file->counts.batches += batch->event_count > 0;
    return batch->event_count > 0;
}
