#!/usr/bin/env python3
"""What a close, a preview and a change of plan say while totals can't be trusted, and that they go on afterwards: an
aggregator is killed amid a pass, on a real Kafka."""
# limit: 300
import datetime
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig  # noqa: E402
from ingest_rig import BATCH, event, tool, wait_for  # noqa: E402
from invoicer_rig import FEE, Rig, catalog, given, plan, ulid, usage_card  # noqa: E402

PAYG, METERED = ulid(1), ulid(2)
TODAY = datetime.datetime.now(datetime.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
NOT_VOUCHED = "partition 0 of usage has totals on counters that no mark vouches for; its last mark is of 20"


AT = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(before):
    return (TODAY - datetime.timedelta(days=before)).strftime("%Y-%m-%dT%H:%M:%SZ")


def made_catalog():
    """One of payg; one with a quota, whose change looks at what was used."""
    made = catalog(2, start=day(33))
    made["subscriptions"][1]["plan"]["key"] = "metered"
    made["plans"] = made["plans"] + [plan("metered", [FEE, usage_card(
        {"type": "unit", "amount": "0"}, entitlementTemplate={"type": "metered", "issueAfterReset": "1000"})])]
    return made


def waits(rig, *arguments):
    """What it says on standard error when it gives up."""
    done = subprocess.run(rig.command(*arguments), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 75 and not done.stdout, done
    return done.stderr


def counters(chain):
    return tool("get", chain.brokers, chain.topic("counters"))


def nobody_has_published(rig):
    rig.apply(made_catalog())
    said = waits(rig, "close", "--at", AT, "--wait", "3s")
    assert "partition 0 of usage has no mark on counters: no aggregator has published it" in said, said
    assert "others that wait: 1;" in said, said


def leave_a_pass_unfinished(chain, aggregator):
    """As an owner that is killed between a pass's totals and its mark."""
    wait_for("a mark of all", 30, lambda: sum(m["accepted"] for m in chain.counters()[2].values()) == 3)
    aggregator.stop(signal.SIGKILL)
    total = [record for record in counters(chain) if record["key"].startswith(f"T/{PAYG}/")][-1]
    chain.put("counters", [{name: total[name] for name in ("key", "hex", "partition")}])


def each_says_what_is_missing(rig, owner):
    said = waits(rig, "close", "--at", AT, "--dry-run", "--wait", "3s")
    assert NOT_VOUCHED in said and f"by {owner};" in said, said
    said = waits(rig, "subscriptions", "change", METERED, "--plan", "payg", "--dry-run", "--wait", "3s")
    assert NOT_VOUCHED in said, said
    said = waits(rig, "close", "--at", AT, "--wait", "12s")  # it says so while it waits, too
    assert "event=close_waits" in said and said.count(NOT_VOUCHED) == 2 and "run again" in said, said


def it_goes_on_with_the_next_mark(rig):
    preview, closed = (rig.json("close", "--at", AT, "--wait", "60s", *more) for more in (["--dry-run"], []))
    totals = [sorted(invoice["total"] for invoice in each["invoices"]) for each in (preview, closed)]
    assert totals[0] == totals[1] and "0.06" in totals[0], totals
    assert rig.json("audit")["differences"] == []


def a_pass_is_unfinished(rig):
    rig.apply(made_catalog())
    with CountingRig(brokers=rig.brokers, topics_check=True, bucket=rig.bucket) as chain:
        chain.start()
        aggregator = chain.aggregator().start()
        key = rig.json("keys", "create")["key"]
        events = [event(str(i), type="api", subscription=PAYG, time=day(10), data={"total": i + 1}) for i in range(3)]
        wait_for("the key", 30, lambda: chain.post(events, BATCH, key=key)[0] == 202)
        leave_a_pass_unfinished(chain, aggregator)
        each_says_what_is_missing(rig, aggregator.url)
        aggregator.start()
        it_goes_on_with_the_next_mark(rig)
        assert aggregator.stop() == 0


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    for test, partitions in ((nobody_has_published, 2), (a_pass_is_unfinished, 1)):
        rig = Rig(brokers, partitions)
        try:
            test(rig)
            print("passed:", test.__name__.replace("_", " "), flush=True)
        finally:
            rig.end()


if __name__ == "__main__":
    main()
