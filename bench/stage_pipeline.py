"""The whole pipeline on this machine, broker and load generator included: events in, counted, durable,
visible. CPU and memory of each process, freshness, one aggregator and two."""
import json
import os
import subprocess
import threading
import time

from report import Figure
from stand import BIN, PARTITIONS, Bucket, Wrong, cpu_ns, memory_mb, say, wait_for

STAGE = "whole pipeline"
SIZES = {"quick": {"http": 500_000, "gateway": 500_000, "rounds": 2, "probes": 40},
         "full": {"http": 6_000_000, "gateway": 9_000_000, "rounds": 5, "probes": 400}}
CONNECTIONS = 64     # as many batches are on their way at once
GIVE_BACK_SECONDS = 17  # the last pass of totals ends within 5, what it held goes back within 10 (common/io/heap.h)


class Line:
    """Ingest and one aggregator or two, and what each cost since `begin`."""

    def __init__(self, bucket, aggregators):
        self.bucket = bucket
        self.aggregators = [bucket.aggregator(f"aggregator-{aggregators}-{i}") for i in range(aggregators)]
        for one in self.aggregators:
            one.await_ready()
        self.ingest = bucket.ingest()
        self.ingest.await_ready()
        wait_for("partitions", 60, lambda: sum(self.partitions()) == PARTITIONS and min(self.partitions()) > 0)
        wait_for("the lag", 300, lambda: self.lag() == 0)

    def partitions(self):
        return [sum(one.metrics("tollway_aggregator_partitions").values()) for one in self.aggregators]

    def counted(self):
        return sum(one.counted() for one in self.aggregators)

    def lag(self):
        return sum(one.lag() for one in self.aggregators)

    def begin(self):
        self.base, self.began = self.counted(), time.monotonic()
        self.cpus = self.look()

    def look(self):
        return {"ingest": self.ingest.cpu(), "aggregators": sum(one.cpu() for one in self.aggregators),
                "kafka": cpu_ns(self.bucket.kafka.pid)}

    def await_all(self, events):
        # An event is told as counted once its commit is on the disk. Who asks takes part of the
        # machine, too: seldom until it is nearly done.
        wait_for("most events", 600, lambda: self.counted() - self.base >= events * 0.9, 0.2)
        wait_for(f"{events} events", 600, lambda: self.counted() - self.base >= events, 0.02)
        seconds = time.monotonic() - self.began
        now = self.look()
        return seconds, {name: (now[name] - self.cpus[name]) / events for name in now}

    def stop(self):
        for process in (self.ingest, *self.aggregators):
            process.stop()


def by_http(line, figure, events):
    line.begin()
    sent = line.bucket.post(line.ingest, events, batch=100, connections=CONNECTIONS)
    seconds, parts = line.await_all(events)
    figure.add(events / seconds / 1e6, **parts, sender=sent["cpu_ns"] / events)


def by_gateway(line, figure, events):
    line.begin()
    sent = line.bucket.fill("gateway", events, batch=100)
    seconds, parts = line.await_all(events)
    figure.add(events / seconds / 1e6, **parts, sender=sent["cpu_ns"] / events)


def memory(line, stage):
    """RssAnon: what no file stands behind; less the dedup tables. Once what malloc had kept for the
    load is given back."""
    time.sleep(GIVE_BACK_SECONDS)
    ids = sum(sum(one.metrics("tollway_aggregator_dedup_bytes").values()) for one in line.aggregators) / 2**20
    figures = {"ingest": memory_mb(line.ingest.pid, "RssAnon"),
               "aggregator": sum(memory_mb(one.pid, "RssAnon") for one in line.aggregators) - ids}
    figure = Figure(stage, "memory of both, without the ids", unit="MB", must=100, note=f"ids {ids:.0f} MB besides")
    figure.add(sum(figures.values()), **figures)
    return figure


def freshness(line, figures, rate, probes):
    """While others send: an event of a subscription of its own, until a meter query shows it. The
    rounds before sent all they could; what Kafka's log of them owes the disk is no part of half load."""
    os.sync()
    bucket, seconds = line.bucket, probes * 0.15 + 5
    name = "01ARZ3NDEKTSV4RRFF%08d" % (bucket.subscriptions - 1)
    counts = bucket.folder / "counts-fresh"
    words = bucket.words(int(rate * seconds), batch=100, connections=CONNECTIONS, rate=int(rate))
    port = line.ingest.url.rsplit(":", 1)[1]
    load = subprocess.Popen([BIN / "bench-post", f"port={port}", f"key={bucket.key}", f"counts={counts}", *words],
                            stdout=subprocess.DEVNULL)
    aggregator, taken = line.aggregators[0], []

    def visible(number):
        rows = bucket.query(aggregator, filterSubscription=[name], windowSize="MINUTE",
                            subject=[f"probe-{number}"])
        return bool(rows)
    try:
        time.sleep(2)
        for number in range(probes):
            event = {"specversion": "1.0", "id": f"probe-{os.getpid()}-{number}-{time.monotonic_ns()}", "source": "/probe",
                     "type": "request", "subscription": name, "subject": f"probe-{number}", "data": {"value": 1}}
            began = time.monotonic()
            thread = threading.Thread(target=send_one, args=(line, event))
            thread.start()
            wait_for("a probe", 30, lambda: visible(number), 0.002)
            taken.append((time.monotonic() - began) * 1000)
            thread.join()
    finally:
        load.wait(600)
    if load.returncode:
        raise Wrong("bench-post failed")
    bucket.add_counts(counts)
    have = bucket.sent.setdefault(name, [0, 0, 0])
    have[0] += probes
    have[2] += probes * 10
    taken.sort()
    for figure, share in zip(figures, (0.5, 0.99)):
        figure.add(taken[int((len(taken) - 1) * share)])
        figure.note = f"{probes} events sent while {rate:,.0f} a second come in"


def send_one(line, event):
    import urllib.request
    request = urllib.request.Request(line.ingest.url + "/v1/events", json.dumps(event).encode(), {
        "Authorization": f"Bearer {line.bucket.key}", "Content-Type": "application/cloudevents+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()


def run(run):
    size = SIZES[run.size]
    note = "wall clock, everything on this machine; CPU ns an event of"
    figures = {}
    fresh = [Figure(STAGE, "event sent to visible at half load, p50", unit="ms"),
             Figure(STAGE, "event sent to visible at half load, p99", unit="ms", must=250)]
    more = []
    for aggregators in (1, 2):
        bucket = Bucket(run.kafka, f"pipe{aggregators}", 100_000)
        line = Line(bucket, aggregators)
        http = Figure(STAGE, f"HTTP batches of 100, {aggregators} aggregator{'s' * (aggregators - 1)}", unit="M events/s",
                      must=0.5, stretch=1.0, more_is_better=True, note=note)
        gateway = Figure(STAGE, f"gateway batches, {aggregators} aggregator{'s' * (aggregators - 1)}", unit="M events/s",
                         must=1.5, stretch=3.0, more_is_better=True, note=note)
        try:
            for _ in range(size["rounds"]):
                by_http(line, http, size["http"])
                by_gateway(line, gateway, size["gateway"])
            if aggregators == 1:
                freshness(line, fresh, http.median() * 1e6 / 2, size["probes"])
                more.append(memory(line, STAGE))
            wait_for("the lag", 100, lambda: line.lag() == 0)
            say(f"    totals of {bucket.check(line.aggregators[0]):,} subscriptions are right")
        finally:
            line.stop()
        bucket.remove()
        figures.update({http.name: http, gateway.name: gateway})
    return [*figures.values(), *fresh, *more]
