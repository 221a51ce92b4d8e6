/*
 * load_sender.c - libcurl's multi interface, one easy handle a connection.
 */
#include "bench/load_sender.h"

#include "common/base/instant.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { DELAY_LEAST_MS = 100, DELAY_MOST_MS = 2000, ANSWER_TIMEOUT_S = 60 };

enum lane_state { LANE_FREE, LANE_FILLING, LANE_SENDING, LANE_WAITING };

/* A connection with the batch that it carries. */
struct lane {
    CURL *easy;
    struct curl_slist *headers;
    struct load_batch batch;
    struct buffer answer;
    enum lane_state state;
    int64_t sent_ms; /* the first time */
    int64_t retry_at_ms;
};

struct load_sender {
    struct load_target target;
    CURLM *multi;
    struct lane lanes[LOAD_CONNECTIONS_MAX];
    struct buffer url, bearer;
    int64_t answered_at_ms;
};

static size_t on_answer(char *bytes, size_t size, size_t count, void *context)
{
    buffer_add(context, bytes, size * count);
    return size * count;
}

static void lane_init(struct load_sender *sender, struct lane *lane)
{
    lane->easy = curl_easy_init();
    if (!lane->easy)
        abort();
    curl_easy_setopt(lane->easy, CURLOPT_URL, sender->url.at);
    curl_easy_setopt(lane->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEDATA, &lane->answer);
    curl_easy_setopt(lane->easy, CURLOPT_PRIVATE, lane);
    curl_easy_setopt(lane->easy, CURLOPT_TIMEOUT, (long)ANSWER_TIMEOUT_S);
    curl_easy_setopt(lane->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(lane->easy, CURLOPT_NOPROXY, "*");
}

struct load_sender *load_sender_new(const struct load_target *target)
{
    struct load_sender *sender = calloc(1, sizeof(*sender));
    size_t length = strlen(target->url);

    if (!sender || curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        abort();
    sender->target = *target;
    sender->multi = curl_multi_init();
    sender->answered_at_ms = instant_ms(instant_now());
    while (length > 0 && target->url[length - 1] == '/')
        length--;
    buffer_add(&sender->url, target->url, length);
    buffer_add_string(&sender->url, "/v1/events");
    buffer_add_char(&sender->url, '\0');
    buffer_printf(&sender->bearer, "Authorization: Bearer %s", target->key ? target->key : "");
    buffer_add_char(&sender->bearer, '\0');
    for (int64_t i = 0; i < target->connections; i++)
        lane_init(sender, &sender->lanes[i]);
    return sender;
}

struct load_sender *load_sender_free(struct load_sender *sender)
{
    if (!sender)
        return NULL;
    for (int64_t i = 0; i < sender->target.connections; i++) {
        struct lane *lane = &sender->lanes[i];

        if (lane->state == LANE_SENDING)
            curl_multi_remove_handle(sender->multi, lane->easy);
        curl_easy_cleanup(lane->easy);
        curl_slist_free_all(lane->headers);
        buffer_deinit(&lane->batch.body);
        buffer_deinit(&lane->answer);
    }
    curl_multi_cleanup(sender->multi);
    curl_global_cleanup();
    buffer_deinit(&sender->url);
    buffer_deinit(&sender->bearer);
    free(sender);
    return NULL;
}

struct load_batch *load_sender_free_batch(struct load_sender *sender)
{
    for (int64_t i = 0; i < sender->target.connections; i++) {
        if (sender->lanes[i].state == LANE_FREE)
            return &sender->lanes[i].batch;
    }
    return NULL;
}

bool load_sender_is_idle(const struct load_sender *sender)
{
    for (int64_t i = 0; i < sender->target.connections; i++) {
        if (sender->lanes[i].state != LANE_FREE)
            return false;
    }
    return true;
}

static void send_lane(struct load_sender *sender, struct lane *lane)
{
    char type[96];

    snprintf(type, sizeof(type), "Content-Type: %s", lane->batch.content_type);
    curl_slist_free_all(lane->headers);
    lane->headers = curl_slist_append(NULL, type);
    lane->headers = curl_slist_append(lane->headers, "Expect:");
    if (sender->target.key)
        lane->headers = curl_slist_append(lane->headers, sender->bearer.at);
    curl_easy_setopt(lane->easy, CURLOPT_HTTPHEADER, lane->headers);
    curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDS, lane->batch.body.at);
    curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)lane->batch.body.length);
    buffer_clear(&lane->answer);
    lane->state = LANE_SENDING;
    if (lane->batch.tries++ == 0)
        lane->sent_ms = instant_ms(instant_now());
    curl_multi_add_handle(sender->multi, lane->easy);
}

void load_sender_submit(struct load_sender *sender, struct load_batch *batch)
{
    for (int64_t i = 0; i < sender->target.connections; i++) {
        if (&sender->lanes[i].batch == batch)
            send_lane(sender, &sender->lanes[i]);
    }
}

/* --- answers --- */

