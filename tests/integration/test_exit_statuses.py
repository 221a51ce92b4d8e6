#!/usr/bin/env python3
"""How processes end on a real Kafka (TOLLWAY_TEST_BROKERS): 81 when another has taken the place, 80
when some subscriptions could not be billed."""
# limit: 240
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import invoicer_rig  # noqa: E402
from aggregator_rig import CountingRig  # noqa: E402
from ingest_rig import BIN, Rig, catalog, event, main, wait_for  # noqa: E402
from stack import brokers_or_skip  # noqa: E402

BROKERS = brokers_or_skip()


def made(rig):
    """The rig's bucket on the Kafka, and properties that make each member the same one."""
    subprocess.run([BIN / "invoicer", "topics", "create", "--brokers", BROKERS, "--bucket", rig.bucket,
                    "--partitions", "4", "--replication", "1", "--data", rig.folder / "invoicer"],
                   check=True, timeout=60, capture_output=True)
    rig.put_catalog([(k, {**v, "epoch": 10 ** 9}) for k, v in catalog(rig.bucket)])
    properties = rig.folder / "properties"
    properties.write_text("group.instance.id=the-only-one\n")
    return f"--kafka-config={properties}"


def test_an_aggregator_whose_place_another_took_ends_with_81_and_its_store_is_sound():
    with CountingRig(brokers=BROKERS, topics_check=True) as rig:
        properties = made(rig)
        rig.start()
        a, b = rig.aggregator("a", [properties]), rig.aggregator("b", [properties])
        a.start()
        rig.send([event(str(i)) for i in range(50)])

        def counted(aggregator):
            status, ledger = aggregator.get("/v1/ledger")
            return status == 200 and ledger["counted"] == 50 and ledger["lag"] == 0
        wait_for("50 events", 40, lambda: counted(a))
        b.start(ready=False)
        assert a.process.wait(60) == 81, a.log()[-2000:]
        a.process = None
        assert "another member took this one's place" in a.log()
        wait_for("b's address", 20, b.ready.exists)
        b.url = b.ready.read_text().strip()
        wait_for("b goes on", 60, lambda: counted(b))
        assert b.stop() == 0
        assert a.inspect("verify")[0] == 0
        a.start()
        wait_for("a counts on", 60, lambda: counted(a))
        assert "partition_set_aside" not in a.log()


def test_an_ingest_whose_place_another_took_ends_with_81():
    with Rig(brokers=BROKERS, topics_check=True) as rig:
        properties = made(rig)
        rig.settings.append(properties)
        rig.start()
        rig.put("events", [{"value": json.dumps(event("one"))}])
        wait_for("the event", 40, rig.usage)
        first, rig.process = rig.process, None
        rig.start(ready=False)
        assert first.wait(60) == 81, (rig.folder / "log").read_text()[-2000:]
        rig.await_ready()
        rig.put("events", [{"value": json.dumps(event("two"))}])
        # The first may be written again: who is fenced can't say any more how far it was.
        wait_for("both events", 60, lambda: len({e["identity"] for e in rig.usage()}) == 2)


def test_an_invoicer_whose_place_another_took_ends_with_81():
    rig = invoicer_rig.Rig(BROKERS)
    properties = rig.folder / "properties"
    properties.write_text("group.instance.id=the-only-one\n")
    os.environ["TOLLWAY_KAFKA_CONFIG"] = str(properties)
    ended = []
    try:
        first, address = rig.serve("first", data=rig.folder / "first")
        ended.append(first)
        wait_for("it acts", 60, lambda: invoicer_rig.is_ready(address))
        second, address = rig.serve("second", data=rig.folder / "second")
        ended.append(second)
        assert first.wait(60) == 81
        wait_for("the second acts", 60, lambda: invoicer_rig.is_ready(address))
        second.terminate()
        assert second.wait(20) == 0
    finally:
        del os.environ["TOLLWAY_KAFKA_CONFIG"]
        for process in ended:
            if process.poll() is None:
                process.kill()
        rig.end()


def test_a_close_that_cannot_bill_one_subscription_bills_the_others_and_ends_with_80():
    rig = invoicer_rig.Rig(BROKERS)
    try:
        # 10^26 pieces at 10^15 each: more than an invoice's total can be.
        rig.apply({**invoicer_rig.catalog(2), "plans": [
            invoicer_rig.plan("payg", [invoicer_rig.usage_card({"type": "unit", "amount": "999999999999999"})]),
            *invoicer_rig.PLANS[1:]]})
        one, other = invoicer_rig.ulid(1), invoicer_rig.ulid(2)
        rig.count([(one, "2026-01-05T00:00:00", 10 ** 26), (other, "2026-01-05T00:00:00", 3)])
        said = rig.run("close", "--at", "2026-02-01T01:00:00Z", status=80)
        assert " 1 failed" in said, said
        before = rig.invoices()
        assert {name.split("-")[0] for name in before} == {other}
        # Again: the same one fails, nothing is billed twice.
        rig.run("close", "--at", "2026-02-01T01:00:00Z", status=80)
        assert rig.invoices() == before
    finally:
        rig.end()


if __name__ == "__main__":
    main(sys.modules["__main__"])
