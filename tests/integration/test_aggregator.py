#!/usr/bin/env python3
"""The aggregator from outside: counting, publishing, handing over, restoring.

Each case runs a broker, ingest and one or two aggregators of its own.
"""
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig, partition_of
from ingest_rig import OTHER, SUBSCRIPTION, catalog, event, main, subscription, tool, wait_for

PICO = 10 ** 12
SUBSCRIPTIONS = [f"01ARZ3NDEKTSV4RRFFQ69G6{i:03d}" for i in range(20)]


def wide_catalog(rig):
    return catalog(rig.bucket) + [subscription(s, f"c-{s}") for s in SUBSCRIPTIONS]


def ready_rig(**more):
    rig = CountingRig(**more)
    rig.put_catalog(wide_catalog(rig))
    rig.start()
    return rig


def now(offset=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + offset))


def marks_reach(rig, partitions, accepted):
    def reached():
        marks = rig.counters()[2]
        return len(marks) >= partitions and sum(m["accepted"] for m in marks.values()) >= accepted
    wait_for(f"marks of {accepted} events", 30, reached)
    return rig.counters()


def test_totals_and_marks_say_what_was_sent():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        events = [event(str(i), data={"total": i % 7, "method": "GET"},
                        subscription=SUBSCRIPTION if i % 3 else OTHER) for i in range(900)]
        late = [event("late", time="2015-06-01T00:00:00Z")]
        conflict = [event("5", data={"total": 99, "method": "GET"})]
        rig.send(events)
        rig.send(events[:100] + late + conflict)
        totals, _, marks = marks_reach(rig, 4, 1002)
        expected = {}
        for e in events:
            expected[e["subscription"]] = expected.get(e["subscription"], 0) + e["data"]["total"]
        got = {}
        for (sub, meter, *_), total in totals.items():
            if meter == "api":
                got[sub] = got.get(sub, 0) + total["units"]
        assert got == {s: v * PICO for s, v in expected.items()}, (got, expected)
        summed = {k: sum(m[k] for m in marks.values())
                  for k in ("accepted", "counted", "duplicate", "conflict", "rejected", "late")}
        assert summed == {"accepted": 1002, "counted": 900, "duplicate": 101, "conflict": 1,
                          "rejected": 0, "late": 1}, summed
        reasons = sorted(r["headers"]["tollway_reason"] for r in rig.rejected())
        assert reasons == ["conflict", "late"], reasons
        assert a.stop() == 0
        assert a.inspect("verify")[0] == 0, a.inspect("verify")
        digests = {f"p{p}": [str(m["nextOffset"]), m["digest"]] for p, m in
                   rig.counters()[2].items() if m["nextOffset"] > 0}
        assert digests == a.digests(), (digests, a.digests())


if __name__ == "__main__":
    main(sys.modules[__name__])
