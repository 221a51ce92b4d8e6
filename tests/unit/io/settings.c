/* The sample program "taker" has every kind of setting and three verbs; its `run` keeps what it
 * got. */
#include "common/io/http.h"
#include "common/io/kafka.h"
#include "common/io/settings.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct taker_config {
    struct common_config common;
    int64_t horizon_ms, batch_bytes, workers;
    const char *mode;
    bool strict;
    const char *token;
    const char *at;
};

static struct taker_config got;
static char got_token[64], got_brokers[64], got_listen[64], got_argument[64];
static int got_count;
static const char *got_verb;

static void keep(const char *verb, void *config, int argc, char **argv)
{
    got = *(struct taker_config *)config;
    got_verb = verb;
    got_count = argc;
    snprintf(got_brokers, sizeof(got_brokers), "%s", got.common.brokers);
    snprintf(got_listen, sizeof(got_listen), "%s", got.common.listen);
    snprintf(got_token, sizeof(got_token), "%s", got.token ? got.token : "(none)");
    snprintf(got_argument, sizeof(got_argument), "%s", argc ? argv[0] : "(none)");
}

static int run_serve(void *config, int argc, char **argv)
{
    keep("serve", config, argc, argv);
    return 0;
}

static int run_catalog_apply(void *config, int argc, char **argv)
{
    keep("catalog apply", config, argc, argv);
    return 0;
}

static int run_close(void *config, int argc, char **argv)
{
    keep("close", config, argc, argv);
    return 75;
}

static int run_try(void *config, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    got_verb = "try";
    return ((struct taker_config *)config)->common.brokers ? 70 : 0;
}

static const struct setting taker_settings[] = {
    {.name = "listen",
     .kind = SETTING_TEXT,
     .usual = "127.0.0.1:8082",
     .help = "Where to listen.",
     .offset = offsetof(struct common_config, listen)},
    {.name = "dedup-horizon",
     .kind = SETTING_DURATION,
     .usual = "P35D",
     .least = 60000,
     .most = INT64_C(86400000) * 7300,
     .help = "How long ids are kept. More takes memory.",
     .offset = offsetof(struct taker_config, horizon_ms)},
    {.name = "batch-bytes",
     .kind = SETTING_BYTES,
     .usual = "1 MiB",
     .least = 1024,
     .help = "The size of a batch.",
     .offset = offsetof(struct taker_config, batch_bytes)},
    {.name = "workers",
     .kind = SETTING_NUMBER,
     .usual = "2",
     .least = 1,
     .most = 64,
     .help = "How many threads.",
     .offset = offsetof(struct taker_config, workers)},
    {.name = "mode",
     .kind = SETTING_CHOICE,
     .usual = "test",
     .choices = "test|live",
     .help = "What keys are for.",
     .offset = offsetof(struct taker_config, mode)},
    {.name = "strict",
     .kind = SETTING_SWITCH,
     .usual = "no",
     .help = "Whether to be strict.",
     .offset = offsetof(struct taker_config, strict)},
    {.name = "token-file",
     .kind = SETTING_SECRET,
     .help = "The file of the token.",
     .offset = offsetof(struct taker_config, token)},
};

static const struct setting close_settings[] = {
    {.name = "at",
     .kind = SETTING_TEXT,
     .required = true,
     .help = "When.",
     .offset = offsetof(struct taker_config, at)},
};

static const struct command commands[] = {
    {.name = "serve", .arguments = "", .help = "Serves.", .run = run_serve},
    {.name = "catalog apply",
     .arguments = "FILE",
     .help = "Applies FILE.",
     .run = run_catalog_apply},
    {.name = "close",
     .arguments = "[ONE]",
     .help = "Closes.",
     .settings = close_settings,
     .setting_count = ARRAY_LEN(close_settings),
     .run = run_close},
    {.name = "try",
     .arguments = "[FILE]",
     .help = "Tries.",
     .example = "For example:\n\n  $ taker try <<END\n.what\\ever\n",
     .stands_alone = true,
     .settings = close_settings,
     .setting_count = ARRAY_LEN(close_settings),
     .run = run_try},
};

static const struct program taker = {
    .name = "taker",
    .about = "Takes settings.\n'Tis for tests\\nothing else.",
    .has_common_settings = true,
    .settings = taker_settings,
    .setting_count = ARRAY_LEN(taker_settings),
    .commands = commands,
    .command_count = ARRAY_LEN(commands),
    .config_size = sizeof(struct taker_config),
};

