#include "ingest/edges/record.h"

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

static void read_binary(struct intake *intake, const struct kafka_message *record,
                        struct text content_type, struct intake_reading *reading)
{
    struct event_attribute attributes[EVENT_ATTRIBUTES_MAX];
    struct event_binary binary = {
        .attributes = attributes, .content_type = content_type, .body = record->value};

    binary.count = gather_attributes(intake, record, content_type, attributes, &reading->refusal);
    reading->outcome =
        event_from_binary(&reading->document, &binary, &reading->event, &reading->refusal);
}

static void read_refused(struct intake *intake, enum refusal_code code, const char *detail,
                         struct intake_reading *reading)
{
    refuse(&reading->refusal, &intake->arena, code, text_of(NULL), "%s", detail);
    reading->outcome = EVENT_REFUSED;
}

enum content_mode record_read(struct intake *intake, const struct kafka_message *record,
                              struct intake_reading *reading)
{
    struct content_signs signs = signs_of(record);
    enum content_mode mode = CONTENT_STRUCTURED;
    const char *remedy;

    if (text_is_absent(record->value))
        read_refused(intake, REFUSAL_TOMBSTONE,
                     "the record has no value: events can't be deleted, send none", reading);
    else if (content_mode_kafka(&signs, &mode, &remedy))
        read_refused(intake, REFUSAL_UNSUPPORTED_MEDIA_TYPE, remedy, reading);
    else if (mode == CONTENT_BINARY)
        read_binary(intake, record, signs.content_type, reading);
    else if (mode == CONTENT_STRUCTURED)
        intake_read(intake, record->value, reading);
    return mode;
}
