#!/usr/bin/env python3
"""Years of old traffic with little memory: days are sealed, and every repeat is found all the same,
after a restart and from a snapshot, with the digests of an aggregator that has memory enough."""
# limit: 240
import datetime
import pathlib
import random
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig  # noqa: E402
from ingest_rig import catalog, event, main, subscription, wait_for  # noqa: E402

SUBSCRIPTIONS = [f"01ARZ3NDEKTSV4RRFFQ69G6{i:03d}" for i in range(8)]
DAYS, EVENTS = 60, 24000
LITTLE = ["--dedup-memory=128KiB"]
LONG = ["--dedup-horizon=P7300D"]
NAMES = "accepted", "counted", "duplicate", "conflict", "late", "rejected"


def old_event(dice, number):
    day = datetime.datetime(2016, 1, 1) + datetime.timedelta(days=dice.randrange(DAYS))
    return event(f"e-{number}", subscription=dice.choice(SUBSCRIPTIONS),
                 time=day.strftime("%Y-%m-%dT06:00:00Z"), data={"total": 1})


def ledger(aggregator, *wanted):
    def settled():
        status, found = aggregator.get("/v1/ledger")
        return status == 200 and found["lag"] == 0 and found["accepted"] >= wanted[0] and found
    found = wait_for(f"{wanted[0]} events", 60, settled)
    assert tuple(found[name] for name in NAMES) == wanted, ({n: found[n] for n in NAMES}, wanted)


def test_repeats_on_sealed_days_are_found():
    dice = random.Random(11)
    events = [old_event(dice, i) for i in range(EVENTS)]
    with CountingRig() as rig:
        rig.put_catalog([*catalog(rig.bucket), *(subscription(s, f"c-{s}") for s in SUBSCRIPTIONS)])
        rig.start()
        snapshots = [f"--snapshots={rig.folder / 'snapshots'}"]
        a = rig.aggregator("a", [*LONG, *LITTLE, *snapshots]).start()
        rig.send(events)
        ledger(a, EVENTS, EVENTS, 0, 0, 0, 0)
        # In tables they take 800 KB; sealed 2 bytes an id and 300 a day and partition.
        wait_for("little memory", 20, lambda: (
            sum(a.metric("tollway_aggregator_dedup_entries")) == EVENTS and
            sum(a.metric("tollway_aggregator_dedup_bytes")) < 160 * 1024))
        assert "days_sealed" in a.log()
        again = dice.sample(events, 4000)
        changed = [{**e, "data": {"total": 2}} for e in dice.sample(events, 500)]
        rig.send(again + changed)
        ledger(a, EVENTS + 4500, EVENTS, 4500, 500, 0, 0)
        assert a.stop() == 0
        assert a.inspect("verify")[0] == 0, a.inspect("verify")
        a.start()
        rig.send(dice.sample(events, 1000) + [old_event(dice, EVENTS + i) for i in range(1000)])
        ledger(a, EVENTS + 6500, EVENTS + 1000, 5500, 500, 0, 0)
        assert a.stop() == 0
        shutil.rmtree(a.data)
        b = rig.aggregator("b", [*LONG, *LITTLE, *snapshots]).start()
        assert b.log().count("snapshot_restored") == 4, b.log()
        rig.send(dice.sample(events, 1000))
        ledger(b, EVENTS + 7500, EVENTS + 1000, 6500, 500, 0, 0)
        assert b.stop() == 0
        # With memory enough, from the log alone.
        c = rig.aggregator("c", LONG).start()
        ledger(c, EVENTS + 7500, EVENTS + 1000, 6500, 500, 0, 0)
        assert c.stop() == 0 and "days_sealed" not in c.log()
        assert c.digests() == b.digests()


if __name__ == "__main__":
    main(sys.modules[__name__])
