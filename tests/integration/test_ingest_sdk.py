#!/usr/bin/env python3
"""Cross-check with the official CloudEvents SDK for JavaScript: what it writes is accepted in every
form and counts the same; what it refuses is refused. Where ingest and SDK differ is listed here."""
# limit: 240
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import ROOT, SUBSCRIPTION, Rig, main, wait_for  # noqa: E402

VERSION = "10.0.0"
RIG = SDK = None


class Sdk:
    def __init__(self, folder):
        environment = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
        self.process = subprocess.Popen(["node", ROOT / "tests/support/cloudevents_sdk.js"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)


def install(folder):
    done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix",
                           folder, f"cloudevents@{VERSION}"], capture_output=True, text=True)
    return done.returncode == 0


def members(ident, **more):
    return {"id": ident, "source": "/sdk", "type": "request", "subscription": SUBSCRIPTION,
            "data": {"total": 1}, **more}


# What the SDK writes: each in four forms, all of which are one event.
WRITTEN = {
    "the least": {},
    "a subject with every kind of letter": {"subject": "a 100% Euro \u20ac \U0001f600 \u00e4"},
    "a time": {"time": "2026-11-01T10:00:00.123Z"},
    "a schema": {"dataschema": "https://example.org/schema"},
    "a content type": {"datacontenttype": "application/json; charset=utf-8"},
    "extensions": {"partitionkey": "p", "sequence": "12", "flag": True, "number": -7},
    "a value as a string": {"data": {"total": "12.500000000001", "method": "GET"}},
}


def post(message):
    headers = [(n, v) for n, v in message["headers"].items() if n.lower() != "content-type"]
    types = [v for n, v in message["headers"].items() if n.lower() == "content-type"]
    body = (message["body"] or "").encode()
    return RIG.post(body, types[0] if types else None,
                    [(n, v.encode("utf-8") if isinstance(v, str) else str(v)) for n, v in headers])


def test_what_the_sdk_writes_is_accepted_in_every_form_as_one_event():
    for number, (name, more) in enumerate(WRITTEN.items()):
        made = SDK.ask(make=members(f"w{number}", **more))
        assert "error" not in made, (name, made)
        before = len(RIG.usage())
        for form, message in made["http"].items():
            status, answer, _ = post(message)
            assert status == 202, (name, form, answer, message)
        RIG.put("events", [{**r, "headers": {k: str(v) for k, v in r["headers"].items()}}
                           for r in made["kafka"].values()])

        def arrived():
            found = RIG.usage()
            return found if len(found) >= before + 4 else None
        found = wait_for(name, 20, arrived)
        latest = sorted(found, key=lambda e: e["arrivalMs"])[-4:]
        assert len({(e["identity"], e["payload"]) for e in latest}) == 1, (name, latest)
    assert RIG.rejected() == []


# What the SDK reads, and what ingest says of it. `None`: both take it.
def structured(**change):
    event = {"specversion": "1.0", **members("r"), **change}
    return {n: v for n, v in event.items() if v != "absent"}


READ = [
    ({}, None),
    ({"subject": "s", "time": "2026-11-01T10:00:00Z", "dataschema": "https://a/b"}, None),
    ({"id": "absent"}, "missing_attribute"),
    ({"id": ""}, "invalid_attribute"),
    ({"source": "absent"}, "missing_attribute"),
    ({"source": ""}, "invalid_attribute"),
    ({"type": "absent"}, "missing_attribute"),
    ({"type": ""}, "invalid_attribute"),
    ({"specversion": "0.9"}, "invalid_attribute"),
    ({"subject": ""}, "invalid_attribute"),
    ({"time": "not a time"}, "invalid_attribute"),
    ({"dataschema": "a b"}, "invalid_attribute"),
    ({"Upper": "x"}, "invalid_attribute"),
    ({"under_score": "x"}, "invalid_attribute"),
    ({"number": 1.5}, "invalid_attribute"),
]
# Where the specification asks for more than the SDK checks (it mends or passes over these), the rules
# of metering.md and facts.md E.1 hold.
SDK_IS_LOOSER = {"time", "number", "specversion", "Upper", "id", "subject", "type", "source",
                 "dataschema", "under_score"}


def test_what_the_sdk_refuses_is_refused():
    stricter = []
    for change, code in READ:
        event = structured(**change)
        body = json.dumps(event)
        said = SDK.ask(read={"headers": {"content-type": "application/cloudevents+json"}, "body": body})
        status, answer, _ = RIG.post(body)
        got = None if status == 202 else answer["rejected"][0]["code"]
        assert got == code, (change, code, answer)
        if "error" in said:
            assert got is not None, (change, said)
        elif got is not None:
            assert set(change) <= SDK_IS_LOOSER, (change, said)
            stricter.append(next(iter(change)))
    print(f"     refused here and taken by the SDK: {', '.join(stricter) or 'nothing'}")


# The SDK writes these raw, though the specification has them percent-encoded: a quote would be taken
# for quoting and %41 for an encoded A. Encoded as the specification says, they arrive as meant.
SDK_LEAVES_RAW = ("%41", '"', 'a "b" c')


def test_binary_headers_decode_to_what_was_meant():
    for text in ("Euro \u20ac", "a\\b", "100% sure", "\U0001f600", *SDK_LEAVES_RAW):
        message = SDK.ask(make=members("d", subject=text))["http"]["binary"]
        if text in SDK_LEAVES_RAW:
            assert message["headers"]["ce-subject"] == text
            message["headers"]["ce-subject"] = urllib.parse.quote(text)
        status, answer, _ = post(message)
        assert status == 202, (text, message, answer)
        latest = max(RIG.usage(), key=lambda e: e["arrivalMs"])
        assert latest["entries"][0]["subject"] == text, (text, latest)


if __name__ == "__main__":
    if not shutil.which("node") or not shutil.which("npm"):
        print("skipped: node and npm aren't installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="tollway-sdk-") as folder:
        if not install(pathlib.Path(folder)):
            print("skipped: npm can't install the CloudEvents SDK here")
            sys.exit(77)
        SDK = Sdk(pathlib.Path(folder))
        with Rig() as RIG:
            RIG.put_catalog()
            RIG.start()
            try:
                main(sys.modules["__main__"])
            finally:
                SDK.stop()
