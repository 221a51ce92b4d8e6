#include "invoicer/edges/config.h"

#include "common/base/fault.h"
#include "common/base/monotonic.h"
#include "common/base/pause.h"
#include "common/io/log.h"

#include <string.h>

enum { OPEN_RETRY_MS = 200 };

struct kafka_config config_kafka(const struct invoicer_config *config)
{
    return (struct kafka_config){
        .brokers = config->common.brokers,
        .properties = config->common.kafka_config,
        .client_id = "invoicer",
    };
}

void config_topics(const struct invoicer_config *config, int32_t partitions,
                   struct config_topics *topics)
{
    for (enum topic i = 0; i < TOPIC_COUNT; i++) {
        topic_name(i, config->common.bucket, topics->names[i]);
        topics->specs[i] = (struct topic_spec){topics->names[i], topic_partitions_of(i, partitions),
                                               topic_settings(i), topic_advised(i)};
    }
}

int config_engine_once(const struct invoicer_config *config, enum engine_role role,
                       struct engine **engine)
{
    const struct engine_config wanted = {
        .kafka = config_kafka(config),
        .data = config->data,
        .bucket = config->common.bucket,
        .wait_ms = config->wait_ms,
        .role = role,
    };
    int r = engine_open(&wanted, engine);

    return r ? fault_pass(r) : 0;
}

int config_engine(const struct invoicer_config *config, enum engine_role role,
                  struct engine **engine)
{
    int64_t end = monotonic_ms() + config->wait_ms;
    int r = config_engine_once(config, role, engine);

    while (r == FAULT_RETRY && monotonic_ms() < end) {
        pause_ms(OPEN_RETRY_MS);
        r = config_engine_once(config, role, engine);
    }
    return r ? fault_pass(r) : 0;
}

/* What Kafka stops at is how it is set up: topics, partitions, properties. */
static bool came_from_kafka(const char *trace)
{
    static const char *const doors[] = {"follower_", "consumer_", "producer_",
                                        "topics_",   "topic_",    "kafka_"};

    for (size_t i = 0; i < ARRAY_LEN(doors); i++)
        if (strstr(trace, doors[i]))
            return true;
    return false;
}

int config_exit(int fault, const char *event)
{
    log_fault(LOG_ERROR, event);
    if (fault == FAULT_RETRY)
        return EX_TEMPFAIL;
    if (fault == FAULT_FENCED)
        return EXIT_FENCED;
    if (fault == FAULT_DENIED)
        return EX_NOPERM;
    return fault == FAULT_REFUSE || came_from_kafka(fault_trace()) ? EX_CONFIG : EXIT_STATE_CORRUPT;
}
