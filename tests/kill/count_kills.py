"""Ingest and the aggregators are killed, stopped, frozen and joined under load; at the end every event
is counted once, and an undisturbed aggregator that starts with nothing comes to the same bytes."""
import random
import signal
import time

import model
import traffic
from stage import Failed, await_that, check


class Kills:
    """What can happen to the processes, chosen by a seeded die; the seed replays the order, not the
    scheduler."""

    def __init__(self, stage, seed, ingest, aggregators, others=()):
        self.stage, self.dice = stage, random.Random(seed)
        self.ingest, self.aggregators, self.others = ingest, aggregators, list(others)
        self.done = []

    def kill(self, program):
        program.kill()
        time.sleep(self.dice.choice([0, 0, 0.2, 1]))
        program.start()

    def leave_and_join(self, program):
        status = program.stop()
        check(status == 0, f"{program.name} ended with {status} on SIGTERM\n{program.tail()}")
        time.sleep(self.dice.choice([0, 1]))
        program.start()

    def freeze(self, program):
        """Longer than the group waits: others take its partitions over, and it wakes up as a ghost."""
        program.process.send_signal(signal.SIGSTOP)
        time.sleep(4)
        program.process.send_signal(signal.SIGCONT)

    def restart_broker(self, hard):
        self.stage.kafka.kill() if hard else self.stage.kafka.stop()
        time.sleep(self.dice.choice([0, 2]))
        self.stage.kafka.start()

    def choose(self, round):
        """A broker once in ten rounds, a ghost once in seven, a member that leaves once in five."""
        aggregator = self.dice.choice(self.aggregators)
        if round % 10 == 8:
            hard = self.dice.random() < 0.5
            return f"broker {'killed' if hard else 'restarted'}", lambda: self.restart_broker(hard)
        if round % 7 == 5:
            return f"{aggregator.name} frozen", lambda: self.freeze(aggregator)
        if round % 5 == 3:
            return f"{aggregator.name} stopped", lambda: self.leave_and_join(aggregator)
        victim = self.dice.choice([self.ingest, aggregator, aggregator, *self.others])
        return f"{victim.name} killed", lambda: self.kill(victim)

    def run(self, rounds):
        for round in range(rounds):
            time.sleep(self.dice.uniform(0.3, 2.5))
            what, action = self.choose(round)
            self.done.append(what)
            action()


def ask_ledger(aggregator):
    """(the ledger or None, what was answered instead)"""
    try:
        status, ledger = aggregator.ask("GET", "/v1/ledger", key=aggregator.stage.admin_key)
    except OSError as error:
        return None, str(error)
    return (ledger, None) if status == 200 else (None, f"{status} {ledger}")


def await_counted(aggregator, accepted, seconds=60):
    """The ledger, once all of `usage` is in it."""
    last = {}

    def settled():
        check(aggregator.is_running(), f"{aggregator.name} ended: {aggregator.end()}\n"
              f"{aggregator.tail()}")
        ledger, instead = ask_ledger(aggregator)
        last["answer"] = instead or {k: v for k, v in ledger.items() if k != "subscriptions"}
        return ledger if ledger and ledger["lag"] == 0 and ledger["accepted"] >= accepted else None
    try:
        return await_that("all counted", settled, seconds, step=0.3)
    except Failed as failed:
        raise Failed(f"{failed}; {accepted} events in the log; the ledger: {last['answer']}\n"
                     f"{aggregator.tail()}") from None


def ask_rows(aggregator, meter):
    body = {"windowSize": "DAY", "groupBy": ["subscription"]}
    status, answer = aggregator.ask("POST", f"/v3/metering/{aggregator.stage.bucket}/meters/{meter}/query", body,
                                    aggregator.stage.admin_key)
    check(status == 200, f"query {meter}: {status} {answer}")
    return answer["data"]


def final_marks(stage, usage, owners):
    """The last mark of each partition, which must stand at its end and be of one of `owners`."""
    ends, last = {}, {}
    for line in usage:
        ends[line["partition"]] = max(ends.get(line["partition"], 0), line["offset"] + 1)

    def reached():
        for owner in owners:
            check(owner.is_running(), f"{owner.name} ended: {owner.end()}\n{owner.tail()}")
        marks = last["marks"] = model.last_marks(stage.read("counters"))
        return marks if all(p in marks and marks[p]["nextOffset"] == end and
                            any(marks[p]["owner"].endswith(f":{owner.port}") for owner in owners)
                            for p, end in ends.items()) else None
    try:
        return await_that("at the ends", reached, 60, step=0.5)
    except Failed as failed:
        found = {p: (m["nextOffset"], m["owner"]) for p, m in last["marks"].items()}
        raise Failed(f"{failed}: ends {ends}, marks {found}\n{owners[0].tail()}") from None


def check_counts(stage, load, *aggregators):
    """The whole judgement; (events in the log, different ones, marks)."""
    aggregator = aggregators[0]
    usage = stage.read("usage", "usage")
    different = model.check_log(load, usage)
    marks = final_marks(stage, usage, aggregators)
    model.check_marks(marks, usage)
    model.check_totals(stage.read("counters"), usage)
    ledger = await_counted(aggregator, len(usage))
    model.check_ledger(ledger, usage)
    model.check_ledger_of_each(ledger, usage)
    model.check_sums(load, usage, ask_rows(aggregator, "units"), ask_rows(aggregator, "requests"),
                     traffic.FICKLE)
    return len(usage), different, marks


def check_undisturbed(stage, load, marks, name="undisturbed"):
    """An aggregator with an empty folder reads the same log, alone, and comes to the same digests."""
    fresh = stage.program("aggregator", name, "--data", stage.folder / name).start()
    fresh.await_ready()
    _, _, again = check_counts(stage, load, fresh)
    for partition, mark in marks.items():
        for member in ("nextOffset", "digest", "accepted", "counted", "duplicate", "conflict",
                       "rejected", "late"):
            check(mark[member] == again[partition][member],
                  f"partition {partition}: {member} is {mark[member]}, and {again[partition][member]}"
                  " when nobody disturbs")
    check(fresh.stop() == 0, f"{name} didn't end well\n{fresh.tail()}")


def run(stage, seed, rounds):
    ingest = stage.program("ingest").start()
    # So little memory for ids that days are sealed; the undisturbed one has enough.
    aggregators = [stage.program("aggregator", f"aggregator-{x}", "--data",
                                 stage.folder / f"aggregator-{x}", "--dedup-memory", "64KiB").start()
                   for x in "ab"]
    ingest.await_ready()
    load = traffic.Traffic(ingest, seed).start()
    kills = Kills(stage, seed, ingest, aggregators)
    try:
        kills.run(rounds)
        load.stop()
    finally:
        load.stopping.set()
        print("  " + ", ".join(kills.done))
    check(not load.problems, f"clients: {load.problems}")
    for program in (*aggregators, ingest):
        program.await_ready()
    events, different, marks = check_counts(stage, load, *aggregators)
    check(ask_rows(aggregators[0], "units") == ask_rows(aggregators[1], "units"),
          "two aggregators answer differently")
    for program in aggregators:
        check(program.stop() == 0, f"{program.name} didn't end well\n{program.tail()}")
    check(any("days_sealed" in program.log.read_text(errors="replace") for program in aggregators),
          "no day was sealed: too little traffic for what is to be shown")
    check_undisturbed(stage, load, marks)
    ingest.stop()
    return (f"{len(kills.done)} disturbances, {len(load.acked)} of {len(load.attempted)} events "
            f"acknowledged, {events} in the log, {different} counted once; statuses "
            f"{dict(load.statuses)}")
