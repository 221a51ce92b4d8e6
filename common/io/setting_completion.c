#include "common/io/setting_pages.h"
#include "common/io/setting_values.h"

#include <string.h>

static const char *const own_flags[] = {
    "config",           "check-config", "print-config", "print-manual",
    "print-completion", "help",         "usage",        "version",
};

/* Calls `visit` for every setting of the program and of its verbs, names once each. */
static void each_setting(const struct program *program,
                         void (*visit)(const struct program *, const struct setting *,
                                       struct buffer *),
                         struct buffer *out)
{
    for (size_t i = 0; i < setting_row_count(program, NULL); i++)
        visit(program, setting_row_at(program, NULL, i), out);
    for (size_t i = 0; i < program->command_count; i++)
        for (size_t j = 0; j < program->commands[i].setting_count; j++)
            visit(program, &program->commands[i].settings[j], out);
}

/* The choices of a setting, blank-separated; NULL when any text will do. */
static const char *words_of(const struct setting *row, struct buffer *scratch)
{
    buffer_clear(scratch);
    if (row->kind == SETTING_SWITCH)
        return "true false";
    if (row->kind != SETTING_CHOICE)
        return NULL;
    for (const char *at = row->choices; *at; at++)
        buffer_add_char(scratch, *at == '|' ? ' ' : *at);
    buffer_add_char(scratch, 0);
    return scratch->at;
}

/* A help text's first sentence, without what a shell's quotes would end at. */
static void write_summary(const char *help, struct buffer *out)
{
    for (; *help && !(*help == '.' && (help[1] == ' ' || !help[1])); help++)
        if (!strchr("'\"`$\\[]:", *help))
            buffer_add_char(out, *help);
}

static void write_verbs(const struct program *program, struct buffer *out)
{
    for (size_t i = 0; i < program->command_count; i++)
        buffer_printf(out, "%s%s", i ? " " : "", program->commands[i].name);
}

/* --- bash --- */

static void write_bash_flag(const struct program *program, const struct setting *row,
                            struct buffer *out)
{
    (void)program;
    buffer_printf(out, " --%s=", row->name);
}

static void write_bash_case(const struct program *program, const struct setting *row,
                            struct buffer *out)
{
    CLEANUP(buffer_deinit) struct buffer scratch = {0};
    const char *words = words_of(row, &scratch);

    (void)program;
    if (words)
        buffer_printf(out, "    --%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n",
                      row->name, words);
}

static void write_bash(const struct program *program, struct buffer *out)
{
    buffer_printf(out,
                  "# bash completion for %s\n_tollway_%s() {\n"
                  "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "  COMPREPLY=()\n"
                  "  [ \"$word\" = = ] && word=\n"
                  "  [ \"$before\" = = ] && before=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "  case $before in\n",
                  program->name, program->name);
    each_setting(program, write_bash_case, out);
    buffer_add_string(out,
                      "    --print-completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "
                      "\"$word\")); return ;;\n"
                      "    --config|--*-file) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
                      "  esac\n  if [[ $word == -* ]]; then\n"
                      "    COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < ARRAY_LEN(own_flags); i++)
        buffer_printf(out, "%s--%s", i ? " " : "", own_flags[i]);
    each_setting(program, write_bash_flag, out);
    buffer_add_string(out, "' -- \"$word\"))\n"
                           "    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace\n"
                           "  else\n    COMPREPLY=($(compgen -f -W '");
    write_verbs(program, out);
    buffer_printf(out, "' -- \"$word\"))\n  fi\n}\ncomplete -F _tollway_%s %s tollway-%s\n",
                  program->name, program->name, program->name);
}

/* --- zsh --- */

static void write_zsh_flag(const struct program *program, const struct setting *row,
                           struct buffer *out)
{
    CLEANUP(buffer_deinit) struct buffer scratch = {0};
    const char *words = words_of(row, &scratch);

    (void)program;
    buffer_printf(out, "  '--%s=[", row->name);
    write_summary(row->help, out);
    if (words)
        buffer_printf(out, "]:value:(%s)' \\\n", words);
    else
        buffer_add_string(out, "]:value:_files' \\\n");
}

static void write_zsh(const struct program *program, struct buffer *out)
{
    buffer_printf(out, "#compdef %s tollway-%s\n_arguments \\\n", program->name, program->name);
    each_setting(program, write_zsh_flag, out);
    for (size_t i = 0; i < ARRAY_LEN(own_flags); i++)
        buffer_printf(out, "  '--%s' \\\n", own_flags[i]);
    buffer_add_string(out, "  '*:word:(");
    write_verbs(program, out);
    buffer_add_string(out, ")'\n");
}

/* --- fish --- */

static void write_fish_flag(const struct program *program, const struct setting *row,
                            struct buffer *out)
{
    CLEANUP(buffer_deinit) struct buffer scratch = {0};
    const char *words = words_of(row, &scratch);

    buffer_printf(out, "complete -c tollway-%s -l %s -r", program->name, row->name);
    if (words)
        buffer_printf(out, " -a '%s'", words);
    buffer_add_string(out, " -d '");
    write_summary(row->help, out);
    buffer_add_string(out, "'\n");
}

static void write_fish(const struct program *program, struct buffer *out)
{
    each_setting(program, write_fish_flag, out);
    for (size_t i = 0; i < ARRAY_LEN(own_flags); i++)
        buffer_printf(out, "complete -c tollway-%s -l %s\n", program->name, own_flags[i]);
    buffer_printf(out, "complete -c tollway-%s -a '", program->name);
    write_verbs(program, out);
    buffer_add_string(out, "'\n");
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