static char out[64 * 1024], err[4096];

static int captured(int fd)
{
    int file = memfd_create("captured", 0);

    cr_assert(file >= 0 && dup2(file, fd) == fd);
    return file;
}

static void read_back(int file, char *text, size_t room)
{
    ssize_t length = pread(file, text, room - 1, 0);

    cr_assert(length >= 0);
    text[length] = 0;
    close(file);
}

/* Runs the program with the blank-separated arguments and keeps what it printed. */
static int run(const char *line)
{
    static char name[] = "taker", words[512];
    char *rest = words, *argv[32] = {name};
    int argc = 1, saved_out = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), status;
    int out_file = captured(STDOUT_FILENO), err_file = captured(STDERR_FILENO);

    snprintf(words, sizeof(words), "%s", line);
    while (rest)
        argv[argc++] = strsep(&rest, " ");
    got_verb = "(none)";
    status = program_run(&taker, argc, argv);

    fflush(stdout);
    fflush(stderr);
    dup2(saved_out, STDOUT_FILENO);
    dup2(saved_err, STDERR_FILENO);
    close(saved_out);
    close(saved_err);
    read_back(out_file, out, sizeof(out));
    read_back(err_file, err, sizeof(err));
    return status;
}

/* A file with this content; its path is good until the next call. */
static const char *file_of(const char *content, mode_t mode)
{
    static char path[64];
    int fd;

    snprintf(path, sizeof(path), "/tmp/settings-XXXXXX-test");
    fd = mkstemps(path, 5);
    cr_assert(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static const char needed[] = "serve --brokers=b:9092 --bucket=demo";

static int run_with(const char *more)
{
    char line[512];

    snprintf(line, sizeof(line), "%s %s", needed, more);
    return run(line);
}

#define assert_line(expected) cr_assert_str_eq(err, expected "\n")

Test(settings, usual_values_hold_when_nothing_else_is_said)
{
    cr_assert_eq(run(needed), 0, "%s", err);

    cr_assert_str_eq(got_verb, "serve");
    cr_assert_eq(got.horizon_ms, INT64_C(35) * 86400000);
    cr_assert_eq(got.batch_bytes, 1048576);
    cr_assert_eq(got.workers, 2);
    cr_assert_not(got.strict);
    cr_assert(got.common.topics_check);
    cr_assert_str_eq(got_token, "(none)");
    cr_assert_str_eq(got_listen, "127.0.0.1:8082", "the program's own row replaces the common one");
}

Test(settings, the_limits_of_http_are_the_usual_ones_unless_set)
{
    struct http_limits limits;

    cr_assert_eq(run(needed), 0, "%s", err);
    common_http_limits(&got.common, &limits);
    cr_assert_arr_eq(&limits, &http_limits_usual, sizeof(limits));
    got.common.http_idle_ms = 5;
    common_http_limits(&got.common, &limits);
    cr_assert_eq(limits.idle_ms, 5);
}

Test(settings, flag_beats_variable_beats_file_beats_usual)
{
    char line[256];

    setenv("TOLLWAY_WORKERS", "7", 1);
    setenv("TOLLWAY_MODE", "live", 1);
    snprintf(
        line, sizeof(line), "--workers=9 --config %s",
        file_of("# comment\n\nworkers = 5\nmode=test\n batch-bytes = 64 KiB\nat = \"x\"\n", 0600));
    cr_assert_eq(run_with(line), 0, "%s", err);

    cr_assert_eq(got.workers, 9);
    cr_assert_eq(got.batch_bytes, 65536);
    cr_assert_eq(run("close --at=now --brokers=b:1 --bucket=demo --print-config"), 0, "%s", err);
    cr_assert(strstr(out, "# TOLLWAY_WORKERS\nworkers = 7\n"), "%s", out);
    cr_assert(strstr(out, "# TOLLWAY_MODE\nmode = live\n"), "%s", out);
    cr_assert(strstr(out, "# --at\nat = now\n"), "%s", out);
    cr_assert(strstr(out, "# usual\nbatch_bytes = 1 MiB\n"), "%s", out);
}

Test(settings, durations_are_read_in_every_spelling)
{
    static const struct {
        const char *written;
        int64_t ms;
    } cases[] = {
        {"P7300D", INT64_C(7300) * 86400000},
        {"PT5M", 300000},
        {"PT61.25S", 61250},
        {"P1DT2H3M4.5S", 93784500},
        {"P2W", 1209600000},
        {"90000ms", 90000},
        {"120s", 120000},
        {"1h", 3600000},
        {"35d", 3024000000},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char line[64];

        snprintf(line, sizeof(line), "--dedup-horizon=%s", cases[i].written);
        cr_assert_eq(run_with(line), 0, "%s: %s", cases[i].written, err);
        cr_assert_eq(got.horizon_ms, cases[i].ms, "%s", cases[i].written);
    }
}

Test(settings, what_is_no_duration_is_refused)
{
    static const char *const cases[] = {
        "P",
        "PT",
        "P1",
        "P1M",
        "P1Y",
        "PT1D",
        "PT1M1H",
        "PT1.5M",
        "PT61.1234S",
        "35",
        "d",
        "1.5h",
        "-PT1H",
        "PT 61S",
        "P1DT",
        "PT1H1H",
        "65 days",
        "P99999999999999999999D",
        "P9223372036854775807D",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        setenv("TOLLWAY_DEDUP_HORIZON", cases[i], 1);
        cr_assert_eq(run(needed), 78, "%s", cases[i]);
        cr_assert(strstr(err, "isn't a duration"), "%s: %s", cases[i], err);
    }
}

Test(settings, a_wrong_value_is_one_line_with_origin_fault_and_remedy)
{
    static const char *const no_brokers[] = {
        "serve --bucket=demo --brokers=a",      "serve --bucket=demo --brokers=a:b",
        "serve --bucket=demo --brokers=a:1,",   "serve --bucket=demo --brokers=a:65536",
        "serve --bucket=demo --brokers=a:1,:2", "serve --bucket=demo --brokers=a:0",
    };

    cr_assert_eq(run_with("--dedup-horizon=1s"), 64);
    assert_line("taker: --dedup-horizon: \"1s\" is out of range: give a duration from PT1M to "
                "P7300D, written as P35D, PT5M, PT0.25S, 250ms, 5s or 1h");

    cr_assert_eq(run_with("--workers=many"), 64);
    assert_line("taker: --workers: \"many\" isn't a whole number: give one from 1 to 64");

    cr_assert_eq(run_with("--strict=perhaps"), 64);
    assert_line("taker: --strict: \"perhaps\" isn't a switch: give true or false");

    cr_assert_eq(run_with("--bucket=My-Bucket"), 64);
    assert_line("taker: --bucket: \"My-Bucket\" isn't right: give 1 to 64 of a-z and 0-9, parts "
                "joined by one _, as in working_copy");

    for (size_t i = 0; i < ARRAY_LEN(no_brokers); i++) {
        cr_assert_eq(run(no_brokers[i]), 64, "%s", no_brokers[i]);
        cr_assert(strstr(err, "isn't right: give HOST:PORT"), "%s", err);
    }
    cr_assert_eq(run("serve --brokers=a:1,[::1]:9092,SSL://b:65535 --bucket=demo"), 0, "%s", err);

    setenv("TOLLWAY_MODE", "Live", 1);
    cr_assert_eq(run(needed), 78);
    assert_line("taker: TOLLWAY_MODE: \"Live\" isn't one of its choices: give one of test|live");
}

Test(settings, a_wrong_line_of_a_file_is_named_by_its_number)
{
    char line[128], expected[256];
    const char *path = file_of("\n# note\nbatch_bytes = 3 MB\n", 0600);

    snprintf(line, sizeof(line), "--config %s", path);
    cr_assert_eq(run_with(line), 78);
    snprintf(expected, sizeof(expected),
             "taker: %s:3: batch-bytes: \"3 MB\" isn't a size: give one of at least 1 KiB, written "
             "as 4096, 64 KiB, 16 MiB or 2 GiB\n",
             path);
    cr_assert_str_eq(err, expected);

    path = file_of("batsch_bytes = 3 MiB\n", 0600);
    snprintf(line, sizeof(line), "--config %s", path);
    cr_assert_eq(run_with(line), 78);
    cr_assert(strstr(err, ":1: there is no setting \"batsch-bytes\""), "%s", err);

    path = file_of("workers = 1\nmode = test\nworkers = 2\n", 0600);
    snprintf(line, sizeof(line), "--config %s", path);
    cr_assert_eq(run_with(line), 78);
    cr_assert(strstr(err, ":3: workers stands in line 1, too: remove one of them"), "%s", err);

    cr_assert_eq(run_with("--config /"), 78);
    assert_line("taker: the settings file / can't be read: Is a directory");

    path = file_of("workers\n", 0600);
    snprintf(line, sizeof(line), "--config %s", path);
    cr_assert_eq(run_with(line), 78);
    cr_assert(strstr(err, ":1: \"workers\" has no value"), "%s", err);

    cr_assert_eq(run_with("--config /nowhere/at/all"), 78);
    cr_assert(strstr(err, "/nowhere/at/all can't be read: No such file"), "%s", err);
}

Test(settings, a_missing_required_setting_is_named)
{
    cr_assert_eq(run("serve --brokers=b:1"), 78);
    assert_line("taker: bucket is missing: give --bucket=TEXT or TOLLWAY_BUCKET");

    cr_assert_eq(run("close --brokers=b:1 --bucket=demo"), 78);
    assert_line("taker: at is missing: give --at=TEXT or TOLLWAY_AT");
}

Test(settings, a_verb_that_stands_alone_has_its_own_settings_only)
{
    cr_assert_eq(run("try --at=now"), 0, "%s", err);
    cr_assert_str_eq(got_verb, "try");

    cr_assert_eq(run("try"), 78);
    assert_line("taker: at is missing: give --at=TEXT or TOLLWAY_AT");
    cr_assert_eq(run("try --at=now --bucket=demo"), 64);
    cr_assert(strstr(err, "--bucket isn't a setting of this command"), "%s", err);
}

/* The longest name, and what it does beside it in the same column as the others'. */
Test(settings, help_stands_in_two_columns)
{
    const char *name, *text;

    cr_assert_eq(run("serve --help"), 0);
    name = strstr(out, "\n      --http-header-timeout=DURATION ");
    text = strstr(out, "How long the head of a request");
    cr_assert(name && text, "%s", out);
    cr_assert_eq(text - name, 1 + 37, "%s", out);
}

Test(settings, an_example_stands_below_the_help_and_in_the_manual_as_it_is)
{
    cr_assert_eq(run("try --help"), 0);
    cr_assert(strstr(out, "For example:\n\n  $ taker try <<END\n.what\\ever\n"), "%s", out);
    cr_assert_not(strstr(out, "--bucket"), "%s", out);

    cr_assert_eq(run("--print-manual"), 0);
    cr_assert(strstr(out, ".Bd -literal\nFor example:\n\n  $ taker try <<END\n\\&.what\\eever\n"),
              "%s", out);
}

Test(settings, check_config_says_ok_and_runs_nothing)
{
    cr_assert_eq(run_with("--check-config"), 0);

    cr_assert_str_eq(out, "configuration OK\n");
    cr_assert_str_eq(got_verb, "(none)");
}

Test(settings, without_a_command_those_of_the_process_are_checked)
{
    cr_assert_eq(run("--check-config --brokers=b:1 --bucket=demo"), 0, "%s", err);
    cr_assert_str_eq(out, "configuration OK\n");
    cr_assert_eq(run("--print-config --brokers=b:1 --bucket=demo"), 0, "%s", err);
    cr_assert(strstr(out, "bucket = demo\n"), "%s", out);
    cr_assert_eq(run("--check-config --brokers=b:1"), 78);
    cr_assert_eq(run("--brokers=b:1 --bucket=demo"), 64);
    assert_line("taker: a command is missing: --help lists them");
}

Test(settings, a_secret_is_its_files_content_and_never_printed)
{
    char line[128];

    snprintf(line, sizeof(line), "--token-file=%s", file_of("s3cret\n", 0400));
    cr_assert_eq(run_with(line), 0, "%s", err);
    cr_assert_str_eq(got_token, "s3cret");

    strcat(line, " --print-config");
    cr_assert_eq(run_with(line), 0);
    cr_assert(strstr(out, "token_file = (redacted)"), "%s", out);
    cr_assert_not(strstr(out, "s3cret"));

    cr_assert_eq(run_with("--token-file=given-by-mistake"), 64);
    cr_assert(strstr(err, "--token-file: the file that it names can't be read (ENOENT)"), "%s",
              err);
    cr_assert_not(strstr(err, "given-by-mistake"), "it could be the secret itself");

    snprintf(line, sizeof(line), "--token-file=%s", file_of("s3cret\n", 0644));
    cr_assert_eq(run_with(line), 64);
    cr_assert(strstr(err, "chmod 0400"), "%s", err);
}

Test(settings, printed_config_gives_the_same_settings_again)
{
    char first[sizeof(out)], line[128];

    cr_assert_eq(run_with("--workers=3 --strict --log-form=json --print-config"), 0);
    snprintf(first, sizeof(first), "%s", out);
    snprintf(line, sizeof(line), "serve --config %s", file_of(first, 0600));

    cr_assert_eq(run(line), 0, "%s", err);
    cr_assert_eq(got.workers, 3);
    cr_assert(got.strict);
    cr_assert_str_eq(got_brokers, "b:9092");
}

Test(settings, verbs_of_two_words_take_their_arguments)
{
    cr_assert_eq(run("catalog apply --brokers b:1 --bucket demo plans.json"), 0, "%s", err);
    cr_assert_str_eq(got_verb, "catalog apply");
    cr_assert_str_eq(got_argument, "plans.json");

    cr_assert_eq(run("close --brokers b:1 --bucket demo --at now"), 75, "run's status is returned");
    cr_assert_eq(got_count, 0);

    cr_assert_eq(run("catalog apply --brokers b:1 --bucket demo"), 64);
    assert_line("taker: wrong number of arguments: give `taker catalog apply FILE`");
    cr_assert_eq(run("close a b --brokers b:1 --bucket demo --at now"), 64);
    cr_assert_eq(run("catalog"), 64);
    assert_line("taker: there is no command \"catalog\": there are catalog apply");
    cr_assert_eq(run("serve --at=now --brokers b:1 --bucket demo"), 64);
    cr_assert(strstr(err, "--at isn't a setting of this command"), "%s", err);
    cr_assert_eq(run("serve --nonsense"), 64);
}

Test(settings, help_and_version_come_from_the_table)
{
    char version[128];

    cr_assert_eq(run("--help"), 0);
    cr_assert(strstr(out, "--dedup-horizon=DURATION"), "%s", out);
    cr_assert(strstr(out, "Usual: P35D."), "%s", out);
    cr_assert(strstr(out, "catalog apply FILE"), "%s", out);

    cr_assert_eq(run("close --help"), 0);
    cr_assert(strstr(out, "taker close [OPTION...] [ONE]"), "%s", out);
    cr_assert(strstr(out, "--at=TEXT"), "%s", out);

    cr_assert_eq(run("serve --help"), 0);
    cr_assert_not(strstr(out, "--at=TEXT"), "%s", out);

    cr_assert_eq(run("--usage"), 0);
    snprintf(version, sizeof(version), "taker (Tollway) %s\nlibrdkafka %s\n", TOLLWAY_VERSION,
             kafka_library_version());
    cr_assert_eq(run("--version"), 0);
    cr_assert_str_eq(out, version);
}

/* Runs a checker on what was printed, where it is installed. */
static int checked_by(const char *checker, const char *name)
{
    char command[256];

    snprintf(command, sizeof(command), "command -v %s >/dev/null", name);
    if (system(command) != 0) {
        fprintf(stderr, "skipped: %s isn't installed\n", name);
        return 0;
    }
    snprintf(command, sizeof(command), "%s %s >&2", checker, file_of(out, 0600));
    return system(command);
}

Test(settings, the_manual_names_every_setting_and_is_valid_mdoc)
{
    cr_assert_eq(run("--print-manual"), 0);

    for (size_t i = 0; i < ARRAY_LEN(taker_settings); i++)
        cr_assert(strstr(out, taker_settings[i].name), "%s", taker_settings[i].name);
    cr_assert(strstr(out, ".Ev TOLLWAY_DEDUP_HORIZON"), "%s", out);
    cr_assert(strstr(out, "\\&'Tis for tests\\enothing else."), "%s", out);
    cr_assert_eq(checked_by("mandoc -T lint -W warning", "mandoc"), 0);
}

Test(settings, completions_are_valid_in_their_shells)
{
    cr_assert_eq(run("--print-completion bash"), 0);
    cr_assert(strstr(out, "--dedup-horizon="), "%s", out);
    cr_assert_eq(checked_by("bash -n", "bash"), 0);

    cr_assert_eq(run("--print-completion zsh"), 0);
    cr_assert_eq(checked_by("zsh -n", "zsh"), 0);

    cr_assert_eq(run("--print-completion fish"), 0);
    cr_assert_eq(checked_by("fish -n", "fish"), 0);

    cr_assert_eq(run("--print-completion tcsh"), 64);
}
