/*
 * setting_completion.c - what bash, zsh and fish offer at <Tab>, from a program's tables.
 *
 * A verb is one word or two ("close", "catalog apply"): the first word is offered where no verb
 * stands yet, the second behind its first, files behind a whole verb. Every flag is offered
 * everywhere: which of them a verb takes, it says itself.
 */
#include "common/io/setting_pages.h"
#include "common/io/setting_values.h"

#include <string.h>

/* The flags that every program has beside its settings. */
static const struct setting own_flags[] = {
    {.name = "config", .kind = SETTING_TEXT, .help = "A file of settings, one name=value a line."},
    {.name = "print-completion",
     .kind = SETTING_CHOICE,
     .choices = "bash|zsh|fish",
     .help = "Print the completions for a shell."},
    {.name = "check-config", .help = "Check the settings and end."},
    {.name = "print-config", .help = "Print the settings as they are read and end."},
    {.name = "print-manual", .help = "Print the manual page."},
    {.name = "help", .help = "Print all flags with their meaning."},
    {.name = "usage", .help = "Print all flags in short."},
    {.name = "version", .help = "Print the version."},
};
enum { OWN_WITH_VALUE = 2 }; /* the others are bare */

enum value_form { VALUE_NONE, VALUE_WORDS, VALUE_WORDS_OR_NONE, VALUE_FILE, VALUE_OTHER };

static enum value_form value_of(const struct setting *row)
{
    if (row >= own_flags + OWN_WITH_VALUE && row < own_flags + ARRAY_LEN(own_flags))
        return VALUE_NONE;
    if (row->kind == SETTING_SWITCH)
        return VALUE_WORDS_OR_NONE;
    if (row->kind == SETTING_CHOICE)
        return VALUE_WORDS;
    return row->kind == SETTING_TEXT || row->kind == SETTING_SECRET ? VALUE_FILE : VALUE_OTHER;
}

/* The words of a choice or a switch, blank-separated. */
static void write_words(const struct setting *row, struct buffer *out)
{
    if (row->kind == SETTING_SWITCH) {
        buffer_add_string(out, "true false");
        return;
    }
    for (const char *at = row->choices; *at; at++)
        buffer_add_char(out, *at == '|' ? ' ' : *at);
}

/* A help text's first sentence, with a backslash before what `escaped` names; apostrophes stand
 * between single quotes as `quote`. */
static void write_summary(const char *help, const char *escaped, const char *quote,
                          struct buffer *out)
{
    for (; *help && !(*help == '.' && (help[1] == ' ' || !help[1])); help++) {
        if (strchr(escaped, *help))
            buffer_add_char(out, '\\');
        if (*help == '\'')
            buffer_add_string(out, quote);
        else
            buffer_add_char(out, *help);
    }
}

/* --- flags and verbs, each name once --- */

struct flags {
    const struct program *program;
    size_t command, row; /* of the next; command_count + 1 is where the own flags stand */
};

static const struct setting *next_of_all(struct flags *flags)
{
    const struct program *program = flags->program;

    while (flags->command <= program->command_count + 1) {
        bool is_common = flags->command == 0;
        bool is_own = flags->command == program->command_count + 1;
        const struct command *command =
            is_common || is_own ? NULL : &program->commands[flags->command - 1];
        size_t count = is_common ? setting_row_count(program, NULL)
                       : is_own  ? ARRAY_LEN(own_flags)
                                 : command->setting_count;

        if (flags->row < count) {
            size_t row = flags->row++;
            return is_common ? setting_row_at(program, NULL, row)
                   : is_own  ? &own_flags[row]
                             : &command->settings[row];
        }
        flags->command++;
        flags->row = 0;
    }
    return NULL;
}

/* NULL behind the last. */
static const struct setting *next_flag(struct flags *flags)
{
    const struct setting *row, *other;

    while ((row = next_of_all(flags))) {
        struct flags before = {.program = flags->program};

        while ((other = next_of_all(&before)) != row && strcmp(other->name, row->name) != 0) {
        }
        if (other == row)
            return row;
    }
    return NULL;
}

static struct text first_word(const struct command *command)
{
    struct text name = text_of(command->name);

    return text_cut(&name, ' ');
}

static bool has_second_word(const struct command *command)
{
    return strchr(command->name, ' ');
}

/* Is the command the first whose name begins with its first word? */
static bool begins_group(const struct program *program, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (text_equal(first_word(&program->commands[i]), first_word(&program->commands[index])))
            return false;
    return program->commands[index].name[0];
}

/* Each first word between `before` and `after`; only those that a second follows, on demand. */
static void write_first_words(const struct program *program, bool groups_alone, const char *before,
                              const char *after, struct buffer *out)
{
    for (size_t i = 0; i < program->command_count; i++) {
        struct text word = first_word(&program->commands[i]);

        if (begins_group(program, i) && (!groups_alone || has_second_word(&program->commands[i])))
            buffer_printf(out, "%s%.*s%s", before, (int)word.length, word.at, after);
    }
}

