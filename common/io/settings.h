/*
 * settings.h - every setting as flag, TOLLWAY_* variable and line of a file, from one table.
 *
 * A row named "dedup-horizon" is --dedup-horizon, TOLLWAY_DEDUP_HORIZON and `dedup_horizon = P35D` in the file that --config names.
 * Flag beats variable beats file beats the row's `usual`. From the same table come --help (argp), --print-config, --check-config and the manual
 * page (--print-manual). A wrong value is one line on stderr that names the setting, where it came from, what is wrong and what would be right; exit 78
 * (64 for a wrong flag).
 *
 * Ownership  Texts in the config struct are owned by the settings object and live as long as it.
 * Threads    One, at start.
 */
#pragma once

#include "common/base/text.h"

enum setting_kind {
    SETTING_TEXT,     /* const char * */
    SETTING_CHOICE,   /* const char *, one of `choices` */
    SETTING_NUMBER,   /* int64_t */
    SETTING_BYTES,    /* int64_t; accepts KiB, MiB, GiB */
    SETTING_DURATION, /* int64_t in ms; ISO 8601 (P35D, PT5M, PT0.25S) or 250ms, 5s, 1h */
    SETTING_SWITCH,   /* bool; true/false, yes/no, on/off, 1/0; a bare flag is true */
    SETTING_SECRET,   /* const char *; the value is a file's path (0400) whose content is the secret; shown redacted */
};

struct setting {
    const char *name; /* lower case with hyphens */
    enum setting_kind kind;
    const char *usual; /* as it would be written; NULL: none (a NULL text, a required number) */
    bool required;
    int64_t least, most;
    const char *choices; /* "json|logfmt" */
    const char *help;    /* says what it is for, its unit, what more and less of it cost */
    size_t offset;       /* in the process's config struct */
};

/* One verb of a program: "catalog apply". `settings` are those beyond the program's common ones. */
struct command {
    const char *name;      /* "close", "catalog apply"; "" for a program without verbs */
    const char *arguments; /* "FILE", "[INVOICE]", "" */
    const char *help;
    const struct setting *settings;
    size_t setting_count;
    int (*run)(void *config, int argc, char **argv); /* the exit status; argv holds the plain arguments */
};

struct program {
    const char *name;  /* "ingest" */
    const char *about; /* a paragraph for --help and the manual */
    const struct setting *settings; /* common to all verbs */
    size_t setting_count;
    const struct command *commands;
    size_t command_count;
    size_t config_size; /* of the process's config struct, zeroed before settings are read */
};

/* Reads the settings, finds the verb, runs it; handles --help, --version, --usage, --check-config, --print-config, --print-manual,
 * --print-completion. Returns the exit status for main(). */
int program_run(const struct program *program, int argc, char **argv);

/* Rows that all three processes share (brokers, bucket, listen, log-level, log-form, kafka-config ...). The struct is the
 * first member of each process's config struct. */
struct common_config {
    const char *brokers;     /* host:port[,…] */
    const char *bucket;      /* key of 1.1: ^[a-z0-9]+(_[a-z0-9]+)*$ */
    const char *listen;      /* "127.0.0.1:8080"; port 0: any free one */
    const char *advertise;   /* "http://host:port" that others reach it by; absent: from listen */
    const char *log_level, *log_form;
    const char *kafka_config; /* file of librdkafka properties (SASL, TLS), one `name=value` a line */
    bool topics_check;       /* false with the embedded broker, which has no admin API */
    const char *ready_file;  /* written with the HTTP address once listening (for scripts); absent: none */
};
extern const struct setting common_settings[];
extern const size_t common_setting_count;
