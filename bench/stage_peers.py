"""Peers on the same topic, broker and cores: the same hourly, deduplicated, exactly-once count in Kafka
Streams and in PostgreSQL. One JSON CloudEvent a message, keyed by subscription, which ours doesn't need.

All begin with an empty store. Of each the CPU time of all its processes counts (PostgreSQL's back
ends, too), from a tenth of the events on; the broker's own is told apart.
"""
import contextlib
import hashlib
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import time

from report import Figure
from stand import BIN, HOME, PARTITIONS, ROOT, Bucket, Wrong, cpu_ns, say, slope, tree_cpu_ns, wait_for

STAGE = "peers, one JSON event a message"
SIZES = {"quick": {"events": 1_000_000, "rounds": 1}, "full": {"events": 12_000_000, "rounds": 2}}
STREAMS = ROOT / "bench" / "peers" / "streams"
POSTGRES_BATCH = 100_000
# What was tried and kept; peers/README.md says why.
POSTGRES_SETTINGS = {
    "listen_addresses": "''", "shared_buffers": "4GB", "work_mem": "256MB", "maintenance_work_mem": "512MB",
    "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "32GB", "checkpoint_timeout": "30min",
    "synchronous_commit": "off", "wal_buffers": "64MB", "wal_writer_delay": "200ms", "autovacuum": "off",
    "jit": "off", "max_parallel_workers_per_gather": "0", "huge_pages": "try",
}


# --- PostgreSQL ---

def postgres_folder():
    versions = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if not versions:
        raise Wrong("PostgreSQL isn't installed: scripts/setup bench")
    return versions[-1].parent


def as_postgres():
    """It refuses to run as root."""
    if os.getuid() != 0:
        return [], None
    user = pwd.getpwnam("postgres")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"], user


@contextlib.contextmanager
def postgres():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-postgres-"))
    prefix, user = as_postgres()
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    programs = postgres_folder()
    subprocess.run([*prefix, programs / "initdb", "-D", folder / "data", "--locale=C", "--encoding=UTF8", "-A", "trust",
                    "-U", "bench"], check=True, capture_output=True, cwd="/")
    settings = [word for name, value in {**POSTGRES_SETTINGS, "unix_socket_directories": str(folder)}.items()
                for word in ("-c", f"{name}={value.strip(chr(39))}")]
    with open(HOME / "postgres.log", "wb") as log:
        child = subprocess.Popen([*prefix, programs / "postgres", "-D", folder / "data", *settings], stdout=log,
                                 stderr=log, cwd="/")
    conninfo = f"host={folder} dbname=postgres user=bench"
    try:
        wait_for("PostgreSQL", 60, lambda: subprocess.run(["psql", "-qAt", conninfo, "-c", "SELECT 1"],
                                                          capture_output=True, check=False).returncode == 0)
        yield conninfo, child.pid
    finally:
        child.terminate()
        child.wait(120)
        shutil.rmtree(folder)


def psql(conninfo, statement):
    return subprocess.run(["psql", "-qAtF ", conninfo, "-c", statement], capture_output=True, check=True,
                          text=True).stdout.splitlines()


def with_postgres(bucket, events):
    progress = bucket.folder / "postgres.progress"
    with postgres() as (conninfo, pid):
        child = subprocess.Popen([
            BIN / "bench-peer-postgres", f"brokers={bucket.kafka.address}", f"topic={bucket.topic('events')}",
            f"partitions={PARTITIONS}", f"events={events}", f"batch={min(POSTGRES_BATCH, events // 10)}",
            f"progress={progress}", f"conninfo={conninfo}"])
        try:
            ns, _ = slope(lambda: read_progress(progress, child), {
                "postgres": lambda: tree_cpu_ns(pid), "client": lambda: cpu_ns(child.pid),
                "broker": lambda: cpu_ns(bucket.kafka.pid)}, events)
        finally:
            child.kill()
            child.wait()
        rows = psql(conninfo, "SELECT name, sum(count), sum(sum) FROM totals t JOIN subscriptions s ON t.subscription "
                              "= s.number GROUP BY name")
    check_rows(bucket, "PostgreSQL", rows)
    return ns


# --- Kafka Streams ---

def jars():
    """The jars and the compiled peer; fetched and compiled when they aren't there yet."""
    digest = hashlib.sha256((STREAMS / "pom.xml").read_bytes()).hexdigest()[:8]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "tollway" / f"streams-{digest}"
    if not folder.is_dir():
        part = pathlib.Path(f"{folder}.part")
        shutil.rmtree(part, ignore_errors=True)
        with open(HOME / "maven.log", "wb") as log:
            subprocess.run(["mvn", "-B", "-ntp", "-f", STREAMS / "pom.xml", "dependency:copy-dependencies",
                            f"-DoutputDirectory={part}"], check=True, stdout=log, stderr=log)
        part.rename(folder)
    classes = HOME / "streams"
    subprocess.run(["javac", "-cp", f"{folder}/*", "-d", classes, STREAMS / "Count.java"], check=True)
    return f"{classes}:{folder}/*"


