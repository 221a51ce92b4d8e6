"""Meter queries over 1 M subscriptions (100 k in the quick form), and a close over them of which a
tenth had usage."""
import contextlib
import datetime
import random
import re
import subprocess
import time

from report import Figure
from stage_count import await_counted
from stand import BIN, ROWS_MAX, Bucket, Wrong, cpu_ns, memory_mb, parts, say

STAGE = "queries and a close"
SIZES = {"quick": {"subscriptions": 100_000, "events": 1_000_000, "one": 200, "all": 3},
         "full": {"subscriptions": 1_000_000, "events": 10_000_000, "one": 1000, "all": 5}}


def share(times, part):
    return sorted(times)[int((len(times) - 1) * part)]


def queries(bucket, aggregator, size):
    one = [Figure(STAGE, f"one subscription, a month by day, {name}", unit="ms") for name in ("p50", "p99")]
    everyone = Figure(STAGE, f"all {size['subscriptions']:,} subscriptions by month, a row each", unit="ms")
    names, times = sorted(bucket.sent), []
    now = datetime.datetime.fromtimestamp(bucket.start_ms / 1000, datetime.timezone.utc)
    month = {"from": (now - datetime.timedelta(days=30)).strftime("%Y-%m-%dT00:00:00Z"),
             "to": (now + datetime.timedelta(days=1)).strftime("%Y-%m-%dT00:00:00Z")}
    for name in random.Random(1).choices(names, k=size["one"]):
        began = time.monotonic()
        rows = bucket.query(aggregator, windowSize="DAY", filterSubscription=[name], **month)
        times.append((time.monotonic() - began) * 1000)
        if sum(float(row["value"]) for row in rows) * 10 - bucket.sent[name][2] > 0.5:
            raise Wrong(f"{name}: {rows}")
    for figure, part in zip(one, (0.5, 0.99)):
        figure.add(share(times, part))
        figure.note = f"{size['one']} queries, one after the other, over HTTP"
    for _ in range(size["all"]):
        began = time.monotonic()
        bodies = [bucket.answer(aggregator, groupBy=["subscription"], windowSize="MONTH", filterSubscription=part)
                  for part in parts(names)]
        everyone.add((time.monotonic() - began) * 1000, megabytes=sum(map(len, bodies)) / 2**20)
        rows = sum(body.count(b'"windowStart"') for body in bodies)
        if rows != len(names):
            raise Wrong(f"{rows} rows of {len(names)} subscriptions")
    if len(parts(names)) > 1:
        everyone.note = f"{len(parts(names)):,} queries: an answer has up to {ROWS_MAX:,} rows"
    return [*one, everyone]


def close(bucket, size):
    """The end of the month of the usage, the subscriptions' first: an invoice each."""
    seconds = Figure(STAGE, f"close over {size['subscriptions']:,} subscriptions", unit="s")
    memory = [Figure(STAGE, f"the same, {name} at most", unit="MB") for name in ("memory", "of it not mapped")]
    cpu = Figure(STAGE, "the same, CPU time", unit="s")
    at = datetime.datetime.fromtimestamp(bucket.start_ms / 1000, datetime.timezone.utc)
    at = (at.replace(day=1) + datetime.timedelta(days=32)).replace(day=1, hour=2, minute=0)
    began = time.monotonic()
    most, spent = [0, 0], 0
    with open(bucket.folder / "close.out", "w+", encoding="utf-8") as out:
        child = subprocess.Popen([str(word) for word in (
            BIN / "invoicer", "close", "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "--brokers", bucket.kafka.address,
            "--bucket", bucket.name, "--data", bucket.folder / "invoicer")], stdout=out, stderr=out)
        while child.poll() is None:
            with contextlib.suppress(OSError, TypeError):
                most = [max(one, memory_mb(child.pid, field)) for one, field in zip(most, ("VmHWM", "RssAnon"))]
                spent = cpu_ns(child.pid)
            if time.monotonic() - began > 3000:
                child.kill()
            time.sleep(0.05)
        out.seek(0)
        text = out.read()
    if child.returncode:
        raise Wrong(f"close: exit {child.returncode}: {text[-1500:]}")
    seconds.add(time.monotonic() - began)
    seconds.note = re.sub(r"\s+", " ", text.strip().splitlines()[-1])[:120]
    cpu.add(spent / 1e9)
    for figure, one in zip(memory, most):
        figure.add(one)
    return [seconds, cpu, *memory]


def run(run):
    size = SIZES[run.size]
    bucket = Bucket(run.kafka, "query", size["subscriptions"])
    users = size["subscriptions"] // 10
    aggregator = bucket.aggregator()
    try:
        aggregator.await_ready()
        bucket.fill("usage", size["events"], batch=1000)
        await_counted(aggregator, 0, size["events"])
        figures = queries(bucket, aggregator, size)
        say(f"    totals of {bucket.check(aggregator):,} subscriptions are right")
    finally:
        aggregator.stop()
    bucket.remove()
    bucket = Bucket(run.kafka, "close", size["subscriptions"])
    whole, bucket.subscriptions = bucket.subscriptions, users
    aggregator = bucket.aggregator()
    try:
        aggregator.await_ready()
        bucket.fill("usage", size["events"], batch=1000)
        await_counted(aggregator, 0, size["events"])
        time.sleep(3)  # marks are there
        bucket.subscriptions = whole
        figures += close(bucket, size)
    finally:
        aggregator.stop()
    bucket.remove()
    return figures
