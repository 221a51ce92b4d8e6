#include "invoicer/rules/stripe_text.h"

struct text stripe_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_string(value) ? text_from(json_string_value(value), json_string_length(value))
                                 : text_of(NULL);
}

struct text stripe_cut(struct text text, size_t most)
{
    if (text.length <= most)
        return text;
    text.length = most;
    while (text.length && ((unsigned char)text.at[text.length] & 0xc0) == 0x80)
        text.length--;
    return text;
}

/* C0, DEL, and the C1 of UTF-8, which is two bytes. */
static size_t control_length(struct text text)
{
    unsigned char c = (unsigned char)text.at[0];

    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && text.length > 1 && (unsigned char)text.at[1] < 0xa0 ? 2 : 0;
}

void stripe_add_plain(struct buffer *line, struct text text)
{
    while (text.length) {
        size_t control = control_length(text), taken = control ? control : 1;

        buffer_add_char(line, control ? ' ' : text.at[0]);
        text.at += taken;
        text.length -= taken;
    }
}

void stripe_say(const struct buffer *line, char *out, size_t room)
{
    struct text text = stripe_cut(buffer_text(line), room - 1);

    assert(room > 0);
    if (text.length)
        memcpy(out, text.at, text.length);
    out[text.length] = '\0';
}
