#include "common/io/kafka.h"
#include "common/io/log.h"
#include "common/io/rlimits.h"
#include "common/io/setting_kinds.h"
#include "common/io/setting_pages.h"
#include "common/io/setting_values.h"

#include <argp.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
    KEY_HELP = '?',
    KEY_VERSION = 'V',
    KEY_CONFIG = 'c',
    KEY_USAGE = 0x100,
    KEY_CHECK_CONFIG,
    KEY_PRINT_CONFIG,
    KEY_PRINT_MANUAL,
    KEY_PRINT_COMPLETION,
    KEY_SETTING = 0x200, /* + the option's index */
};

enum task {
    TASK_RUN,
    TASK_HELP,
    TASK_USAGE,
    TASK_VERSION,
    TASK_CHECK_CONFIG,
    TASK_PRINT_CONFIG,
    TASK_PRINT_MANUAL,
    TASK_PRINT_COMPLETION,
};

/* The options of a program or of one verb, with the texts that argp borrows. */
struct options {
    struct argp_option *list;
    size_t count;
    char **texts;
    size_t text_count;
};

/* What the command line says. */
struct invocation {
    const struct program *program;
    struct options options;
    struct setting_flag *flags;
    size_t flag_count;
    char **arguments;
    size_t argument_count;
    const char *config_file, *shell;
    enum task task;
};

static const struct argp_option own_options[] = {
    {"config", KEY_CONFIG, "FILE", 0, "Read settings from FILE (TOLLWAY_CONFIG)", 1},
    {"check-config", KEY_CHECK_CONFIG, NULL, 0, "Check the settings and exit", 1},
    {"print-config", KEY_PRINT_CONFIG, NULL, 0, "Print every setting with its origin and exit", 1},
    {"print-manual", KEY_PRINT_MANUAL, NULL, 0, "Print the manual page and exit", -1},
    {"print-completion", KEY_PRINT_COMPLETION, "bash|zsh|fish", 0,
     "Print the shell's completions and exit", -1},
    {"help", KEY_HELP, NULL, 0, "Print this help and exit; behind a command, that command's", -1},
    {"usage", KEY_USAGE, NULL, 0, "Print a short usage message and exit", -1},
    {"version", KEY_VERSION, NULL, 0, "Print the version and exit", -1},
};

static const char *keep_text(struct options *options, struct buffer *text)
{
    buffer_add_char(text, 0);
    options->texts[options->text_count] = text_copy(text_of(text->at));
    return options->texts[options->text_count++];
}

static bool has_option(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++)
        if (strcmp(options->list[i].name, name) == 0)
            return true;
    return false;
}

static void add_setting(struct options *options, const struct setting *row)
{
    struct argp_option *option = &options->list[options->count];
    CLEANUP(buffer_deinit) struct buffer help = {0};

    if (has_option(options, row->name))
        return;
    buffer_add_string(&help, row->help);
    if (row->usual)
        buffer_printf(&help, " Usual: %s.", row->usual);
    else if (row->required)
        buffer_add_string(&help, " Required.");
    *option = (struct argp_option){
        .name = row->name,
        .key = KEY_SETTING + (int)options->count,
        .arg = setting_placeholder(row),
        .flags = row->kind == SETTING_SWITCH ? OPTION_ARG_OPTIONAL : 0,
        .doc = keep_text(options, &help),
    };
    options->count++;
}

static size_t setting_count_of_all(const struct program *program)
{
    size_t count = setting_row_count(program, NULL);

    for (size_t i = 0; i < program->command_count; i++)
        count += program->commands[i].setting_count;
    return count;
}

/* `command` NULL: those of all verbs. */
static void options_init(struct options *options, const struct program *program,
                         const struct command *command)
{
    size_t most = setting_count_of_all(program);

    options->list = calloc(most + ARRAY_LEN(own_options) + 1, sizeof(options->list[0]));
    options->texts = calloc(most + 1, sizeof(options->texts[0]));
    assert(options->list && options->texts);
    for (size_t i = 0; i < setting_row_count(program, command); i++)
        add_setting(options, setting_row_at(program, command, i));
    for (size_t i = 0; !command && i < program->command_count; i++)
        for (size_t j = 0; j < program->commands[i].setting_count; j++)
            add_setting(options, &program->commands[i].settings[j]);
    for (size_t i = 0; i < ARRAY_LEN(own_options); i++)
        options->list[options->count + i] = own_options[i];
}

static void options_deinit(struct options *options)
{
    for (size_t i = 0; i < options->text_count; i++)
        free(options->texts[i]);
    free(options->texts);
    free(options->list);
    *options = (struct options){0};
}

