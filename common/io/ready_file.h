/*
 * ready_file.h - tells a script where a process listens: its HTTP address, in a file.
 *
 * Errors     FAULT_REFUSE: the file can't be written; the setting `ready-file` is to be corrected.
 * Threads    Any.
 */
#pragma once

#include "common/base/attrs.h"

/*
 * Writes "http://<address>\n" to `path`, whole or not at all: a script may read it at any moment.
 * NULL is no file and no fault.
 */
MUST_USE int ready_file_write(const char *path, const char *address);
