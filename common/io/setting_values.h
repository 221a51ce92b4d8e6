/*
 * setting_values.h - which text each setting has, and where it comes from.
 *
 * Errors     A mistake of the user is one line in `wrong` and an exit status: 64 for a flag, 78
 * else. Ownership  A setting_values owns its texts; what a config struct points to is among them.
 * Threads    One, at start.
 */
#pragma once

#include "common/io/settings.h"

enum setting_origin {
    SETTING_FROM_NOWHERE,
    SETTING_FROM_USUAL,
    SETTING_FROM_FILE,
    SETTING_FROM_VARIABLE,
    SETTING_FROM_FLAG,
};

struct setting_value {
    const struct setting *row;
    enum setting_origin origin;
    char *written; /* NULL: none */
    char *secret;  /* a secret's content */
    int line;      /* of the file */
};

struct setting_values {
    struct setting_value *list;
    size_t count;
    char *file; /* path, or NULL */
};

/* One --name=value of the command line; `value` NULL: a bare flag. */
struct setting_flag {
    const char *name;
    const char *value;
};

/* The rows of a program without one of its verbs' (NULL), or with: visits each in order. */
size_t setting_row_count(const struct program *program, const struct command *command);
const struct setting *setting_row_at(const struct program *program, const struct command *command,
                                     size_t index);

void setting_values_init(struct setting_values *values, const struct program *program,
                         const struct command *command);
void setting_values_deinit(struct setting_values *values);

/* Each returns 0, or an exit status with the line in `wrong`. To be called in this order. */
MUST_USE int setting_values_read_file(struct setting_values *values, const struct program *program,
                                      const char *path, struct buffer *wrong);
void setting_values_read_variables(struct setting_values *values);
MUST_USE int setting_values_read_flags(struct setting_values *values,
                                       const struct setting_flag *flags, size_t count,
                                       struct buffer *wrong);
MUST_USE int setting_values_apply(struct setting_values *values, void *config,
                                  struct buffer *wrong);

/* As a file that gives the same settings again, each under a comment on where it came from. */
void setting_values_print(const struct setting_values *values, struct buffer *out);

/* "TOLLWAY_DEDUP_HORIZON". */
void setting_variable_name(const char *name, struct buffer *out);
