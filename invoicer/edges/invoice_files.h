/*
 * invoice_files.h - invoices as files: ID.json, ID.csv and ID.html in a folder, and one bills.csv
 * of all.
 *
 * Each is written aside and renamed, so a reader never sees half of one; done again, they come out
 * the same.
 *
 * Threads    One a folder.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/* Makes the folder where it is missing. */
MUST_USE int invoice_files_open(const char *folder);
MUST_USE int invoice_files_write(const char *folder, const struct invoice *invoice);
/* `rows` are render_csv's. */
MUST_USE int invoice_files_write_all(const char *folder, struct text rows);
