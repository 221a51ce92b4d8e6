"""A running Tollway for a test that drives it from outside: scripts/up, HTTP, and kcat for Kafka.

Only the standard library. Every Stack has a bucket and a data folder of its own.
"""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin"
SKIPPED = 77
sys.path.insert(0, str(ROOT / "proto/reference"))
import counters  # noqa: E402


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def brokers_or_skip():
    """tests/run starts a Kafka when a test mentions TOLLWAY_TEST_BROKERS."""
    brokers = os.environ.get("TOLLWAY_TEST_BROKERS")
    if not brokers:
        skip("TOLLWAY_TEST_BROKERS is unset: run it with tests/run")
    return brokers


def program_or_skip(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        skip(f"{name} isn't installed: scripts/setup test")
    return path


def data_or_skip(*names):
    folder = ROOT.parent / "shared" / "data"
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        skip(f"../shared/data has no {', '.join(missing)}")
    return [folder / name for name in names]


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.1)


def key_and_value(line):
    """Of a line of topic-tool."""
    record = json.loads(line)
    if "hex" in record:
        return record["key"], bytes.fromhex(record["hex"])
    return record["key"], None if record["value"] is None else record["value"].encode()


class Stack:
    """`with Stack(brokers, catalog, TOLLWAY_DEDUP_HORIZON="P7300D") as tollway:`; brokers None: the
    embedded one"""

    def __init__(self, brokers, catalog, **settings):
        self.brokers, self.catalog = brokers, catalog
        self.environment = {**os.environ, **settings}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-test-"))

    def __enter__(self):
        file = self.folder / "catalog.json"
        file.write_text(json.dumps(self.catalog))
        up = subprocess.run(
            [ROOT / "scripts/up", *(["--brokers", self.brokers] if self.brokers else []),
             "--catalog", file, "--data", self.folder / "data", "--json"],
            env=self.environment, stdout=subprocess.PIPE, text=True, check=False)
        if up.returncode:
            raise AssertionError(f"scripts/up: exit {up.returncode}: {up.stdout}")
        self.at = json.loads(up.stdout)
        self.brokers = self.at["brokers"]
        return self

    def __exit__(self, kind, error, trace):
        subprocess.run([ROOT / "scripts/down", "--data", self.folder / "data"], check=not kind)
        if kind:
            print(f"kept for a look: {self.folder}")
        else:
            shutil.rmtree(self.folder)

    # --- what clients do ---

    def call(self, url, key, body=None, headers=()):
        """(status, parsed JSON)"""
        request = urllib.request.Request(url, data=body, headers=dict(headers))
        request.add_header("Authorization", f"Bearer {key}")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def post_events(self, body, content_type, encoding=None):
        headers = {"Content-Type": content_type}
        if encoding == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        return self.call(self.at["ingest"] + "/v1/events", self.at["key"], body, headers)

    def produce(self, lines):
        """One Kafka record a line, to `<bucket>.events`."""
        subprocess.run([program_or_skip("kcat"), "-P", "-q", "-b", self.brokers,
                        "-t", self.at["bucket"] + ".events", "-X", "acks=all"],
                       input=b"".join(line + b"\n" for line in lines), check=True)

    def query(self, meter, **parameters):
        """The rows of a meter query."""
        url = f"{self.at['aggregator']}/v3/metering/{self.at['bucket']}/meters/{meter}/query"
        status, answer = self.call(url, self.at["adminKey"], json.dumps(parameters).encode(),
                                   {"Content-Type": "application/json"})
        if status != 200:
            raise AssertionError(f"query of {meter}: {status} {answer}")
        return answer["data"]

    def ledger(self):
        status, answer = self.call(self.at["aggregator"] + "/v1/ledger", self.at["adminKey"])
        if status != 200:
            raise AssertionError(f"ledger: {status} {answer}")
        return answer

    def counters(self, accepted, seconds=60):
        """What `<bucket>.counters` says, by the reference reader, once its marks cover so many
        events: {key: total or mark}. Marks follow the totals that they vouch for."""
        held = {}

        def is_covered():
            # Not by kcat -e: on a topic that goes on being written it may never end.
            read = subprocess.run([BIN / "topic-tool", "get", self.brokers,
                                   self.at["bucket"] + ".counters"],
                                  check=True, capture_output=True, timeout=60)
            held.update(counters.state(map(key_and_value, read.stdout.splitlines())))
            marks = [record for record in held.values() if record["kind"] == "M"]
            return sum(mark["accepted"] for mark in marks) >= accepted
        wait_until(is_covered, seconds, f"marks that cover {accepted} events")
        return held

    def wait_ledger(self, name, wanted, seconds=120):
        """Until the ledger's `name` is at least `wanted` and nothing is left to read; the ledger."""
        last = {}

        def is_in():
            last.update(self.ledger())
            return last[name] >= wanted and last["lag"] == 0
        try:
            wait_until(is_in, seconds, f"{wanted} events {name}")
        finally:
            print("ledger:", {name: value for name, value in last.items() if name != "subscriptions"})
        return last


def check_equal(what, got, wanted):
    """Compares two dictionaries and shows the first differences."""
    if got == wanted:
        print(f"{what}: {len(wanted)} equal")
        return
    names = sorted(set(got) | set(wanted), key=str)
    wrong = [name for name in names if got.get(name) != wanted.get(name)]
    for name in wrong[:20]:
        print(f"{what}: {name}: got {got.get(name)}, wanted {wanted.get(name)}")
    raise AssertionError(f"{what}: {len(wrong)} of {len(names)} differ")
