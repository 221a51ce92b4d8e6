/*
 * kafka_brokers.c - which brokers a client is connected to, as its threads tell when it changes.
 */
#include "common/io/kafka_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct broker_state *state_of(struct brokers *brokers, const char *name, int port)
{
    for (size_t i = 0; i < brokers->count; i++)
        if (brokers->states[i].port == port && strcmp(brokers->states[i].name, name) == 0)
            return &brokers->states[i];
    brokers->states = realloc(brokers->states, (brokers->count + 1) * sizeof(struct broker_state));
    assert(brokers->states);
    brokers->states[brokers->count] = (struct broker_state){.name = strdup(name), .port = port};
    assert(brokers->states[brokers->count].name);
    return &brokers->states[brokers->count++];
}

/* On the broker's thread, which must not be held up. */
static rd_kafka_resp_err_t on_state(rd_kafka_t *client, int32_t id, const char *protocol,
                                    const char *name, int port, const char *state, void *context)
{
    struct brokers *brokers = context;

    (void)client;
    (void)id;
    (void)protocol;
    pthread_mutex_lock(&brokers->lock);
    state_of(brokers, name, port)->is_up = strcmp(state, "UP") == 0;
    pthread_mutex_unlock(&brokers->lock);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_new(rd_kafka_t *client, const rd_kafka_conf_t *conf, void *context,
                                  char *why, size_t size)
{
    (void)conf;
    (void)why;
    (void)size;
    return rd_kafka_interceptor_add_on_broker_state_change(client, "brokers", on_state, context);
}

void brokers_init(struct brokers *brokers)
{
    *brokers = (struct brokers){.count = 0};
    pthread_mutex_init(&brokers->lock, NULL);
}

void brokers_deinit(struct brokers *brokers)
{
    for (size_t i = 0; i < brokers->count; i++)
        free(brokers->states[i].name);
    free(brokers->states);
    pthread_mutex_destroy(&brokers->lock);
}

void brokers_watch(struct brokers *brokers, rd_kafka_conf_t *conf)
{
    rd_kafka_conf_interceptor_add_on_new(conf, "brokers", on_new, brokers);
}

bool brokers_any_up(struct brokers *brokers)
{
    bool is_up = false;

    pthread_mutex_lock(&brokers->lock);
    for (size_t i = 0; i < brokers->count; i++)
        is_up = is_up || brokers->states[i].is_up;
    pthread_mutex_unlock(&brokers->lock);
    return is_up;
}
