"""A Tollway started by scripts/up, asked by raw HTTP, for tests of metering.md rule by rule."""
import datetime
import fractions
import http.client
import json
import subprocess
import sys
import time
import traceback
import urllib.parse
import zoneinfo

from stack import BIN, Stack, wait_until

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"
UTC = datetime.timezone.utc


def sub(number):
    """Subscriptions 0 to 79 are active since 2005; a test takes one that no other test takes."""
    return f"01ARZ3NDEKTSV4RRFFQ69H0{number:03d}"


def meters():
    groups = {"method": "$.method", "status": "$.http.status"}
    made = [
        {"slug": "api", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.total",
         "groupBy": groups},
        {"slug": "calls", "eventType": "request", "aggregation": "COUNT"},
        {"slug": "users", "eventType": "login", "aggregation": "UNIQUE_COUNT",
         "valueProperty": "$.user", "groupBy": {"region": "$.region"}},
        {"slug": "ping", "aggregation": "COUNT"},
        {"slug": "newer", "aggregation": "COUNT", "eventFrom": "2020-06-01T00:00:00Z"},
        {"slug": "odd", "aggregation": "SUM", "valueProperty": "$['a.b']['c d'].e.f.g.h.i['~/']",
         "groupBy": {f"d{i}": f"$.d{i}" for i in range(8)}},
    ]
    for kind in ("AVG", "MIN", "MAX", "LATEST", "SUM"):
        made.append({"slug": f"v_{kind.lower()}", "eventType": "sample", "aggregation": kind,
                     "valueProperty": "$.v", "groupBy": {"k": "$.k"}})
    return made


def base_catalog():
    plan = {"key": "payg", "name": "Payg", "currency": "USD", "billingCadence": "P1M", "phases": [
        {"key": "default", "name": "Default", "rateCards": [
            {"type": "usage_based", "key": "api", "featureKey": "api", "billingCadence": "P1M",
             "price": {"type": "unit", "amount": "0.01"}}]}]}
    subscriptions = [{"id": sub(i), "customerKey": f"c{i}", "plan": {"key": "payg"},
                      "activeFrom": "2005-01-01T00:00:00Z"} for i in range(80)]
    return {"meters": meters(), "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
            "plans": [plan], "customers": [{"key": f"c{i}", "name": f"C{i}"} for i in range(80)],
            "subscriptions": subscriptions}


def event(ident, subscription, **members):
    made = {"specversion": "1.0", "id": ident, "source": "/rules", "type": "request",
            "subscription": subscription, "data": {"total": 1}, **members}
    return {name: value for name, value in made.items() if value is not ...}


def ago(seconds=0, at=None):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((at or time.time()) - seconds))


