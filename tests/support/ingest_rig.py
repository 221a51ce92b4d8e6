"""A broker, a small catalog and an ingest process, for tests of ingest from outside."""
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin"
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SUBSCRIPTION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
OTHER = "01ARZ3NDEKTSV4RRFFQ69G5FB0"
ENDED = "01ARZ3NDEKTSV4RRFFQ69G5FB1"
PARTITIONS = 4
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


def make_key(name, mode="test"):
    """A key of the right form; `name` makes id and secret, so that tests can make several."""
    digest = hashlib.sha256(name.encode()).digest()
    letters = "".join(LETTERS[b % 62] for b in digest + digest)
    base = f"mk_{mode}_{letters[:8]}_{letters[8:35]}"
    crc, check = zlib.crc32(base.encode()), ""
    for _ in range(6):
        check, crc = LETTERS[crc % 62] + check, crc // 62
    return f"{base}_{check}"


def key_record(key, role="ingest", **more):
    ident = key.split("_")[2]
    return f"key/{ident}", {"epoch": 1, "id": ident, "role": role, "createdAt": "2026-01-01T00:00:00Z",
                            "sha256": hashlib.sha256(key.encode()).hexdigest(), **more}


def subscription(ident, customer, start="2015-01-01T00:00:00Z", **more):
    return f"subscription/{ident}", {"epoch": 1, "id": ident, "customerKey": customer,
                                     "plan": {"key": "payg", "version": 1}, "activeFrom": start,
                                     "billingAnchor": start, "cuts": [0], **more}


def meter(slug, event_type, aggregation, **more):
    return f"meter/{slug}", {"epoch": 1, "slug": slug, "name": slug, "eventType": event_type,
                             "aggregation": aggregation, **more}


def catalog(bucket):
    return [
        (f"bucket/{bucket}", {"epoch": 1, "partitions": PARTITIONS, "mode": "test",
                              "seed": "000102030405060708090a0b0c0d0e0f",
                              "createdAt": "2026-01-01T00:00:00Z"}),
        meter("api", "request", "SUM", valueProperty="$.total",
              groupBy={"method": "$.method", "status": "$.http.status"}),
        meter("calls", "request", "COUNT"),
        meter("users", "login", "UNIQUE_COUNT", valueProperty="$.user"),
        meter("ping", "ping", "COUNT"),
        meter("newer", "newer", "COUNT", eventFrom="2026-06-01T00:00:00Z"),
        subscription(SUBSCRIPTION, "acme", consumer={"name": "acme-key"}),
        subscription(OTHER, "two"),
        subscription("01ARZ3NDEKTSV4RRFFQ69G5FB2", "two"),
        subscription(ENDED, "gone", activeTo="2016-01-01T00:00:00Z"),
        key_record(KEY), key_record(ADMIN_KEY, "admin"),
        key_record(EXPIRED_KEY, expiresAt="2026-02-01T00:00:00Z"),
    ]


KEY, ADMIN_KEY, EXPIRED_KEY = make_key("mine"), make_key("admin"), make_key("expired")


def event(ident, **members):
    """An event that is accepted as it stands."""
    return {"specversion": "1.0", "id": ident, "source": "/test", "type": "request",
            "subscription": SUBSCRIPTION, "data": {"total": 1}, **members}


def wait_for(what, seconds, question):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def tool(verb, brokers, topic, text=None):
    done = subprocess.run([BIN / "topic-tool", verb, brokers, topic], input=text, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Broker:
    """The embedded one: nothing to install, and it ends with the test."""

    def __init__(self, folder, bucket):
        topics = ",".join(f"{bucket}.{name}:{count}" for name, count in
                          (("events", PARTITIONS), ("usage", PARTITIONS), ("rejected", PARTITIONS),
                           ("catalog", 1), ("counters", PARTITIONS)))
        ready = folder / "broker"
        self.process = subprocess.Popen([BIN / "embedded-broker", "--topics", topics, "--ready-file",
                                         ready], stderr=subprocess.DEVNULL)
        wait_for("the broker", 20, lambda: ready.exists() and ready.read_text().strip())
        self.address = ready.read_text().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Rig:
    def __init__(self, brokers=None, topics_check=False, settings=(), bucket=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-ingest-"))
        self.bucket = bucket or "t" + uuid.uuid4().hex[:10]
        self.broker = None if brokers else Broker(self.folder, self.bucket)
        self.brokers = brokers or self.broker.address
        self.settings = [f"--topics-check={'true' if topics_check else 'false'}", *settings]
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process:
            self.process.kill()
            self.process.wait()
        if self.broker:
            self.broker.stop()
        if kind:
            log = self.folder / "log"
            print(log.read_text()[-4000:] if log.exists() else "no log", file=sys.stderr)
        shutil.rmtree(self.folder, ignore_errors=True)

    def topic(self, name):
        return f"{self.bucket}.{name}"

    def put(self, name, records):
        tool("put", self.brokers, self.topic(name), "".join(json.dumps(r) + "\n" for r in records))

    def put_catalog(self, records=None):
        records = catalog(self.bucket) if records is None else records
        self.put("catalog", [{"key": k, "value": json.dumps(v)} for k, v in records])

    def start(self, ready=True, before=()):
        """`before` is a command that runs ingest in its place."""
        ready_file = self.folder / "ready"
        ready_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*before, BIN / "ingest", "--brokers", self.brokers, "--bucket", self.bucket, "--listen",
             "127.0.0.1:0", "--ready-file", ready_file, *self.settings],
            stderr=open(self.folder / "log", "a"))
        wait_for("ingest's address", 20, ready_file.exists)
        self.url = ready_file.read_text().strip()
        if ready:
            self.await_ready()

    def await_ready(self, seconds=30):
        wait_for("readiness", seconds, lambda: self.get("/readyz")[0] == 200)

    def stop(self, sign=signal.SIGTERM, seconds=20):
        self.process.send_signal(sign)
        status = self.process.wait(seconds)
        self.process = None
        return status

    def connect(self, timeout=60):
        return http.client.HTTPConnection(urllib.parse.urlparse(self.url).netloc, timeout=timeout)

    def request(self, method, path, body=None, headers=()):
        connection = self.connect()
        connection.putrequest(method, path)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        try:
            content = json.loads(content)
        except ValueError:
            content = content.decode()
        return answer.status, content, answer.headers

    def get(self, path):
        return self.request("GET", path)[:2]

    def post(self, body, content_type=STRUCTURED, headers=(), key=KEY):
        """POST /v1/events; a body that isn't bytes or text is sent as JSON."""
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        sent = [("Authorization", f"Bearer {key}")] if key else []
        if content_type:
            sent.append(("Content-Type", content_type))
        return self.request("POST", "/v1/events", body, [*sent, *headers])

    def usage(self):
        return tool("usage", self.brokers, self.topic("usage"))

    def rejected(self):
        return tool("get", self.brokers, self.topic("rejected"))

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        raise AssertionError(f"no metric {name}")


def memory_bytes(rig):
    status = pathlib.Path(f"/proc/{rig.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def main(module):
    """Runs every function of the module whose name begins with test_, or those named as arguments."""
    tests = {n: f for n, f in vars(module).items() if n.startswith("test_") and callable(f)}
    failed = 0
    for name in sys.argv[1:] or tests:
        try:
            tests[name]()
            print(f"ok   {name}", flush=True)
        except Exception as error:  # every case is run; the first failure's trace is printed
            failed += 1
            import traceback
            traceback.print_exc()
            print(f"FAIL {name}: {error}", flush=True)
    print(f"{len(sys.argv[1:] or tests) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
