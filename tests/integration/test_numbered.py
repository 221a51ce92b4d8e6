#!/usr/bin/env python3
"""Numbered sources: their events are known by source and sequence, over HTTP and Kafka, after a
restart and from a snapshot."""
# limit: 180
import json
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig, partition_of  # noqa: E402
from ingest_rig import (BATCH, ROOT, SUBSCRIPTION, catalog, event, main, subscription,  # noqa: E402
                        wait_for)

sys.path.insert(0, str(ROOT / "proto" / "reference"))
import gateway_batch  # noqa: E402

SOURCES = ["/gw/1", "/gw/2"]
SUBSCRIPTIONS = [f"01ARZ3NDEKTSV4RRFFQ69G6{i:03d}" for i in range(20)]
HOME = partition_of(SUBSCRIPTION)
NEIGHBOUR = next(s for s in SUBSCRIPTIONS if partition_of(s) == HOME)
STRANGER = next(s for s in SUBSCRIPTIONS if partition_of(s) != HOME)
GATEWAY = {"content-type": gateway_batch.CONTENT_TYPE}


def ready_rig():
    rig = CountingRig()
    rig.put_catalog([*catalog(rig.bucket), *(subscription(s, f"c-{s}") for s in SUBSCRIPTIONS),
                     ("configuration/default", {"epoch": 1, "numberedSources": SOURCES})])
    rig.start()
    return rig


def numbered(sequence, source=SOURCES[0], ident="same", **more):
    return event(ident, source=source, sequence=str(sequence), **more)


def packed(*events):
    batch = gateway_batch.Batch()
    for sequence, source, subscriber in events:
        batch.add(id="same", type="request", source=source, subscription=subscriber,
                  sequence=sequence, properties={"$.total": 1})
    return batch.encode()


def ledger(aggregator, accepted, counted, duplicate):
    def settled():
        status, found = aggregator.get("/v1/ledger")
        return status == 200 and found["lag"] == 0 and found["accepted"] >= accepted and found
    found = wait_for(f"{accepted} events", 30, settled)
    got = [found[name] for name in ("accepted", "counted", "duplicate", "conflict", "late", "rejected")]
    assert got == [accepted, counted, duplicate, 0, 0, 0], found


def test_repeats_are_found_by_number_after_a_restart_and_from_a_snapshot():
    with ready_rig() as rig:
        snapshots = [f"--snapshots={rig.folder / 'snapshots'}"]
        a = rig.aggregator("a", snapshots).start()
        first = [numbered(i) for i in range(5000)]  # one id: it isn't looked at
        rig.send(first)
        rig.send([numbered(2 ** 64 - 1, SOURCES[1])])
        ledger(a, 5001, 5001, 0)
        rig.send([numbered(i, ident=f"other-{i}", data={"total": 9}) for i in (0, 4095, 4096, 4999)])
        rig.put("events", [
            {"value": json.dumps(numbered(17))},
            {"value": '{"total":1}', "headers": {
                "ce_specversion": "1.0", "ce_id": "k", "ce_source": SOURCES[0], "ce_type": "request",
                "ce_subscription": SUBSCRIPTION, "ce_sequence": "0018"}},
            {"hex": packed((19, SOURCES[0], SUBSCRIPTION), (5000, SOURCES[0], SUBSCRIPTION)).hex(),
             "headers": GATEWAY}])
        ledger(a, 5009, 5002, 7)
        assert a.stop() == 0
        a.start()
        rig.send([numbered(4097), numbered(5000), numbered(5001)])
        ledger(a, 5012, 5003, 9)
        assert a.stop() == 0
        digests = a.digests()
        assert a.inspect("verify")[0] == 0, a.inspect("verify")
        shutil.rmtree(a.data)
        b = rig.aggregator("b", snapshots).start()
        rig.send([numbered(i) for i in range(0, 5002, 41)])
        ledger(b, 5134, 5003, 131)
        assert b.log().count("snapshot_restored") == len(digests), b.log()
        assert b.stop() == 0
        # And counted anew from the log alone, the state is the same.
        c = rig.aggregator("c").start()
        ledger(c, 5134, 5003, 131)
        assert c.stop() == 0
        assert c.digests() == b.digests()


def test_a_number_is_its_sources_whatever_the_subscription():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        rig.send([numbered(1), numbered(1, SOURCES[1])])
        ledger(a, 2, 2, 0)
        rig.send([numbered(1, subscription=NEIGHBOUR)])  # of the same partition: given twice
        ledger(a, 3, 2, 1)
        rig.send([numbered(1, subscription=STRANGER)])  # another partition can't know
        ledger(a, 4, 3, 1)
        rig.send([event("plain", sequence="1"), event("plain", sequence="2")])  # not declared: by id
        ledger(a, 6, 4, 2)


def test_an_event_without_its_number_is_refused():
    with ready_rig() as rig:
        status, answer, _ = rig.post([numbered(1), event("none", source=SOURCES[0]),
                                      numbered("x", ident="bad"), event("other")], BATCH)
        assert status == 202 and answer["accepted"] == 2, answer
        assert [(r["index"], r["code"], r["pointer"]) for r in answer["rejected"]] == [
            (1, "missing_attribute", "/sequence"), (2, "invalid_attribute", "/sequence")], answer
        rig.put("events", [{"hex": packed((None, SOURCES[0], SUBSCRIPTION)).hex(), "headers": GATEWAY},
                           {"value": json.dumps(numbered(-1))}])
        found = wait_for("refusals", 20, lambda: len(rig.rejected()) == 2 and rig.rejected())
        assert sorted((r["headers"]["tollway_reason"], r["headers"]["tollway_pointer"])
                      for r in found) == [("invalid_attribute", "/sequence"),
                                          ("missing_attribute", "/sequence")], found


def test_declaring_a_source_counts_for_what_arrives_later():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        rig.send([numbered(1, "/gw/3", "first"), numbered(1, "/gw/3", "second")])
        ledger(a, 2, 2, 0)
        rig.put_catalog([("configuration/default",
                          {"epoch": 1, "numberedSources": [*SOURCES, "/gw/3"]})])
        taken = 2

        def is_refused():
            nonlocal taken
            status = rig.post(event(f"probe-{taken}", source="/gw/3"))[0]
            taken += status == 202
            return status == 400
        wait_for("the declaration", 20, is_refused)
        ledger(a, taken, taken, 0)
        rig.send([numbered(1, "/gw/3", "third"), numbered(1, "/gw/3", "fourth")])
        ledger(a, taken + 2, taken + 1, 1)


if __name__ == "__main__":
    main(sys.modules[__name__])
