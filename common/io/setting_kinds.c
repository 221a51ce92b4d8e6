#include "common/io/setting_kinds.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_BYTES_MAX = 64 * 1024 };

static const int64_t second_ms = 1000;
static const int64_t minute_ms = 60 * second_ms;
static const int64_t hour_ms = 60 * minute_ms;
static const int64_t day_ms = 24 * hour_ms;

const char *setting_placeholder(const struct setting *row)
{
    switch (row->kind) {
    case SETTING_TEXT:
        return "TEXT";
    case SETTING_CHOICE:
        return row->choices;
    case SETTING_NUMBER:
        return "NUMBER";
    case SETTING_BYTES:
        return "BYTES";
    case SETTING_DURATION:
        return "DURATION";
    case SETTING_SWITCH:
        return "true|false";
    case SETTING_SECRET:
        return "FILE";
    }
    assert(!"a setting of no kind");
    return NULL;
}

/* Reads digits off the front of *at. False when there are none or they don't fit. */
static bool read_digits(const char **at, int64_t *value)
{
    const char *digits = *at;
    int64_t sum = 0;

    while (**at >= '0' && **at <= '9') {
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_add_overflow(sum, (int64_t)(**at - '0'), &sum))
            return false;
        (*at)++;
    }
    *value = sum;
    return *at != digits;
}

static bool read_number(const char *written, int64_t *value)
{
    bool negative = written[0] == '-';
    const char *at = written + negative;
    int64_t digits;

    if (!read_digits(&at, &digits) || *at)
        return false;
    *value = negative ? -digits : digits;
    return true;
}

struct unit {
    const char *name;
    int64_t size;
};

static bool read_with_unit(const char *written, const struct unit *units, size_t count,
                           int64_t *value)
{
    const char *at = written;
    int64_t digits;

    if (!read_digits(&at, &digits))
        return false;
    at += *at == ' ';
    for (size_t i = 0; i < count; i++)
        if (strcmp(at, units[i].name) == 0)
            return !__builtin_mul_overflow(digits, units[i].size, value);
    return false;
}

static const struct unit byte_units[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1},
};

static bool read_bytes(const char *written, int64_t *value)
{
    return read_with_unit(written, byte_units, ARRAY_LEN(byte_units), value);
}

/* The milliseconds of ".25", 1 to 3 digits. */
static bool read_fraction(const char **at, int64_t *ms)
{
    const char *start = *at + 1;
    int64_t value;

    *at = start;
    if (!read_digits(at, &value) || *at - start > 3)
        return false;
    for (ptrdiff_t i = *at - start; i < 3; i++)
        value *= 10;
    *ms = value;
    return true;
}

/* One "5M" of an ISO 8601 duration; the units that may follow are those behind it in *letters. */
static bool read_part(const char **at, const char **letters, const int64_t *sizes,
                      const char *all_letters, int64_t *sum)
{
    int64_t count, size, fraction = 0, part;
    const char *letter;

    if (!read_digits(at, &count))
        return false;
    if (**at == '.' && (!read_fraction(at, &fraction) || **at != 'S'))
        return false;
    letter = **at ? strchr(*letters, **at) : NULL;
    if (!letter)
        return false;
    size = sizes[letter - all_letters];
    *letters = letter + 1;
    (*at)++;
    return !__builtin_mul_overflow(count, size, &part) &&
           !__builtin_add_overflow(*sum, part, sum) && !__builtin_add_overflow(*sum, fraction, sum);
}

static bool read_iso_duration(const char *written, int64_t *value)
{
    static const char date_letters[] = "WD", time_letters[] = "HMS";
    const int64_t date_sizes[] = {7 * day_ms, day_ms};
    const int64_t time_sizes[] = {hour_ms, minute_ms, second_ms};
    const char *at = written + 1, *letters = date_letters;
    int64_t sum = 0;

    while (*at && *at != 'T')
        if (!read_part(&at, &letters, date_sizes, date_letters, &sum))
            return false;
    if (*at == 'T') {
        at++;
        letters = time_letters;
        do {
            if (!read_part(&at, &letters, time_sizes, time_letters, &sum))
                return false;
        } while (*at);
    }
    *value = sum;
    return at > written + 1;
}

static bool read_duration(const char *written, int64_t *value)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600000},
    };

    if (written[0] == 'P')
        return read_iso_duration(written, value);
    return read_with_unit(written, units, ARRAY_LEN(units), value);
}

