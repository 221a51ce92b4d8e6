"""Counting: from packed `usage` (aggregator alone) and from `events` (ingest and aggregator), each
beside a bare librdkafka consumer of the same messages."""
from report import Figure
from stand import Bucket, Wrong, say, slope, wait_for

STAGE = "counting"
SIZES = {"quick": {"ids": 1_000_000, "usage": 3_000_000, "events": 1_000_000, "rounds": 3, "wide": 1_500_000},
         "full": {"ids": 60_000_000, "usage": 12_000_000, "events": 3_000_000, "rounds": 5, "wide": 12_000_000}}

# name, what bench-fill is told, goals in M events/s/core
USAGE = [
    ("usage, uniform", {"batch": 1000}, 4, 7),
    ("usage, zipf", {"batch": 1000, "zipf": 1}, 4, 7),
    ("usage, 100 a message", {"batch": 100}, 4, 7),
    ("usage, numbered sources", {"batch": 1000, "numbered": 1}, 8, 15),
]
EVENTS = [
    ("json, 1 a message", {"form": "json"}, 0.7, 1.1),
    ("json, 100 a message", {"form": "json-batch", "batch": 100}, 0.9, 1.5),
    ("gateway batch of 100", {"form": "gateway", "batch": 100}, 2.5, 4),
    ("gateway batch of 100, numbered", {"form": "gateway", "batch": 100, "numbered": 1}, 2.5, 4),
]


def await_counted(aggregator, base, events, seconds=900):
    wait_for(f"{events} events counted", seconds,
             lambda: aggregator.counted() - base >= events and aggregator.lag() == 0)


def preload(bucket, ids):
    """So many ids that later ones are compared with, all of the same day."""
    aggregator = bucket.aggregator()
    aggregator.await_ready()
    for _ in range(0, ids, 10_000_000):
        base, part = aggregator.counted(), min(10_000_000, ids)
        bucket.fill("usage", part, batch=1000)
        await_counted(aggregator, base, part)
    aggregator.stop()


def from_usage(bucket, figure, events, fill):
    sent = bucket.fill("usage", events, duplicates=10, **fill)
    bare = bucket.bare("usage", sent["from"])
    aggregator = bucket.aggregator()
    try:
        ns, wall = slope(aggregator.counted, {"aggregator": aggregator.cpu}, events,
                         taken=(aggregator.taken, sent["messages"]))
        await_counted(aggregator, 0, events)
        figure.add(ns["aggregator"], bare["cpu_ns"] / events, wall=wall / 1e6)
        if aggregator.counted() != events:
            raise Wrong(f"{aggregator.counted()} counted of {events}")
    finally:
        aggregator.stop()


def from_events(bucket, figure, events, fill):
    sent = bucket.fill(events=events, duplicates=10, **fill)
    bare = bucket.bare("events", sent["from"])
    ns = bucket.both_hops(events)
    figure.add(sum(ns.values()), bare["cpu_ns"] / events, **ns)


def check_all(bucket):
    aggregator = bucket.aggregator()
    try:
        aggregator.await_ready()
        wait_for("the lag", 60, lambda: aggregator.lag() == 0)
        say(f"    totals of {bucket.check(aggregator):,} subscriptions are right")
    finally:
        aggregator.stop()


def run(run):
    size = SIZES[run.size]
    figures = {name: Figure(STAGE, name, must=must, stretch=stretch) for name, _, must, stretch in USAGE + EVENTS}
    wide = Figure(STAGE, "usage, 1 M subscriptions", must=4, stretch=7)
    bucket = Bucket(run.kafka, "count", 100_000)
    say(f"  preloading {size['ids']:,} ids")
    preload(bucket, size["ids"])
    for number in range(size["rounds"]):
        say(f"  round {number + 1} of {size['rounds']}")
        for name, fill, *_ in USAGE:
            from_usage(bucket, figures[name], size["usage"], fill)
        for name, fill, *_ in EVENTS:
            from_events(bucket, figures[name], size["events"], fill)
    check_all(bucket)
    bucket.remove()
    bucket = Bucket(run.kafka, "wide", 1_000_000, with_catalog=False)
    preload(bucket, size["ids"])
    for _ in range(size["rounds"]):
        from_usage(bucket, wide, size["wide"], {"batch": 1000})
    check_all(bucket)
    bucket.remove()
    for figure in figures.values():
        figure.note = f"{size['ids'] / 1e6:.0f} M ids held before; 1 % duplicates"
    return [*figures.values(), wide]
