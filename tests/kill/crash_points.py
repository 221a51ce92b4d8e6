"""The aggregator is killed at chosen system calls of one and the same run - the Nth write, the Nth sync
of its store - and started again: whatever the point, it comes to the digests of a run that nobody
disturbed. strace does the killing."""
import os
import pathlib
import random
import shutil
import signal
import time

import count_kills
import model
import traffic
from stage import Failed, await_that, check

CALLS = ("pwrite64", "fdatasync", "writev", "ftruncate")


def count_calls(stage, name):
    """How often an undisturbed run makes each call, and the digests it comes to."""
    program = TracedProgram(stage, name, ["-f", "-c", "-e", f"trace={','.join(CALLS)}", "-o",
                                          stage.folder / f"{name}.calls"])
    program.start()
    digests = reach_ends(stage, program)
    program.stop()
    counts = {}
    for line in (stage.folder / f"{name}.calls").read_text().splitlines():
        words = line.split()
        if words and words[-1] in CALLS:
            counts[words[-1]] = int(words[3])
    return counts, digests


class TracedProgram:
    """An aggregator under strace, which ends when it ends."""

    def __init__(self, stage, name, strace):
        self.stage, self.strace = stage, [str(word) for word in strace]
        self.program = stage.program("aggregator", name, "--data", stage.folder / name,
                                     "--commit-events", 2000, "--dedup-memory", "64KiB")

    def start(self):
        command = self.program.command
        self.program.command = lambda: ["strace", *self.strace, *command()]
        self.program.start()
        self.program.command = command

    def send(self, sign):
        """To the traced one; strace ends with it."""
        tracer = self.program.process.pid
        children = pathlib.Path(f"/proc/{tracer}/task/{tracer}/children").read_text().split()
        for child in children:
            os.kill(int(child), sign)
        self.program.process.wait(30)

    def stop(self):
        self.send(signal.SIGTERM)

    def kill(self):
        self.send(signal.SIGKILL)


def reach_ends(stage, traced):
    """The digests at the ends, once they are counted."""
    marks = count_kills.final_marks(stage, stage.usage, [traced.program])
    model.check_marks(marks, stage.usage)
    return {partition: (mark["nextOffset"], mark["digest"]) for partition, mark in marks.items()}


def dies_in_time(traced):
    """How many calls a run makes depends on its pace: one that makes fewer is killed at its end."""
    try:
        await_that("dead", lambda: not traced.program.is_running(), 10)
        return True
    except Failed:
        traced.kill()
        return False


def run(stage, seed, rounds):
    if not shutil.which("strace"):
        return "skipped: strace isn't installed"
    ingest = stage.program("ingest").start().await_ready()
    load = traffic.Traffic(ingest, seed).start()
    time.sleep(6)
    load.stop()
    check(not load.problems, f"clients: {load.problems}")
    ingest.stop()
    stage.usage = stage.read("usage", "usage")
    model.check_log(load, stage.usage)
    counts, expected = count_calls(stage, "counted")
    dice = random.Random(seed)
    points = sorted((call, dice.randrange(1, counts[call] + 1))
                    for call in dice.choices(sorted(counts), [counts[c] for c in sorted(counts)],
                                             k=rounds))
    missed = 0
    for number, (call, nth) in enumerate(points):
        name = f"point-{number}"
        traced = TracedProgram(stage, name, ["-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}",
                                             "-e", f"inject={call}:signal=SIGKILL:when={nth}"])
        traced.start()
        missed += not dies_in_time(traced)
        traced.program.start()
        check(reach_ends(stage, traced) == expected, f"killed at {call} {nth}: other digests")
        check(traced.program.stop() == 0, f"{name} didn't end well\n{traced.program.tail()}")
    check(missed < len(points), "no point was reached")
    return (f"killed at {len(points) - missed} of {sum(counts.values())} calls {counts}, {missed} not "
            "reached: the same digests")