static void log_answer(FILE *log, const struct lane *lane, long status, size_t accepted,
                       const json_t *rejected)
{
    CLEANUP(buffer_deinit) struct buffer line = {0};
    const json_t *each;
    size_t i;

    if (!log)
        return;
    buffer_printf(&line, "{\"batch\":%llu,\"status\":%ld,\"sentMs\":%lld,\"answeredMs\":%lld,",
                  (unsigned long long)lane->batch.number, status, (long long)lane->sent_ms,
                  (long long)instant_ms(instant_now()));
    buffer_printf(&line, "\"accepted\":%zu,\"rejected\":[", accepted);
    json_array_foreach(rejected, i, each)
    {
        buffer_printf(&line, "%s{\"index\":%lld,\"code\":", i ? "," : "",
                      (long long)json_integer_value(json_object_get(each, "index")));
        buffer_add_json_string(&line, text_of(json_string_value(json_object_get(each, "code"))));
        buffer_add_char(&line, '}');
    }
    buffer_add_string(&line, "]}\n");
    fwrite(line.at, 1, line.length, log);
}

static int take_answer(struct load_sender *sender, struct lane *lane, long status,
                       struct load_counts *counts)
{
    json_t *answer =
        json_loadb(lane->answer.at ? lane->answer.at : "", lane->answer.length, 0, NULL);
    const json_t *accepted = json_object_get(answer, "accepted");
    const json_t *rejected = json_object_get(answer, "rejected");

    if (!json_is_integer(accepted) || !json_is_array(rejected)) {
        fprintf(stderr, "loadgen: batch %llu was answered %ld: %.*s\n",
                (unsigned long long)lane->batch.number, status, (int)lane->answer.length,
                lane->answer.at ? lane->answer.at : "");
        json_decref(answer);
        return LOAD_REFUSED;
    }
    log_answer(sender->target.log, lane, status, (size_t)json_integer_value(accepted), rejected);
    counts->accepted += (uint64_t)json_integer_value(accepted);
    counts->rejected += json_array_size(rejected);
    counts->bytes += lane->batch.body.length;
    counts->batches++;
    lane->state = LANE_FREE;
    sender->answered_at_ms = instant_ms(instant_now());
    json_decref(answer);
    return 0;
}

static void try_later(struct load_sender *sender, struct lane *lane, long status,
                      struct load_counts *counts)
{
    unsigned doublings = lane->batch.tries < 6 ? lane->batch.tries - 1 : 5;
    int64_t delay_ms = (int64_t)DELAY_LEAST_MS << doublings;
    curl_off_t after_s = 0;

    curl_easy_getinfo(lane->easy, CURLINFO_RETRY_AFTER, &after_s);
    if (after_s > 0)
        delay_ms = after_s * 1000;
    if (delay_ms > DELAY_MOST_MS)
        delay_ms = DELAY_MOST_MS;
    if (sender->target.log)
        fprintf(sender->target.log, "{\"batch\":%llu,\"try\":%u,\"status\":%ld}\n",
                (unsigned long long)lane->batch.number, lane->batch.tries, status);
    counts->tries++;
    lane->retry_at_ms = instant_ms(instant_now()) + delay_ms;
    lane->state = LANE_WAITING;
}

static int finish_lane(struct load_sender *sender, CURL *easy, CURLcode code,
                       struct load_counts *counts)
{
    struct lane *lane;
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&lane);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_multi_remove_handle(sender->multi, easy);
    if (code == CURLE_OK && ((status >= 200 && status < 300) || status == 400))
        return take_answer(sender, lane, status, counts);
    if (code != CURLE_OK || status == 429 || status >= 500) {
        try_later(sender, lane, code == CURLE_OK ? status : 0, counts);
        if (instant_ms(instant_now()) - sender->answered_at_ms < sender->target.give_up_ms)
            return 0;
        fprintf(stderr, "loadgen: no answer for %lld s, last: %s\n",
                (long long)sender->target.give_up_ms / 1000,
                code == CURLE_OK ? "refused for now" : curl_easy_strerror(code));
        return LOAD_GAVE_UP;
    }
    fprintf(stderr, "loadgen: batch %llu was refused with %ld: %.*s\n",
            (unsigned long long)lane->batch.number, status, (int)lane->answer.length,
            lane->answer.at ? lane->answer.at : "");
    return LOAD_REFUSED;
}

static void retry_due(struct load_sender *sender)
{
    int64_t now_ms = instant_ms(instant_now());

    for (int64_t i = 0; i < sender->target.connections; i++) {
        struct lane *lane = &sender->lanes[i];

        if (lane->state == LANE_WAITING && lane->retry_at_ms <= now_ms)
            send_lane(sender, lane);
    }
}

int load_sender_turn(struct load_sender *sender, int timeout_ms, struct load_counts *counts)
{
    int running, left, r = 0;
    CURLMsg *message;

    retry_due(sender);
    curl_multi_perform(sender->multi, &running);
    while ((message = curl_multi_info_read(sender->multi, &left)) && r == 0) {
        if (message->msg == CURLMSG_DONE)
            r = finish_lane(sender, message->easy_handle, message->data.result, counts);
    }
    if (r == 0 && timeout_ms > 0)
        curl_multi_poll(sender->multi, NULL, 0, timeout_ms, NULL);
    return r;
}
