#include "common/io/log.h"

#include "common/base/fault.h"
#include "common/base/instant.h"
#include "common/base/monotonic.h"
#include "common/io/log_repeat.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_process = "tollway";
static enum log_level log_least = LOG_INFO;
static enum log_form log_written_as = LOG_LOGFMT;

static pthread_mutex_t repeat_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_repeat repeat;

void log_init(const char *process, enum log_level least, enum log_form form)
{
    log_process = process;
    log_least = least;
    log_written_as = form;
}

/* A value that logfmt may leave bare. */
static bool is_plain(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c <= ' ' || c >= 0x7f || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return text.length > 0;
}

static void add_field(struct buffer *line, const char *name, struct text value)
{
    bool is_json = log_written_as == LOG_JSON;

    if (line->length > (is_json ? 1 : 0))
        buffer_add_char(line, is_json ? ',' : ' ');
    if (is_json) {
        buffer_add_json_string(line, text_of(name));
        buffer_add_char(line, ':');
    } else {
        buffer_printf(line, "%s=", name);
    }
    if (is_json || !is_plain(value))
        buffer_add_json_string(line, value);
    else
        buffer_add_text(line, value);
}

static void begin(struct buffer *line, enum log_level level, const char *event)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    char time[INSTANT_TEXT_MAX];
    size_t length = instant_format(instant_from_ms(instant_ms(instant_now())), time);

    assert(level <= LOG_ERROR);
    if (log_written_as == LOG_JSON)
        buffer_add_char(line, '{');
    add_field(line, "time", text_from(time, length));
    add_field(line, "level", text_of(names[level]));
    add_field(line, "process", text_of(log_process));
    add_field(line, "event", text_of(event));
}

/* False: the line is left out. Otherwise how many like it were, since the last that wasn't. */
static bool admits(enum log_level level, const char *event, const char *says, int64_t *repeated)
{
    *repeated = 0;
    if (level < log_least || level != LOG_WARN)
        return level >= log_least;
    pthread_mutex_lock(&repeat_lock);
    *repeated = log_repeat_admit(&repeat, log_repeat_kind(event, text_of(says)), monotonic_ms());
    pthread_mutex_unlock(&repeat_lock);
    return *repeated >= 0;
}

static void add_repeated(struct buffer *line, int64_t repeated)
{
    char text[24];

    if (repeated == 0)
        return;
    (void)snprintf(text, sizeof(text), "%lld", (long long)repeated);
    add_field(line, "repeated", text_of(text));
}

/* One write, so that lines of several threads don't mix. A log that can't be written is nobody's
 * reason to stop. */
static void end(struct buffer *line)
{
    buffer_add_string(line, log_written_as == LOG_JSON ? "}\n" : "\n");
    (void)!write(STDERR_FILENO, line->at, line->length);
}

/* What the first field says; NULL without fields. */
static const char *first_of(va_list fields)
{
    return va_arg(fields, const char *) ? va_arg(fields, const char *) : NULL;
}

void log_event(enum log_level level, const char *event, ...)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    const char *name, *says;
    int64_t repeated;
    va_list fields;

    va_start(fields, event);
    says = first_of(fields);
    va_end(fields);
    if (!admits(level, event, says, &repeated))
        return;
    begin(&line, level, event);
    va_start(fields, event);
    while ((name = va_arg(fields, const char *)))
        add_field(&line, name, text_of(va_arg(fields, const char *)));
    va_end(fields);
    add_repeated(&line, repeated);
    end(&line);
}

void log_message(enum log_level level, const char *event, const char *format, ...)
{
    char message[2048];
    va_list arguments;

    if (level < log_least)
        return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    log_event(level, event, "message", message, (char *)NULL);
}

void log_fault(enum log_level level, const char *event)
{
    log_event(level, event, "message", fault_text(), "trace", fault_trace(), (char *)NULL);
}

void log_end(void)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    int64_t untold;

    pthread_mutex_lock(&repeat_lock);
    untold = log_repeat_untold(&repeat);
    repeat = (struct log_repeat){0};
    pthread_mutex_unlock(&repeat_lock);
    if (untold == 0)
        return;
    begin(&line, LOG_WARN, "warnings_left_out");
    add_repeated(&line, untold);
    end(&line);
}
