#include "common/io/setting_values.h"

#include "common/io/setting_kinds.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

/* The common row at `index`, or the program's own of that name. */
static const struct setting *common_row(const struct program *program, size_t index)
{
    const struct setting *row = &common_settings[index];

    for (size_t i = 0; i < program->setting_count; i++)
        if (strcmp(program->settings[i].name, row->name) == 0)
            return &program->settings[i];
    return row;
}

static bool is_common(const struct program *program, const char *name)
{
    for (size_t i = 0; program->has_common_settings && i < common_setting_count; i++)
        if (strcmp(common_settings[i].name, name) == 0)
            return true;
    return false;
}

static const struct setting *own_row(const struct program *program, size_t index)
{
    for (size_t i = 0; i < program->setting_count; i++)
        if (!is_common(program, program->settings[i].name) && index-- == 0)
            return &program->settings[i];
    return NULL;
}

static size_t own_count(const struct program *program)
{
    size_t count = 0;

    while (own_row(program, count))
        count++;
    return count;
}

size_t setting_row_count(const struct program *program, const struct command *command)
{
    if (command && command->stands_alone)
        return command->setting_count;
    return (program->has_common_settings ? common_setting_count : 0) + own_count(program) +
           (command ? command->setting_count : 0);
}

const struct setting *setting_row_at(const struct program *program, const struct command *command,
                                     size_t index)
{
    size_t common = program->has_common_settings ? common_setting_count : 0;
    size_t own = own_count(program);

    if (command && command->stands_alone)
        return &command->settings[index];
    if (index < common)
        return common_row(program, index);
    if (index < common + own)
        return own_row(program, index - common);
    assert(command && index - common - own < command->setting_count);
    return &command->settings[index - common - own];
}

void setting_variable_name(const char *name, struct buffer *out)
{
    buffer_add_string(out, "TOLLWAY_");
    for (; *name; name++)
        buffer_add_char(out, *name == '-' ? '_' : (char)toupper((unsigned char)*name));
}

void setting_values_init(struct setting_values *values, const struct program *program,
                         const struct command *command)
{
    values->count = setting_row_count(program, command);
    values->list = calloc(values->count + 1, sizeof(values->list[0]));
    values->file = NULL;
    assert(values->list);
    for (size_t i = 0; i < values->count; i++) {
        struct setting_value *value = &values->list[i];

        value->row = setting_row_at(program, command, i);
        if (value->row->usual) {
            value->origin = SETTING_FROM_USUAL;
            value->written = text_copy(text_of(value->row->usual));
        }
    }
}

void setting_values_deinit(struct setting_values *values)
{
    for (size_t i = 0; i < values->count; i++) {
        free(values->list[i].written);
        free(values->list[i].secret);
    }
    free(values->list);
    free(values->file);
    *values = (struct setting_values){0};
}

static struct setting_value *find(struct setting_values *values, const char *name)
{
    for (size_t i = 0; i < values->count; i++)
        if (strcmp(values->list[i].row->name, name) == 0)
            return &values->list[i];
    return NULL;
}

static void set(struct setting_value *value, enum setting_origin origin, struct text written)
{
    free(value->written);
    value->written = text_copy(written);
    value->origin = origin;
}

/* --- the file --- */

static bool names_a_setting(const struct program *program, const char *name)
{
    for (size_t i = 0; i < setting_row_count(program, NULL); i++)
        if (strcmp(setting_row_at(program, NULL, i)->name, name) == 0)
            return true;
    for (size_t i = 0; i < program->command_count; i++)
        for (size_t j = 0; j < program->commands[i].setting_count; j++)
            if (strcmp(program->commands[i].settings[j].name, name) == 0)
                return true;
    return false;
}

static struct text without_quotes(struct text text)
{
    if (text.length >= 2 && text.at[0] == '"' && text.at[text.length - 1] == '"')
        return text_from(text.at + 1, text.length - 2);
    return text;
}

/* `name = value`; a setting of another verb is passed over, one that no verb knows is a mistake. */
static int take_line(struct setting_values *values, const struct program *program, int line,
                     struct text text, struct buffer *wrong)
{
    struct text rest = text, name_text = text_trim(text_cut(&rest, '='));
    CLEANUP(buffer_deinit) struct buffer name = {0};
    struct setting_value *value;

    buffer_add_text(&name, name_text);
    buffer_add_char(&name, 0);
    for (char *at = name.at; *at; at++)
        *at = *at == '_' ? '-' : *at;
    if (name_text.length == text_trim(text).length) {
        buffer_printf(wrong, "%s:%d: \"%s\" has no value: write `name = value`", values->file, line,
                      name.at);
        return EX_CONFIG;
    }
    value = find(values, name.at);
    if (value && value->line > 0) {
        buffer_printf(wrong, "%s:%d: %s stands in line %d, too: remove one of them", values->file,
                      line, name.at, value->line);
        return EX_CONFIG;
    }
    if (value) {
        set(value, SETTING_FROM_FILE, without_quotes(text_trim(rest)));
        value->line = line;
    } else if (!names_a_setting(program, name.at)) {
        buffer_printf(wrong, "%s:%d: there is no setting \"%s\": --help lists them all",
                      values->file, line, name.at);
        return EX_CONFIG;
    }
    return 0;
}

static int refuse_file(const char *path, struct buffer *wrong)
{
    buffer_printf(wrong, "the settings file %s can't be read: %s", path, strerrordesc_np(errno));
    return EX_CONFIG;
}

