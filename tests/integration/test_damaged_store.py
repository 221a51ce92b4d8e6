#!/usr/bin/env python3
"""Damage anywhere in a partition's store: flipped bits, pages of zeros, a file cut short.

`aggregator verify` finds it or there is none that matters; and an aggregator that starts on it gives
right answers or none, never wrong ones. TOLLWAY_TEST_SEED damages other places.
"""
# limit: 1200
import os
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import main  # noqa: E402
from test_aggregator import await_ledger, expected_totals, query, ready_rig, traffic  # noqa: E402

EVENTS, PAGE, PARTITIONS = 2000, 4096, 4
STARTS, VERIFIED = 3, 120
DAMAGED = 82


def flip(content, dice):
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def wipe(content, dice):
    at = dice.randrange(len(content) // PAGE) * PAGE
    content[at:at + PAGE] = bytes(PAGE)


def cut(content, dice):
    del content[dice.randrange(1, len(content)):]


KINDS = [flip, flip, flip, wipe, wipe, cut]


class Stores:
    """The aggregator's folder as it was when all was well."""

    def __init__(self, aggregator):
        self.aggregator = aggregator
        self.kept = aggregator.data.with_name("kept")
        shutil.copytree(aggregator.data, self.kept)

    def path(self, partition):
        return self.aggregator.data / self.aggregator.rig.bucket / f"p{partition}" / "data.mdb"

    def restore(self):
        shutil.rmtree(self.aggregator.data)
        shutil.copytree(self.kept, self.aggregator.data)

    def damage(self, partition, kind, dice):
        content = bytearray(self.path(partition).read_bytes())
        kind(content, dice)
        self.path(partition).write_bytes(content)


def check_digests(found, whole, what):
    """LMDB's two first pages have no checksum: a store may have become empty, or be that of an earlier
    commit. Then it goes on from there, by the log. At the same position it is the same."""
    for partition, (offset, digest) in found.items():
        assert int(offset) <= int(whole[partition][0]), (what, partition, found, whole)
        if offset == whole[partition][0]:
            assert digest == whole[partition][1], (what, partition, found, whole)


def check_verify(stores, dice):
    """How many of VERIFIED damages were found; the others mustn't change the digest of a position."""
    whole = stores.aggregator.digests()
    found = 0
    for _ in range(VERIFIED):
        stores.restore()
        kind = dice.choice(KINDS)
        stores.damage(dice.randrange(PARTITIONS), kind, dice)
        status, _ = stores.aggregator.inspect("verify")
        assert status in (0, DAMAGED) or status < 0, (kind.__name__, status)
        found += status != 0
        if status == 0:
            check_digests(stores.aggregator.digests(), whole, kind.__name__)
    return found


def totals(aggregator):
    """Of the question of all usage by subscription; None while it can't be answered."""
    status, answer = query(aggregator, {"groupBy": ["subscription"]})
    if status != 200:
        return None
    return {row["subscription"]: row["value"] for row in answer["data"]}


def answers_rightly(aggregator, wanted):
    """Starts it as often as it ends by itself: each time the group waits for the session of the one before."""
    starts, end = 0, time.monotonic() + 300
    while time.monotonic() < end:
        if not aggregator.process or aggregator.process.poll() is not None:
            aggregator.start(ready=False)
            starts += 1
        try:
            if aggregator.ready.exists():
                aggregator.url = aggregator.ready.read_text().strip()
                if aggregator.get("/readyz")[0] == 200:
                    await_ledger(aggregator, EVENTS, 60)
                    got = totals(aggregator)
                    assert got is None or got == wanted, (got, wanted)
                    if got:
                        return starts
        except OSError:  # it has ended
            pass
        time.sleep(0.1)
    raise AssertionError(f"no answer after {starts} starts: {aggregator.log()[-3000:]}")


def test_no_damage_makes_a_wrong_answer():
    seed = int(os.environ.get("TOLLWAY_TEST_SEED", 1))
    print(f"     seed {seed}", flush=True)
    dice = random.Random(seed)
    with ready_rig() as rig:
        aggregator = rig.aggregator().start()
        events = traffic(seed, EVENTS)
        rig.send(events)
        await_ledger(aggregator, EVENTS)
        wanted = totals(aggregator)
        assert {s: float(v) for s, v in wanted.items()} == expected_totals(events), wanted
        assert aggregator.stop() == 0
        stores = Stores(aggregator)
        found = check_verify(stores, dice)
        assert found, "nothing was damaged"
        starts = 0
        for _ in range(STARTS):
            stores.restore()
            for partition in range(PARTITIONS):
                stores.damage(partition, dice.choice(KINDS), dice)
            starts += answers_rightly(aggregator, wanted)
            aggregator.stop()
        print(f"     {found} of {VERIFIED} damages found by verify, the others change no digest; "
              f"{STARTS * PARTITIONS} damaged partitions answered rightly after {starts} starts")


if __name__ == "__main__":
    main(sys.modules[__name__])
