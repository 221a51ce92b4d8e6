#include "ingest/rules/refusal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { DETAIL_MAX = 320 };

static const char *const names[REFUSAL_COUNT] = {
    [REFUSAL_INVALID_JSON] = "invalid_json",
    [REFUSAL_INVALID_EVENT] = "invalid_event",
    [REFUSAL_TOO_DEEP] = "too_deep",
    [REFUSAL_DUPLICATE_KEY] = "duplicate_key",
    [REFUSAL_INVALID_STRING] = "invalid_string",
    [REFUSAL_TOO_LONG] = "too_long",
    [REFUSAL_MISSING_ATTRIBUTE] = "missing_attribute",
    [REFUSAL_INVALID_ATTRIBUTE] = "invalid_attribute",
    [REFUSAL_UNSUPPORTED_ATTRIBUTE] = "unsupported_attribute",
    [REFUSAL_UNSUPPORTED_CONTENT] = "unsupported_content",
    [REFUSAL_INVALID_DATA] = "invalid_data",
    [REFUSAL_UNKNOWN_TYPE] = "unknown_type",
    [REFUSAL_MISSING_SUBSCRIPTION] = "missing_subscription",
    [REFUSAL_UNKNOWN_SUBSCRIPTION] = "unknown_subscription",
    [REFUSAL_AMBIGUOUS_SUBJECT] = "ambiguous_subject",
    [REFUSAL_SUBSCRIPTION_INACTIVE] = "subscription_inactive",
    [REFUSAL_TIME_IN_FUTURE] = "time_in_future",
    [REFUSAL_BEFORE_EVENT_FROM] = "before_event_from",
    [REFUSAL_MISSING_VALUE] = "missing_value",
    [REFUSAL_INVALID_VALUE] = "invalid_value",
    [REFUSAL_NEGATIVE_VALUE] = "negative_value",
    [REFUSAL_VALUE_TOO_LARGE] = "value_too_large",
    [REFUSAL_VALUE_TOO_PRECISE] = "value_too_precise",
    [REFUSAL_INVALID_DIMENSION] = "invalid_dimension",
    [REFUSAL_UNSUPPORTED_MEDIA_TYPE] = "unsupported_media_type",
    [REFUSAL_TOMBSTONE] = "tombstone",
    [REFUSAL_INVALID_BATCH] = "invalid_batch",
};

const char *refusal_name(enum refusal_code code)
{
    assert(code > REFUSAL_NONE && code < REFUSAL_COUNT);
    return names[code];
}

void refuse(struct refusal *refusal, struct arena *arena, enum refusal_code code,
            struct text pointer, const char *format, ...)
{
    char detail[DETAIL_MAX];
    va_list arguments;

    if (refusal->code != REFUSAL_NONE && refusal->code <= code)
        return;
    va_start(arguments, format);
    vsnprintf(detail, sizeof(detail), format, arguments);
    va_end(arguments);
    refusal->code = code;
    refusal->pointer = pointer;
    refusal->detail = arena_copy(arena, text_of(detail));
    if (text_is_absent(refusal->detail))
        refusal->detail = text_of("send it again in a smaller batch");
}