static int take_lines(struct setting_values *values, const struct program *program, FILE *file,
                      struct buffer *wrong)
{
    char *line = NULL;
    size_t room = 0;
    int number = 0, r = 0;
    ssize_t length;

    while (r == 0 && (length = getline(&line, &room, file)) >= 0) {
        struct text text = text_from(line, (size_t)length);

        while (text.length > 0 && strchr("\r\n", text.at[text.length - 1]))
            text.length--;
        text = text_trim(text);
        number++;
        if (text.length > 0 && text.at[0] != '#')
            r = take_line(values, program, number, text, wrong);
    }
    free(line);
    if (r == 0 && ferror(file))
        r = refuse_file(values->file, wrong);
    return r;
}

int setting_values_read_file(struct setting_values *values, const struct program *program,
                             const char *path, struct buffer *wrong)
{
    FILE *file = fopen(path, "re");
    int r;

    if (!file)
        return refuse_file(path, wrong);
    values->file = text_copy(text_of(path));
    r = take_lines(values, program, file, wrong);
    fclose(file);
    return r;
}

/* --- variables and flags --- */

void setting_values_read_variables(struct setting_values *values)
{
    CLEANUP(buffer_deinit) struct buffer name = {0};

    for (size_t i = 0; i < values->count; i++) {
        const char *written;

        buffer_clear(&name);
        setting_variable_name(values->list[i].row->name, &name);
        buffer_add_char(&name, 0);
        written = getenv(name.at);
        if (written && *written)
            set(&values->list[i], SETTING_FROM_VARIABLE, text_of(written));
    }
}

int setting_values_read_flags(struct setting_values *values, const struct setting_flag *flags,
                              size_t count, struct buffer *wrong)
{
    for (size_t i = 0; i < count; i++) {
        struct setting_value *value = find(values, flags[i].name);

        if (!value) {
            buffer_printf(wrong,
                          "--%s isn't a setting of this command: --help lists those that are",
                          flags[i].name);
            return EX_USAGE;
        }
        set(value, SETTING_FROM_FLAG, text_of(flags[i].value ? flags[i].value : "true"));
    }
    return 0;
}

/* --- taking --- */

static void write_origin(const struct setting_values *values, const struct setting_value *value,
                         struct buffer *out)
{
    switch (value->origin) {
    case SETTING_FROM_FLAG:
        buffer_printf(out, "--%s", value->row->name);
        return;
    case SETTING_FROM_VARIABLE:
        setting_variable_name(value->row->name, out);
        return;
    case SETTING_FROM_FILE:
        buffer_printf(out, "%s:%d: %s", values->file, value->line, value->row->name);
        return;
    case SETTING_FROM_USUAL:
    case SETTING_FROM_NOWHERE:
        buffer_printf(out, "%s", value->row->name);
        return;
    }
}

static int refuse_missing(const struct setting_value *value, struct buffer *wrong)
{
    buffer_printf(wrong, "%s is missing: give --%s=%s or ", value->row->name, value->row->name,
                  setting_placeholder(value->row));
    setting_variable_name(value->row->name, wrong);
    return EX_CONFIG;
}

static void store_text(const struct setting *row, void *config, const char *text)
{
    memcpy((char *)config + row->offset, &text, sizeof(text));
}

static int take_value(const struct setting_values *values, struct setting_value *value,
                      void *config, struct buffer *wrong)
{
    const struct setting *row = value->row;
    CLEANUP(buffer_deinit) struct buffer why = {0};
    bool is_right;

    if (!value->written)
        return row->required ? refuse_missing(value, wrong) : 0;
    is_right = setting_take(row, value->written, config, &why);
    if (is_right && row->kind == SETTING_SECRET) {
        value->secret = setting_read_secret(value->written, &why);
        is_right = value->secret != NULL;
        store_text(row, config, value->secret);
    }
    if (is_right)
        return 0;
    assert(value->origin != SETTING_FROM_USUAL || row->kind == SETTING_SECRET);
    write_origin(values, value, wrong);
    buffer_add_string(wrong, ": ");
    buffer_add_text(wrong, buffer_text(&why));
    return value->origin == SETTING_FROM_FLAG ? EX_USAGE : EX_CONFIG;
}

int setting_values_apply(struct setting_values *values, void *config, struct buffer *wrong)
{
    for (size_t i = 0; i < values->count; i++) {
        int r = take_value(values, &values->list[i], config, wrong);

        if (r)
            return r;
    }
    return 0;
}

static void write_underscored(const char *name, struct buffer *out)
{
    for (; *name; name++)
        buffer_add_char(out, *name == '-' ? '_' : *name);
}

void setting_values_print(const struct setting_values *values, struct buffer *out)
{
    for (size_t i = 0; i < values->count; i++) {
        const struct setting_value *value = &values->list[i];

        buffer_add_string(out, "# ");
        if (value->origin == SETTING_FROM_NOWHERE)
            buffer_add_string(out, "not set");
        else if (value->origin == SETTING_FROM_USUAL)
            buffer_add_string(out, "usual");
        else
            write_origin(values, value, out);
        buffer_add_string(out, value->written ? "\n" : "\n# ");
        if (value->written && value->row->kind == SETTING_SECRET)
            buffer_add_string(out, "# ");
        write_underscored(value->row->name, out);
        buffer_add_string(out, " = ");
        if (value->row->kind == SETTING_SECRET && value->written)
            buffer_add_string(out, "(redacted)");
        else if (value->written)
            buffer_add_string(out, value->written);
        buffer_add_char(out, '\n');
    }
}
