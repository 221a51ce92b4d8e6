#include "invoicer/edges/refuse.h"

#include "invoicer/rules/json_write.h"

#include <stdarg.h>
#include <stdio.h>

static void print_json(const char *code, const char *pointer, const char *detail)
{
    CLEANUP(buffer_deinit) struct buffer json = {0};

    json_write_text(&json, "{\"error\":{\"code\":", text_of(code));
    if (pointer)
        json_write_text(&json, ",\"pointer\":", text_of(pointer));
    json_write_text(&json, ",\"detail\":", text_of(detail));
    buffer_add_string(&json, "}}\n");
    fwrite(json.at, 1, json.length, stdout);
}

int refuse(const struct invoicer_config *config, const char *code, const char *pointer,
           const char *format, ...)
{
    char detail[1024];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    fprintf(stderr, "invoicer: %s%s%s (%s)\n", pointer ? pointer : "", pointer ? ": " : "", detail,
            code);
    if (config->json)
        print_json(code, pointer, detail);
    return EX_DATAERR;
}
