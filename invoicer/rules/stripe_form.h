/*
 * stripe_form.h - application/x-www-form-urlencoded, as Stripe takes it:
 * name=value&name[member]=value.
 *
 * Names are ours and need no escapes; of values all but letters, digits and -_.~ is escaped, byte
 * by byte. A value that is empty or absent is left out, as Stripe refuses it.
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

void stripe_form_add(struct buffer *form, const char *name, struct text value);
void stripe_form_add_int(struct buffer *form, const char *name, int64_t value);
