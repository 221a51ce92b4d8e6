"""A broker, a catalog, ingest and any number of aggregators, for tests of counting from outside."""
import http.client
import json
import pathlib
import signal
import struct
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import ingest_rig
from ingest_rig import ADMIN_KEY, BATCH, BIN, PARTITIONS, tool, wait_for


def murmur2(data):
    """Which Kafka's Java client hashes keys by."""
    length, m = len(data), 0x5bd1e995
    h = (0x9747b28c ^ length) & 0xffffffff
    for i in range(0, length - length % 4, 4):
        k = struct.unpack_from("<I", data, i)[0]
        k = k * m & 0xffffffff
        k ^= k >> 24
        h = (h * m & 0xffffffff) ^ (k * m & 0xffffffff)
    tail = data[length - length % 4:]
    for i in range(len(tail) - 1, -1, -1):
        h ^= tail[i] << 8 * i
    if tail:
        h = h * m & 0xffffffff
    h ^= h >> 13
    h = h * m & 0xffffffff
    return h ^ h >> 15


def partition_of(subscription):
    return (murmur2(subscription.encode()) & 0x7fffffff) % PARTITIONS


class Aggregator:
    def __init__(self, rig, name, settings=()):
        self.rig, self.name = rig, name
        self.data = rig.folder / name
        self.ready = rig.folder / f"{name}.ready"
        self.settings = settings
        self.process = None

    def start(self, ready=True, settings=()):
        self.ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [BIN / "aggregator", "--brokers", self.rig.brokers, "--bucket", self.rig.bucket,
             "--listen", "127.0.0.1:0", "--ready-file", self.ready, "--data", self.data,
             *self.rig.settings, *self.settings, *settings],
            stderr=open(self.rig.folder / f"{self.name}.log", "a"))
        if ready:
            wait_for(f"{self.name}'s address", 20, self.ready.exists)
            self.url = self.ready.read_text().strip()
            wait_for(f"{self.name}'s readiness", 40, lambda: self.get("/readyz")[0] == 200)
        return self

    def stop(self, sign=signal.SIGTERM, seconds=20):
        self.process.send_signal(sign)
        status = self.process.wait(seconds)
        self.process = None
        return status

    def log(self):
        return (self.rig.folder / f"{self.name}.log").read_text()

    def request(self, method, path, body=None, key=ADMIN_KEY, headers=()):
        connection = http.client.HTTPConnection(urllib.parse.urlparse(self.url).netloc, timeout=60)
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent.update(headers)
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        content = answer.read().decode()
        connection.close()
        if "json" in (answer.headers.get("Content-Type") or ""):
            content = json.loads(content)
        return answer.status, content

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def metric(self, name):
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name + " ") or line.startswith(name + "{"):
                yield float(line.split()[-1])

    def inspect(self, verb):
        done = subprocess.run([BIN / "aggregator", verb, "--brokers", "none:1", "--bucket",
                               self.rig.bucket, "--data", self.data], capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout

    def digests(self):
        status, text = self.inspect("digest")
        assert status == 0, text
        return {line.split()[0]: line.split()[2:5:2] for line in text.splitlines()
                if "empty" not in line}


class CountingRig(ingest_rig.Rig):
    """Topics of the whole chain; `aggregators` end with it."""

    def __init__(self, **more):
        super().__init__(**more)
        self.aggregators = []

    def aggregator(self, name="a", settings=()):
        made = Aggregator(self, name, settings)
        self.aggregators.append(made)
        return made

    def __exit__(self, kind, *rest):
        for aggregator in self.aggregators:
            if aggregator.process:
                aggregator.process.kill()
                aggregator.process.wait()
            log = self.folder / f"{aggregator.name}.log"
            if kind and log.exists():
                print(f"--- {aggregator.name}\n{log.read_text()[-6000:]}", file=sys.stderr)
        super().__exit__(kind, *rest)

    def send(self, events):
        """Through ingest, in batches; every event must be taken in."""
        for i in range(0, len(events), 500):
            part = events[i:i + 500]
            status, answer, _ = self.post(part, BATCH)
            assert status == 202 and answer["accepted"] == len(part), (status, answer)

    def counters(self):
        """What the topic says now: ({(subscription, meter, from, to, dimensions): total}, marks)."""
        totals, uniques, marks = {}, {}, {}
        for record in tool("get", self.brokers, self.topic("counters")):
            kind, _, rest = record["key"].partition("/")
            if kind == "M":
                marks[int(rest)] = json.loads(record["value"])
            if kind not in ("T", "U"):
                continue
            value = record_bytes(record)
            assert value[:2] == b"CT" and len(value) == 56, value
            low, high, count, time_ns, offset = struct.unpack_from("<Qqqqq", value, 8)
            key = tuple(rest.split("/", 4))
            target = uniques if kind == "U" else totals
            if key not in target or target[key]["offset"] <= offset:
                target[key] = {"units": (high << 64) + low, "count": count, "offset": offset}
        return totals, uniques, marks


def record_bytes(record):
    return bytes.fromhex(record["hex"]) if "hex" in record else record["value"].encode()
