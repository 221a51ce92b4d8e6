/*
 * http_check.c - the checks of a head that llhttp leaves out.
 *
 * Lines end with CR LF; no header line is folded or without a name. The request line ends with
 * HTTP/1.0 or 1.1. There is one Host (HTTP/1.0 may have none), equal to the target's where that
 * names one. Transfer-Encoding is exactly `chunked`, and not on HTTP/1.0. GET and HEAD have no
 * body. Nobody is upgraded. At most one Authorization, one Content-Type, which a proxy might read
 * otherwise than we do, and one Content-Encoding, gzip or zstd. Expect asks for 100-continue alone.
 */
#include "common/io/http_check.h"

#include <string.h>

enum { VERSION_LENGTH = 9 }; /* of " HTTP/1.1" */

static const struct http_refusal bad_line_end = {400, "bad_request",
                                                 "every line of a head ends with CR LF"};
static const struct http_refusal bad_request_line = {
    400, "bad_request", "the first line must be METHOD TARGET HTTP/1.1"};
static const struct http_refusal bad_version = {505, "version_not_supported",
                                                "HTTP/1.1 and HTTP/1.0 are spoken here"};
static const struct http_refusal long_request_line = {414, "request_line_too_long",
                                                      "the request line is too long"};
static const struct http_refusal folded_header = {
    400, "bad_request", "a header line begins with a space: folded headers are not taken"};
static const struct http_refusal nameless_header = {400, "bad_request", "a header has no name"};
static const struct http_refusal long_headers = {431, "headers_too_large",
                                                 "the headers are too large"};
static const struct http_refusal no_host = {400, "bad_request", "there is no Host header"};
static const struct http_refusal several_hosts = {400, "bad_request",
                                                  "there are several Host headers"};
static const struct http_refusal ambiguous = {
    400, "bad_request", "Authorization or Content-Type is given twice: send one of each"};
static const struct http_refusal bad_host = {400, "bad_request", "the Host header is malformed"};
static const struct http_refusal other_host = {400, "bad_request",
                                               "the target's host is not the Host header's"};
static const struct http_refusal bad_target = {
    400, "bad_request", "the target must be a path, well percent-encoded, or an http URL"};
static const struct http_refusal coded_transfer = {
    501, "not_implemented", "of transfer encodings, `chunked` alone is spoken here"};
static const struct http_refusal old_transfer = {400, "bad_request",
                                                 "HTTP/1.0 has no Transfer-Encoding"};
static const struct http_refusal body_unwanted = {400, "bad_request", "GET and HEAD have no body"};
static const struct http_refusal no_upgrade = {501, "not_implemented",
                                               "no other protocol is spoken here"};
static const struct http_refusal other_coding = {415, "unsupported_encoding",
                                                 "Content-Encoding may be gzip or zstd, once"};
static const struct http_refusal other_expectation = {417, "expectation_failed",
                                                      "Expect may be 100-continue alone"};

/* `line` with all that comes before its LF. The order is the one in which bytes arrive, so that a
 * line that is wrong in two ways is refused alike however it was split. */
static const struct http_refusal *check_request_line(struct text line,
                                                     const struct http_limits *limits)
{
    const char *version;

    if (line.length == 0)
        return &bad_line_end;
    if (line.at[0] < 'A' || line.at[0] > 'Z')
        return &bad_request_line;
    if (line.length > limits->request_line + 1)
        return &long_request_line;
    if (line.at[line.length - 1] != '\r')
        return &bad_line_end;
    if (line.length <= VERSION_LENGTH)
        return &bad_request_line;
    version = line.at + line.length - 1 - VERSION_LENGTH;
    if (memcmp(version, " HTTP/1.1", VERSION_LENGTH) == 0 ||
        memcmp(version, " HTTP/1.0", VERSION_LENGTH) == 0)
        return NULL;
    return memcmp(version, " HTTP/", 6) == 0 ? &bad_version : &bad_request_line;
}

