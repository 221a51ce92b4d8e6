/*
 * kafka_nudge.c - keeps a consumer fetching that has enough ahead.
 *
 * librdkafka before 2.2 looks for room in its queue once a second, or when anything wakes its
 * threads. Of what it offers, only being told its credentials wakes them and does nothing else: so
 * they are told what they know. Later ones have fetch.queue.backoff.ms, and are left alone.
 */
#include "common/io/kafka_parts.h"

#include "common/base/monotonic.h"

#include <stdlib.h>

/* Much sooner than what is ahead is read. All of the client's threads wake, some 40 us. */
enum { NUDGE_MS = 10, MUCH_PART = 16 /* of what may be ahead */ };

static bool is_known(const rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 0;

    return rd_kafka_conf_get(conf, name, NULL, &size) == RD_KAFKA_CONF_OK;
}

/* The property's text, "" when it has none; the caller frees it. */
static char *text_in(const rd_kafka_conf_t *conf, const char *name)
{
    size_t size = 1;
    char *text;

    (void)rd_kafka_conf_get(conf, name, NULL, &size);
    text = calloc(1, size);
    if (!text)
        abort();
    (void)rd_kafka_conf_get(conf, name, text, &size);
    return text;
}

static size_t much_of(const rd_kafka_conf_t *conf, const char *name)
{
    char *text = text_in(conf, name);
    size_t most = strtoul(text, NULL, 10);

    free(text);
    return most / MUCH_PART;
}

void nudge_init(struct nudge *nudge, const rd_kafka_conf_t *conf)
{
    *nudge = (struct nudge){.is_needed = !is_known(conf, "fetch.queue.backoff.ms")};
    nudge->much_messages = much_of(conf, "queued.min.messages");
    nudge->much_bytes = much_of(conf, "queued.max.messages.kbytes") * 1024;
    nudge->user = text_in(conf, "sasl.username");
    nudge->password = text_in(conf, "sasl.password");
}

void nudge_deinit(struct nudge *nudge)
{
    free(nudge->user);
    free(nudge->password);
    *nudge = (struct nudge){0};
}

void nudge(struct nudge *nudge, rd_kafka_t *client, bool has_taken_much)
{
    int64_t now;

    nudge->is_due = nudge->is_due || has_taken_much;
    if (!nudge->is_needed || !nudge->is_due)
        return;
    now = monotonic_ms();
    if (now - nudge->nudged_ms < NUDGE_MS)
        return;
    nudge->nudged_ms = now;
    nudge->is_due = false;
    rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(client, nudge->user, nudge->password));
}
