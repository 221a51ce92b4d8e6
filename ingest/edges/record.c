#include "ingest/edges/record.h"

#include "ingest/rules/content_mode.h"
#include "ingest/rules/json_string.h"

#include <string.h>

static bool is_attribute_header(const struct kafka_header *header)
{
    return strncmp(header->name, "ce_", 3) == 0 && !text_is_absent(header->value);
}

static struct content_signs signs_of(const struct kafka_message *record)
{
    struct content_signs signs = {.content_type = text_of(NULL)};

    for (size_t i = 0; i < record->header_count; i++) {
        const struct kafka_header *header = &record->headers[i];
        if (text_equal_ignoring_case(text_of(header->name), text_of("content-type")))
            signs.content_type = header->value;
        signs.has_attributes = signs.has_attributes || is_attribute_header(header);
        signs.has_specversion =
            signs.has_specversion || strcmp(header->name, "ce_specversion") == 0;
    }
    return signs;
}

/* The official SDK says the content type twice; where both agree, that is no harm. */
static bool repeats_content_type(const struct kafka_header *header, struct text content_type)
{
    return strcmp(header->name, "ce_datacontenttype") == 0 &&
           text_equal(header->value, content_type);
}

static size_t gather_attributes(struct intake *intake, const struct kafka_message *record,
                                struct text content_type, struct event_attribute *attributes,
                                struct refusal *refusal)
{
    size_t count = 0;

    for (size_t i = 0; i < record->header_count && count < EVENT_ATTRIBUTES_MAX; i++) {
        const struct kafka_header *header = &record->headers[i];
        if (!is_attribute_header(header) || repeats_content_type(header, content_type))
            continue;
        if (!utf8_is_valid(header->value))
            refuse(refusal, &intake->arena, REFUSAL_INVALID_STRING, text_of(""),
                   "the value of header %.64s isn't UTF-8 without NUL: correct it", header->name);
        attributes[count++] = (struct event_attribute){
            .name = text_of(header->name + 3),
            .value = header->value,
        };
    }
    return count;
}

static int read_binary(struct intake *intake, const struct kafka_message *record,
                       struct text content_type, struct intake_reading *reading)
{
    struct event_attribute attributes[EVENT_ATTRIBUTES_MAX];
    struct event_binary binary = {
        .attributes = attributes, .content_type = content_type, .body = record->value};

    binary.count = gather_attributes(intake, record, content_type, attributes, &reading->refusal);
    return event_from_binary(&reading->document, &binary, &reading->event, &reading->refusal);
}

static int read_structured(struct intake *intake, struct text value, struct intake_reading *reading)
{
    struct refusal *refusal = &reading->refusal;
    size_t position = 0;
    int r = event_from_json(&reading->document, value, &position, &reading->event, refusal);

    if (r == EVENT_BROKEN)
        return EVENT_REFUSED;
    if (json_skip_space(value, position) == value.length)
        return r;
    refuse(refusal, &intake->arena, REFUSAL_INVALID_JSON, text_of(""),
           "something stands behind the event, at byte %zu: send one value a record", position);
    return EVENT_REFUSED;
}

/* What the record is, as record.h says. */
static int read_record(struct intake *intake, const struct kafka_message *record,
                       struct intake_reading *reading)
{
    struct refusal *refusal = &reading->refusal;
    struct content_signs signs = signs_of(record);
    enum content_mode mode;
    const char *remedy;

    if (text_is_absent(record->value)) {
        refuse(refusal, &intake->arena, REFUSAL_TOMBSTONE, text_of(NULL),
               "the record has no value: events can't be deleted, send none");
        return EVENT_REFUSED;
    }
    if (content_mode_kafka(&signs, &mode, &remedy)) {
        refuse(refusal, &intake->arena, REFUSAL_UNSUPPORTED_MEDIA_TYPE, text_of(NULL), "%s",
               remedy);
        return EVENT_REFUSED;
    }
    if (mode == CONTENT_GATEWAY)
        return RECORD_IS_GATEWAY_BATCH;
    if (mode == CONTENT_BINARY)
        return read_binary(intake, record, signs.content_type, reading);
    return read_structured(intake, record->value, reading);
}

void record_read(struct intake *intake, const struct kafka_message *record,
                 struct intake_reading *reading)
{
    reading->outcome = read_record(intake, record, reading);
}
