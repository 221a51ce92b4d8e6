/*
 * html.h - pages that need nothing but themselves.
 *
 * No script, no font, no picture from elsewhere; their own policy forbids them. Every text from
 * outside is escaped.
 *
 * Ownership  Appends to the caller's buffer.
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

/* From the doctype to the opened <main>. */
void html_open(struct buffer *html, struct text title);
void html_close(struct buffer *html);
/* Escaped, for an element's content or an attribute in quotes. */
void html_add_text(struct buffer *html, struct text text);
