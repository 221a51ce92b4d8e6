/*
 * config.h - the invoicer's settings, one struct for all its verbs, and what verbs have in common.
 *
 * Threads    One, at start.
 */
#pragma once

#include "common/io/settings.h"
#include "invoicer/edges/engine.h"
#include "proto/topics.h"

#include <sysexits.h>

struct invoicer_config {
    struct common_config common;
    const char *data;
    int64_t wait_ms;
    bool json;

    int64_t partitions, replication; /* topics create */
    const char *mode, *hash;
    const char *role, *expires;     /* keys create */
    int64_t collection_interval_ms; /* close */
    const char *at, *only, *out;
    bool dry_run;
    bool as_csv, as_html;                                 /* invoices show */
    bool draft;                                           /* plans show */
    const char *plan, *timing, *anchor, *customer;        /* subscriptions; plan: backtest too */
    const char *from, *to, *page;                         /* backtest */
    int64_t horizon_ms;                                   /* audit; 0: what the marks say */
    const char *stripe_key, *stripe_url, *stripe_version; /* stripe */
    const char *stripe_collection;
    int64_t stripe_rate, stripe_account_rate, stripe_days_until_due;
    bool tries_held;
};

/* What the bucket's topics must be; the specs point to the names. */
struct config_topics {
    char names[TOPIC_COUNT][TOPIC_NAME_MAX];
    struct topic_spec specs[TOPIC_COUNT];
};
void config_topics(const struct invoicer_config *config, int32_t partitions,
                   struct config_topics *topics);

struct kafka_config config_kafka(const struct invoicer_config *config);
/* Tries for --wait while the broker is away; _once doesn't. */
MUST_USE int config_engine(const struct invoicer_config *config, enum engine_role role,
                           struct engine **engine);
MUST_USE int config_engine_once(const struct invoicer_config *config, enum engine_role role,
                                struct engine **engine);
/* Logs the fault and says what to exit with: 75 where doing it again is safe, 78 where Kafka is set
 * up otherwise than the bucket needs or --data can't be written to, else 82. */
int config_exit(int fault, const char *event);

/* The verbs, each in a file of its own: exit statuses. */
int verb_serve(void *config, int argc, char **argv);
int verb_topics_create(void *config, int argc, char **argv);
int verb_keys_create(void *config, int argc, char **argv);
int verb_keys_list(void *config, int argc, char **argv);
int verb_keys_revoke(void *config, int argc, char **argv);
int verb_catalog_apply(void *config, int argc, char **argv);
int verb_catalog_diff(void *config, int argc, char **argv);
int verb_catalog_get(void *config, int argc, char **argv);
int verb_plans_list(void *config, int argc, char **argv);
int verb_plans_show(void *config, int argc, char **argv);
int verb_plans_draft(void *config, int argc, char **argv);
int verb_plans_publish(void *config, int argc, char **argv);
int verb_plans_archive(void *config, int argc, char **argv);
int verb_plans_delete(void *config, int argc, char **argv);
int verb_features_archive(void *config, int argc, char **argv);
int verb_close(void *config, int argc, char **argv);
int verb_invoices_list(void *config, int argc, char **argv);
int verb_invoices_show(void *config, int argc, char **argv);
int verb_subscriptions_list(void *config, int argc, char **argv);
int verb_subscriptions_show(void *config, int argc, char **argv);
int verb_subscriptions_change(void *config, int argc, char **argv);
int verb_subscriptions_cancel(void *config, int argc, char **argv);
int verb_subscriptions_restore(void *config, int argc, char **argv);
int verb_subscriptions_delete(void *config, int argc, char **argv);
int verb_explain(void *config, int argc, char **argv);
int verb_backtest(void *config, int argc, char **argv);
int verb_stripe_connect(void *config, int argc, char **argv);
int verb_stripe_deliver(void *config, int argc, char **argv);
int verb_stripe_status(void *config, int argc, char **argv);
int verb_stripe_check(void *config, int argc, char **argv);
int verb_audit(void *config, int argc, char **argv);
int verb_rate(void *config, int argc, char **argv);
int verb_periods(void *config, int argc, char **argv);
int verb_prorate(void *config, int argc, char **argv);