/* The second words behind the first word of the command at `index`, blank-separated. */
static void write_second_words(const struct program *program, size_t index, struct buffer *out)
{
    struct text first = first_word(&program->commands[index]);
    const char *blank = "";

    for (size_t i = index; i < program->command_count; i++) {
        if (!text_equal(first_word(&program->commands[i]), first))
            continue;
        buffer_printf(out, "%s%s", blank, program->commands[i].name + first.length + 1);
        blank = " ";
    }
}

/* A line for every first word that has second ones: `before` WORD `between` SECONDS `after`. */
static void write_groups(const struct program *program, const char *before, const char *between,
                         const char *after, struct buffer *out)
{
    for (size_t i = 0; i < program->command_count; i++) {
        struct text word = first_word(&program->commands[i]);

        if (!begins_group(program, i) || !has_second_word(&program->commands[i]))
            continue;
        buffer_printf(out, "%s%.*s%s", before, (int)word.length, word.at, between);
        write_second_words(program, i, out);
        buffer_add_string(out, after);
    }
}

/* "$verb $word" for each word that begins or continues a verb: what the shells walk a line by. */
static void write_steps(const struct program *program, const char *separator, struct buffer *out)
{
    const char *between = "";

    for (size_t i = 0; i < program->command_count; i++) {
        struct text word = first_word(&program->commands[i]);

        if (begins_group(program, i)) {
            buffer_printf(out, "%s' %.*s'", between, (int)word.length, word.at);
            between = separator;
        }
        if (has_second_word(&program->commands[i]))
            buffer_printf(out, "%s'%s'", between, program->commands[i].name);
    }
}

static bool has_verbs(const struct program *program)
{
    return program->commands[0].name[0];
}

/* --- bash --- */

/* A value can stand behind a = or a blank; a switch's only behind a =. */
static void write_bash_values(const struct program *program, struct buffer *out)
{
    struct flags flags = {.program = program};
    const struct setting *row;

    while ((row = next_flag(&flags))) {
        enum value_form form = value_of(row);

        if (form == VALUE_NONE)
            continue;
        buffer_printf(out, form == VALUE_WORDS_OR_NONE ? "    --%s=) " : "    --%s|--%s=) ",
                      row->name, row->name);
        if (form == VALUE_FILE)
            buffer_add_string(out, "COMPREPLY=($(compgen -f -- \"$word\")); ");
        if (form == VALUE_WORDS || form == VALUE_WORDS_OR_NONE) {
            buffer_add_string(out, "COMPREPLY=($(compgen -W '");
            write_words(row, out);
            buffer_add_string(out, "' -- \"$word\")); ");
        }
        buffer_add_string(out, "return ;;\n");
    }
}

static void write_bash_flags(const struct program *program, struct buffer *out)
{
    struct flags flags = {.program = program};
    const struct setting *row;

    buffer_add_string(out, "  if [[ $word == -* ]]; then\n    COMPREPLY=($(compgen -W '");
    while ((row = next_flag(&flags)))
        buffer_printf(out, " --%s%s", row->name,
                      value_of(row) == VALUE_NONE            ? ""
                      : value_of(row) == VALUE_WORDS_OR_NONE ? ""
                                                             : "=");
    buffer_add_string(out, "' -- \"$word\"))\n"
                           "    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
                           "    return\n  fi\n");
}

static void write_bash_verbs(const struct program *program, struct buffer *out)
{
    if (!has_verbs(program))
        return;
    buffer_add_string(out, "  for before in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                           "    case \"$verb $before\" in\n      ");
    write_steps(program, "|", out);
    buffer_add_string(out, ") verb=${verb:+$verb }$before ;;\n    esac\n  done\n"
                           "  case $verb in\n    '') words='");
    write_first_words(program, false, " ", "", out);
    buffer_add_string(out, "' ;;\n");
    write_groups(program, "    ", ") words='", "' ;;\n", out);
    buffer_add_string(out, "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n"
                           "  [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- "
                           "\"$word\"))\n");
}

static void write_bash(const struct program *program, struct buffer *out)
{
    buffer_printf(out,
                  "# bash completion for %s\n_tollway_%s() {\n"
                  "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "  local verb= words=\n  COMPREPLY=()\n"
                  "  # bash cuts a word at its =, which stands alone then\n"
                  "  if [ \"$word\" = = ]; then word=; before+==\n"
                  "  elif [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}=; fi\n"
                  "  case $before in\n",
                  program->name, program->name);
    write_bash_values(program, out);
    buffer_add_string(out, "  esac\n");
    write_bash_flags(program, out);
    write_bash_verbs(program, out);
    buffer_printf(out, "}\ncomplete -F _tollway_%s %s tollway-%s\n", program->name, program->name,
                  program->name);
}

/* --- zsh --- */

