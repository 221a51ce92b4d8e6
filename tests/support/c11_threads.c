/*
 * c11_threads.c - C11 threads by way of POSIX threads, for ThreadSanitizer.
 *
 * librdkafka is built on <threads.h>, whose functions ThreadSanitizer doesn't intercept: a thread
 * that it doesn't know crashes in it, and locks that it doesn't see look like races. glibc's types
 * are the POSIX ones by another name, so the calls can be passed on. Linked into test programs
 * alone.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mutex fits");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a condition fits");

struct start {
    thrd_start_t run;
    void *argument;
};

static int result_of(int rc)
{
    if (rc == 0)
        return thrd_success;
    if (rc == EBUSY)
        return thrd_busy;
    if (rc == ETIMEDOUT)
        return thrd_timedout;
    return rc == ENOMEM || rc == EAGAIN ? thrd_nomem : thrd_error;
}

static void *begin(void *context)
{
    struct start start = *(struct start *)context;

    free(context);
    return (void *)(intptr_t)start.run(start.argument);
}

int thrd_create(thrd_t *thread, thrd_start_t run, void *argument)
{
    struct start *start = malloc(sizeof(*start));
    int rc;

    if (!start)
        return thrd_nomem;
    *start = (struct start){run, argument};
    rc = pthread_create(thread, NULL, begin, start);
    if (rc)
        free(start);
    return result_of(rc);
}

int thrd_join(thrd_t thread, int *result)
{
    void *returned = NULL;
    int rc = pthread_join(thread, &returned);

    if (result)
        *result = (int)(intptr_t)returned;
    return result_of(rc);
}

int thrd_detach(thrd_t thread)
{
    return result_of(pthread_detach(thread));
}

int mtx_init(mtx_t *mutex, int kind)
{
    pthread_mutexattr_t attributes;
    int rc;

    pthread_mutexattr_init(&attributes);
    if (kind & mtx_recursive)
        pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return result_of(rc);
}

int mtx_lock(mtx_t *mutex)
{
    return result_of(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result_of(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result_of(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void mtx_destroy(mtx_t *mutex)
{
    (void)pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int cnd_init(cnd_t *condition)
{
    return result_of(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

int cnd_signal(cnd_t *condition)
{
    return result_of(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result_of(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result_of(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result_of(
        pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

void cnd_destroy(cnd_t *condition)
{
    (void)pthread_cond_destroy((pthread_cond_t *)condition);
}

/* Its reference counts are atomics that ThreadSanitizer can't see either. */
const char *__tsan_default_suppressions(void);

const char *__tsan_default_suppressions(void)
{
    return "called_from_lib:librdkafka.so\n";
}