static bool read_switch(const char *written, bool *value)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};

    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcmp(written, yes[i]) == 0 || strcmp(written, no[i]) == 0) {
            *value = strcmp(written, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *written, const char *choices)
{
    struct text rest = text_of(choices);

    while (rest.length > 0)
        if (text_is(text_cut(&rest, '|'), written))
            return true;
    return false;
}

void setting_write_duration(int64_t ms, struct buffer *out)
{
    if (ms % day_ms == 0 && ms > 0)
        buffer_printf(out, "P%" PRId64 "D", ms / day_ms);
    else if (ms % hour_ms == 0 && ms > 0)
        buffer_printf(out, "PT%" PRId64 "H", ms / hour_ms);
    else if (ms % minute_ms == 0 && ms > 0)
        buffer_printf(out, "PT%" PRId64 "M", ms / minute_ms);
    else if (ms % second_ms == 0)
        buffer_printf(out, "PT%" PRId64 "S", ms / second_ms);
    else
        buffer_printf(out, "PT%" PRId64 ".%03dS", ms / second_ms, (int)(ms % second_ms));
}

void setting_write_bytes(int64_t bytes, struct buffer *out)
{
    for (size_t i = 0; i < ARRAY_LEN(byte_units); i++) {
        const struct unit *unit = &byte_units[i];

        if (bytes % unit->size == 0 && (bytes > 0 || unit->size == 1)) {
            buffer_printf(out, unit->size == 1 ? "%" PRId64 "%s" : "%" PRId64 " %s",
                          bytes / unit->size, unit->name);
            return;
        }
    }
}

static void write_number(const struct setting *row, int64_t value, struct buffer *out)
{
    if (row->kind == SETTING_DURATION)
        setting_write_duration(value, out);
    else if (row->kind == SETTING_BYTES)
        setting_write_bytes(value, out);
    else
        buffer_printf(out, "%" PRId64, value);
}

static void write_range(const struct setting *row, struct buffer *out)
{
    if (row->most) {
        buffer_add_string(out, " from ");
        write_number(row, row->least, out);
        buffer_add_string(out, " to ");
        write_number(row, row->most, out);
    } else {
        buffer_add_string(out, " of at least ");
        write_number(row, row->least, out);
    }
}

static bool refuse_number(const struct setting *row, const char *written, bool is_read,
                          struct buffer *wrong)
{
    const char *noun = row->kind == SETTING_NUMBER  ? "a whole number"
                       : row->kind == SETTING_BYTES ? "a size"
                                                    : "a duration";

    if (is_read)
        buffer_printf(wrong, "\"%s\" is out of range: give %s", written, noun);
    else
        buffer_printf(wrong, "\"%s\" isn't %s: give one", written, noun);
    write_range(row, wrong);
    if (row->kind == SETTING_DURATION)
        buffer_add_string(wrong, ", written as P35D, PT5M, PT0.25S, 250ms, 5s or 1h");
    if (row->kind == SETTING_BYTES)
        buffer_add_string(wrong, ", written as 4096, 64 KiB, 16 MiB or 2 GiB");
    return false;
}

static bool take_number(const struct setting *row, const char *written, int64_t *slot,
                        struct buffer *wrong)
{
    int64_t value;
    bool is_read;

    if (row->kind == SETTING_DURATION)
        is_read = read_duration(written, &value);
    else if (row->kind == SETTING_BYTES)
        is_read = read_bytes(written, &value);
    else
        is_read = read_number(written, &value);
    if (!is_read || value < row->least || (row->most && value > row->most))
        return refuse_number(row, written, is_read, wrong);
    *slot = value;
    return true;
}

static bool take_switch(const char *written, bool *slot, struct buffer *wrong)
{
    if (read_switch(written, slot))
        return true;
    buffer_printf(wrong, "\"%s\" isn't a switch: give true or false", written);
    return false;
}

static bool take_choice(const struct setting *row, const char *written, const char **slot,
                        struct buffer *wrong)
{
    if (!is_choice(written, row->choices)) {
        buffer_printf(wrong, "\"%s\" isn't one of its choices: give one of %s", written,
                      row->choices);
        return false;
    }
    *slot = written;
    return true;
}

static bool take_text(const struct setting *row, const char *written, const char **slot,
                      struct buffer *wrong)
{
    const char *right = row->wrong ? row->wrong(written) : NULL;

    if (right) {
        buffer_printf(wrong, "\"%s\" isn't right: give %s", written, right);
        return false;
    }
    *slot = written;
    return true;
}

bool setting_take(const struct setting *row, const char *written, void *config,
                  struct buffer *wrong)
{
    void *slot = (char *)config + row->offset;

    switch (row->kind) {
    case SETTING_NUMBER:
    case SETTING_BYTES:
    case SETTING_DURATION:
        return take_number(row, written, slot, wrong);
    case SETTING_SWITCH:
        return take_switch(written, slot, wrong);
    case SETTING_CHOICE:
        return take_choice(row, written, slot, wrong);
    case SETTING_TEXT:
        return take_text(row, written, slot, wrong);
    case SETTING_SECRET:
        return true;
    }
    assert(!"a setting of no kind");
    return false;
}

static char *read_whole(int fd, struct buffer *wrong)
{
    char *content = calloc(1, SECRET_BYTES_MAX + 1);
    size_t length = 0;

    assert(content);
    while (length < SECRET_BYTES_MAX) {
        ssize_t count = read(fd, content + length, SECRET_BYTES_MAX - length);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    if (length > 0 && content[length - 1] == '\n')
        content[--length] = 0;
    if (length > 0 && strlen(content) == length)
        return content;
    free(content);
    buffer_add_string(wrong, "its file is empty or holds a NUL: write the secret into it");
    return NULL;
}

char *setting_read_secret(const char *path, struct buffer *wrong)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *content = NULL;

    if (fd < 0) {
        /* Not the value: somebody may have given the secret itself. */
        buffer_printf(wrong,
                      "the file that it names can't be read (%s): give the path of a file "
                      "that holds the secret, with mode 0400",
                      strerrorname_np(errno));
        return NULL;
    }
    if (fstat(fd, &status) == 0 && (status.st_mode & 077) == 0)
        content = read_whole(fd, wrong);
    else
        buffer_add_string(wrong, "others than its owner may read its file: chmod 0400 it");
    close(fd);
    return content;
}
