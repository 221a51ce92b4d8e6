#!/usr/bin/env python3
"""/metrics of each process is what Prometheus' own tools take: text 0.0.4 by promtool, OpenMetrics 1.0
by the parser of its Python client; and the client's Accept says which of them is sent."""
# limit: 120
import json
import pathlib
import subprocess
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, program_or_skip, skip  # noqa: E402

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# As Prometheus 2.x and 3.x ask.
SCRAPER = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;" \
          "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
SCRAPER_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/" \
            "openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4," \
            "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
ACCEPTS = [
    (None, PROMETHEUS), ("*/*", PROMETHEUS), ("text/plain", PROMETHEUS), ("image/png", PROMETHEUS),
    (SCRAPER, OPENMETRICS), (SCRAPER_3, OPENMETRICS), ("application/openmetrics-text", OPENMETRICS),
    ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
    ('Application/OpenMetrics-Text;Version="1.0.0"', OPENMETRICS),
    ("application/openmetrics-text; version=2.0.0", PROMETHEUS),
    ("application/openmetrics-text; version=1.0.0; q=0", PROMETHEUS),
    ("application/openmetrics-text;version=1.0.0;q=0.2,text/plain;q=0.7", PROMETHEUS),
]
# Names with their kinds and units, and the samples, by the client's own parser.
PARSE = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = list(text_string_to_metric_families(sys.stdin.read()))
print(json.dumps([[f.name, f.type, f.unit, [[s.name, s.value] for s in f.samples]] for f in families]))
"""


def scrape(url, accept=None):
    """(content type, text)"""
    request = urllib.request.Request(url + "/metrics", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def check(what, got, wanted):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r} instead of {wanted!r}")


def check_accepts(url):
    for accept, wanted in ACCEPTS:
        kind, text = scrape(url, accept)
        check(f"content type for {accept}", kind, wanted)
        check(f"has an end for {accept}", text.endswith("\n# EOF\n"), wanted == OPENMETRICS)


def check_prometheus(url):
    done = subprocess.run([program_or_skip("promtool"), "check", "metrics"], input=scrape(url)[1],
                          capture_output=True, text=True, check=False)
    check("promtool's objections", (done.returncode, done.stdout + done.stderr), (0, ""))


def parse(text):
    done = subprocess.run(["/usr/bin/python3", "-c", PARSE], input=text, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise AssertionError(done.stderr + text)
    return json.loads(done.stdout)


def check_openmetrics(url):
    text = scrape(url, OPENMETRICS)[1]
    families = parse(text)
    check("families with samples", [f[0] for f in families if not f[3]], [])
    names = {family[0]: family[1:3] for family in families}
    check("an own counter", names["tollway_http_requests"], ["counter", ""])
    check("a size", names["tollway_http_in_flight_bytes"], ["gauge", "bytes"])
    check("kinds", {kind for kind, _ in names.values()} - {"counter", "gauge", "histogram"}, set())
    told = {line.split("{")[0].split(" ")[0] for line in scrape(url)[1].splitlines() if line[0] != "#"}
    check("samples of both forms", {s[0] for f in families for s in f[3]}, told)
    for wrong in (text.replace("# EOF\n", ""), text.replace("TYPE tollway_http_requests ",
                                                            "TYPE tollway_http_requests_total ")):
        try:
            parse(wrong)
        except AssertionError:
            continue
        raise AssertionError("the parser takes everything")


def main():
    if subprocess.run(["/usr/bin/python3", "-c", "import prometheus_client"], capture_output=True,
                      check=False).returncode:
        skip("python3-prometheus-client isn't installed: scripts/setup test")
    catalog = {"meters": [{"slug": "calls", "name": "Calls", "eventType": "call", "aggregation": "COUNT"}]}
    with Stack(None, catalog) as tollway:
        for process in ("ingest", "aggregator", "invoicer"):
            url = tollway.at[process]
            check_accepts(url)
            check_prometheus(url)
            check_openmetrics(url)
            print(f"{process}: {len(ACCEPTS)} kinds of Accept; promtool and the OpenMetrics parser agree")


if __name__ == "__main__":
    main()