/* --- the command line --- */

static error_t on_option(int key, char *argument, struct argp_state *state)
{
    struct invocation *invocation = state->input;

    if (key >= KEY_SETTING && key < KEY_SETTING + (int)invocation->options.count) {
        invocation->flags[invocation->flag_count++] = (struct setting_flag){
            .name = invocation->options.list[key - KEY_SETTING].name,
            .value = argument,
        };
        return 0;
    }
    switch (key) {
    case KEY_CONFIG:
        invocation->config_file = argument;
        return 0;
    case KEY_PRINT_COMPLETION:
        invocation->shell = argument;
        invocation->task = TASK_PRINT_COMPLETION;
        return 0;
    case KEY_HELP:
        invocation->task = TASK_HELP;
        return 0;
    case KEY_USAGE:
        invocation->task = TASK_USAGE;
        return 0;
    case KEY_VERSION:
        invocation->task = TASK_VERSION;
        return 0;
    case KEY_CHECK_CONFIG:
        invocation->task = TASK_CHECK_CONFIG;
        return 0;
    case KEY_PRINT_CONFIG:
        invocation->task = TASK_PRINT_CONFIG;
        return 0;
    case KEY_PRINT_MANUAL:
        invocation->task = TASK_PRINT_MANUAL;
        return 0;
    case ARGP_KEY_ARG:
        invocation->arguments[invocation->argument_count++] = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int read_command_line(struct invocation *invocation, int argc, char **argv)
{
    struct argp argp = {.options = invocation->options.list, .parser = on_option};

    return argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, invocation) ? EX_USAGE
                                                                                        : 0;
}

/* How many of the arguments spell the command's name; 0 when they don't. */
static size_t words_matched(const struct command *command, char *const *arguments, size_t count)
{
    struct text rest = text_of(command->name);
    size_t words = 0;

    while (rest.length > 0) {
        if (words == count || !text_is(text_cut(&rest, ' '), arguments[words]))
            return 0;
        words++;
    }
    return words;
}

static bool has_verbs(const struct program *program)
{
    return program->command_count > 1 || program->commands[0].name[0];
}

static const struct command *find_command(const struct invocation *invocation, size_t *words)
{
    const struct program *program = invocation->program;
    const struct command *found = NULL;
    bool has_verb = has_verbs(program) && invocation->argument_count > 0;

    *words = 0;
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *command = &program->commands[i];
        size_t matched = words_matched(command, invocation->arguments, invocation->argument_count);

        if (matched > *words || (!found && command->name[0] == 0 && !has_verb)) {
            found = command;
            *words = matched;
        }
    }
    return found;
}

/* The fewest and most arguments of "FILE", "[INVOICE]", "FILE…". */
static bool count_is_right(const char *spelling, size_t count)
{
    struct text rest = text_of(spelling);
    size_t least = 0, most = 0;

    while (rest.length > 0) {
        struct text word = text_cut(&rest, ' ');

        most =
            word.length > 3 && memcmp(word.at + word.length - 3, "…", 3) == 0 ? SIZE_MAX : most + 1;
        least += word.at[0] != '[';
    }
    return count >= least && count <= most;
}

/* --- what is printed --- */

static void write_commands(const struct program *program, struct buffer *out)
{
    for (size_t i = 0; i < program->command_count; i++)
        buffer_printf(out, "%s%s%s%s", i ? "\n" : "", program->commands[i].name,
                      program->commands[i].arguments[0] && program->commands[i].name[0] ? " " : "",
                      program->commands[i].arguments);
}

/* Words of a sentence in lines of at most `columns`, each but the first behind `indent` blanks. */
static void write_wrapped(const char *sentence, int indent, int columns, struct buffer *out)
{
    struct text rest = text_of(sentence);
    int column = indent;

    while (rest.length > 0) {
        struct text word = text_cut(&rest, ' ');

        if (column > indent && column + 1 + (int)word.length > columns) {
            buffer_printf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            buffer_add_char(out, ' ');
            column++;
        }
        buffer_add_text(out, word);
        column += (int)word.length;
    }
}

static void write_command_list(const struct program *program, struct buffer *out)
{
    enum { INDENT = 27, COLUMNS = 78 };

    buffer_add_string(out, "Commands:\n\n");
    for (size_t i = 0; i < program->command_count; i++) {
        const struct command *command = &program->commands[i];
        CLEANUP(buffer_deinit) struct buffer words = {0};

        buffer_printf(&words, "  %s%s%s", command->name[0] ? command->name : "(no command)",
                      command->arguments[0] ? " " : "", command->arguments);
        buffer_add_text(out, buffer_text(&words));
        if (words.length < INDENT)
            buffer_printf(out, "%*s", INDENT - (int)words.length, "");
        else
            buffer_printf(out, "\n%*s", INDENT, "");
        write_wrapped(command->help, INDENT, COLUMNS, out);
        buffer_add_char(out, '\n');
    }
}

