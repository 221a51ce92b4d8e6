"""One of three brokers is killed under load, with min.insync.replicas=2: nothing acknowledged is lost,
nothing is counted twice, and there is always somebody who takes events in."""
import random
import time

import count_kills
import traffic
from stage import await_that, check

ENOUGH = 1000  # more than can have been under way


def run(stage, seed, rounds):
    ingest = stage.program("ingest").start()
    aggregator = stage.program("aggregator", None, "--data", stage.folder / "aggregator").start()
    ingest.await_ready()
    load = traffic.Traffic(ingest, seed, pause=0.02).start()
    dice = random.Random(seed)
    killed, pauses = [], []
    for _ in range(rounds):
        time.sleep(dice.uniform(0.5, 2))
        node = dice.randrange(1, 4)
        killed.append(node)
        stage.kafka.kill(node)
        began, before = time.monotonic(), len(load.acked)
        # The killed one may have led the controllers: then an election comes first.
        await_that(f"taking events in, with broker {node} away",
                   lambda: len(load.acked) > before + ENOUGH, 30)
        pauses.append(f"{time.monotonic() - began:.0f} s")
        stage.kafka.start(node)
    load.stop()
    check(not load.problems, f"clients: {load.problems}")
    aggregator.await_ready()
    events, different, marks = count_kills.check_counts(stage, load, aggregator)
    check(aggregator.stop() == 0, f"the aggregator didn't end well\n{aggregator.tail()}")
    count_kills.check_undisturbed(stage, load, marks)
    ingest.stop()
    return f"brokers {killed} killed, taking in again after {pauses}, {events} in the log, {different} counted once"