def with_streams(bucket, events, classpath):
    progress, totals = bucket.folder / "streams.progress", bucket.folder / "streams.totals"
    state = bucket.folder / "streams.state"
    with open(HOME / "streams.log", "wb") as log:
        child = subprocess.Popen([
            "java", "-Xms2g", "-Xmx2g", "-XX:+UseParallelGC", "-XX:-UsePerfData", "-XX:+AlwaysPreTouch",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classpath, "Count", bucket.kafka.address,
            bucket.topic("events"), f"{bucket.name}-streams", str(state), str(events), str(progress), str(totals)],
            stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        ns, _ = slope(lambda: read_progress(progress, child), {
            "streams": lambda: cpu_ns(child.pid), "broker": lambda: cpu_ns(bucket.kafka.pid)}, events, skip=0.4)
        child.stdin.write(b"\n")
        child.stdin.close()
        child.wait(120)
    finally:
        child.kill()
        child.wait()
    check_rows(bucket, "Kafka Streams", totals.read_text().splitlines())
    return ns


# --- both ---

def read_progress(file, child):
    if child.poll() is not None:
        raise Wrong(f"the peer ended with {child.returncode}: see {HOME}/*.log")
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0


def check_rows(bucket, who, rows):
    got = {name: (int(count), int(total)) for name, count, total in map(str.split, rows)}
    wanted = {name: (counted, tenths * 100_000) for name, (counted, _, tenths) in bucket.sent.items()}
    if got != wanted:
        raise Wrong(f"{who}: {sum(got.get(n) != wanted[n] for n in wanted)} of {len(wanted)} totals are wrong")
    say(f"    {who}: totals of {len(got):,} subscriptions are right")


def ours(bucket, events):
    ns = bucket.both_hops(events)
    aggregator = bucket.aggregator()
    try:
        aggregator.await_ready()
        bucket.check(aggregator)
    finally:
        aggregator.stop()
    return ns


def from_usage(bucket, events):
    """The same events again, as ingest has packed them, by an aggregator that has seen nothing."""
    aggregator = bucket.aggregator("second")
    try:
        ns, _ = slope(aggregator.counted, {"aggregator": aggregator.cpu}, events,
                      taken=(aggregator.taken, bucket.batches))
    finally:
        aggregator.stop()
    return ns["aggregator"]


def run(run):
    size = SIZES[run.size]
    classpath = jars()
    note = f"{size['events']:,} events, all stores empty at the start, 100,000 subscriptions, 1 % duplicates"
    both = Figure(STAGE, "Tollway, ingest and aggregator", must=0.7, stretch=1.1, note=note)
    alone = Figure(STAGE, "Tollway, aggregator from packed usage", note="the same events")
    streams = Figure(STAGE, "Kafka Streams 4.1, exactly_once_v2", note="RocksDB")
    database = Figure(STAGE, f"PostgreSQL {postgres_folder().parts[-2]}", note="COPY, unique index, upsert, offsets")
    for number in range(size["rounds"]):
        say(f"  round {number + 1} of {size['rounds']}")
        bucket = Bucket(run.kafka, f"peers{number}", 100_000)
        sent = bucket.fill("json", size["events"], duplicates=10)
        bare = bucket.bare("events", sent["from"])["cpu_ns"] / size["events"]
        parts = ours(bucket, size["events"])
        both.add(parts["aggregator"] + parts["ingest"], bare, **parts)
        alone.add(from_usage(bucket, size["events"]))
        parts = with_postgres(bucket, size["events"])
        database.add(parts["postgres"] + parts["client"], bare, **parts)
        parts = with_streams(bucket, size["events"], classpath)
        streams.add(parts["streams"], bare, **parts)
        bucket.remove()
        time.sleep(1)
    return [both, alone, streams, database, *ratios(both, alone, streams, database)]


def ratios(both, alone, streams, database):
    """Round by round: how many times as much CPU the peer takes."""
    made = []
    for peer, name, goals, packed in ((streams, "Kafka Streams", (15, 20), 75), (database, "PostgreSQL", (9, 12), 45)):
        for mine, what, must, stretch in ((both, "both hops", *goals), (alone, "packed usage", packed, None)):
            figure = Figure(STAGE, f"{name} / Tollway, {what}", unit="x", must=must, stretch=stretch,
                            more_is_better=True)
            for theirs, value in zip(peer.values, mine.values):
                figure.add(theirs / value)
            made.append(figure)
    return made
