#include "invoicer/rules/issue.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pointer pointer_root(void)
{
    return (struct pointer){.up = NULL, .name = NULL};
}

struct pointer pointer_member(const struct pointer *up, const char *name)
{
    assert(up && name);

    return (struct pointer){.up = up, .name = name};
}

struct pointer pointer_element(const struct pointer *up, size_t index)
{
    assert(up);

    return (struct pointer){.up = up, .name = NULL, .index = index};
}

static void write_name(const char *name, struct buffer *text)
{
    for (; *name; name++) {
        if (*name == '~')
            buffer_add_string(text, "~0");
        else if (*name == '/')
            buffer_add_string(text, "~1");
        else
            buffer_add_char(text, *name);
    }
}

void pointer_write(const struct pointer *pointer, struct buffer *text)
{
    if (!pointer->up)
        return;
    pointer_write(pointer->up, text);
    buffer_add_char(text, '/');
    if (pointer->name)
        write_name(pointer->name, text);
    else
        buffer_printf(text, "%zu", pointer->index);
}

void issues_deinit(struct issues *issues)
{
    for (size_t i = 0; i < issues->count; i++) {
        free(issues->at[i].pointer);
        free(issues->at[i].message);
    }
    free(issues->at);
    *issues = (struct issues){0};
}

static struct issue *issue_new(struct issues *issues)
{
    if (issues->count == ISSUES_MAX) {
        issues->dropped++;
        return NULL;
    }
    if (issues->count == issues->room) {
        issues->room = issues->room ? issues->room * 2 : 16;
        issues->at = realloc(issues->at, issues->room * sizeof(*issues->at));
        if (!issues->at)
            abort();
    }
    return &issues->at[issues->count++];
}

static void PRINTF_LIKE(5, 0)
    add(struct issues *issues, const struct pointer *where, const char *code, bool is_warning,
        const char *format, va_list arguments)
{
    struct issue *issue = issue_new(issues);
    struct buffer place = {0};

    if (!is_warning)
        issues->errors++;
    if (!issue)
        return;
    pointer_write(where, &place);
    issue->pointer = text_copy(buffer_text(&place));
    buffer_deinit(&place);
    issue->code = code;
    issue->is_warning = is_warning;
    if (vasprintf(&issue->message, format, arguments) < 0)
        abort();
}

void issue_add(struct issues *issues, const struct pointer *where, const char *code,
               const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(issues, where, code, false, format, arguments);
    va_end(arguments);
}

void issue_warn(struct issues *issues, const struct pointer *where, const char *code,
                const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(issues, where, code, true, format, arguments);
    va_end(arguments);
}

void issue_write_json(const struct issue *issue, const char *file, struct buffer *text)
{
    buffer_add_string(text, "{\"file\":");
    buffer_add_json_string(text, text_of(file));
    buffer_add_string(text, ",\"pointer\":");
    buffer_add_json_string(text, text_of(issue->pointer));
    buffer_printf(text, ",\"code\":\"%s\",\"message\":", issue->code);
    buffer_add_json_string(text, text_of(issue->message));
    buffer_printf(text, ",\"severity\":\"%s\"}", issue->is_warning ? "warning" : "error");
}

void issue_write_line(const struct issue *issue, const char *file, struct buffer *text)
{
    buffer_printf(text, "%s: %s: %s%s: %s", file,
                  issue->pointer[0] ? issue->pointer : "(whole file)",
                  issue->is_warning ? "warning: " : "", issue->code, issue->message);
}
