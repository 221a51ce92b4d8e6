/*
 * setting_pages.h - what a program's tables print for people and shells: manual and completions.
 *
 * Threads    Any.
 */
#pragma once

#include "common/io/settings.h"

/* A manual page in mdoc(7), section 1. */
void setting_write_manual(const struct program *program, struct buffer *out);

/* A completion script for "bash", "zsh" or "fish"; false for any other shell. */
MUST_USE bool setting_write_completion(const struct program *program, const char *shell,
                                       struct buffer *out);
