"""The connections to the broker are cut again and again, with the answers of the moment before lost: what
was written is there, and its writer doesn't know. It may be in the log twice; it counts once."""
import random
import time

import count_kills
import traffic
from stage import check


def run(stage, seed, rounds):
    ingest = stage.program("ingest").start()
    aggregator = stage.program("aggregator", None, "--data", stage.folder / "aggregator").start()
    ingest.await_ready()
    load = traffic.Traffic(ingest, seed).start()
    dice = random.Random(seed)
    for _ in range(rounds):
        time.sleep(dice.uniform(0.5, 2))
        stage.kafka.proxy.cut(dice.choice([0, 0.02, 0.2]))
    load.stop()
    check(not load.problems, f"clients: {load.problems}")
    aggregator.await_ready()
    events, different, marks = count_kills.check_counts(stage, load, aggregator)
    check(aggregator.stop() == 0, f"the aggregator didn't end well\n{aggregator.tail()}")
    count_kills.check_undisturbed(stage, load, marks)
    ingest.stop()
    return f"{rounds} cuts, {events} in the log, {different} counted once"