/* What can already be said of a line whose end hasn't come. */
static const struct http_refusal *check_open_line(const struct http_scan *scan, struct text bytes,
                                                  const struct http_limits *limits)
{
    struct text line = {bytes.at + scan->line, bytes.length - scan->line};

    if (scan->headers)
        return bytes.length - scan->headers > limits->header_bytes ? &long_headers : NULL;
    if (line.length == 0 || (line.length == 1 && line.at[0] == '\r'))
        return NULL;
    if (line.at[0] < 'A' || line.at[0] > 'Z')
        return &bad_request_line;
    return line.length > limits->request_line + 1 ? &long_request_line : NULL;
}

/* `end` is where the line's LF stands. Empty lines before the request line are skipped. */
static const struct http_refusal *check_line(struct http_scan *scan, struct text bytes, size_t end,
                                             const struct http_limits *limits)
{
    struct text line = {bytes.at + scan->line, end - scan->line};
    const struct http_refusal *refusal;

    if (!scan->headers && text_is(line, "\r"))
        return end > limits->request_line ? &long_request_line : NULL;
    if (!scan->headers) {
        refusal = check_request_line(line, limits);
        scan->headers = end + 1;
        return refusal;
    }
    if (end + 1 - scan->headers > limits->header_bytes)
        return &long_headers;
    if (line.length == 0 || line.at[line.length - 1] != '\r')
        return &bad_line_end;
    if (line.at[0] == ':')
        return &nameless_header;
    return line.at[0] == ' ' || line.at[0] == '\t' ? &folded_header : NULL;
}

int http_scan_head(struct http_scan *scan, struct text bytes, const struct http_limits *limits,
                   size_t *length, const struct http_refusal **refusal)
{
    const struct http_refusal *found = NULL;
    const char *lf;

    while (!found && (lf = memchr(bytes.at + scan->at, '\n', bytes.length - scan->at))) {
        size_t end = (size_t)(lf - bytes.at);
        bool closes = scan->headers && end - scan->line == 1 && lf[-1] == '\r';

        found = check_line(scan, bytes, end, limits);
        scan->at = scan->line = end + 1;
        if (!found && closes) {
            *length = end + 1;
            return 0;
        }
    }
    if (!found) {
        scan->at = bytes.length;
        found = check_open_line(scan, bytes, limits);
    }
    if (!found)
        return HTTP_SCAN_MORE;
    *refusal = found;
    return HTTP_SCAN_REFUSED;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Every '%' leads two hex digits that aren't a NUL, and there is no fragment. */
static bool is_well_encoded(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '#')
            return false;
        if (text.at[i] != '%')
            continue;
        if (text.length - i < 3 || !is_hex(text.at[i + 1]) || !is_hex(text.at[i + 2]) ||
            (text.at[i + 1] == '0' && text.at[i + 2] == '0'))
            return false;
    }
    return true;
}

/* Of an absolute form; leaves what stands behind. */
static bool cut_authority(struct text *target, struct text *authority)
{
    size_t scheme = text_starts(*target, "http://") ? 7 : text_starts(*target, "https://") ? 8 : 0;
    size_t end = scheme;

    if (scheme == 0)
        return false;
    while (end < target->length && target->at[end] != '/' && target->at[end] != '?')
        end++;
    *authority = text_from(target->at + scheme, end - scheme);
    *target = text_from(target->at + end, target->length - end);
    return true;
}

bool http_cut_target(struct text target, struct text *authority, struct text *path,
                     struct text *query)
{
    const char *mark;

    *authority = *query = (struct text){0};
    if (!text_starts(target, "/") && !cut_authority(&target, authority))
        return false;
    if (!is_well_encoded(target))
        return false;
    mark = target.length ? memchr(target.at, '?', target.length) : NULL;
    if (mark)
        *query = text_from(mark + 1, (size_t)(target.at + target.length - mark - 1));
    *path = mark ? text_from(target.at, (size_t)(mark - target.at)) : target;
    if (path->length == 0)
        *path = text_of("/");
    return true;
}

/* The headers that decide how the rest is read. */
struct deciding {
    struct text host, transfer, coding, expect;
    size_t hosts, transfers, codings, expects, upgrades, types, credentials;
};

