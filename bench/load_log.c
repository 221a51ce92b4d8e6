/*
 * load_log.c - a line for each event.
 */
#include "bench/load_batch.h"

void load_log_event(FILE *log, const struct load_line *line)
{
    CLEANUP(buffer_deinit) struct buffer text = {0};

    if (!log)
        return;
    buffer_printf(&text, "{\"batch\":%llu,\"index\":%zu,\"kind\":\"%s\"",
                  (unsigned long long)line->batch, line->index, line->kind);
    if (line->expect)
        buffer_printf(&text, ",\"expect\":\"%s\"", line->expect);
    if (line->is_duplicate)
        buffer_printf(&text, ",\"of\":[%llu,%zu]", (unsigned long long)line->of_batch,
                      line->of_index);
    if (line->is_raw) {
        buffer_add_string(&text, ",\"raw\":");
        buffer_add_json_string(&text, line->event);
    } else {
        buffer_add_string(&text, ",\"event\":");
        buffer_add_text(&text, line->event);
    }
    buffer_add_string(&text, "}\n");
    fwrite(text.at, 1, text.length, log);
}
