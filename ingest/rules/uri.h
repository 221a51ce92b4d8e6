/*
 * uri.h - whether a text is a URI or a reference to one (RFC 3986).
 *
 * Threads    Any.
 */
#pragma once

#include "common/base/text.h"

bool uri_is_reference(struct text text); /* "/gateways/1", "urn:a:b", "https://a/b#c"; not "" */
bool uri_is_absolute(struct text text);  /* with a scheme */
