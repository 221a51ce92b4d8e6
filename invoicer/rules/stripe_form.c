#include "invoicer/rules/stripe_form.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

static void begin_pair(struct buffer *form, const char *name)
{
    if (form->length)
        buffer_add_char(form, '&');
    buffer_add_string(form, name);
    buffer_add_char(form, '=');
}

void stripe_form_add(struct buffer *form, const char *name, struct text value)
{
    static const char digits[] = "0123456789ABCDEF";

    if (value.length == 0)
        return;
    begin_pair(form, name);
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];

        if (is_plain(value.at[i])) {
            buffer_add_char(form, value.at[i]);
        } else {
            buffer_add_char(form, '%');
            buffer_add_char(form, digits[c >> 4]);
            buffer_add_char(form, digits[c & 15]);
        }
    }
}

void stripe_form_add_int(struct buffer *form, const char *name, int64_t value)
{
    begin_pair(form, name);
    buffer_add_int(form, value);
}
