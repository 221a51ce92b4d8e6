/*
 * criterion_alone.c - runs Criterion's test cases without its library, for ThreadSanitizer.
 *
 * Criterion starts each case from an arena at an address that ThreadSanitizer keeps for itself. The
 * cases are only a table of functions, though: here each is run in a fork, with the fixtures,
 * signal, exit status and time limit that it asks for. Parameterized tests and theories aren't
 * supported: none of ours is one.
 */
#include <criterion/criterion.h>
#include <criterion/event.h>
#include <criterion/options.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CASE_SECONDS_MAX = 600 };

extern struct criterion_test *const __start_cr_tst[], *const __stop_cr_tst[];
extern struct criterion_suite *const __start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *const __stop_cr_sts[] __attribute__((weak));

struct criterion_options criterion_options;
static const struct criterion_test *running;
static bool has_failed;

/* --- what the assertions call --- */

int cr_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vasprintf(text, format, arguments);
    va_end(arguments);
    return length;
}

void cr_asprintf_free(char *text)
{
    free(text);
}

char *cr_translate_assert_msg(int index, ...)
{
    va_list arguments;
    char *condition;

    va_start(arguments, index);
    condition = strdup(va_arg(arguments, const char *));
    va_end(arguments);
    return condition;
}

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    has_failed = true;
    fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
}

void cri_asserts_passed_incr(void)
{
}

void criterion_abort_test(void)
{
    _exit(1);
}

void criterion_continue_test(void)
{
}

void criterion_skip_test(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("skipped: ", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    _exit(0);
}

/* --- a case --- */

/* A fixture of the case itself, else of its suite. */
static void run_fixture(bool is_init)
{
    void (*fixture)(void) = is_init ? running->data->init : running->data->fini;

    for (struct criterion_suite *const *suite = __start_cr_sts; suite != __stop_cr_sts; suite++)
        if (!fixture && *suite && strcmp((*suite)->name, running->category) == 0 && (*suite)->data)
            fixture = is_init ? (*suite)->data->init : (*suite)->data->fini;
    if (fixture)
        fixture();
}

void criterion_internal_test_setup(void)
{
    run_fixture(true);
}

void criterion_internal_test_main(void (*test)(void))
{
    test();
}

void criterion_internal_test_teardown(void)
{
    run_fixture(false);
}

static bool ended_as_asked(const struct criterion_test *test, int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == test->data->signal;
    return test->data->signal == 0 && WEXITSTATUS(status) == test->data->exit_code;
}

static bool run_case(const struct criterion_test *test)
{
    int status;
    pid_t child;

    fflush(NULL); /* else the child writes once more what waits to be written */
    child = fork();
    if (child == 0) {
        running = test;
        alarm(CASE_SECONDS_MAX);
        test->test();
        exit(has_failed);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return ended_as_asked(test, status);
}

int main(void)
{
    int tested = 0, failing = 0;

    for (struct criterion_test *const *at = __start_cr_tst; at != __stop_cr_tst; at++) {
        if (!*at || (*at)->data->disabled)
            continue;
        tested++;
        if (!run_case(*at)) {
            failing++;
            printf("[FAIL] %s::%s\n", (*at)->category, (*at)->name);
        }
    }
    printf("[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: 0\n", tested,
           tested - failing, failing);
    return failing > 0;
}
