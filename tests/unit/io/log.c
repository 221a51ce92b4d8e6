#include "common/io/log.h"

#include "common/base/fault.h"

#include <criterion/criterion.h>

#include <jansson.h>
#include <string.h>
#include <sys/mman.h>
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
