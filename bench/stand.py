"""What a benchmark stands on: a Kafka, buckets, Tollway's processes with their CPU clocks, and the
independent count that every run is compared with. Only the standard library."""
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time
import urllib.parse
from decimal import Decimal

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "build-tuned" / "bin"
HOME = ROOT / "build" / "bench"
PARTITIONS = 4
ROWS_MAX, NAMES_MAX = 100_000, 1000  # of a query's answer; of the subscriptions that it may ask for
SUBSCRIPTION = "01ARZ3NDEKTSV4RRFF00000000"
CPU_CLOCK_OF_PROCESS = 2
STALLED_SECONDS = 40
WARM_ROUNDS_LEAST, WARM_ROUNDS_MOST, WARM_ROUND = 4, 16, 5000  # of single posts, one after the other
COMPILING_MOST = 0.02  # of a core, by Kafka's JVM, once it is warm
NUMBERED_SOURCE = "/gateways/numbered"  # bench/made_gateway.c's


class Wrong(Exception):
    """A run whose totals aren't right, or that didn't end: it has no figures."""


def say(text):
    print(text, flush=True)


def run_json(*command, **more):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **more)
    if done.returncode:
        raise Wrong(f"{command[0]}: exit {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_ns(pid):
    """CPU time of a process of ours, all its threads, in ns."""
    return time.clock_gettime_ns((~pid) << 3 | CPU_CLOCK_OF_PROCESS)


def children(pid):
    """The process and all below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text().split():
                found += children(int(child))
    return found


def tree_cpu_ns(pid):
    """Of the process and those below it; of what ended, what its parent has waited for."""
    ticks = sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[13:15]))
    total = ticks * 10**9 // os.sysconf("SC_CLK_TCK")
    for one in children(pid):
        with contextlib.suppress(OSError):
            total += cpu_ns(one)
    return total


def memory_mb(pid, field="VmRSS"):
    """VmRSS or VmHWM; RssAnon is what isn't a mapped file."""
    match = re.search(rf"^{field}:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(match[1]) / 1024


def wait_for(what, seconds, question, pause=0.05):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = question()
        if answer:
            return answer
        time.sleep(pause)
    raise Wrong(f"{what}: not within {seconds} s")


class Kafka:
    """One node by scripts/kafka, as fast as anyone's: optimised by the JVM."""

    def __init__(self):
        self.home = HOME / "kafka"
        self.address = subprocess.run([ROOT / "scripts/kafka", "start", "--optimized", "--home", self.home],
                                      check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
        self.pid = int((self.home / "node-1" / "pid").read_text())

    def compiling_ns(self):
        """CPU time of its JVM's compilers so far."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if "Compiler" in (task / "comm").read_text():
                    total += int((task / "schedstat").read_text().split()[0])
        return total

    def stop(self):
        subprocess.run([ROOT / "scripts/kafka", "stop", "--wipe", "--home", self.home], check=True)

    def topics(self, *arguments):
        return subprocess.run([ROOT / "scripts/kafka", "topics", "--home", self.home, "--", *arguments],
                              check=True, capture_output=True, text=True).stdout


class Process:
    """A process of Tollway's with an HTTP address."""

    def __init__(self, bucket, name, program, settings):
        self.bucket, self.name = bucket, name
        self.ready_file = bucket.folder / f"{name}.ready"
        self.ready_file.unlink(missing_ok=True)
        self.log = open(bucket.folder / f"{name}.log", "ab")
        self.began = time.monotonic()
        self.child = subprocess.Popen(
            [str(word) for word in (BIN / program, "--brokers", bucket.kafka.address, "--bucket", bucket.name,
                                    "--listen", "127.0.0.1:0", "--ready-file", self.ready_file, *settings)],
            stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.pid = self.child.pid
        wait_for(f"{name}'s address", 60, self.has_address, 0.01)
        self.url = self.ready_file.read_text().strip()
        self.connection = None

    def has_address(self):
        if self.child.poll() is not None:
            raise Wrong(f"{self.name} ended with {self.child.returncode}: see {self.log.name}")
        return self.ready_file.exists() and self.ready_file.read_text().strip()

    def get(self, path, key=None, body=None):
        """On a kept connection, which the server may have closed for its idleness: then on a new one."""
        if self.connection:
            try:
                return self.get_once(path, key, body)
            except http.client.RemoteDisconnected:
                pass
        return self.get_once(path, key, body)

    def get_once(self, path, key, body):
        if not self.connection:
            self.connection = http.client.HTTPConnection(urllib.parse.urlparse(self.url).netloc, timeout=600)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            self.connection.request("POST" if body is not None else "GET", path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def await_ready(self, seconds=300):
        wait_for(f"{self.name}'s readiness", seconds, self.is_ready)
        return time.monotonic() - self.began

    def metrics(self, prefix):
        """{label part: value} of the metrics whose names begin so."""
        lines = self.get("/metrics")[1].decode().splitlines()
        return {line.split(" ")[0][len(prefix):]: float(line.split()[-1])
                for line in lines if line.startswith(prefix)}

    def cpu(self):
        return cpu_ns(self.pid)

    def stop(self, sign=signal.SIGTERM):
        if self.child.poll() is None:
            self.child.send_signal(sign)
            try:
                self.child.wait(120)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
                raise Wrong(f"{self.name} didn't end in two minutes") from None
        self.log.close()


class Aggregator(Process):
    """With room for the ids of all that a stage counts: sealed days would be another figure."""

    def __init__(self, bucket, name="aggregator", *settings):
        super().__init__(bucket, name, "aggregator",
                         ["--data", bucket.folder / name, "--dedup-memory=16GiB", *settings])

    def counted(self):
        """Events read, whatever became of them."""
        return int(sum(self.metrics("tollway_aggregator_events_total").values()))

    def taken(self):
        """Messages read; they are counted at the next commit."""
        return int(sum(self.metrics("tollway_aggregator_messages_total").values()))

    def lag(self):
        return int(sum(self.metrics("tollway_aggregator_lag_messages").values()))


def make_catalog(subscription, active_from):
    price = {"type": "unit", "amount": "0.01"}
    card = {"type": "usage_based", "key": "api", "featureKey": "api", "billingCadence": "P1M", "price": price}
    return {"configuration": {"numberedSources": [NUMBERED_SOURCE]},
            "meters": [{"slug": "api", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.value"}],
            "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
            "plans": [{"key": "payg", "name": "Pay as you go", "currency": "USD", "billingCadence": "P1M",
                       "phases": [{"key": "default", "name": "Default", "rateCards": [card]}]}],
            "customers": [{"key": "acme", "name": "Acme"}],
            "subscriptions": [{"id": subscription, "customerKey": "acme", "plan": {"key": "payg"},
                               "activeFrom": active_from}]}


def parts(names):
    """What queries ask for that together have a row of each name: of all at once, where an answer holds them."""
    if len(names) <= ROWS_MAX:
        return [[]]
    return [names[i:i + NAMES_MAX] for i in range(0, len(names), NAMES_MAX)]


class Bucket:
    """Topics, catalog and keys; what was sent to it, by an independent count."""

    def __init__(self, kafka, name, subscriptions, with_catalog=True):
        self.kafka, self.name, self.subscriptions = kafka, f"{name}_{os.getpid()}", subscriptions
        self.folder = HOME / "data" / self.name
        self.folder.mkdir(parents=True)
        yesterday = datetime.datetime.now(datetime.timezone.utc).replace(
            hour=6, minute=0, second=0, microsecond=0) - datetime.timedelta(days=1)
        self.start_ms = int(yesterday.timestamp() * 1000)
        self.next_number = 0
        self.sent = {}  # subscription: [counted, duplicate, tenths]
        self.batches = 0  # that ingest made of the last events
        self.invoicer("topics", "create", "--partitions", PARTITIONS, "--replication", 1)
        self.key, self.admin_key = self.new_key("ingest"), self.new_key("admin")
        catalog = self.folder / "catalog.json"
        catalog.write_text(json.dumps(make_catalog(SUBSCRIPTION, yesterday.strftime("%Y-%m-01T00:00:00Z"))))
        self.invoicer("catalog", "apply", catalog)
        if with_catalog:
            self.put_subscriptions()

    def invoicer(self, *words):
        done = subprocess.run([str(word) for word in (
            BIN / "invoicer", *words, "--brokers", self.kafka.address, "--bucket", self.name,
            "--data", self.folder / "invoicer")], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Wrong(f"invoicer {words[0]}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def new_key(self, role):
        return re.search(r"mk_(test|live)_\w+", self.invoicer("keys", "create", "--role", role))[0]

    def topic(self, name):
        return f"{self.name}.{name}"

    def put_subscriptions(self):
        """The record of the only one, as the invoicer wrote it, for each of them."""
        lines = subprocess.run([BIN / "topic-tool", "get", self.kafka.address, self.topic("catalog")], check=True,
                               capture_output=True, text=True).stdout.splitlines()
        record = next(json.loads(line) for line in lines if f"subscription/{SUBSCRIPTION}" in line)["value"]
        run_json(BIN / "bench-fill", f"brokers={self.kafka.address}", f"topic={self.topic('catalog')}",
                 "form=catalog", "partitions=1", f"record={record}", f"subscriptions={self.subscriptions}")

    def words(self, events, **more):
        """What both bench-fill and bench-post take; the numbers go on from call to call."""
        words = {"events": events, "subscriptions": self.subscriptions, "first": self.next_number,
                 "start-ms": self.start_ms, **more}
        self.next_number += events
        return [f"{name}={value}" for name, value in words.items()]

    def fill(self, form, events, **more):
        """Made events to the topic of their form; what bench-fill says."""
        counts = self.folder / "counts"
        topic = self.topic("usage" if form == "usage" else "events")
        done = run_json(BIN / "bench-fill", f"brokers={self.kafka.address}", f"topic={topic}", f"form={form}",
                        f"partitions={PARTITIONS}", f"counts={counts}", *self.words(events, **more))
        self.add_counts(counts)
        return done

    def post(self, ingest, events, **more):
        """Made events over HTTP; what bench-post says. Ingest's address is on the loopback."""
        counts = self.folder / "counts-http"
        port = urllib.parse.urlparse(ingest.url).port
        done = run_json(BIN / "bench-post", f"port={port}", f"key={self.key}", f"counts={counts}",
                        *self.words(events, **more))
        self.add_counts(counts)
        return done

    def warm(self, ingest):
        """Kafka's JVM compiles what takes requests again after thousands of them: seconds of CPU that
        whoever is measured beside it would lack. So it has them before, until its compilers rest."""
        for number in range(1, WARM_ROUNDS_MOST + 1):
            compiled, began = self.kafka.compiling_ns(), time.monotonic()
            self.post(ingest, WARM_ROUND, batch=1, connections=1)
            share = (self.kafka.compiling_ns() - compiled) / (time.monotonic() - began) / 1e9
            if share < COMPILING_MOST and number >= WARM_ROUNDS_LEAST:
                return
        say(f"    Kafka's JVM still compiles: {share:.0%} of a core")

    def add_counts(self, file):
        for line in file.read_text().splitlines():
            name, *numbers = line.split()
            have = self.sent.setdefault(name, [0, 0, 0])
            for i, number in enumerate(numbers):
                have[i] += int(number)
        file.unlink()

    def bare(self, topic, offsets):
        return run_json(BIN / "bench-bare", f"brokers={self.kafka.address}", f"topic={self.topic(topic)}",
                        f"partitions={PARTITIONS}", "from=" + ",".join(map(str, offsets)))

    def aggregator(self, name="aggregator", *settings):
        return Aggregator(self, name, *settings)

    def ingest(self, *settings):
        return Process(self, "ingest", "ingest", settings)

    def both_hops(self, events):
        """CPU ns an event of {ingest, aggregator}, each emptying the backlog that lies before it: one
        after the other, so that neither waits for the other and none is measured while it idles."""
        ingest = self.ingest()
        try:
            ns, _ = slope(lambda: int(sum(ingest.metrics("tollway_ingest_events_accepted_total").values())),
                          {"ingest": ingest.cpu}, events)
            wait_for("acknowledgements", 60, lambda: ingest.metrics("tollway_ingest_in_flight_bytes")[""] == 0)
            self.batches = int(ingest.metrics("tollway_ingest_batches_total")[""])
        finally:
            ingest.stop()
        aggregator = self.aggregator()
        try:
            more, _ = slope(aggregator.counted, {"aggregator": aggregator.cpu}, events,
                            taken=(aggregator.taken, self.batches))
            wait_for("the lag", 100, lambda: aggregator.lag() == 0)
            if aggregator.counted() != events:
                raise Wrong(f"{aggregator.counted()} counted of {events}")
        finally:
            aggregator.stop()
        return {**ns, **more}

    def answer(self, aggregator, **parameters):
        """A query's answer as it came."""
        status, body = aggregator.get(f"/v3/metering/{self.name}/meters/api/query", self.admin_key,
                                      json.dumps(parameters))
        if status != 200:
            raise Wrong(f"query: {status} {body[:500]}")
        return body

    def query(self, aggregator, **parameters):
        return json.loads(self.answer(aggregator, **parameters), parse_float=Decimal)["data"]

    def sums(self, aggregator, names):
        return [row for part in parts(names)
                for row in self.query(aggregator, groupBy=["subscription"], filterSubscription=part)]

    def check(self, aggregator):
        """Every subscription's counted, duplicate and sum are those of the independent count."""
        status, body = aggregator.get("/v1/ledger", self.admin_key)
        if status != 200:
            raise Wrong(f"ledger: {status} {body[:500]}")
        got = {row["subscription"]: [row["counted"], row["duplicate"], 0]
               for row in json.loads(body)["subscriptions"]}
        for row in self.sums(aggregator, sorted(got)):
            name = row.get("subscription") or row["groupBy"]["subscription"]
            got[name][2] = int(Decimal(row["value"]) * 10)
        if got != self.sent:
            wrong = [name for name in sorted(set(got) | set(self.sent)) if got.get(name) != self.sent.get(name)]
            raise Wrong(f"totals of {len(wrong)} of {len(self.sent)} subscriptions are wrong: {wrong[0]} has "
                        f"{got.get(wrong[0])}, sent were {self.sent.get(wrong[0])}")
        return len(got)

    def remove(self):
        """Its topics and its folder."""
        names = "|".join(self.topic(name) for name in ("events", "usage", "rejected", "catalog", "counters", "access",
                                                       "invoices", "control"))
        with contextlib.suppress(subprocess.CalledProcessError):
            self.kafka.topics("--delete", "--topic", names)
        shutil.rmtree(self.folder, ignore_errors=True)


def slope(progress, cpus, total, seconds=600, skip=0.1, taken=None):
    """CPU ns an event of each of `cpus` (name: function), from the first tenth of the events to the
    end of all: starts and warm-ups are left out. Also wall-clock events/s over the same stretch. Where
    `progress` goes in long steps, `taken` is (function, total) of one in shorter steps that says when
    the first tenth is over. Where all was done before half of it could be watched, the start is not
    left out. Until the first event is done a process may load what it has, `seconds` long."""
    begun, all_begun = taken or (progress, total)

    def look():
        return progress(), begun() / all_begun, {name: cpu() for name, cpu in cpus.items()}, time.monotonic()
    until = time.monotonic() + seconds
    begin = look()
    first, seen, moved = None, -1, time.monotonic()
    while True:
        done, share, cpu, now = look()
        if done != seen:
            seen, moved = done, now
        if done > begin[0] and now - moved > STALLED_SECONDS:
            raise Wrong(f"it stands still at {done} of {total} events")
        if first is None and share >= skip:
            first = done, share, cpu, now
        if done >= total:
            break
        if now > until:
            raise Wrong(f"{done} of {total} events in {seconds} s")
        time.sleep(0.05)
    if first[1] > 0.5:
        first = begin
    events = (1 - first[1]) * total
    figures = {name: (cpu[name] - first[2][name]) / events for name in cpus}
    return figures, events / max(now - first[3], 1e-9)


def machine():
    """What it ran on."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", text)
    version = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=False).stdout.splitlines()
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    release = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    library = subprocess.run([BIN / "ingest", "--version"], capture_output=True, text=True, check=False).stdout.split()
    return {"cpu": model[1] if model else "?", "cores": os.cpu_count(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "system": release[1] if release else "?", "kernel": os.uname().release,
            "compiler": version[0] if version else "?", "librdkafka": library[-1] if library else "?",
            "commit": commit,
            "load_before": os.getloadavg()[0],
            "files_max": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