class Rules(Stack):
    """What is accepted is counted along, so that `settle` knows what to wait for."""

    sent = 0

    def http(self, process, method, path, body=None, headers=()):
        """(status, body, headers), the body parsed where it is JSON."""
        connection = http.client.HTTPConnection(urllib.parse.urlparse(self.at[process]).netloc,
                                                timeout=60)
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if "json" in (answer.headers.get("Content-Type") or ""):
            content = json.loads(content)
        return answer.status, content, answer.headers

    def post(self, body, content_type=STRUCTURED, headers=(), key=None):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        sent = [("Authorization", f"Bearer {key or self.at['key']}"), *headers]
        if content_type:
            sent.append(("Content-Type", content_type))
        status, answer, _ = self.http("ingest", "POST", "/v1/events", body, sent)
        if status == 202:
            self.sent += answer["accepted"]
        return status, answer

    def accepts(self, *events, content_type=BATCH, headers=()):
        """All of them; a single body (text or bytes) is sent as it is."""
        is_raw = len(events) == 1 and isinstance(events[0], (str, bytes))
        body = events[0] if is_raw else list(events)
        status, answer = self.post(body, content_type, headers)
        assert status == 202 and answer["rejected"] == [], (status, answer, str(body)[:300])
        assert is_raw or answer["accepted"] == len(events), answer
        return answer["accepted"]

    def refuses(self, body, code, pointer, content_type=STRUCTURED, headers=()):
        """One event: its code and pointer."""
        status, answer = self.post(body, content_type, headers)
        assert status == 400 and answer["code"] == "no_acceptable_event", (status, answer,
                                                                         str(body)[:300])
        assert answer["type"] == "urn:tollway:problem:no_acceptable_event", answer
        [refusal] = answer["rejected"]
        assert (refusal["code"], refusal["pointer"]) == (code, pointer), (refusal, str(body)[:300])
        return refusal

    def refuses_whole(self, status, code, body, content_type=STRUCTURED, headers=()):
        got, answer = self.post(body, content_type, headers)
        assert (got, answer.get("code")) == (status, code), (got, answer, str(body)[:200])
        assert answer["type"] == f"urn:tollway:problem:{code}", answer
        return answer

    def settle(self):
        """Until all that was accepted is read; the ledger."""
        last = {}

        def is_in():
            last.update(self.ledger())
            return last["lag"] == 0 and last["accepted"] >= self.sent
        wait_until(is_in, 60, "the ledger's lag of 0")
        assert last["accepted"] == self.sent, (last["accepted"], self.sent)
        names = ("counted", "duplicate", "rejected", "late")
        assert last["accepted"] == sum(last[name] for name in names), last
        return last

    def ledger_of(self, subscription):
        self.settle()
        status, answer, _ = self.http(
            "aggregator", "GET", f"/v1/ledger?filterSubscription={subscription}",
            headers=[("Authorization", f"Bearer {self.at['adminKey']}")])
        assert status == 200, answer
        return {name: answer[name] for name in ("accepted", "counted", "duplicate", "conflict",
                                                "rejected", "late")}

    def ask(self, meter, body=None, method="POST", query="", headers=(), key=None, raw=None):
        path = f"/v3/metering/{self.at['bucket']}/meters/{meter}/query{query}"
        text = raw if raw is not None else None if method == "GET" else json.dumps(body or {})
        sent = [("Authorization", f"Bearer {key or self.at['adminKey']}"), *headers]
        if method == "POST":
            sent.append(("Content-Type", "application/json"))
        return self.http("aggregator", method, path, text, sent)[:2]

    def rows(self, meter, subscription, **parameters):
        """Of one subscription, in as few members as say something."""
        self.settle()
        status, answer = self.ask(meter, {"filterSubscription": [subscription], **parameters})
        assert status == 200, answer
        return answer["data"]

    def value(self, meter, subscription, **parameters):
        rows = self.rows(meter, subscription, **parameters)
        assert len(rows) == 1, rows
        return rows[0]["value"]

    def put(self, topic, records):
        text = "".join(json.dumps(record) + "\n" for record in records)
        subprocess.run([BIN / "topic-tool", "put", self.brokers,
                        f"{self.at['bucket']}.{topic}"], input=text, text=True, check=True, timeout=60)

    def get(self, topic, verb="get"):
        read = subprocess.run([BIN / "topic-tool", verb, self.brokers,
                               f"{self.at['bucket']}.{topic}"], capture_output=True, text=True,
                              check=True, timeout=60)
        return [json.loads(line) for line in read.stdout.splitlines()]

    def invoicer(self, *arguments):
        """(exit code, output and log together)"""
        done = subprocess.run(
            [BIN / "invoicer", *arguments, "--brokers", self.brokers, "--bucket",
             self.at["bucket"], "--data", self.folder / "data/invoicer", "--topics-check=false"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    def apply(self, catalog, name="more.json"):
        file = self.folder / name
        file.write_text(catalog if isinstance(catalog, str) else json.dumps(catalog))
        return self.invoicer("catalog", "apply", file)


# --- windows, by looking at the clock of each minute ---

def utc(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def text_of(moment):
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def window_name(moment, size, zone):
    local = moment.astimezone(zoneinfo.ZoneInfo(zone))
    if size == "HOUR":
        return local.date(), local.hour, local.utcoffset()
    return (local.year, local.month) + ((local.day,) if size == "DAY" else ())


def window_of(moment, size, zone):
    """(first minute, first minute after): as far as the clock shows the same. A stretch that shows
    an earlier day again belongs to the day that has begun, so days are taken by their first minute."""
    step = datetime.timedelta(minutes=1)
    begin = moment.replace(second=0, microsecond=0)
    name, end = window_name(moment, size, zone), begin
    while window_name(begin - step, size, zone) == name:
        begin -= step
    while window_name(end, size, zone) == name:
        end += step
    return text_of(begin), text_of(end)


def shortest(value):
    """A fraction of at most 12 decimals as its shortest decimal."""
    scaled = fractions.Fraction(value) * 10 ** 12
    assert scaled.denominator == 1, value
    whole, part = divmod(scaled.numerator, 10 ** 12)
    return f"{whole}.{part:012d}".rstrip("0").rstrip(".") if part else str(whole)


def run_cases(module, tollway):
    """Each test_… of the module, with the rig; all of them, though one fails. The names."""
    failed = []
    for name, case in list(vars(module).items()):
        if not name.startswith("test_") or (len(sys.argv) > 1 and sys.argv[1] not in name):
            continue
        began = time.monotonic()
        try:
            case(tollway)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        verdict = "FAILED" if name in failed else "ok"
        print(f"{verdict:6} {time.monotonic() - began:5.1f} s  {name}", flush=True)
    assert not failed, failed
