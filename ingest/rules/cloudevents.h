/*
 * cloudevents.h - the attributes of CloudEvents 1.0.2 with the limits of metering.md 6 to 10.
 *
 * Threads    One at a time.
 */
#pragma once

#include "ingest/rules/event.h"

/*
 * Reads the event whose object is the document's root. `data_base64` is decoded and scanned into
 * the document as `data`. 0, or EVENT_REFUSED with the refusal filled and *event undefined.
 */
MUST_USE int cloudevents_read(struct json_document *document, struct event *event,
                              struct refusal *refusal);

/* The same rules for the attributes of a gateway's sound event; what `form` says of the last one
 * has passed. 0, or EVENT_REFUSED with the refusal filled. */
MUST_USE int cloudevents_check(const struct gateway_event *event, const struct event_form *form,
                               struct refusal *refusal);

/* Scans `text` as the event's `data`, the root's last member, and records what is wrong with it.
 * `source` is where it stood: "/data" or "/data_base64". */
void cloudevents_scan_data(struct json_document *document, struct text text, const char *source,
                           struct refusal *refusal);
