#!/usr/bin/env python3
"""The invoicer's disk is full in the middle of its work: the verb says so and ends with 73, 74 or 75,
bills nothing wrong, and the same verb finishes the work once there is room. The disk is a small tmpfs,
which only root can mount."""
# limit: 300
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import Rig, catalog, given, ulid  # noqa: E402
from small_disk import SmallDisk  # noqa: E402

SUBSCRIPTIONS = 400
FEBRUARY, MARCH = "2026-02-01T01:00:00Z", "2026-03-01T01:00:00Z"
LARGE = "100m"
FULL = ("No space left", "bytes free", "Input/output error")


def prepare(rig):
    rig.apply(catalog(SUBSCRIPTIONS))
    rig.count([(ulid(i + 1), day, str(i)) for day in ("2026-01-05T00:00:00", "2026-02-05T00:00:00")
               for i in range(0, SUBSCRIPTIONS, 3)])


def attempt(rig, *arguments):
    """True when it could be done; otherwise it has said that the disk is full."""
    done = subprocess.run(rig.command(*arguments), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode in (0, 65):
        return True
    assert done.returncode in (73, 74, 75) and any(sign in done.stderr for sign in FULL), \
        (arguments, done.returncode, done.stderr[-1500:])
    return False


def fill(rig, disk):
    """Tries with ever more room; returns how often it was too little."""
    refused = 0
    for at, room in ((FEBRUARY, 0), (FEBRUARY, 16), (FEBRUARY, 64), (FEBRUARY, 160), (FEBRUARY, 100000),
                     (MARCH, 0), (MARCH, 32), (MARCH, 128), (MARCH, 100000)):
        disk.leave(room * 1024)
        refused += not attempt(rig, "close", "--at", at, "--wait", "20s", "--json")
        for total in rig.invoices().values():
            assert total, total
    disk.resize(LARGE)
    return refused


def a_full_disk_bills_the_same_in_the_end(calm, rig, disk):
    refused = fill(rig, disk)
    assert refused >= 2, f"the disk was full {refused} times only"
    for at in (FEBRUARY, MARCH):
        for each in (calm, rig):
            each.json("close", "--at", at, "--wait", "60s")
    assert rig.invoices() == calm.invoices() and len(calm.invoices()) >= SUBSCRIPTIONS
    return refused


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    if os.geteuid() != 0:
        print("skipped: only root can mount a small disk")
        sys.exit(77)
    calm, rig = Rig(brokers), Rig(brokers)
    disk = SmallDisk(rig.folder / "disk", LARGE)
    try:
        rig.data = disk.folder / "data"
        prepare(calm)
        prepare(rig)
        refused = a_full_disk_bills_the_same_in_the_end(calm, rig, disk)
        print(f"full {refused} times; {len(rig.invoices())} invoices as without")
    finally:
        disk.close()
        calm.end()
        rig.end()


if __name__ == "__main__":
    main()
