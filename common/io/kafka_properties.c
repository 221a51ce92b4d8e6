#include "common/base/fault.h"
#include "common/io/kafka_parts.h"
#include "common/io/log.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROPERTY_LINE_MAX = 4096 };

/*
 * What every client of ours shares. A restarted broker is found again within a second. Figures of
 * librdkafka's own aren't sent to the broker (2.5 and later would): each client that ends would
 * wait up to a second for the last of them, which is most of a short command.
 */
static const struct kafka_property shared[] = {
    {"socket.keepalive.enable", "true", PROPERTY_USUAL},
    {"socket.timeout.ms", "20000", PROPERTY_USUAL},
    {"reconnect.backoff.ms", "50", PROPERTY_USUAL},
    {"reconnect.backoff.max.ms", "1000", PROPERTY_USUAL},
    {"enable.metrics.push", "false", PROPERTY_IF_KNOWN},
};

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, const char *where)
{
    char why[KAFKA_ERROR_BYTES_MAX];

    if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
        return 0;
    return fault(FAULT_STOP, "%s: %s: %s", where, name, why);
}

static int set_row(rd_kafka_conf_t *conf, const struct kafka_property *row)
{
    char why[KAFKA_ERROR_BYTES_MAX];
    rd_kafka_conf_res_t rc = rd_kafka_conf_set(conf, row->name, row->value, why, sizeof(why));

    if (rc == RD_KAFKA_CONF_OK)
        return 0;
    if (rc == RD_KAFKA_CONF_UNKNOWN && row->hold == PROPERTY_IF_KNOWN)
        return 0;
    return fault(FAULT_STOP, "librdkafka %s: %s", kafka_library_version(), why);
}

static int set_rows(rd_kafka_conf_t *conf, const struct kafka_property *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int r = set_row(conf, &rows[i]);

        if (r)
            return fault_pass(r);
    }
    return 0;
}

/* --- the file: name=value lines, # comments --- */

static const struct kafka_property *row_named(const struct kafka_property *rows, size_t count,
                                              const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

/* `line` is changed: cut at its equals sign. */
static int set_line(rd_kafka_conf_t *conf, char *line, const char *where,
                    const struct kafka_property *rows, size_t count)
{
    bool has_sign = strchr(line, '=');
    struct text rest = text_trim(text_of(line));
    struct text name = text_trim(text_cut(&rest, '='));
    struct text value = text_trim(rest);
    const struct kafka_property *row;

    if (name.length == 0 || name.at[0] == '#')
        return 0;
    if (!has_sign)
        return fault(FAULT_STOP, "%s: a line is name=value", where);
    line[(size_t)(name.at - line) + name.length] = '\0';
    line[(size_t)(value.at - line) + value.length] = '\0';
    row = row_named(rows, count, name.at);
    if (row && row->hold == PROPERTY_FIXED && strcmp(row->value, value.at) != 0)
        return fault(FAULT_STOP, "%s: %s must be %s; remedy: remove the line", where, name.at,
                     row->value);
    return set(conf, name.at, value.at, where);
}

static int set_lines(rd_kafka_conf_t *conf, FILE *file, const char *path,
                     const struct kafka_property *rows, size_t count)
{
    char line[PROPERTY_LINE_MAX];
    char where[512];

    for (int number = 1; fgets(line, sizeof(line), file); number++) {
        int r;

        snprintf(where, sizeof(where), "%s:%d", path, number);
        line[strcspn(line, "\r\n")] = '\0';
        r = set_line(conf, line, where, rows, count);
        if (r)
            return fault_pass(r);
    }
    return ferror(file) ? fault(FAULT_STOP, "cannot read %s: %s", path, strerror(errno)) : 0;
}

static int set_file(rd_kafka_conf_t *conf, const char *path, const struct kafka_property *rows,
                    size_t count)
{
    FILE *file = fopen(path, "re");
    int r;

    if (!file)
        return fault(FAULT_STOP, "cannot read the Kafka properties %s: %s", path, strerror(errno));
    r = set_lines(conf, file, path, rows, count);
    (void)fclose(file);
    return r;
}

/* --- clients --- */

/* One properties file serves all clients: that a producer ignores what is a consumer's is no news.
 */
static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    /* Its levels are syslog's: 5 is a notice. */
    enum log_level ours = level <= 5 ? LOG_WARN : level == 6 ? LOG_INFO : LOG_DEBUG;

    if (strcmp(facility, "CONFWARN") == 0 && strstr(text, "will be ignored"))
        return;
    log_event(ours, "kafka_client", "facility", facility, "client",
              client ? rd_kafka_name(client) : "", "message", text, NULL);
}

