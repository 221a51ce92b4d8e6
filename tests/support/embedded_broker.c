/*
 * embedded_broker.c - librdkafka's mock cluster in a process of its own, for tests and the demo.
 *
 *   embedded-broker --topics name:partitions[,…] [--ready-file F] [--port-file F]
 *
 * Speaks Kafka's protocol on a free port of 127.0.0.1 and writes the bootstrap address to the ready
 * file, and the port alone to the port file, once it listens. Ends on SIGTERM or SIGINT. SIGUSR1:
 * the next ten requests to write are refused as too large. SIGUSR2: partition 0 of each topic of
 * counters loses its leader, and has it again with the next.
 *
 * It keeps nothing: a partition holds 5 MiB or 100,000 batches, drops the oldest beyond that, and
 * all of it is gone with the process. Not for usage that anybody bills.
 */
#include "common/base/attrs.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

struct options {
    const char *topics;
    const char *ready_file;
    const char *port_file;
};

static void say(const char *what, const char *detail)
{
    fprintf(stderr, "embedded-broker: %s%s\n", what, detail);
}

static int read_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"topics", required_argument, NULL, 't'},
        {"ready-file", required_argument, NULL, 'r'},
        {"port-file", required_argument, NULL, 'p'},
        {0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 't')
            options->topics = optarg;
        else if (c == 'r')
            options->ready_file = optarg;
        else if (c == 'p')
            options->port_file = optarg;
        else
            return EX_USAGE;
    }
    if (optind < argc || !options->topics) {
        say("wants --topics name:partitions[,...]", "");
        return EX_USAGE;
    }
    return 0;
}

/* "name:partitions" */
static int make_topic(rd_kafka_mock_cluster_t *cluster, char *spec)
{
    char *colon = strrchr(spec, ':');
    char *end = "x";
    long partitions = colon ? strtol(colon + 1, &end, 10) : 0;

    if (*end || partitions < 1 || partitions > 10000) {
        say("a topic is name:partitions, not ", spec);
        return EX_USAGE;
    }
    *colon = '\0';
    if (rd_kafka_mock_topic_create(cluster, spec, (int)partitions, 1)) {
        say("cannot make the topic ", spec);
        return EX_USAGE;
    }
    return 0;
}

static int make_topics(rd_kafka_mock_cluster_t *cluster, const char *topics)
{
    char *list = strdup(topics);
    char *rest = NULL;
    int status = 0;

    for (char *spec = strtok_r(list, ",", &rest); spec && !status;
         spec = strtok_r(NULL, ",", &rest))
        status = make_topic(cluster, spec);
    free(list);
    return status;
}

/* Written aside and renamed, so that whoever waits for the file finds it whole. */
static int write_line(const char *path, const char *line)
{
    char aside[4096];
    FILE *file;

    if (!path)
        return 0;
    snprintf(aside, sizeof(aside), "%s.part", path);
    file = fopen(aside, "we");
    if (!file || fprintf(file, "%s\n", line) < 0 || fclose(file) || rename(aside, path)) {
        say("cannot write ", path);
        return EX_CANTCREAT;
    }
    return 0;
}

static int announce(const char *bootstraps, const struct options *options)
{
    const char *port = strrchr(bootstraps, ':');
    int status = write_line(options->port_file, port ? port + 1 : "");

    if (!status)
        status = write_line(options->ready_file, bootstraps);
    if (!status) {
        printf("%s\n", bootstraps);
        fflush(stdout);
        say("KEEPS NOTHING: for trying out and for tests alone; what it holds is gone when it ends",
            "");
    }
    return status;
}

enum { REFUSED = 10, API_PRODUCE = 0 };

static void refuse_writes(rd_kafka_mock_cluster_t *cluster)
{
    rd_kafka_resp_err_t codes[REFUSED];

    for (size_t i = 0; i < REFUSED; i++)
        codes[i] = RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    rd_kafka_mock_push_request_errors_array(cluster, API_PRODUCE, REFUSED, codes);
}

static void set_leader(rd_kafka_mock_cluster_t *cluster, const char *topics, int32_t broker)
{
    char *list = strdup(topics), *rest = NULL;

    for (char *spec = strtok_r(list, ",", &rest); spec; spec = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(spec, ':');

        *colon = '\0';
        if (colon - spec > 9 && strcmp(colon - 9, ".counters") == 0)
            rd_kafka_mock_partition_set_leader(cluster, spec, 0, broker);
    }
    free(list);
}

static int serve(rd_kafka_t *client, const struct options *options, const sigset_t *signals)
{
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, 1);
    bool has_leader = true;
    int status, number = SIGUSR1;

    if (!cluster) {
        say("cannot listen on 127.0.0.1", "");
        return EX_UNAVAILABLE;
    }
    status = make_topics(cluster, options->topics);
    if (!status)
        status = announce(rd_kafka_mock_cluster_bootstraps(cluster), options);
    while (!status && (number == SIGUSR1 || number == SIGUSR2)) {
        sigwait(signals, &number);
        if (number == SIGUSR1)
            refuse_writes(cluster);
        has_leader ^= number == SIGUSR2;
        if (number == SIGUSR2)
            set_leader(cluster, options->topics, has_leader ? 1 : -1);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    sigset_t signals;
    char why[512];
    rd_kafka_conf_t *conf;
    rd_kafka_t *client;
    int status = read_options(argc, argv, &options);

    if (status)
        return status;
    /* Before the first thread, so that none of librdkafka's takes the signal. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    conf = rd_kafka_conf_new();
    (void)rd_kafka_conf_set(conf, "log_level", "0", NULL, 0); /* it misses a broker of its own */
    client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
    if (!client) {
        rd_kafka_conf_destroy(conf);
        say("cannot start: ", why);
        return EX_OSERR;
    }
    status = serve(client, &options, &signals);
    rd_kafka_destroy(client);
    return status;
}