static void collect(struct text name, struct text value, const char *wanted, struct text *found,
                    size_t *count)
{
    if (!text_equal_ignoring_case(name, text_of(wanted)))
        return;
    *found = value;
    ++*count;
}

static struct deciding find_deciding(const struct http_head *head)
{
    struct deciding found = {0};
    struct text unread;

    for (size_t i = 0; i < head->header_count; i++) {
        struct text name = head->headers[i].name;
        struct text value = head->headers[i].value;

        switch (name.length) {
        case 4:
            collect(name, value, "host", &found.host, &found.hosts);
            break;
        case 6:
            collect(name, value, "expect", &found.expect, &found.expects);
            break;
        case 7:
            collect(name, value, "upgrade", &unread, &found.upgrades);
            break;
        case 12:
            collect(name, value, "content-type", &unread, &found.types);
            break;
        case 13:
            collect(name, value, "authorization", &unread, &found.credentials);
            break;
        case 16:
            collect(name, value, "content-encoding", &found.coding, &found.codings);
            break;
        case 17:
            collect(name, value, "transfer-encoding", &found.transfer, &found.transfers);
            break;
        default:
            break;
        }
    }
    return found;
}

static bool cannot_be_in_host(unsigned char c)
{
    switch (c) {
    case '/':
    case '?':
    case '#':
    case '@':
    case ',':
    case '\\':
    case '"':
    case '<':
    case '>':
        return true;
    default:
        return false;
    }
}

static bool is_host(struct text host)
{
    for (size_t i = 0; i < host.length; i++) {
        unsigned char c = (unsigned char)host.at[i];

        if (c <= ' ' || c >= 0x7f || cannot_be_in_host(c))
            return false;
    }
    return true;
}

static const struct http_refusal *check_host(const struct http_head *head,
                                             const struct deciding *found)
{
    struct text authority, path, query;

    if (found->hosts > 1)
        return &several_hosts;
    if (found->hosts == 0 && head->minor > 0)
        return &no_host;
    if (!is_host(found->host))
        return &bad_host;
    if (!http_cut_target(head->target, &authority, &path, &query))
        return &bad_target;
    if (!text_is_absent(authority) && found->hosts &&
        !text_equal_ignoring_case(authority, found->host))
        return &other_host;
    return NULL;
}

static bool find_coding(const struct deciding *found, enum http_coding *coding)
{
    static const struct {
        const char *name;
        enum http_coding coding;
    } known[] = {{"gzip", HTTP_GZIP},
                 {"x-gzip", HTTP_GZIP},
                 {"zstd", HTTP_ZSTD},
                 {"identity", HTTP_IDENTITY}};

    if (found->codings == 0) {
        *coding = HTTP_IDENTITY;
        return true;
    }
    for (size_t i = 0; found->codings == 1 && i < ARRAY_LEN(known); i++) {
        if (text_equal_ignoring_case(found->coding, text_of(known[i].name))) {
            *coding = known[i].coding;
            return true;
        }
    }
    return false;
}

const struct http_refusal *http_check_head(struct http_head *head)
{
    struct deciding found = find_deciding(head);
    const struct http_refusal *refusal;

    if (head->upgraded || found.upgrades)
        return &no_upgrade;
    refusal = check_host(head, &found);
    if (refusal)
        return refusal;
    if (found.types > 1 || found.credentials > 1)
        return &ambiguous;
    if (found.transfers && head->minor == 0)
        return &old_transfer;
    if (found.transfers > 1 ||
        (found.transfers && !text_equal_ignoring_case(found.transfer, text_of("chunked"))))
        return &coded_transfer;
    if (head->reads_only && (head->chunked || head->content_length > 0))
        return &body_unwanted;
    if (!find_coding(&found, &head->coding))
        return &other_coding;
    if (found.expects && !text_equal_ignoring_case(found.expect, text_of("100-continue")))
        return &other_expectation;
    head->expects_continue = found.expects > 0 && head->minor > 0;
    return NULL;
}