/* Of all clients of the process: they have the same credentials. */
static atomic_bool is_let_in, is_denied;

static void on_error(rd_kafka_t *client, int code, const char *text, void *context)
{
    (void)context;
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        atomic_store(&is_denied, true);
    on_log(client, 3, "ERROR", text);
}

void kafka_let_in(void)
{
    atomic_store(&is_let_in, true);
}

int kafka_no_answer(rd_kafka_t *client, const char *why)
{
    (void)rd_kafka_poll(client, 0); /* hears what went wrong */
    if (!atomic_load(&is_let_in) && atomic_load(&is_denied))
        return fault(FAULT_DENIED, "the broker refuses our credentials; remedy: correct user, "
                                   "password or mechanism in the file of `kafka-config`");
    return fault(FAULT_RETRY, "no broker answers: %s", why);
}

int kafka_conf_new(const struct kafka_config *config, const struct kafka_property *rows,
                   size_t count, rd_kafka_conf_t **conf)
{
    rd_kafka_conf_t *made = rd_kafka_conf_new();
    int r = set(made, "bootstrap.servers", config->brokers, "the setting `brokers`");

    if (!r)
        r = set(made, "client.id", config->client_id, "the client id");
    if (!r)
        r = set_rows(made, shared, ARRAY_LEN(shared));
    if (!r)
        r = set_rows(made, rows, count);
    if (!r && config->properties)
        r = set_file(made, config->properties, rows, count);
    if (r) {
        rd_kafka_conf_destroy(made);
        return fault_pass(r);
    }
    rd_kafka_conf_set_log_cb(made, on_log);
    rd_kafka_conf_set_error_cb(made, on_error);
    *conf = made;
    return 0;
}

const char *kafka_library_version(void)
{
    return rd_kafka_version_str();
}

int kafka_config_check(const struct kafka_config *config)
{
    rd_kafka_conf_t *conf;
    int r = kafka_conf_new(config, NULL, 0, &conf);

    if (r)
        return fault_pass(r);
    rd_kafka_conf_destroy(conf);
    return 0;
}

int kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, rd_kafka_t **client)
{
    char why[KAFKA_ERROR_BYTES_MAX];
    rd_kafka_t *made = rd_kafka_new(type, conf, why, sizeof(why));

    if (!made) {
        rd_kafka_conf_destroy(conf);
        return fault(FAULT_RETRY, "cannot make a Kafka client: %s", why);
    }
    *client = made;
    return 0;
}

int kafka_inquirer_new(const struct kafka_config *config, rd_kafka_t **client)
{
    rd_kafka_conf_t *conf;
    int r = kafka_conf_new(config, NULL, 0, &conf);

    if (r)
        return fault_pass(r);
    return kafka_client_new(RD_KAFKA_PRODUCER, conf, client);
}

void kafka_client_drop(rd_kafka_t **client)
{
    if (*client)
        rd_kafka_destroy(*client);
    *client = NULL;
}

struct kafka_config kafka_config_copy(const struct kafka_config *config)
{
    return (struct kafka_config){
        .brokers = strdup(config->brokers),
        .properties = config->properties ? strdup(config->properties) : NULL,
        .client_id = strdup(config->client_id),
        .is_packed = config->is_packed,
        .is_hurrying = config->is_hurrying,
    };
}

void kafka_config_deinit(struct kafka_config *config)
{
    free((void *)(uintptr_t)config->brokers);
    free((void *)(uintptr_t)config->properties);
    free((void *)(uintptr_t)config->client_id);
    *config = (struct kafka_config){0};
}
