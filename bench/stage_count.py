"""Counting: from packed `usage` (aggregator alone) and from `events` (ingest and aggregator), each
beside a bare librdkafka consumer of the same messages."""
from report import Figure
from stand import Bucket, Wrong, say, slope, wait_for

STAGE = "counting"
SIZES = {"quick": {"ids": 1_000_000, "rounds": 3, "packed": 3_000_000, "json": 1_000_000},
         "full": {"ids": 60_000_000, "rounds": 3, "packed": 12_000_000, "json": 6_000_000}}

# name, what bench-fill is told, goals in M events/s/core
ROWS = {
    100_000: [
        ("usage, uniform", {"form": "usage", "batch": 1000}, 4, 7),
        ("usage, zipf", {"form": "usage", "batch": 1000, "zipf": 1}, 4, 7),
        ("usage, 100 a message", {"form": "usage", "batch": 100}, 4, 7),
        ("usage, numbered sources", {"form": "usage", "batch": 1000, "numbered": 1}, 8, 15),
        ("json, 1 a message", {"form": "json"}, 0.7, 1.1),
        ("json, 1 a message, zipf", {"form": "json", "zipf": 1}, 0.7, 1.1),
        ("json, 100 a message", {"form": "json-batch", "batch": 100}, 0.9, 1.5),
        ("gateway batch of 100", {"form": "gateway", "batch": 100}, 2.5, 4),
        ("gateway batch of 100, zipf", {"form": "gateway", "batch": 100, "zipf": 1}, 2.5, 4),
        ("gateway batch of 100, numbered", {"form": "gateway", "batch": 100, "numbered": 1}, 2.5, 4),
    ],
    1_000_000: [
        ("usage, uniform", {"form": "usage", "batch": 1000}, 4, 7),
        ("usage, zipf", {"form": "usage", "batch": 1000, "zipf": 1}, 4, 7),
        ("json, 1 a message", {"form": "json"}, 0.7, 1.1),
        ("gateway batch of 100", {"form": "gateway", "batch": 100}, 2.5, 4),
    ],
}


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
    sent = bucket.fill(events=events, duplicates=10, **fill)
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


def row(bucket, figure, size, fill):
    if fill["form"] == "usage":
        from_usage(bucket, figure, size["packed"], fill)
    else:
        from_events(bucket, figure, size["packed" if fill["form"] == "gateway" else "json"], fill)


def population(run, size, subscriptions):
    """All rows of so many subscriptions, on one store that holds ids already."""
    suffix = "" if subscriptions == min(ROWS) else f", {subscriptions // 1_000_000} M subscriptions"
    figures = [Figure(STAGE, name + suffix, must=must, stretch=stretch,
                      note=f"{size['ids'] / 1e6:.0f} M ids held at first, each row's from then on; 1 % duplicates")
               for name, _, must, stretch in ROWS[subscriptions]]
    bucket = Bucket(run.kafka, f"count_{subscriptions}", subscriptions)
    say(f"  {subscriptions:,} subscriptions: preloading {size['ids']:,} ids")
    preload(bucket, size["ids"])
    for number in range(size["rounds"]):
        say(f"  round {number + 1} of {size['rounds']}")
        for figure, (_, fill, *_) in zip(figures, ROWS[subscriptions]):
            row(bucket, figure, size, fill)
    check_all(bucket)
    bucket.remove()
    return figures


def run(run):
    size = SIZES[run.size]
    return [figure for subscriptions in ROWS for figure in population(run, size, subscriptions)]
