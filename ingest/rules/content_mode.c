#include "ingest/rules/content_mode.h"

#include "ingest/rules/media_type.h"
#include "proto/gateway_batch.h"

static const char http_remedy[] =
    "send application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, "
    "application/json, or binary mode with ce- headers";
static const char kafka_remedy[] = "send the header content-type: application/cloudevents+json, "
                                   "application/cloudevents-batch+json, application/x-ndjson, or "
                                   "application/json with ce_ headers";
static const char charset_remedy[] = "send UTF-8, and no other charset in the content type";

static int unsupported(const char *text, const char **remedy)
{
    *remedy = text;
    return CONTENT_UNSUPPORTED;
}

static int found(enum content_mode value, enum content_mode *mode)
{
    *mode = value;
    return 0;
}

static bool is_lines(const struct media_type *type)
{
    return media_type_is(type, "application/x-ndjson") || media_type_is(type, "application/jsonl");
}

int content_mode_http(const struct content_signs *signs, enum content_mode *mode,
                      const char **remedy)
{
    struct media_type type;

    if (text_is(signs->content_type, "application/cloudevents+json"))
        return found(CONTENT_STRUCTURED, mode); /* most are spelled so: nothing to take apart */
    if (text_is_absent(signs->content_type))
        return signs->has_attributes ? found(CONTENT_BINARY, mode)
                                     : unsupported(http_remedy, remedy);
    if (!media_type_parse(signs->content_type, &type))
        return unsupported(http_remedy, remedy);
    if (!media_type_is_utf8(&type))
        return unsupported(charset_remedy, remedy);
    if (media_type_is(&type, "application/cloudevents+json"))
        return found(CONTENT_STRUCTURED, mode);
    if (media_type_is(&type, GATEWAY_CONTENT_TYPE))
        return found(CONTENT_GATEWAY, mode);
    if (media_type_is(&type, "application/cloudevents-batch+json"))
        return found(CONTENT_BATCH, mode);
    if (media_type_starts(&type, "application/cloudevents"))
        return unsupported(http_remedy, remedy);
    if (is_lines(&type))
        return found(CONTENT_LINES, mode);
    if (media_type_is(&type, "application/json"))
        return found(signs->has_specversion ? CONTENT_BINARY : CONTENT_JSON, mode);
    return signs->has_attributes ? found(CONTENT_BINARY, mode) : unsupported(http_remedy, remedy);
}

int content_mode_kafka(const struct content_signs *signs, enum content_mode *mode,
                       const char **remedy)
{
    struct media_type type;

    if (text_is_absent(signs->content_type))
        return found(signs->has_attributes ? CONTENT_BINARY : CONTENT_STRUCTURED, mode);
    if (!media_type_parse(signs->content_type, &type))
        return unsupported(kafka_remedy, remedy);
    if (!media_type_is_utf8(&type))
        return unsupported(charset_remedy, remedy);
    if (media_type_is(&type, "application/cloudevents+json"))
        return found(CONTENT_STRUCTURED, mode);
    if (media_type_is(&type, GATEWAY_CONTENT_TYPE))
        return found(CONTENT_GATEWAY, mode);
    if (media_type_is(&type, "application/cloudevents-batch+json"))
        return found(CONTENT_BATCH, mode);
    if (media_type_starts(&type, "application/cloudevents"))
        return unsupported(kafka_remedy, remedy);
    if (signs->has_attributes)
        return found(CONTENT_BINARY, mode);
    if (is_lines(&type))
        return found(CONTENT_LINES, mode);
    return media_type_is(&type, "application/json") ? found(CONTENT_STRUCTURED, mode)
                                                    : unsupported(kafka_remedy, remedy);
}
