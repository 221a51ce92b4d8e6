/*
 * settings.h - every setting as flag, TOLLWAY_* variable and line of a file, from one table.
 *
 * A row named "dedup-horizon" is --dedup-horizon, TOLLWAY_DEDUP_HORIZON and the line
 * `dedup_horizon = P35D` of the file that --config (TOLLWAY_CONFIG) names. Flag beats variable
 * beats file beats the row's `usual`. From the same table come --help (argp), --print-config,
 * --check-config, the manual page and the shells' completions.
 *
 * Errors     A wrong value is one line on stderr that names the setting, where it came from, what
 * is wrong and what would be right; exit 78, or 64 for a wrong flag or argument. Ownership  Texts
 * in the config struct belong to program_run and live until `run` returns. Threads    One, at
 * start.
 */
#pragma once

#include "common/base/text.h"

enum setting_kind {
    SETTING_TEXT,     /* const char * */
    SETTING_CHOICE,   /* const char *, one of `choices` */
    SETTING_NUMBER,   /* int64_t */
    SETTING_BYTES,    /* int64_t; accepts KiB, MiB, GiB, TiB */
    SETTING_DURATION, /* int64_t in ms; ISO 8601 (P35D, PT5M, PT0.25S) or 250ms, 5s, 2m, 1h, 35d */
    SETTING_SWITCH,   /* bool; true/false, yes/no, on/off, 1/0; a bare flag is true */
    SETTING_SECRET,   /* const char *: the content of the file that the value names, which nobody
                         but its owner may read; shown redacted */
};

struct setting {
    const char *name; /* lower case with hyphens */
    enum setting_kind kind;
    const char *usual; /* as it would be written; NULL: none (a NULL text, a zero) */
    bool required;
    int64_t least, most;                       /* of a number; `most` 0: no upper limit */
    const char *choices;                       /* "json|logfmt" */
    const char *(*wrong)(const char *written); /* NULL, or says what would be right; NULL: fine */
    const char *help; /* what it is for, its unit, what more and less of it cost */
    size_t offset;    /* in the process's config struct */
};

/* One verb of a program: "catalog apply". `settings` are those beyond the program's common ones. */
struct command {
    const char *name;      /* "close", "catalog apply"; "" for a program without verbs */
    const char *arguments; /* "FILE", "[INVOICE]", "FILE…", "" */
    const char *help;
    const char *example; /* lines for a terminal, shown below the help as they are; NULL: none */
    bool stands_alone;   /* takes none of the program's settings, only its own */
    const struct setting *settings;
    size_t setting_count;
    /* Returns the exit status; argv holds the plain arguments behind the verb, NULL-terminated. */
    int (*run)(void *config, int argc, char **argv);
};

/* Beyond sysexits.h. */
enum exit_status {
    EXIT_PARTIAL = 80,       /* some subscriptions could not be billed */
    EXIT_FENCED = 81,        /* FAULT_FENCED */
    EXIT_STATE_CORRUPT = 82, /* FAULT_STOP from the store */
};

struct program {
    const char *name;               /* "ingest" */
    const char *about;              /* a paragraph for --help and the manual */
    bool has_common_settings;       /* common_settings come first; needs struct common_config */
    const struct setting *settings; /* of all its verbs; one named as a common one replaces it */
    size_t setting_count;
    const struct command *commands;
    size_t command_count;
    size_t config_size; /* of the process's config struct, zeroed before settings are read */
};

/*
 * Reads the settings, starts the log when there are common settings, finds the verb and runs it.
 * Handles --help, --usage, --version, --check-config, --print-config, --print-manual and
 * --print-completion. Returns the exit status for main().
 */
int program_run(const struct program *program, int argc, char **argv);

/* What all three processes share. The struct is the first member of each process's config struct.
 */
struct common_config {
    const char *brokers;   /* host:port[,…] */
    const char *bucket;    /* ^[a-z0-9]+(_[a-z0-9]+)*$ */
    const char *listen;    /* "127.0.0.1:8080"; port 0: any free one */
    const char *advertise; /* "http://host:port" that others reach it by; NULL: from listen */
    const char *log_level, *log_form;
    const char *kafka_config; /* file of librdkafka properties, or NULL */
    bool topics_check;        /* false with the embedded broker, which has no admin API */
    const char *ready_file;   /* gets the HTTP address once listening; NULL: none */
    int64_t http_connections, http_header_ms, http_body_ms, http_idle_ms, http_in_flight_bytes;
};
extern const struct setting common_settings[];
extern const size_t common_setting_count;

struct http_limits;
/* The usual limits with those that are settings. */
void common_http_limits(const struct common_config *config, struct http_limits *limits);
