#include "common/io/http.h"
#include "common/io/settings.h"

#include <stddef.h>
#include <string.h>

static bool is_key_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* ^[a-z0-9]+(_[a-z0-9]+)*$ of at most 64 bytes, so that every topic's name stays below Kafka's 249.
 */
static const char *bucket_wrong(const char *written)
{
    static const char right[] = "1 to 64 of a-z and 0-9, parts joined by one _, as in working_copy";
    size_t length = strlen(written);

    if (length == 0 || length > 64 || !is_key_letter(written[length - 1]))
        return right;
    for (size_t i = 0; i < length; i++)
        if (!is_key_letter(written[i]) && (written[i] != '_' || i == 0 || written[i - 1] == '_'))
            return right;
    return NULL;
}

/* The port behind the last colon, to 65535; -1 when there is none, or nothing before it. */
static int port_of(struct text address)
{
    const char *colon = address.length ? memrchr(address.at, ':', address.length) : NULL;
    const char *end = address.at + address.length;
    int port = 0;

    if (!colon || colon == address.at || end - colon < 2 || end - colon > 6)
        return -1;
    for (const char *at = colon + 1; at < end; at++) {
        if (*at < '0' || *at > '9')
            return -1;
        port = port * 10 + (*at - '0');
    }
    return port > 65535 ? -1 : port;
}

/* The address is checked by who binds it. */
static const char *listen_wrong(const char *written)
{
    return port_of(text_of(written)) < 0
               ? "ADDRESS:PORT, as in 127.0.0.1:8080; port 0 takes any free one"
               : NULL;
}

static const char *brokers_wrong(const char *written)
{
    for (;; written++) {
        size_t length = strcspn(written, ",");

        if (port_of(text_from(written, length)) < 1)
            return "HOST:PORT, several joined by commas, as in 127.0.0.1:9092";
        written += length;
        if (!*written)
            return NULL;
    }
}

static const char *advertise_wrong(const char *written)
{
    if (strncmp(written, "http://", 7) == 0 || strncmp(written, "https://", 8) == 0)
        return NULL;
    return "an address that others can reach, as in http://10.0.0.7:8081";
}

const struct setting common_settings[] = {
    {
        .name = "brokers",
        .kind = SETTING_TEXT,
        .required = true,
        .wrong = brokers_wrong,
        .help =
            "The Kafka brokers to start from, HOST:PORT joined by commas; the others are learnt "
            "from them. Name two or three, so that a start doesn't hang on one of them.",
        .offset = offsetof(struct common_config, brokers),
    },
    {
        .name = "bucket",
        .kind = SETTING_TEXT,
        .required = true,
        .wrong = bucket_wrong,
        .help =
            "The bucket (environment) to serve, such as working_copy, preview or production. Its "
            "topics are <bucket>.events and so on; a process serves exactly one bucket.",
        .offset = offsetof(struct common_config, bucket),
    },
    {
        .name = "listen",
        .kind = SETTING_TEXT,
        .usual = "127.0.0.1:8080",
        .wrong = listen_wrong,
        .help =
            "The ADDRESS:PORT to serve HTTP on; port 0 takes any free one. The usual one answers "
            "this machine alone: give 0.0.0.0 or a network's address to be reached by others.",
        .offset = offsetof(struct common_config, listen),
    },
    {
        .name = "advertise",
        .kind = SETTING_TEXT,
        .wrong = advertise_wrong,
        .help = "The http://HOST:PORT that other processes reach this one by, when it isn't the "
                "address listened on: behind NAT, in a container, or with 0.0.0.0.",
        .offset = offsetof(struct common_config, advertise),
    },
    {
        .name = "log-level",
        .kind = SETTING_CHOICE,
        .usual = "info",
        .choices = "debug|info|warn|error",
        .help = "The least important lines that are still logged. debug writes a line for every "
                "batch and is too much for a busy process.",
        .offset = offsetof(struct common_config, log_level),
    },
    {
        .name = "log-form",
        .kind = SETTING_CHOICE,
        .usual = "logfmt",
        .choices = "json|logfmt",
        .help = "How a line on stderr is written: JSON for machines that collect logs, logfmt for "
                "people and grep.",
        .offset = offsetof(struct common_config, log_form),
    },
    {
        .name = "kafka-config",
        .kind = SETTING_TEXT,
        .help =
            "A file of librdkafka properties, one name=value a line: SASL, TLS, socket buffers. "
            "What exactness rests on (acks, idempotence, offsets) can't be set there.",
        .offset = offsetof(struct common_config, kafka_config),
    },
    {
        .name = "topics-check",
        .kind = SETTING_SWITCH,
        .usual = "true",
        .help = "Whether readiness asks the broker if the bucket's topics are there with the right "
                "settings. Only for a broker without an admin API, such as the demo's, say false.",
        .offset = offsetof(struct common_config, topics_check),
    },
    {
        .name = "ready-file",
        .kind = SETTING_TEXT,
        .help =
            "A file that gets the HTTP address once the process listens on it, for scripts that "
            "start it on port 0. It listens before it is ready: ask /readyz for that.",
        .offset = offsetof(struct common_config, ready_file),
    },
    {
        .name = "http-connections",
        .kind = SETTING_NUMBER,
        .usual = "10000",
        .least = 10,
        .most = 1000000,
        .help = "How many HTTP connections are held at once; the next one is closed again. Each "
                "takes a file descriptor, and memory once it sends.",
        .offset = offsetof(struct common_config, http_connections),
    },
    {
        .name = "http-header-timeout",
        .kind = SETTING_DURATION,
        .usual = "10s",
        .least = 100,
        .most = 3600000,
        .help = "How long the head of a request may take from its first byte to its last before "
                "it is answered 408. More is kinder to slow networks and to slow attackers.",
        .offset = offsetof(struct common_config, http_header_ms),
    },
    {
        .name = "http-body-timeout",
        .kind = SETTING_DURATION,
        .usual = "10s",
        .least = 100,
        .most = 3600000,
        .help = "How long the body of a request may take beyond 4 KiB a second before it is "
                "answered 408.",
        .offset = offsetof(struct common_config, http_body_ms),
    },
    {
        .name = "http-idle-timeout",
        .kind = SETTING_DURATION,
        .usual = "60s",
        .least = 100,
        .most = 86400000,
        .help = "How long a connection may be silent between requests, or not read its answer, "
                "before it is closed. Set it longer than a proxy in front keeps its connections.",
        .offset = offsetof(struct common_config, http_idle_ms),
    },
    {
        .name = "http-in-flight-bytes",
        .kind = SETTING_BYTES,
        .usual = "256MiB",
        .least = 67108864,
        .most = 1099511627776,
        .help = "How many bytes of requests' bodies may be in memory over all connections, as sent "
                "and inflated; beyond it, 503 with Retry-After.",
        .offset = offsetof(struct common_config, http_in_flight_bytes),
    },
};
const size_t common_setting_count = ARRAY_LEN(common_settings);

void common_http_limits(const struct common_config *config, struct http_limits *limits)
{
    *limits = http_limits_usual;
    limits->connections = (size_t)config->http_connections;
    limits->header_ms = config->http_header_ms;
    limits->body_ms = config->http_body_ms;
    limits->idle_ms = config->http_idle_ms;
    limits->in_flight_bytes = (size_t)config->http_in_flight_bytes;
}
