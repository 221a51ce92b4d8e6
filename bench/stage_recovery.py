"""Recovery: a restart with many ids, a takeover after SIGKILL, a rebuild from the log alone."""
import signal
import time

from report import Figure
from stage_count import await_counted, preload
from stand import Bucket, say, wait_for

STAGE = "recovery"
SIZES = {"quick": {"ids": 2_000_000, "rounds": 2}, "full": {"ids": 100_000_000, "rounds": 3}}


def restart(bucket, figure):
    aggregator = bucket.aggregator()
    try:
        figure.add(aggregator.await_ready(1800))
    finally:
        aggregator.stop()


def takeover(bucket, figure):
    """The second one has its half of the partitions; the first is killed; it must read those from the
    log, because it has no snapshots."""
    pair = [bucket.aggregator("aggregator"), bucket.aggregator("other")]
    try:
        for one in pair:
            one.await_ready(1800)
        wait_for("shared partitions", 900,
                 lambda: all(sum(one.metrics("tollway_aggregator_partitions").values()) == 2 for one in pair)
                 and sum(one.lag() for one in pair) == 0)
        pair[0].stop(signal.SIGKILL)
        began = time.monotonic()
        wait_for("the takeover", 1800, lambda: pair[1].is_ready() and pair[1].lag() == 0 and sum(
            pair[1].metrics("tollway_aggregator_partitions").values()) == 4)
        figure.add(time.monotonic() - began)
    finally:
        for one in pair:
            one.stop()


def rebuild(bucket, figure, rate, number, ids):
    aggregator = bucket.aggregator(f"rebuilt-{number}")
    try:
        before, began = aggregator.cpu(), time.monotonic()
        await_counted(aggregator, 0, ids, 3600)
        figure.add(time.monotonic() - began)
        rate.add((aggregator.cpu() - before) / ids)
        return bucket.check(aggregator)
    finally:
        aggregator.stop()


def run(run):
    size = SIZES[run.size]
    ids = f"{size['ids'] / 1e6:.0f} M ids"
    figures = [Figure(STAGE, f"restart with {ids}", unit="s", note="from exec to /readyz"),
               Figure(STAGE, f"takeover after SIGKILL, {ids}", unit="s",
                      note="6 s of them pass before the group misses it; no snapshots, so its half comes from the log"),
               Figure(STAGE, f"rebuild from the log alone, {ids}", unit="s"),
               Figure(STAGE, "the same, CPU", note="start included")]
    bucket = Bucket(run.kafka, "recovery", 100_000, with_catalog=False)
    preload(bucket, size["ids"])
    for number in range(size["rounds"]):
        restart(bucket, figures[0])
        right = rebuild(bucket, figures[2], figures[3], number, size["ids"])
    say(f"    totals of {right:,} subscriptions are right")
    takeover(bucket, figures[1])
    bucket.remove()
    return figures
