/*
 * The file that tells scripts where a process listens.
 */
#include "common/io/ready_file.h"

#include "common/base/fault.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/tollway-ready-XXXXXX";
static char path[64], aside[64];

static void make_folder(void)
{
    cr_assert(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/ready", folder);
    (void)snprintf(aside, sizeof(aside), "%s/ready.new", folder);
}

static void remove_folder(void)
{
    (void)unlink(path);
    cr_assert_eq(rmdir(folder), 0, "nothing else is left behind");
}

TestSuite(ready_file, .init = make_folder, .fini = remove_folder);

Test(ready_file, a_former_address_is_replaced_as_a_whole_and_nothing_is_left_aside)
{
    char line[64] = "";
    FILE *file;

    cr_assert_eq(ready_file_write(path, "127.0.0.1:40000"), 0);
    cr_assert_eq(ready_file_write(path, "127.0.0.1:1"), 0);
    file = fopen(path, "r");
    cr_assert(file && fgets(line, sizeof(line), file));
    cr_assert_str_eq(line, "http://127.0.0.1:1\n");
    cr_assert_null(fgets(line, sizeof(line), file));
    fclose(file);
    cr_assert_neq(access(aside, F_OK), 0);
}

Test(ready_file, no_path_is_no_file)
{
    cr_assert_eq(ready_file_write(NULL, "127.0.0.1:1"), 0);
}

Test(ready_file, a_folder_that_is_not_there_is_refused_with_the_path)
{
    cr_assert_eq(ready_file_write("/nowhere/at/all", "127.0.0.1:1"), FAULT_REFUSE);
    cr_assert(strstr(fault_text(), "/nowhere/at/all can't be written: No such"), "%s",
              fault_text());
}

Test(ready_file, a_path_past_the_limit_is_refused_and_not_cut)
{
    static char longest[5000];

    memset(longest, 'x', sizeof(longest) - 1);
    cr_assert_eq(ready_file_write(longest, "127.0.0.1:1"), FAULT_REFUSE);
}
