#include "common/io/log.h"

#include "common/base/fault.h"
#include "common/io/log_repeat.h"

#include <criterion/criterion.h>

#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static char logged[8192];

/* Runs `write_lines` and keeps what it logged. */
static void capture(void (*write_lines)(void))
{
    int file = memfd_create("log", 0), saved = dup(STDERR_FILENO);
    ssize_t length;

    cr_assert(file >= 0 && dup2(file, STDERR_FILENO) == STDERR_FILENO);
    write_lines();
    dup2(saved, STDERR_FILENO);
    close(saved);
    length = pread(file, logged, sizeof(logged) - 1, 0);
    cr_assert(length >= 0);
    logged[length] = 0;
    close(file);
}

static void log_awkward_values(void)
{
    log_event(LOG_WARN, "odd_values", "quoted", "say \"hi\"", "control", "a\tb\x01", "empty", "",
              "plain", "127.0.0.1:80", "absent", NULL, (char *)NULL);
}

Test(log, json_lines_are_read_back_by_a_parser)
{
    json_t *line;

    log_init("taker", LOG_INFO, LOG_JSON);
    capture(log_awkward_values);

    line = json_loads(logged, 0, NULL);
    cr_assert(line, "%s", logged);
    cr_assert_str_eq(json_string_value(json_object_get(line, "level")), "warn");
    cr_assert_str_eq(json_string_value(json_object_get(line, "process")), "taker");
    cr_assert_str_eq(json_string_value(json_object_get(line, "event")), "odd_values");
    cr_assert_str_eq(json_string_value(json_object_get(line, "quoted")), "say \"hi\"");
    cr_assert_str_eq(json_string_value(json_object_get(line, "control")), "a\tb\x01");
    cr_assert_eq(logged[strlen(logged) - 1], '\n');
    json_decref(line);
}

Test(log, logfmt_quotes_what_needs_it)
{
    log_init("taker", LOG_INFO, LOG_LOGFMT);
    capture(log_awkward_values);

    cr_assert_eq(strncmp(logged, "time=20", 7), 0, "%s", logged);
    cr_assert(strstr(logged,
                     " level=warn process=taker event=odd_values quoted=\"say \\\"hi\\\"\" "
                     "control=\"a\\tb\\u0001\" empty=\"\" plain=127.0.0.1:80 absent=null\n"),
              "%s", logged);
}

static void log_at_every_level(void)
{
    log_event(LOG_DEBUG, "one", (char *)NULL);
    log_message(LOG_INFO, "two", "%d", 2);
    log_message(LOG_ERROR, "three", "%s=%d", "x", 3);
}

Test(log, what_is_below_the_level_is_left_out)
{
    log_init("taker", LOG_WARN, LOG_LOGFMT);
    capture(log_at_every_level);

    cr_assert_not(strstr(logged, "event=one"));
    cr_assert_not(strstr(logged, "event=two"));
    cr_assert(strstr(logged, "event=three message=\"x=3\"\n"), "%s", logged);
}

static void log_a_fault(void)
{
    (void)!fault(FAULT_RETRY, "broker %s is away", "b:1");
    log_fault(LOG_ERROR, "send_failed");
}

Test(log, a_fault_is_logged_with_its_trace)
{
    log_init("taker", LOG_INFO, LOG_LOGFMT);
    capture(log_a_fault);

    cr_assert(strstr(logged, "message=\"broker b:1 is away\" trace=log_a_fault:"), "%s", logged);
}

static void log_a_flood(void)
{
    for (int i = 0; i < 20; i++) {
        log_message(LOG_WARN, "waiting", "broker 127.0.0.1:%d is away", 9000 + i);
        log_event(LOG_ERROR, "stopping", "message", "the log was cut", NULL);
    }
    log_message(LOG_WARN, "waiting", "broker 127.0.0.1:9000 denies us");
    log_end();
    log_end();
}

static int count_of(const char *part)
{
    int count = 0;

    for (const char *at = logged; (at = strstr(at, part)); at++)
        count++;
    return count;
}

Test(log, a_warning_repeated_at_once_is_written_once_and_the_end_says_how_often)
{
    log_init("taker", LOG_INFO, LOG_LOGFMT);
    capture(log_a_flood);

    cr_assert_eq(count_of("is away"), 1, "%s", logged);
    cr_assert_eq(count_of("denies us"), 1, "another warning isn't a repetition");
    cr_assert_eq(count_of("event=stopping"), 20, "errors are never left out");
    cr_assert_eq(count_of("level=warn process=taker event=warnings_left_out repeated=19\n"), 1);
    cr_assert_eq(count_of("warnings_left_out"), 1, "told of once");
}

static void log_before_and_after(void)
{
    struct timespec wait = {.tv_sec = LOG_REPEAT_MS / 1000, .tv_nsec = 50000000};

    for (int i = 0; i < 4; i++)
        log_event(LOG_WARN, "waiting", "reason", "no broker", NULL);
    nanosleep(&wait, NULL);
    log_event(LOG_WARN, "waiting", "reason", "no broker", NULL);
}

Test(log, the_next_warning_of_a_kind_says_how_many_were_left_out)
{
    log_init("taker", LOG_INFO, LOG_JSON);
    capture(log_before_and_after);

    cr_assert_eq(count_of("\"reason\":\"no broker\"}\n"), 1, "%s", logged);
    cr_assert_eq(count_of("\"reason\":\"no broker\",\"repeated\":\"3\"}\n"), 1, "%s", logged);
}