static void write_doc(const struct program *program, const struct command *command,
                      struct buffer *out)
{
    if (command && command->name[0]) {
        buffer_printf(out, "%s\v%s", command->help, command->example ? command->example : "");
        return;
    }
    buffer_printf(out, "%s\v", program->about);
    if (has_verbs(program)) {
        write_command_list(program, out);
        buffer_add_char(out, '\n');
    }
    buffer_add_string(out, "Every setting --some-name is the variable TOLLWAY_SOME_NAME and the "
                           "line `some_name = VALUE` of the settings file too; a flag beats the "
                           "variable, which beats the file.");
}

static int print_help(const struct program *program, const struct command *command, unsigned form)
{
    CLEANUP(options_deinit) struct options options = {0};
    CLEANUP(buffer_deinit) struct buffer doc = {0};
    CLEANUP(buffer_deinit) struct buffer arguments = {0};
    CLEANUP(buffer_deinit) struct buffer name = {0};
    struct argp argp = {0};

    options_init(&options, program, command);
    write_doc(program, command, &doc);
    buffer_add_char(&doc, 0);
    if (command)
        buffer_add_string(&arguments, command->arguments);
    else
        write_commands(program, &arguments);
    buffer_add_char(&arguments, 0);
    buffer_printf(&name, "%s%s%s%c", program->name, command && command->name[0] ? " " : "",
                  command ? command->name : "", 0);
    /* argp misplaces what stands beside names longer than its column. The user's own goes first. */
    (void)setenv("ARGP_HELP_FMT", "opt-doc-col=37", 0);
    argp = (struct argp){.options = options.list, .args_doc = arguments.at, .doc = doc.at};
    argp_help(&argp, stdout, form, name.at);
    return 0;
}

static int print_version(const struct program *program)
{
    printf("%s (Tollway) %s\nlibrdkafka %s\n", program->name, TOLLWAY_VERSION,
           kafka_library_version());
    return 0;
}

static int print_buffer(const struct buffer *buffer)
{
    bool is_written = fwrite(buffer->at, 1, buffer->length, stdout) == buffer->length;

    return is_written && fflush(stdout) == 0 ? 0 : EX_IOERR;
}

static int complain(const struct program *program, const struct buffer *wrong, int status)
{
    fprintf(stderr, "%s: %.*s\n", program->name, (int)wrong->length, wrong->at);
    return status;
}

static int print_manual(const struct program *program)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};

    setting_write_manual(program, &out);
    return print_buffer(&out);
}

static int print_completion(const struct program *program, const char *shell)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};

    if (setting_write_completion(program, shell, &out))
        return print_buffer(&out);
    buffer_printf(&out,
                  "--print-completion: \"%s\" is no shell that it knows: give bash, zsh or fish",
                  shell);
    return complain(program, &out, EX_USAGE);
}

/* --- running --- */

static enum log_level level_named(const char *name)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return (enum log_level)i;
    assert(!"a level that the table doesn't allow");
    return LOG_INFO;
}

static void start_log(const struct program *program, const struct common_config *config)
{
    log_init(program->name, level_named(config->log_level),
             strcmp(config->log_form, "json") == 0 ? LOG_JSON : LOG_LOGFMT);
}

static void begin_work(const struct program *program, const struct common_config *config)
{
    start_log(program, config);
    rlimits_open_files(config->http_connections);
}

static int read_settings(struct setting_values *values, const struct invocation *invocation,
                         void *config, struct buffer *wrong)
{
    const char *variable = getenv("TOLLWAY_CONFIG");
    const char *file = invocation->config_file           ? invocation->config_file
                       : variable != NULL && variable[0] ? variable
                                                         : NULL;
    int r = 0;

    if (file)
        r = setting_values_read_file(values, invocation->program, file, wrong);
    if (r)
        return r;
    setting_values_read_variables(values);
    r = setting_values_read_flags(values, invocation->flags, invocation->flag_count, wrong);
    return r ? r : setting_values_apply(values, config, wrong);
}

static int print_config(const struct setting_values *values)
{
    CLEANUP(buffer_deinit) struct buffer out = {0};

    setting_values_print(values, &out);
    return print_buffer(&out);
}

