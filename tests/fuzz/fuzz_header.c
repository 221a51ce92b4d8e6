/*
 * fuzz_header.c - any bytes as a `ce-` header's value, a media type, a URI and base64: nothing is
 * read outside them, and what a header decodes to is UTF-8.
 */
#include "ingest/rules/base64.h"
#include "ingest/rules/event.h"
#include "ingest/rules/json_string.h"
#include "ingest/rules/media_type.h"
#include "ingest/rules/uri.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text text = text_from(bytes ? (const void *)bytes : "", length);
    struct refusal refusal = {.code = REFUSAL_NONE};
    struct media_type type;
    struct arena arena;
    struct text decoded;
    char *room = malloc(base64_room(text) + 1);
    size_t written;

    arena_init(&arena, 16 << 20);
    if (event_decode_header(text_of("subject"), text, &arena, &decoded, &refusal) == 0)
        assert(decoded.length <= length && utf8_is_valid(decoded));
    else
        assert(refusal.code == REFUSAL_INVALID_ATTRIBUTE || refusal.code == REFUSAL_INVALID_STRING);
    if (media_type_parse(text, &type))
        assert(type.name.length > 2 && type.name.at >= text.at);
    if (uri_is_absolute(text))
        assert(uri_is_reference(text));
    if (room && base64_decode(text, room, &written))
        assert(written <= base64_room(text));
    free(room);
    arena_deinit(&arena);
    return 0;
}
