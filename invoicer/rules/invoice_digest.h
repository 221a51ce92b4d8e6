/*
 * invoice_digest.h - one number over everything that an invoice was made from.
 *
 * Two invoices with one digest were made from the same plan version, subscription, usage, log
 * position and earlier bills, so they are the same to the byte.
 *
 * Threads    Any.
 */
#pragma once

#include "invoicer/rules/invoice.h"

/* XXH3-128 in hex. False: the arena has no room for the inputs. */
MUST_USE bool invoice_digest(const struct invoice *invoice, struct arena *arena,
                             char digest[INVOICE_DIGEST_TEXT]);
