#include "ingest/edges/answer.h"

void answer_deinit(struct answer *answer)
{
    buffer_deinit(&answer->refusals);
}

void answer_add_refusal(struct answer *answer, size_t index, struct text id,
                        const struct refusal *refusal)
{
    struct buffer *out = &answer->refusals;

    if (answer->rejected++ > 0)
        buffer_add_char(out, ',');
    buffer_printf(out, "{\"index\":%zu,\"id\":", index);
    buffer_add_json_string(out, id);
    buffer_printf(out, ",\"code\":\"%s\",\"detail\":", refusal_name(refusal->code));
    buffer_add_json_string(out, refusal->detail);
    buffer_add_string(out, ",\"pointer\":");
    buffer_add_json_string(out, refusal->pointer);
    buffer_add_char(out, '}');
}

int answer_status(const struct answer *answer)
{
    return answer->accepted == 0 && answer->rejected > 0 ? 400 : 202;
}

void answer_write(const struct answer *answer, struct buffer *body)
{
    if (answer_status(answer) == 400)
        buffer_add_string(body, "{\"type\":\"urn:tollway:problem:no_acceptable_event\","
                                "\"title\":\"Bad Request\",\"status\":400,"
                                "\"code\":\"no_acceptable_event\",\"detail\":\"No event could be "
                                "accepted: `rejected` says why for each.\",");
    else
        buffer_add_char(body, '{');
    buffer_add_string(body, "\"accepted\":");
    buffer_add_int(body, (int64_t)answer->accepted);
    buffer_add_string(body, ",\"rejected\":[");
    buffer_add_text(body, buffer_text(&answer->refusals));
    buffer_add_string(body, "]}");
}
