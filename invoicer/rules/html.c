/*
 * html.c - the frame and the style that all pages share.
 */
#include "invoicer/rules/html.h"

static const char page_start[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n"
    ":root{--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--fill:#f7f8fa;--mark:#2f6f6a}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--fill);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"
    "'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
    "main{max-width:860px;margin:32px auto;padding:44px 52px 36px;background:#fff;border:1px solid "
    "var(--line);border-top:4px solid var(--mark);border-radius:6px}\n"
    "header{display:flex;justify-content:space-between;align-items:flex-start;gap:32px}\n"
    "h1{margin:0;font-size:28px;letter-spacing:-.01em}\n"
    ".due{text-align:right}.due b{display:block;color:var(--ink);font-size:28px;line-height:1.25;"
    "font-variant-numeric:tabular-nums}\n"
    ".soft,dt,small,tr.detail td{color:var(--soft)}\n"
    ".id{font-family:ui-monospace,'SF Mono',Menlo,Consolas,monospace;font-size:12.5px;"
    "overflow-wrap:anywhere}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(250px,1fr));gap:18px 28px;"
    "margin:30px 0 34px}\n"
    "dt{font-size:12.5px}dd{margin:0;overflow-wrap:anywhere}\n"
    "table{width:100%;border-collapse:collapse}\n"
    "th{font-weight:600;font-size:12.5px;color:var(--soft);text-align:right;padding:0 0 8px 16px;"
    "border-bottom:1px solid var(--ink)}\n"
    "th:first-child,td:first-child{text-align:left;padding-left:0}\n"
    "td{padding:14px 0 4px 16px;text-align:right;vertical-align:top;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}\n"
    "td:first-child{white-space:normal;overflow-wrap:anywhere}\n"
    "tr.detail td{padding-top:1px;padding-bottom:1px;font-size:13.5px}\n"
    "tr.detail td:first-child{padding-left:18px}\n"
    "tbody{border-bottom:1px solid var(--line)}tbody tr:last-child td{padding-bottom:14px}\n"
    "td small{display:block;font-size:12.5px}svg{display:block;margin-top:6px;fill:var(--mark)}\n"
    "tfoot td{padding-top:6px;padding-bottom:0}tfoot tr:first-child td{padding-top:16px}\n"
    "tfoot tr.total td{font-weight:700;font-size:18px;padding-top:8px}\n"
    "footer{margin-top:44px;padding-top:16px;border-top:1px solid var(--line);font-size:12.5px;"
    "color:var(--soft)}\n"
    "@media(max-width:640px){main{margin:0;border:0;padding:24px 18px}header{display:block}"
    ".due{text-align:left;margin-top:16px}td.unit,th.unit{display:none}td,th{padding-left:10px}"
    "svg{width:130px}}\n"
    "@media print{body{background:#fff}main{margin:0;padding:0;border:0;max-width:none}"
    "tbody,tfoot{break-inside:avoid}@page{margin:18mm}}\n"
    "</style>\n";

void html_add_text(struct buffer *html, struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        switch (text.at[i]) {
        case '&':
            buffer_add_string(html, "&amp;");
            break;
        case '<':
            buffer_add_string(html, "&lt;");
            break;
        case '>':
            buffer_add_string(html, "&gt;");
            break;
        case '"':
            buffer_add_string(html, "&quot;");
            break;
        case '\'':
            buffer_add_string(html, "&#39;");
            break;
        default:
            buffer_add_char(html, text.at[i]);
        }
    }
}

void html_open(struct buffer *html, struct text title)
{
    buffer_add_string(html, page_start);
    buffer_add_string(html, "<title>");
    html_add_text(html, title);
    buffer_add_string(html, "</title>\n</head>\n<body>\n<main>\n");
}

void html_close(struct buffer *html)
{
    buffer_add_string(html, "</main>\n</body>\n</html>\n");
}