static void write_zsh_flag(const struct setting *row, struct buffer *out)
{
    static const char *const marks[] = {[VALUE_NONE] = "",
                                        [VALUE_WORDS] = "=",
                                        [VALUE_WORDS_OR_NONE] = "=-",
                                        [VALUE_FILE] = "=",
                                        [VALUE_OTHER] = "="};
    enum value_form form = value_of(row);

    buffer_printf(out, "  '--%s%s[", row->name, marks[form]);
    write_summary(row->help, "\\[]", "'\\''", out);
    buffer_add_char(out, ']');
    if (form == VALUE_FILE) {
        buffer_add_string(out, ":value:_files");
    } else if (form == VALUE_OTHER) {
        buffer_add_string(out, ":value: ");
    } else if (form != VALUE_NONE) {
        buffer_add_string(out, form == VALUE_WORDS ? ":value:(" : "::value:(");
        write_words(row, out);
        buffer_add_char(out, ')');
    }
    buffer_add_string(out, "' \\\n");
}

static void write_zsh(const struct program *program, struct buffer *out)
{
    struct flags flags = {.program = program};
    const struct setting *row;

    buffer_printf(out,
                  "#compdef %s tollway-%s\nlocal curcontext=$curcontext state line ret=1\n"
                  "typeset -A opt_args\n_arguments -C \\\n",
                  program->name, program->name);
    while ((row = next_flag(&flags)))
        write_zsh_flag(row, out);
    if (has_verbs(program)) {
        buffer_add_string(out, "  '1:verb:(");
        write_first_words(program, false, " ", "", out);
        buffer_add_string(out, ")' \\\n  '2:word:->second' \\\n");
    }
    buffer_add_string(out, "  '*:file:_files' && ret=0\n");
    if (has_verbs(program)) {
        buffer_add_string(out, "case $state/$line[1] in\n");
        write_groups(program, "  second/", ") compadd ", " && ret=0 ;;\n", out);
        buffer_add_string(out, "  second/*) _files && ret=0 ;;\nesac\n");
    }
    buffer_add_string(out, "return ret\n");
}

/* --- fish --- */

static void write_fish_flag(const struct program *program, const struct setting *row,
                            struct buffer *out)
{
    static const char *const forms[] = {[VALUE_NONE] = "",
                                        [VALUE_WORDS] = " -x",
                                        [VALUE_WORDS_OR_NONE] = " -f",
                                        [VALUE_FILE] = " -r -F",
                                        [VALUE_OTHER] = " -x"};
    enum value_form form = value_of(row);

    buffer_printf(out, "complete -c tollway-%s -l %s%s", program->name, row->name, forms[form]);
    if (form == VALUE_WORDS || form == VALUE_WORDS_OR_NONE) {
        buffer_add_string(out, " -a '");
        write_words(row, out);
        buffer_add_char(out, '\'');
    }
    buffer_add_string(out, " -d '");
    write_summary(row->help, "\\", "\\'", out);
    buffer_add_string(out, "'\n");
}

/* Conditions ask by a function: is the verb so far one of these? */
static void write_fish_verbs(const struct program *program, struct buffer *out)
{
    const char *name = program->name;
    CLEANUP(buffer_deinit) struct buffer before = {0};

    buffer_printf(out,
                  "function __tollway_%s_at\n    set -l verb ''\n"
                  "    for word in (commandline -opc)[2..-1]\n"
                  "        switch \"$verb $word\"\n            case ",
                  name);
    write_steps(program, " ", out);
    buffer_printf(out,
                  "\n                set verb (string trim -- \"$verb $word\")\n        end\n"
                  "    end\n    contains -- \"$verb\" $argv\nend\n"
                  "complete -c tollway-%s -n \"__tollway_%s_at ''\" -a '",
                  name, name);
    write_first_words(program, false, " ", "", out);
    buffer_add_string(out, "'\n");
    buffer_printf(&before, "complete -c tollway-%s -n '__tollway_%s_at ", name, name);
    buffer_add_char(&before, '\0');
    write_groups(program, before.at, "' -a '", "'\n", out);
    buffer_printf(out, "complete -c tollway-%s -n \"not __tollway_%s_at ''", name, name);
    write_first_words(program, true, " ", "", out);
    buffer_add_string(out, "\" -F\n");
}

static void write_fish(const struct program *program, struct buffer *out)
{
    struct flags flags = {.program = program};
    const struct setting *row;

    buffer_printf(out, "complete -c tollway-%s -f\n", program->name);
    while ((row = next_flag(&flags)))
        write_fish_flag(program, row, out);
    if (has_verbs(program))
        write_fish_verbs(program, out);
}

bool setting_write_completion(const struct program *program, const char *shell, struct buffer *out)
{
    if (strcmp(shell, "bash") == 0)
        write_bash(program, out);
    else if (strcmp(shell, "zsh") == 0)
        write_zsh(program, out);
    else if (strcmp(shell, "fish") == 0)
        write_fish(program, out);
    else
        return false;
    return true;
}