static int run_command(const struct invocation *invocation, const struct command *command,
                       size_t words)
{
    const struct program *program = invocation->program;
    CLEANUP(setting_values_deinit) struct setting_values values = {0};
    CLEANUP(buffer_deinit) struct buffer wrong = {0};
    void *config = calloc(1, program->config_size + 1);
    int r;

    assert(config);
    setting_values_init(&values, program, command);
    r = read_settings(&values, invocation, config, &wrong);
    if (r) {
        complain(program, &wrong, r);
    } else if (invocation->task == TASK_CHECK_CONFIG) {
        puts("configuration OK");
    } else if (invocation->task == TASK_PRINT_CONFIG) {
        r = print_config(&values);
    } else {
        if (program->has_common_settings && !command->stands_alone)
            begin_work(program, config);
        r = command->run(config, (int)(invocation->argument_count - words),
                         invocation->arguments + words);
    }
    free(config);
    return r;
}

/* "catalog apply, catalog get" of the first word "catalog"; nothing of another one. */
static void list_beginning_with(const struct program *program, const char *first,
                                struct buffer *list)
{
    for (size_t i = 0; i < program->command_count; i++) {
        struct text name = text_of(program->commands[i].name);

        if (text_is(text_cut(&name, ' '), first) && name.length > 0)
            buffer_printf(list, "%s%s", list->length ? ", " : "", program->commands[i].name);
    }
}

static int refuse_command(const struct invocation *invocation)
{
    CLEANUP(buffer_deinit) struct buffer wrong = {0};
    CLEANUP(buffer_deinit) struct buffer list = {0};
    const char *first = invocation->argument_count > 0 ? invocation->arguments[0] : "";

    list_beginning_with(invocation->program, first, &list);
    if (invocation->argument_count == 0)
        buffer_add_string(&wrong, "a command is missing: --help lists them");
    else if (list.length == 0)
        buffer_printf(&wrong, "there is no command \"%s\": --help lists them", first);
    else
        buffer_printf(&wrong, "there is no command \"%s%s%s\": there are %.*s", first,
                      invocation->argument_count > 1 ? " " : "",
                      invocation->argument_count > 1 ? invocation->arguments[1] : "",
                      (int)list.length, list.at);
    return complain(invocation->program, &wrong, EX_USAGE);
}

static int refuse_arguments(const struct program *program, const struct command *command)
{
    CLEANUP(buffer_deinit) struct buffer wrong = {0};

    buffer_printf(&wrong, "wrong number of arguments: give `%s%s%s%s%s`", program->name,
                  command->name[0] ? " " : "", command->name, command->arguments[0] ? " " : "",
                  command->arguments);
    return complain(program, &wrong, EX_USAGE);
}

static int perform(const struct invocation *invocation)
{
    const struct program *program = invocation->program;
    size_t words;
    const struct command *command = find_command(invocation, &words);

    switch (invocation->task) {
    case TASK_HELP:
        return print_help(program, command, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK);
    case TASK_USAGE:
        return print_help(program, command, ARGP_HELP_USAGE);
    case TASK_VERSION:
        return print_version(program);
    case TASK_PRINT_MANUAL:
        return print_manual(program);
    case TASK_PRINT_COMPLETION:
        return print_completion(program, invocation->shell);
    case TASK_RUN:
    case TASK_CHECK_CONFIG:
    case TASK_PRINT_CONFIG:
        break;
    }
    /* A process's settings are those of its first command, the one that serves. */
    if (!command && invocation->argument_count == 0 && invocation->task != TASK_RUN)
        command = &program->commands[words = 0];
    if (!command)
        return refuse_command(invocation);
    if (invocation->task == TASK_RUN &&
        !count_is_right(command->arguments, invocation->argument_count - words))
        return refuse_arguments(program, command);
    return run_command(invocation, command, words);
}

int program_run(const struct program *program, int argc, char **argv)
{
    struct invocation invocation = {.program = program};
    int r;

    assert(program->command_count > 0);
    assert(!program->has_common_settings || program->config_size >= sizeof(struct common_config));
    rlimits_forbid_core_dumps();
    options_init(&invocation.options, program, NULL);
    invocation.flags = calloc((size_t)argc + 1, sizeof(invocation.flags[0]));
    invocation.arguments = calloc((size_t)argc + 1, sizeof(invocation.arguments[0]));
    assert(invocation.flags && invocation.arguments);

    r = read_command_line(&invocation, argc, argv);
    if (r == 0)
        r = perform(&invocation);
    log_end();

    free(invocation.arguments);
    free(invocation.flags);
    options_deinit(&invocation.options);
    return r;
}
