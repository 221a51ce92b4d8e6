#!/usr/bin/env python3
"""Closes that are killed bill the same as those that aren't, byte for byte.

Two buckets get the same catalog and usage. In one each month is closed at once. In the other each
month's close is killed with SIGKILL, some twice, the folder lost in between once, then run to its end.
Where strace is there, the kill comes at the N-th write or sync of the store or write to the network, N
drawn from all of a calm close's; else after a random time."""
# limit: 900
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import Rig, catalog, chosen_seed, given, ulid  # noqa: E402

SUBSCRIPTIONS = 240
CALLS = ["fdatasync", "pwrite64", "writev", "pwritev"]
ROUNDS = int(os.environ.get("TOLLWAY_TEST_ROUNDS", "15"))


def month(number, day=1, time_of_day="00:00:00"):
    return f"{2020 + number // 12}-{number % 12 + 1:02d}-{day:02d}T{time_of_day}"


def due(number):
    return month(number + 1, time_of_day="01:00:00") + "Z"


def prepare(rig):
    rig.apply(catalog(SUBSCRIPTIONS, start=month(0) + "Z"))
    rig.count([(ulid(i + 1), month(number, 1 + i % 28), f"{i * 37 % 5000 + number}.25")
               for number in range(ROUNDS) for i in range(0, SUBSCRIPTIONS, 7)])


def everything(rig):
    listed = rig.json("invoices", "list")
    return {each["id"]: rig.run("invoices", "show", each["id"], "--json") for each in listed[::7]}, \
        {each["id"]: each["total"] for each in listed}


def strace(*options):
    return ["strace", "-f", "-qq", "-o", "/dev/null", *options] if shutil.which("strace") else []


def count_calls(rig, at):
    """How often the main thread of a calm close writes and syncs the store."""
    log = rig.folder / "calls"
    traced = ["strace", "-f", "-qq", "-o", log, "-e", "trace=" + ",".join(CALLS)]
    done = subprocess.run([*traced, *rig.command("close", "--at", at, "--wait", "60s", "--json")],
                          capture_output=True, text=True, timeout=120, check=True)
    lines = [line.split() for line in log.read_text().splitlines()]
    main_thread = lines[0][0]
    counts = {name: sum(1 for words in lines if words[0] == main_thread and words[1].startswith(name + "("))
              for name in CALLS}
    assert json.loads(done.stdout)["billed"] > 0
    return counts


def kill_at_a_call(rig, dice, counts, at):
    """Kills one run at a call drawn from all."""
    name = dice.choices(list(counts), weights=list(counts.values()))[0]
    number = dice.randint(1, counts[name])
    process = subprocess.run([*strace("-e", f"trace={name}", "-e",
                                      f"inject={name}:signal=SIGKILL:when={number}"),
                              *rig.command("close", "--at", at, "--wait", "60s")],
                             capture_output=True, timeout=120, check=False)
    return process.returncode in (-signal.SIGKILL, 137)


def kill_after_a_time(rig, dice, longest, at):
    """Kills one run somewhere between its start and the time that a whole one took."""
    process = rig.start("close", "--at", at, "--wait", "60s")
    time.sleep(dice.uniform(0, longest))
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait()
    return process.returncode == -signal.SIGKILL


# Where the programs look for leaks they do so by ptrace, which strace has taken.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    seed = chosen_seed()
    dice = random.Random(seed)
    calm, rough = Rig(brokers), Rig(brokers)
    try:
        prepare(calm)
        prepare(rough)
        started, counts = time.monotonic(), None
        if shutil.which("strace"):
            counts = count_calls(calm, due(0))
            print("calls of a calm close:", counts, flush=True)
        else:
            calm.json("close", "--at", due(0), "--wait", "60s")
        longest = time.monotonic() - started
        kills = amid = 0
        for number in range(ROUNDS):
            before = len(rough.invoices())
            for _ in range(1 + number % 2):
                kills += kill_at_a_call(rough, dice, counts, due(number)) if counts else \
                    kill_after_a_time(rough, dice, longest, due(number))
            if number == ROUNDS // 2:
                shutil.rmtree(rough.data)
            after = len(rough.invoices())
            calm.json("close", "--at", due(number), "--wait", "60s")
            rough.json("close", "--at", due(number), "--wait", "60s")
            amid += before < after < len(rough.invoices())
        one, two = everything(calm), everything(rough)
        assert one[1] == two[1], sorted(set(one[1].items()) ^ set(two[1].items()))[:10]
        assert one[0] == two[0], "other bytes"
        assert len(one[1]) == SUBSCRIPTIONS // 3 * (2 * ROUNDS + 1), len(one[1])
        print(f"{kills} kills, {amid} of them with part of the invoices issued, {len(one[1])} invoices")
    finally:
        calm.end()
        rough.end()


if __name__ == "__main__":
    main()
