#include "common/io/setting_kinds.h"
#include "common/io/setting_pages.h"
#include "common/io/setting_values.h"

#include <ctype.h>
#include <string.h>

static const char page_date[] = "November 24, 2026";

/* Text of mdoc: a backslash, and a line that begins with a control character, would be read as
 * commands. */
static void write_escaped(const char *text, struct buffer *out)
{
    bool at_line_start = true;

    for (; *text; text++) {
        if (at_line_start && (*text == '.' || *text == '\''))
            buffer_add_string(out, "\\&");
        if (*text == '\\')
            buffer_add_string(out, "\\e");
        else
            buffer_add_char(out, *text);
        at_line_start = *text == '\n';
    }
}

/* mdoc wants a sentence to begin on a line of its own. */
static void write_prose(const char *text, struct buffer *out)
{
    CLEANUP(buffer_deinit) struct buffer lines = {0};

    for (; *text; text++) {
        bool ends = (*text == '.' || *text == ':' || *text == '?') && text[1] == ' ';

        buffer_add_char(&lines, *text);
        if (ends && *text != ':' && isupper((unsigned char)text[2])) {
            buffer_add_char(&lines, '\n');
            text++;
        }
    }
    buffer_add_string(&lines, "\n");
    buffer_add_char(&lines, 0);
    write_escaped(lines.at, out);
}

static void write_upper(const char *name, struct buffer *out)
{
    for (; *name; name++)
        buffer_add_char(out, (char)toupper((unsigned char)*name));
}

static void write_head(const struct program *program, struct buffer *out)
{
    buffer_printf(out, ".Dd %s\n.Dt TOLLWAY-", page_date);
    write_upper(program->name, out);
    buffer_printf(
        out, " 1\n.Os\n.Sh NAME\n.Nm tollway-%s\n.Nd part of Tollway, which meters and bills\n",
        program->name);
    buffer_add_string(out, ".Sh SYNOPSIS\n");
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *command = &program->commands[i];

        buffer_printf(out, ".Nm tollway-%s\n.Op Ar option ...\n", program->name);
        if (command->name[0])
            buffer_printf(out, ".Cm %s\n", command->name);
        if (command->arguments[0])
            buffer_printf(out, ".Ar %s\n", command->arguments);
    }
    buffer_add_string(out, ".Sh DESCRIPTION\n");
    write_prose(program->about, out);
}

static void write_setting(const struct setting *row, struct buffer *out)
{
    buffer_printf(out, ".It Fl -%s Ns = Ns Ar %s\n", row->name, setting_placeholder(row));
    write_prose(row->help, out);
    if (row->usual)
        buffer_printf(out, "Usual:\n.Ql %s .\n", row->usual);
    else if (row->required)
        buffer_add_string(out, "Required.\n");
    buffer_add_string(out, "Variable:\n.Ev ");
    setting_variable_name(row->name, out);
    buffer_add_string(out, " .\n");
}

static void write_settings(const struct program *program, struct buffer *out)
{
    buffer_add_string(out,
                      ".Sh SETTINGS\n"
                      "A flag beats its variable, which beats the line\n"
                      ".Ql some_name = value\n"
                      "of the settings file.\n"
                      "A line of that file that begins with # is a comment.\n"
                      "Durations are written as P35D, PT5M, PT0.25S, 250ms, 5s or 1h; sizes as "
                      "4096, 64 KiB, 16 MiB or 2 GiB.\n"
                      ".Bl -tag -width Ds\n");
    for (size_t i = 0; i < setting_row_count(program, NULL); i++)
        write_setting(setting_row_at(program, NULL, i), out);
    buffer_add_string(out, ".El\n");
}

static void write_commands(const struct program *program, struct buffer *out)
{
    if (program->command_count == 1 && !program->commands[0].name[0])
        return;
    buffer_add_string(out, ".Sh COMMANDS\n.Bl -tag -width Ds\n");
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *command = &program->commands[i];

        if (command->name[0])
            buffer_printf(out, ".It Cm %s", command->name);
        else
            buffer_printf(out, ".It Nm tollway-%s", program->name);
        if (command->arguments[0])
            buffer_printf(out, " Ar %s", command->arguments);
        buffer_add_char(out, '\n');
        write_prose(command->help, out);
        if (command->example) {
            buffer_add_string(out, ".Bd -literal\n");
            write_escaped(command->example, out);
            buffer_add_string(out, "\n.Ed\n");
        }
        if (command->setting_count > 0) {
            buffer_add_string(out, ".Bl -tag -width Ds\n");
            for (size_t j = 0; j < command->setting_count; j++)
                write_setting(&command->settings[j], out);
            buffer_add_string(out, ".El\n");
        }
    }
    buffer_add_string(out, ".El\n");
}

static void write_option(const char *name, const char *argument, const char *help,
                         struct buffer *out)
{
    buffer_printf(out, ".It Fl -%s", name);
    if (argument)
        buffer_printf(out, " Ar %s", argument);
    buffer_printf(out, "\n%s\n", help);
}

static void write_options(struct buffer *out)
{
    buffer_add_string(out, ".Sh OPTIONS\n.Bl -tag -width Ds\n");
    write_option("config", "FILE", "Reads settings from the file; also by\n.Ev TOLLWAY_CONFIG .",
                 out);
    write_option("check-config", NULL,
                 "Checks all settings and says\n.Ql configuration OK ,\n"
                 "or in one line which is wrong, where it comes from and what would be right.",
                 out);
    write_option(
        "print-config", NULL,
        "Prints all settings, each with where it comes from, as a file that would give them "
        "again.\nSecrets are redacted.",
        out);
    write_option("print-manual", NULL, "Prints this page.", out);
    write_option("print-completion", "bash|zsh|fish", "Prints completions for a shell.", out);
    write_option("help", NULL, "Prints a help text; behind a command, that command's.", out);
    write_option("usage", NULL, "Prints a short usage text.", out);
    write_option("version", NULL, "Prints the version.", out);
    buffer_add_string(out, ".El\n");
}

static void write_exit_status(struct buffer *out)
{
    static const struct {
        int status;
        const char *meaning;
    } statuses[] = {
        {0, "Done."},
        {64, "The command line is wrong."},
        {65, "A file's content, or other input, is wrong."},
        {69, "Something that is needed, such as the broker, can't be reached."},
        {70, "A mistake of the program's own."},
        {73, "A file can't be made."},
        {74, "Reading or writing failed."},
        {75, "It may work later: run it again."},
        {77, "Not allowed."},
        {78, "A setting is wrong."},
        {80, "Some subscriptions could not be billed; the others are."},
        {81, "Another process has taken this one's place, and goes on in it."},
        {82, "The stored state breaks its own rules."},
    };

    buffer_add_string(out, ".Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n");
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        buffer_printf(out, ".It %d\n%s\n", statuses[i].status, statuses[i].meaning);
    buffer_add_string(out, ".El\n");
}

void setting_write_manual(const struct program *program, struct buffer *out)
{
    write_head(program, out);
    write_commands(program, out);
    write_settings(program, out);
    write_options(out);
    write_exit_status(out);
}
