#include "common/io/log_repeat.h"

/* FNV-1a. */
static uint64_t mix(uint64_t kind, const char *at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (at[i] < '0' || at[i] > '9')
            kind = (kind ^ (unsigned char)at[i]) * 0x100000001b3u;
    return kind;
}

uint64_t log_repeat_kind(const char *event, struct text says)
{
    uint64_t kind = mix(0xcbf29ce484222325u, event, text_of(event).length + 1);

    kind = mix(kind, says.at, says.length);
    return kind ? kind : 1;
}

/* The kind's place, or one that it may take, or NULL when others need all of them. */
static struct log_repeat_kind *place_of(struct log_repeat *repeat, uint64_t kind, int64_t now_ms)
{
    struct log_repeat_kind *open = NULL;

    for (size_t i = 0; i < LOG_REPEAT_KINDS_MAX; i++) {
        struct log_repeat_kind *place = &repeat->kinds[i];

        if (place->kind == kind)
            return place;
        if (place->kind == 0 || now_ms >= place->until_ms)
            open = !open || place->left_out < open->left_out ? place : open;
    }
    return open;
}

int64_t log_repeat_admit(struct log_repeat *repeat, uint64_t kind, int64_t now_ms)
{
    struct log_repeat_kind *place = place_of(repeat, kind, now_ms);
    int64_t left_out = 0;

    if (!place)
        return 0;
    if (place->kind == kind) {
        if (now_ms < place->until_ms) {
            place->left_out++;
            return -1;
        }
        left_out = place->left_out;
    } else {
        repeat->forgotten += place->left_out;
    }
    *place = (struct log_repeat_kind){.kind = kind, .until_ms = now_ms + LOG_REPEAT_MS};
    return left_out;
}

int64_t log_repeat_untold(const struct log_repeat *repeat)
{
    int64_t untold = repeat->forgotten;

    for (size_t i = 0; i < LOG_REPEAT_KINDS_MAX; i++)
        untold += repeat->kinds[i].left_out;
    return untold;
}
