/*
 * fuzz_invoice.c - any bytes as an issued invoice: refused, or written again as they came.
 */
#include "invoicer/rules/invoice_read.h"
#include "invoicer/rules/render.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    CLEANUP(buffer_deinit) struct buffer json = {0}, other = {0};
    CLEANUP(arena_deinit) struct arena arena;
    struct text text = text_from(bytes, length);
    struct invoice invoice;

    arena_init(&arena, 4 << 20);
    if (invoice_read(text, &arena, &invoice))
        return 0;
    render_json(&invoice, &json);
    assert(text_equal(buffer_text(&json), text));
    render_csv(&invoice, &other);
    render_html(&invoice, &other);
    render_table(&invoice, &(struct render_terminal){.columns = 0}, &other);
    return 0;
}
