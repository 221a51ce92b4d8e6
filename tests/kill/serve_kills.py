"""`invoicer serve` is killed while files are applied through it and a second one stands by: what was
said to be applied is there, whole, in every place that reads the catalog, and works."""
import json
import random
import subprocess
import threading
import time

import traffic
from stage import BIN, await_that, check

TEMPFAIL, FENCED = 75, 81


def subscription_of(number):
    return f"01ARZ3NDEKTSV4RRFFQ69J{number:04d}"


def file_of(number):
    """Three records that belong together."""
    customer = f"late_{number}"
    return {"meters": [{"slug": f"extra_{number}", "eventType": "request", "aggregation": "COUNT"}],
            "customers": [{"key": customer, "name": f"Late {number}"}],
            "subscriptions": [{"id": subscription_of(number), "customerKey": customer,
                               "plan": {"key": "payg"}, "activeFrom": "2026-01-01T00:00:00Z"}]}


class Applies:
    """One file after the other, each until it is applied, through one folder until that one's invoicer
    doesn't act and then through the other; the numbers of those that were."""

    def __init__(self, stage, folders):
        self.stage, self.folders = stage, folders
        self.applied, self.again, self.problems = [], 0, []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def apply(self, number):
        file = self.stage.folder / f"file-{number}.json"
        file.write_text(json.dumps(file_of(number)))
        with (self.stage.folder / "applies.log").open("ab") as log:
            return subprocess.run(
                [BIN / "invoicer", "catalog", "apply", file, "--wait", "4s", "--data", self.folders[0],
                 "--brokers", self.stage.kafka.brokers, "--bucket", self.stage.bucket, "--kafka-config",
                 self.stage.properties], stdout=log, stderr=log, timeout=120, check=False).returncode

    def run(self):
        number = 0
        while not self.stopping.is_set():
            status = self.apply(number)
            if status == 0:
                self.applied.append(number)
                number += 1
            elif status in (TEMPFAIL, FENCED):
                self.again += 1
                self.folders = self.folders[::-1]
            else:
                self.problems.append(f"apply {number}: exit {status}")
                return


def catalog_in(stage, data):
    done = subprocess.run([BIN / "invoicer", "catalog", "get", "--json", "--data", data, "--brokers",
                           stage.kafka.brokers, "--bucket", stage.bucket, "--kafka-config",
                           stage.properties], capture_output=True, text=True, check=False, timeout=120)
    check(done.returncode == 0, f"catalog get: exit {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def check_catalog(stage, applied, data):
    text = catalog_in(stage, data)
    for number in applied:
        for name in (f'"extra_{number}"', f'"late_{number}"', f'"{subscription_of(number)}"'):
            check(name in text, f"{data.name}: file {number} was applied, and {name} isn't there")
    return text


def check_usable(ingest, applied):
    """Ingest knows every subscription, and counts for the newest."""
    def all_taken():
        events = [{"specversion": "1.0", "id": f"probe-{n}", "source": "/probe", "type": "request",
                   "subscription": subscription_of(n), "data": {"units": 1}} for n in applied]
        status, answer = ingest.ask("POST", "/v1/events", events, ingest.stage.ingest_key)
        return status == 202 and answer["accepted"] == len(events)
    await_that("known to ingest", all_taken, 30)


def run(stage, seed, rounds):
    dice = random.Random(seed)
    first_data, second_data = stage.invoicer_data, stage.folder / "standby"
    first = stage.program("invoicer", "serve", "serve", "--data", first_data).start()
    second = stage.program("invoicer", "standby", "serve", "--data", second_data).start()
    ingest = stage.program("ingest").start().await_ready()
    await_that("ready: one of both", lambda: first.is_ready() or second.is_ready())
    load = traffic.Traffic(ingest, seed, clients=1, pause=0.1).start()
    applies = Applies(stage, (first_data, second_data))
    applies.thread.start()
    for _ in range(rounds):
        time.sleep(dice.uniform(0.2, 4))
        # Mostly the one that acts.
        acting = [program for program in (first, second) if program.is_ready()]
        victim = dice.choice([*acting, *acting, first, second])
        victim.kill()
        time.sleep(dice.choice([0, 0, 1, 4]))
        victim.start()
    in_the_end = len(applies.applied)
    await_that("a file applied after the last kill",
               lambda: len(applies.applied) > in_the_end or applies.problems)
    applies.stopping.set()
    applies.thread.join(150)
    load.stop()
    check(not applies.problems, f"{applies.problems}\n{first.tail()}")
    check(not load.problems, f"clients: {load.problems}")
    await_that("ready: one of both", lambda: first.is_ready() or second.is_ready())
    here = check_catalog(stage, applies.applied, first_data)
    there = check_catalog(stage, applies.applied, stage.folder / "elsewhere")
    check(here == there, "an invoicer that begins with an empty folder has another catalog")
    check_usable(ingest, applies.applied)
    for program in (first, second, ingest):
        check(program.stop() == 0, f"{program.name} didn't end well\n{program.tail()}")
    return f"{rounds} kills, {len(applies.applied)} files applied whole, {applies.again} given again"
