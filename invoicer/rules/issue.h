/*
 * issue.h - what is wrong with a file, each with the place: a JSON pointer, a code and a sentence.
 *
 * All of a file's issues are kept, in the order in which they were found, up to ISSUES_MAX; those
 * beyond are counted. A warning doesn't refuse the file.
 *
 * Ownership  struct issues owns its texts: issues_deinit. Codes are constants, borrowed for good.
 * Threads    Any, each object by one at a time.
 */
#pragma once

#include "common/base/text.h"

enum { ISSUES_MAX = 1000 };

/* A place in a JSON document, as a chain that grows on the stack. The root has no name. */
struct pointer {
    const struct pointer *up; /* NULL: the root */
    const char *name;         /* of an object's member; NULL: an array's element */
    size_t index;
};

struct pointer pointer_root(void);
struct pointer pointer_member(const struct pointer *up, const char *name);
struct pointer pointer_element(const struct pointer *up, size_t index);
/* RFC 6901: "/plans/0/key"; "" for the root. */
void pointer_write(const struct pointer *pointer, struct buffer *text);

struct issue {
    char *pointer;
    const char *code;
    char *message;
    bool is_warning;
};

struct issues {
    struct issue *at;
    size_t count, room;
    size_t errors;  /* of all found, warnings left out */
    size_t dropped; /* found beyond ISSUES_MAX */
};

void issues_deinit(struct issues *issues);
void issue_add(struct issues *issues, const struct pointer *where, const char *code,
               const char *format, ...) PRINTF_LIKE(4, 5);
void issue_warn(struct issues *issues, const struct pointer *where, const char *code,
                const char *format, ...) PRINTF_LIKE(4, 5);
/* {"file","pointer","code","message","severity"}, and one line a human reads. */
void issue_write_json(const struct issue *issue, const char *file, struct buffer *text);
void issue_write_line(const struct issue *issue, const char *file, struct buffer *text);
