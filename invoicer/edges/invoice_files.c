#include "invoicer/edges/invoice_files.h"

#include "common/base/fault.h"
#include "invoicer/rules/render.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int invoice_files_open(const char *folder)
{
    struct stat stat_of;

    if ((mkdir(folder, 0777) && errno != EEXIST) || stat(folder, &stat_of))
        return fault(FAULT_RETRY, "%s: %s", folder, strerror(errno));
    if (!S_ISDIR(stat_of.st_mode))
        return fault(FAULT_RETRY, "%s: %s", folder, strerror(ENOTDIR));
    if (access(folder, W_OK | X_OK))
        return fault(FAULT_RETRY, "%s: %s", folder, strerror(errno));
    return 0;
}

/* Ids are letters, digits and hyphens (a ULID and a time), so they are safe as names. */
static int write_file(const char *folder, struct text name, const char *suffix, struct text content)
{
    char path[4096], aside[4096 + 8];
    FILE *file;
    bool is_written;

    if (memchr(name.at, '/', name.length))
        return fault(FAULT_STOP, "%.*s is no name for a file", (int)name.length, name.at);
    snprintf(path, sizeof(path), "%s/%.*s.%s", folder, (int)name.length, name.at, suffix);
    snprintf(aside, sizeof(aside), "%s.new", path);
    file = fopen(aside, "we");
    is_written = file && fwrite(content.at, 1, content.length, file) == content.length;
    if (file && fclose(file))
        is_written = false;
    if (!is_written || rename(aside, path))
        return fault(FAULT_RETRY, "%s: %s", path, strerror(errno));
    return 0;
}

int invoice_files_write(const char *folder, const struct invoice *invoice)
{
    struct buffer json = {0}, csv = {0}, html = {0};
    int r;

    render_json(invoice, &json);
    buffer_add_char(&json, '\n');
    render_csv_header(&csv);
    render_csv(invoice, &csv);
    render_html(invoice, &html);
    r = write_file(folder, invoice->id, "json", buffer_text(&json));
    if (!r)
        r = write_file(folder, invoice->id, "csv", buffer_text(&csv));
    if (!r)
        r = write_file(folder, invoice->id, "html", buffer_text(&html));
    buffer_deinit(&json);
    buffer_deinit(&csv);
    buffer_deinit(&html);
    return r ? fault_pass(r) : 0;
}

int invoice_files_write_all(const char *folder, struct text rows)
{
    int r = write_file(folder, text_of("bills"), "csv", rows);

    return r ? fault_pass(r) : 0;
}
