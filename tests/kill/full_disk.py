"""The aggregator's disk runs full under load: it says so, counts nothing wrong, and goes on by itself
once there is room. The disk is a small tmpfs, which only root can mount."""
import os
import time

import count_kills
import traffic
from small_disk import SmallDisk
from stage import await_that, check

SMALL, LARGE = "2m", "200m"
SIGNS = ("No space", "Input/output error", "bytes free")


def says_full(program):
    text = program.log.read_text(errors="replace")
    return any(sign in text for sign in SIGNS)


def run(stage, seed, _):
    if os.geteuid() != 0:
        return "skipped: only root can mount a small disk"
    disk = SmallDisk(stage.folder / "disk", SMALL)
    try:
        ingest = stage.program("ingest").start()
        aggregator = stage.program("aggregator", None, "--data", disk.folder / "data").start()
        ingest.await_ready()
        load = traffic.Traffic(ingest, seed, batch=200, pause=0).start()
        await_that("full", lambda: says_full(aggregator), 90)
        time.sleep(3)
        ended = not aggregator.is_running()
        check(not ended or aggregator.end() in (73, 74, 75),
              f"the aggregator ended with {aggregator.end()} on a full disk\n{aggregator.tail()}")
        load.stop()
        check(not load.problems, f"clients: {load.problems}")
        disk.resize(LARGE)
        if ended:
            aggregator.start()
        aggregator.await_ready(60)
        events, different, marks = count_kills.check_counts(stage, load, aggregator)
        check(aggregator.stop() == 0, f"the aggregator didn't end well\n{aggregator.tail()}")
        count_kills.check_undisturbed(stage, load, marks)
        ingest.stop()
    finally:
        disk.close()
    return f"full at {SMALL}, {events} in the log, {different} counted once after it grew"
