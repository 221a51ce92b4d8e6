#include "common/io/ready_file.h"

#include "common/base/fault.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int write_address(const char *path, const char *address)
{
    FILE *file = fopen(path, "we");
    int rc;

    if (!file)
        return -1;
    rc = fprintf(file, "http://%s\n", address) < 0 ? -1 : 0;
    return fclose(file) != 0 ? -1 : rc;
}

int ready_file_write(const char *path, const char *address)
{
    char aside[PATH_MAX];

    if (!path)
        return 0;
    if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside))
        return fault(FAULT_REFUSE, "the path of the ready file is too long");
    if (write_address(aside, address) || rename(aside, path)) {
        int why = errno;

        (void)unlink(aside);
        return fault(FAULT_REFUSE, "the ready file %s can't be written: %s", path, strerror(why));
    }
    return 0;
}
