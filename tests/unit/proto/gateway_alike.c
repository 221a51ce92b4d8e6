/*
 * gateway_alike.c - an event that may be read along the one before it reads as the batch's first
 * does, which there is no other before.
 */
#include "proto/gateway_batch.h"
#include "proto/wire.h"

#include <criterion/criterion.h>
#include <libdeflate.h>
#include <string.h>

enum { STRINGS = 131, BEHIND = 30, TRIALS = 100000, CHANGES_MAX = 3 };

static struct gateway_reader *first, *second;

static void start(void)
{
    first = gateway_reader_new();
    second = gateway_reader_new();
}

static void stop(void)
{
    gateway_reader_free(first);
    gateway_reader_free(second);
}

TestSuite(gateway_alike, .init = start, .fini = stop);

struct bytes {
    char at[128];
    size_t length;
};

#define BYTES(literal)                                                                             \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

/* Of the strings {t, /s, $.a, $.b, $.a.c, s, u, v, x...}: with UUID, subscription, subject and
 * time; with a text as id and a sequence; with none of them; with numbers of more bytes than they
 * need, and of two. */
static const struct bytes samples[] = {
    BYTES("\x17"
          "0123456789abcdef\x00\x01\x05\x06timetime\x02\x02\x04\x01\x86\x01\x03\x03\x05"),
    BYTES("\x17"
          "0123456789abcdef\x00\x01\x07\x05tametame\x02\x02\x04\x03\x85\x80\x07\x03\x03\x06"),
    BYTES("\x08\x03"
          "abc\x00\x01\x85\x80\x01\x01\x02\x04\x00\xff\xff\xff\x7f"),
    BYTES("\x0a\x11"
          "0123456789abcdefg\x00\x01\x05\x07\x02\x02\x04\x00\x07\x03\x04\x0c\x80\x80\x80\x80"
          "\x80\x80\x80\x80\x80\x01"),
    BYTES("\x00\x00\x01\x00\x00"),
    BYTES("\x04\x01i\x80\x00\x01\x06\x03\x03\x00\x02\x01\x04\x02"),
    BYTES("\x02\x01i\x82\x01\x01\x00\x00"),
    BYTES("\x00\x01i\x00\x01\x01\x82\x01\x01"),
};

/* They take turns behind the event, and none is read along the one before it. */
static const struct bytes behind[] = {BYTES("\x00\x00\x00\x00\x00"),
                                      BYTES("\x10"
                                            "0123456789abcdef\x00\x00\x00")};

static uint64_t random_state = 1;

static size_t below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % limit;
}

/* Bytes that decide something are as likely as all others together. */
static char some_byte(void)
{
    static const char telling[] = "\x00\x01\x02\x03\x04\x05\x06\x07\x0d\x17\x7f\x80\x81\x83\xff";

    return below(2) ? telling[below(sizeof(telling) - 1)] : (char)below(256);
}

static void change(struct bytes *event)
{
    size_t at = below(event->length);

    switch (below(4)) {
    case 0:
        memmove(event->at + at, event->at + at + 1, event->length-- - at - 1);
        break;
    case 1:
        memmove(event->at + at + 1, event->at + at, event->length++ - at);
        event->at[at] = some_byte();
        break;
    default:
        event->at[at] = some_byte();
    }
}

static void add_event(struct buffer *batch, const struct bytes *event)
{
    buffer_add(batch, event->at, event->length);
}

static void add_strings(struct buffer *batch, bool is_sound)
{
    static const char named[] = "\x01t\x02/s\x03$.a\x03$.b\x05$.a.c\x01s\x01u\x01";
    enum { NAMED = 8 };

    buffer_add(batch, "\x83\x01", 2);
    buffer_add(batch, named, sizeof(named) - 1);
    buffer_add_char(batch, is_sound ? 'v' : '\xff');
    for (size_t i = NAMED; i < STRINGS; i++)
        buffer_add_string(batch, "\x03$.x");
}

static int open_sealed(struct gateway_reader *reader, struct buffer *batch)
{
    const char *reason;
    uint8_t crc[4];
    size_t count;

    wire_store_u32(crc, libdeflate_crc32(0, batch->at, batch->length));
    buffer_add(batch, crc, sizeof(crc));
    return gateway_batch_open(reader, buffer_text(batch), &count, &reason);
}

static void expect_same(const struct gateway_event *a, const struct gateway_event *b)
{
    CLEANUP(buffer_deinit) struct buffer wanted = {0};
    CLEANUP(buffer_deinit) struct buffer json = {0};

    cr_assert_eq(a->fault, b->fault);
    cr_assert(text_equal(a->id, b->id));
    if (a->fault != GATEWAY_SOUND)
        return;
    gateway_event_json(a, &wanted);
    gateway_event_json(b, &json);
    cr_assert(text_equal(buffer_text(&wanted), buffer_text(&json)), "%.*s, first %.*s",
              (int)json.length, json.at, (int)wanted.length, wanted.at);
}

struct trial {
    const struct bytes *before;
    struct bytes event;
    bool is_sound; /* all strings are */
};

/* The event as the batch's first, or as its second. */
static int open_trial(struct gateway_reader *reader, struct buffer *batch,
                      const struct trial *trial, bool is_second)
{
    buffer_add_string(batch, "TWG1");
    add_strings(batch, trial->is_sound);
    buffer_add_char(batch, (char)(is_second + 1 + BEHIND));
    if (is_second)
        add_event(batch, trial->before);
    add_event(batch, &trial->event);
    for (size_t i = 0; i < BEHIND; i++)
        add_event(batch, &behind[i % ARRAY_LEN(behind)]);
    return open_sealed(reader, batch);
}

/* False when it can't be read. */
static bool expect_same_batch(const struct trial *trial)
{
    CLEANUP(buffer_deinit) struct buffer one = {0};
    CLEANUP(buffer_deinit) struct buffer other = {0};
    const struct gateway_event *wanted;
    int r = open_trial(first, &one, trial, false);

    cr_assert_eq(open_trial(second, &other, trial, true), r);
    if (r)
        return false;
    cr_assert_not_null(gateway_batch_next(second));
    while ((wanted = gateway_batch_next(first)) != NULL)
        expect_same(wanted, gateway_batch_next(second));
    return true;
}

Test(gateway_alike, whatever_stands_before_an_event_it_reads_as_the_first)
{
    size_t read = 0;

    for (size_t i = 0; i < TRIALS; i++) {
        struct trial trial = {.before = &samples[below(ARRAY_LEN(samples))],
                              .is_sound = below(8) > 0};

        trial.event = below(2) ? *trial.before : samples[below(ARRAY_LEN(samples))];
        for (size_t changes = below(CHANGES_MAX + 1); changes > 0; changes--)
            change(&trial.event);
        read += expect_same_batch(&trial);
    }
    cr_assert_gt(read, TRIALS / 4);
}
