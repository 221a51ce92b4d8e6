#!/usr/bin/env python3
"""loadgen against an ingest that answers 503, closes connections and refuses events: what it says it
sent is what arrived, every batch is taken once in the end, and a seed makes the same events."""
# limit: 120
import collections
import datetime
import http.server
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOADGEN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin/loadgen"

CATALOG = {
    "meters": [
        {"slug": "api", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.total",
         "groupBy": {"method": "$.http.method", "status": "$.status"}},
        {"slug": "bytes", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.bytes"},
        {"slug": "users", "eventType": "login", "aggregation": "UNIQUE_COUNT",
         "valueProperty": "$['the user']"}],
    "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
    "plans": [{"key": "p", "phases": [{"rateCards": [{"type": "usage_based", "featureKey": "api"}]}]},
              {"key": "none", "phases": []}],
    "subscriptions": [
        {"id": f"01ARZ3NDEKTSV4RRFFQ69G5F{i:02d}", "customerKey": f"c{i}",
         "plan": {"key": "none" if i % 5 == 0 else "p"}, "activeFrom": "2026-01-01T00:00:00Z",
         **({"consumer": {"name": f"consumer-{i}"}} if i % 2 else {})} for i in range(20)]}


class Ingest(http.server.BaseHTTPRequestHandler):
    """Takes what is JSON and not negative; in one case of three it does something unhelpful."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Authorization"] == "Bearer the-key" and self.path == "/v1/events"
        state, mood = self.server.state, self.server.random.random()
        if mood < 0.15:
            return self.answer(503, {"code": "unavailable"})
        if mood < 0.25:
            self.close_connection = True
            return None
        lines = self.events_of(body)
        with state["lock"]:
            state["bodies"].append(body)
        rejected = [{"index": i, "code": "invalid_json"} for i, event in enumerate(lines) if event is None]
        return self.answer(202, {"accepted": len(lines) - len(rejected), "rejected": rejected})

    def events_of(self, body):
        if self.headers["Content-Type"] == "application/cloudevents-batch+json":
            return json.loads(body)
        assert self.headers["Content-Type"] == "application/x-ndjson"
        return [parsed(line) for line in body.decode().splitlines()]

    def do_GET(self):
        """The ledger: what was taken, half of it read."""
        assert self.path == "/v1/ledger?filterSubscription=-"
        if self.headers["Authorization"] != "Bearer the-admin":
            return self.answer(401, {"code": "unauthorized"})
        state = self.server.state
        with state["lock"]:
            taken = sum(len(self.lines_of(body)) for body in state["bodies"])
            state["lags"].append(taken - state["read"])
            state["read"] = (state["read"] + taken + 1) // 2
            return self.answer(200, {"lag": taken - state["read"]})

    @staticmethod
    def lines_of(body):
        return json.loads(body) if body[:1] == b"[" else body.splitlines()

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


def parsed(line):
    try:
        return json.loads(line)
    except ValueError:
        return None


def serve(seed_of_moods):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Ingest)
    server.random = random.Random(seed_of_moods)
    server.state = {"bodies": [], "lock": threading.Lock(), "lags": [], "read": 0}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def run(seed_of_moods, *arguments):
    server = serve(seed_of_moods)
    command = [LOADGEN, "--url", f"http://127.0.0.1:{server.server_port}/", "--key", "the-key", "--json",
               *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.stderr == "", done.stderr
    server.shutdown()
    return json.loads(done.stdout), server.state["bodies"]


def read_log(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    events = [line for line in lines if "kind" in line]
    answers = [line for line in lines if "accepted" in line]
    retries = [line for line in lines if "try" in line]
    return events, answers, retries


def bodies_of(events):
    """What must have arrived, batch by batch, from the log alone."""
    batches = collections.defaultdict(list)
    for line in events:
        batches[line["batch"]].append(line)
    for batch in batches.values():
        assert [line["index"] for line in batch] == list(range(len(batch)))
        yield [line.get("event", line.get("raw")) for line in batch]


def arrived(bodies):
    for body in bodies:
        if body[:1] == b"[":
            yield json.loads(body)
        else:
            yield [parsed(line) or line for line in body.decode().splitlines()]


def as_text(batches):
    return sorted(json.dumps(batch) for batch in batches)


def instant(time):
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).astimezone(
        datetime.timezone.utc).isoformat()


def test_scenario(folder):
    catalog = folder / "catalog.json"
    catalog.write_text(json.dumps(CATALOG))
    common = ["--catalog", catalog, "--month", "2026-10", "--events", 5000, "--duplicates", "2%",
              "--late", "1%", "--broken", "3%", "--seed", 7]
    summary, bodies = run(1, *common, "--log", folder / "a", "--connections", 3)
    events, answers, retries = read_log(folder / "a")

    assert as_text(bodies_of(events)) == as_text(arrived(bodies)), "the log says what arrived"
    kinds = collections.Counter(line["kind"] for line in events)
    assert {kind: summary[kind] for kind in kinds} == dict(kinds), (summary, kinds)
    assert summary["events"] == len(events) == 5000
    assert 60 < kinds["duplicate"] < 140 and 25 < kinds["late"] < 75 and 100 < kinds["broken"] < 200, kinds
    assert summary["batches"] == len(answers) == 50 and summary["retries"] == len(retries) > 0
    assert summary["accepted"] + summary["rejected"] == 5000

    place = {(line["batch"], line["index"]): line for line in events}
    for line in events:
        if line["kind"] == "duplicate":
            assert place[tuple(line["of"])]["event"] == line["event"]
    plain = [line["event"] for line in events if line["kind"] == "plain"]
    assert len({event["id"] for event in plain}) == len(plain)
    assert all("2026-10-01" <= event["time"] < "2026-11-01T02:01" for event in plain)
    assert all("2026-08-1" <= line["event"]["time"] < "2026-08-27T02:01"
               for line in events if line["kind"] == "late"), "35 days before the month"
    assert {line["expect"] for line in events if line["kind"] == "broken"} >= {
        "unknown_type", "missing_attribute", "invalid_attribute", "negative_value", "invalid_json"}
    assert {event["type"] for event in plain} == {"request", "login"}
    assert any("subject" in event and "subscription" not in event for event in plain)

    run(2, *common, "--log", folder / "b", "--connections", 9)
    assert read_log(folder / "b")[0] == events, "the same seed, the same events"
    run(2, *common[:-1], 8, "--log", folder / "c", "--late-first", "PT6H")
    others = read_log(folder / "c")[0]
    assert others != events, "another seed, others"
    assert all((instant(line["event"]["time"]) < "2026-10-01T05:00") == (line["kind"] == "late")
               and (line["kind"] == "late" or instant(line["event"]["time"]) >= "2026-10-01T06:00")
               for line in others if line["kind"] in ("plain", "late"))


def test_file(folder):
    lines = [json.dumps({"id": str(i), "text": "x" * (i % 90)}) for i in range(1234)]
    (folder / "events").write_text("\n".join(lines[:600]) + "\n\n" + "\r\n".join(lines[600:]))
    summary, bodies = run(3, "--events-file", folder / "events", "--repeat-every", 10, "--batch", 10,
                          "--connections", 1)

    sent = [line for body in bodies for line in body.decode().splitlines()]
    expected = []
    for i in range(0, 1234, 10):
        expected += lines[i:i + 10] * (2 if i // 10 % 10 == 9 else 1)
    assert sent == expected
    assert summary["plain"] == 1234 and summary["duplicate"] == 120


def test_lag(folder):
    (folder / "events").write_text("".join(f'{{"id":"{i}"}}\n' for i in range(10000)))
    server = serve(4)
    url = f"http://127.0.0.1:{server.server_port}"
    command = [LOADGEN, "--url", url, "--key", "the-key", "--events-file", folder / "events", "--batch", "50",
               "--connections", "2", "--lag-url", url, "--lag-max", "1000"]
    subprocess.run([*command, "--admin-key", "the-admin"], check=True)
    assert sum(len(body.splitlines()) for body in server.state["bodies"]) == 10000
    assert 0 < max(server.state["lags"]) <= 1000 + 2 * 50, "no more than was in flight beyond the limit"

    done = subprocess.run([*command, "--admin-key", "wrong"], check=False, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 69 and "the admin key is refused" in done.stderr, done
    server.shutdown()


def main():
    for test in (test_scenario, test_file, test_lag):
        with tempfile.TemporaryDirectory() as folder:
            test(pathlib.Path(folder))
        print(f"{test.__name__}: ok")


if __name__ == "__main__":
    sys.exit(main())
