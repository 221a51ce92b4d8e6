/*
 * other_clock.c - preloaded, sets the clock of a program and of nothing else.
 *
 * TOLLWAY_TEST_CLOCK names a file that holds seconds to add, in decimal; it can be rewritten while
 * the program runs. Only calls from the program itself are answered so, and only for the clock that
 * can be set: libraries keep the true time, since librdkafka waits on conditions by that clock, and
 * those waits can't be set along.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

static uintptr_t program_from, program_to;
static int (*true_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const Elf64_Phdr *headers = (const Elf64_Phdr *)getauxval(AT_PHDR);
    unsigned long count = getauxval(AT_PHNUM);
    uintptr_t base = 0;

    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_PHDR)
            base = (uintptr_t)headers - headers[i].p_vaddr;
    program_from = base;
    for (unsigned long i = 0; i < count; i++)
        if (headers[i].p_type == PT_LOAD)
            program_to = base + headers[i].p_vaddr + headers[i].p_memsz;
    *(void **)&true_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
}

static long offset_seconds(void)
{
    const char *path = getenv("TOLLWAY_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char text[24] = {0};

    if (file < 0)
        return 0;
    if (read(file, text, sizeof(text) - 1) < 0)
        text[0] = 0;
    close(file);
    return strtol(text, NULL, 10);
}

static bool asks(const void *caller)
{
    return (uintptr_t)caller >= program_from && (uintptr_t)caller < program_to;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int rc = true_clock_gettime(clock, now);

    if (rc == 0 && clock == CLOCK_REALTIME && asks(__builtin_return_address(0)))
        now->tv_sec += offset_seconds();
    return rc;
}

time_t time(time_t *out)
{
    struct timespec now;
    time_t seconds;

    true_clock_gettime(CLOCK_REALTIME, &now);
    seconds = now.tv_sec + (asks(__builtin_return_address(0)) ? offset_seconds() : 0);
    if (out)
        *out = seconds;
    return seconds;
}
