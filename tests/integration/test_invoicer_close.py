#!/usr/bin/env python3
"""Closes on a real Kafka: what is billed, twice, late, rebuilt, beside a serve, and by two invoicers."""
# limit: 300
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import tool  # noqa: E402
from invoicer_rig import Rig, catalog, get, given, is_ready, minute, ulid, wait_for  # noqa: E402

PAYG, PRO, FREE = ulid(1), ulid(2), ulid(3)
FEBRUARY, MARCH = "2026-02-01T01:00:00Z", "2026-03-01T01:00:00Z"


def close(rig, at, *more, **how):
    return rig.json("close", "--at", at, "--wait", "20s", *more, **how)


def totals(result):
    return {invoice["id"]: invoice["total"] for invoice in result["invoices"]}


def a_bucket_is_what_it_was_made(rig):
    rig.run("topics", "create", "--partitions", rig.partitions)
    rig.refused("bucket_other", "topics", "create", "--partitions", rig.partitions, "--hash", "hmac-sha256",
                status=78)


def a_catalog_is_applied_once(rig):
    assert len(json.loads(rig.apply(catalog(3)))["added"]) == 11
    again = json.loads(rig.apply(catalog(3)))
    assert not again["added"] and not again["changed"] and len(again["same"]) == 11, again
    rig.apply({"plans": [{"key": "x"}]}, status=65)
    assert rig.json("catalog", "get", "plan/payg@1")["key"] == "payg"


def a_get_catalog_applied_again_changes_nothing(rig):
    again = json.loads(rig.apply(rig.json("catalog", "get")))
    assert not again["added"] and not again["changed"], again


def a_changed_plan_becomes_version_2_and_old_subscriptions_keep_theirs(rig):
    changed = catalog(4)
    changed["plans"][0]["phases"][0]["rateCards"][0]["price"]["amount"] = "0.02"
    applied = json.loads(rig.apply(changed))
    assert applied["changed"] == ["plan/payg@2"], applied
    assert rig.json("catalog", "get", "subscription/" + PAYG)["plan"] == {"key": "payg", "version": 1}
    assert rig.json("catalog", "get", "subscription/" + ulid(4))["plan"] == {"key": "payg", "version": 2}
    changed["plans"][0]["phases"][0]["rateCards"][0]["price"]["amount"] = "0.01"


def a_close_waits_until_the_marks_have_passed_the_ends(rig):
    rig.count([(PAYG, "2026-01-02T00:00:00", "150"), (PAYG, "2026-01-31T00:00:00", "3.5"),
               (PRO, "2026-01-15T00:00:00", "1500")], mark=False)
    rig.run("close", "--at", FEBRUARY, "--wait", "2s", status=75)
    rig.apply(catalog(3), status=75)  # what is billed from stands still
    rig.count([])


def what_is_due_is_billed(rig):
    preview = close(rig, FEBRUARY, "--dry-run")
    assert rig.invoices() == {}, "a dry run writes nothing"
    # A folder that can't be is said before anything is billed.
    file = rig.folder / "no-folder"
    file.write_text("")
    for wrong in (file, file / "below", "/proc/nothing"):
        rig.run("close", "--at", FEBRUARY, "--out", wrong, status=73)
    assert rig.invoices() == {}, rig.invoices()
    closed = close(rig, FEBRUARY, "--out", rig.folder / "out")
    expected = {f"{PAYG}-20260201T0000Z": "1.54", f"{PRO}-20260101T0000Z": "99.00",
                f"{PRO}-20260201T0000Z": "124.00", f"{ulid(4)}-20260201T0000Z": "0.00"}
    assert totals(closed) == expected == totals(preview), (totals(closed), totals(preview))
    assert rig.invoices() == expected
    for name, total in expected.items():
        written = json.loads((rig.folder / "out" / f"{name}.json").read_text())
        assert written["total"] == total
        assert sum(round(float(line["total"]) * 100) for line in written["lines"]) == \
            round(float(total) * 100)
        assert (rig.folder / "out" / f"{name}.html").read_text().startswith("<!DOCTYPE html>")
        assert (rig.folder / "out" / f"{name}.csv").exists()


def one_subscription_is_billed_alone(rig):
    rig.refused("subscription_not_found", "close", "--at", FEBRUARY, "--only", ulid(99))
    alone = close(rig, FEBRUARY, "--only", PRO)
    assert alone["billed"] == 0 and not alone["invoices"], alone


def a_close_done_twice_changes_nothing(rig):
    before = rig.invoices()
    again = close(rig, FEBRUARY)
    assert again["billed"] == again["nothing"] == 0 and totals(again) == before, again
    assert rig.invoices() == before


def late_usage_becomes_the_next_invoices_adjustment(rig):
    rig.count([(PAYG, "2026-01-31T00:00:00", "13.5"), (PAYG, "2026-02-05T00:00:00", "100"),
               (PRO, "2026-01-15T00:00:00", "1520")])
    closed = {each["id"]: each for each in close(rig, MARCH)["invoices"]}
    late = closed[f"{PAYG}-20260301T0000Z"]
    assert [(line["kind"], line["total"]) for line in late["lines"]] == \
        [("usage", "1.00"), ("adjustment", "0.10")], late
    assert late["lines"][1]["billedQuantity"] == "153.5" and late["lines"][1]["quantity"] == "163.5"
    assert closed[f"{PRO}-20260301T0000Z"]["total"] == "100.00"
    rig.count([(PAYG, "2026-01-31T00:00:00", "14.5")])
    again = {each["id"]: each for each in close(rig, "2026-04-01T01:00:00Z")["invoices"]}
    line = again[f"{PAYG}-20260401T0000Z"]["lines"][1]
    assert (line["id"].split("/")[-1], line["billedQuantity"], line["quantity"], line["total"]) == \
        ("adjustment[2]", "163.5", "164.5", "0.01"), line


def a_backtest_prices_what_was_counted(rig):
    january = ("--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z")
    own = rig.json("backtest", "--plan", "payg@1", *january)
    rows = {row["subscription"]: row for row in own["subscriptions"]}
    assert own["plan"] == "payg@1" and rows[PAYG]["now"] == rows[PAYG]["then"] == "1.65", own
    # 164.5 of PAYG are 1.65 by either; PRO's fee of 99 and its 1,520 become 15.20.
    assert (rows[PRO]["now"], rows[PRO]["then"]) == ("125.00", "15.20"), rows[PRO]
    [sums] = own["totals"]
    assert sums["difference"] == "-109.80" and (sums["more"], sums["less"]) == (0, 1), sums
    page = rig.folder / "backtest.html"
    text = rig.run("backtest", "--plan", "payg", *january, "--page", page)
    assert "payg@2" in text and "subscriptions compared, 0 not" in text, text
    assert page.read_text().startswith("<!DOCTYPE html>")
    rig.refused("plan_not_found", "backtest", "--plan", "nothing", *january)
    rig.run("backtest", "--plan", "payg", *january[:3], january[1], status=64)


def an_explanation_leads_from_cents_to_offsets(rig):
    name = f"{PAYG}-20260201T0000Z"
    explained = rig.json("explain", name)
    [line] = explained["invoice"]["lines"]
    assert [window["quantity"] for window in line["windows"]] == ["150", "3.5"]
    assert line["priceVersion"] == "payg@1/default/api"
    assert explained["log"]["partition"] == rig.partition(PAYG)
    [position] = [each for each in explained["close"]["positions"]
                  if each["partition"] == rig.partition(PAYG)]
    assert position["nextOffset"] == explained["log"]["nextOffset"] > 0
    text = rig.run("explain", name)
    assert "153.5 x 0.01 = 1.535, rounded 1.54 USD" in text and f"{rig.bucket}.usage partition" in text, text
    rig.refused("invoice_not_found", "explain", "nothing")
    rig.refused("invoice_not_found", "invoices", "show", "nothing")
    rig.refused("invoice_not_found", "audit", "nothing")
    rig.refused("record_not_found", "catalog", "get", "plan/nothing@1")


def a_lost_folder_comes_back_from_the_topics(rig):
    other = rig.folder / "other"
    assert rig.invoices(data=other) == rig.invoices()
    for name in rig.invoices():
        assert rig.run("invoices", "show", name, "--json", data=other) == \
            rig.run("invoices", "show", name, "--json")
    again = close(rig, MARCH, data=other)
    assert again["billed"] == again["nothing"] == 0, again


def keys_that_nobody_could_use_are_not_made(rig):
    before = rig.run("keys", "list")
    for expires in ("2026-01-01T00:00:00Z", "tomorrow"):
        rig.run("keys", "create", "--expires", expires, status=64)
    assert rig.run("keys", "list") == before


def verbs_work_beside_a_serve(rig):
    process, address = rig.serve("beside")
    try:
        wait_for("readiness", 20, lambda: is_ready(address))
        admin = rig.json("keys", "create", "--role", "admin")["key"]
        ingest = rig.json("keys", "create")["key"]
        name = f"{PAYG}-20260201T0000Z"
        listed = json.loads(get(address + "/v1/invoices?subscription=" + PAYG, admin))["items"]
        assert name in [each["id"] for each in listed] and len(listed) == 3, listed
        assert get(f"{address}/v1/invoices/{name}", admin) + "\n" == \
            rig.run("invoices", "show", name, "--json")
        paged = json.loads(get(address + "/v1/invoices?page=2&pageSize=3", admin))
        assert (len(paged["items"]), paged["page"], paged["pageSize"]) == (3, 2, 3), paged
        assert paged["totalCount"] == len(rig.invoices()), paged
        try:
            get(address + "/v1/invoices?filterSubscription=" + PAYG, admin)
            raise AssertionError("a filter that isn't known lists everything")
        except OSError as error:
            assert "400" in str(error), error
        for key in (ingest, "nonsense"):
            try:
                get(address + "/v1/invoices", key)
                raise AssertionError("a key that isn't an admin's is taken")
            except OSError as error:
                assert "401" in str(error), error
        closed = close(rig, "2026-05-01T01:00:00Z")
        assert closed["billed"] == 3, closed
        rig.run("keys", "revoke", admin.split("_")[2])
        try:
            get(address + "/v1/invoices", admin)
            raise AssertionError("a revoked key is taken")
        except OSError as error:
            assert "401" in str(error), error
    finally:
        process.terminate()
        assert process.wait(20) == 0


def a_second_invoicer_waits_and_takes_over(rig):
    first, one = rig.serve("first")
    second, two = None, None
    try:
        wait_for("the first", 20, lambda: is_ready(one))
        second, two = rig.serve("second", data=rig.folder / "second-data")
        for _ in range(20):
            assert not (is_ready(one) and is_ready(two)), "two act at once"
        holder, waiter = (first, two) if is_ready(one) else (second, one)
        holder.kill()
        holder.wait()
        wait_for("the other to take over", 60, lambda: is_ready(waiter))
    finally:
        for process in (first, second):
            if process:
                process.terminate()
                process.wait(20)
    assert rig.invoices(data=rig.folder / "second-data") == rig.invoices()


def whoever_acts_goes_on_when_another_one_starts_or_ends(rig):
    first, one = rig.serve("standing")
    second, claims = None, []

    def claimed(count):
        claims[:] = [json.loads(record["value"])["pid"]
                     for record in tool("get", rig.brokers, rig.bucket + ".control")]
        return len(claims) >= count

    try:
        wait_for("the first", 60, lambda: is_ready(one))
        assert claimed(1)
        before = len(claims)
        for turn in range(3):  # whoever joins has the group choose anew
            second, two = rig.serve(f"joining{turn}", data=rig.folder / "second-data")
            wait_for("the one that joins", 60, lambda: claimed(len(claims) + 1))
            assert not is_ready(two)
            second.terminate()
            second.wait(20)
            wait_for("the first alone", 60, lambda: claimed(len(claims) + 1))
        assert set(claims[before:]) == {first.pid}, (claims, before, first.pid)
    finally:
        for process in (first, second):
            if process:
                process.terminate()
                process.wait(20)


def a_sleepers_write_is_neither_answered_nor_kept(rig):
    """It has lost the tenure in its sleep; what it sends afterwards stands behind the other's fence."""
    sleeper, one = rig.serve("sleeper")
    other, two = None, None
    try:
        wait_for("the sleeper", 30, lambda: is_ready(one))
        sleeper.send_signal(signal.SIGSTOP)
        verb = rig.start("catalog", "apply", write(rig, "Sleeping"), "--wait", "25s")
        other, two = rig.serve("other", data=rig.folder / "second-data")
        wait_for("the other", 60, lambda: is_ready(two))
        rig.run("catalog", "apply", write(rig, "Awake"), data=rig.folder / "second-data")
        sleeper.send_signal(signal.SIGCONT)
        assert verb.wait(60) == 75, "a write of a lost tenure was answered"
        other.terminate()
        assert other.wait(20) == 0
        wait_for("the sleeper to act again", 60, lambda: is_ready(one))
        for data in (rig.data, rig.folder / "third"):
            name = rig.json("catalog", "get", "customer/sleeper", data=data)["name"]
            assert name == "Awake", name
        assert rig.invoices() == rig.invoices(data=rig.folder / "third")
    finally:
        for process in (sleeper, other):
            if process:
                process.kill()
                process.wait()


def what_kafka_never_got_is_not_shown_while_another_acts(rig):
    """Its invoicer died before it sent a change, which was answered with "do it again"."""
    dead, one = rig.serve("dead")
    waiting = other = None
    try:
        wait_for("the one that will die", 30, lambda: is_ready(one))
        dead.send_signal(signal.SIGSTOP)
        assert rig.start("catalog", "apply", write(rig, "Unsent"), "--wait", "1s").wait(60) == 75
        assert rig.json("catalog", "get", "customer/sleeper")["name"] == "Unsent"
        dead.kill()
        dead.wait()
        other, two = rig.serve("acting", data=rig.folder / "second-data")
        wait_for("the other", 60, lambda: is_ready(two))
        waiting, three = rig.serve("waiting")
        wait_for("what the topics say", 30,
                 lambda: rig.json("catalog", "get", "customer/sleeper")["name"] == "Awake")
        assert not is_ready(three)
        assert rig.json("catalog", "get") == rig.json("catalog", "get", data=rig.folder / "third")
        other.terminate()
        assert other.wait(20) == 0
        wait_for("the one that waited to act", 60, lambda: is_ready(three))
        assert rig.json("catalog", "get", "customer/sleeper")["name"] == "Awake"
    finally:
        for process in (dead, other, waiting):
            if process:
                process.kill()
                process.wait()


def a_fenced_record_does_not_outlive_the_valid_one(rig):
    """Compaction keeps the last record of a key, readers take the last of the newest epoch."""
    process, address = rig.serve("rewriter")
    topic = rig.bucket + ".catalog"
    key = "customer/customer1"
    try:
        wait_for("readiness", 60, lambda: is_ready(address))
        old = json.dumps({"epoch": 0, "key": "customer1", "name": "Old"})
        tool("put", rig.brokers, topic, json.dumps({"key": key, "value": old}) + "\n")
        records = []

        def written_again():
            records[:] = [r["value"] for r in tool("get", rig.brokers, topic) if r["key"] == key]
            return json.loads(records[-1])["epoch"] > 0

        wait_for("the valid record behind it", 20, written_again)
        assert json.loads(records[-2])["name"] == "Old", records
        assert json.loads(records[-1])["name"] == "Customer 1", records
        assert rig.json("catalog", "get", key)["name"] == "Customer 1"
    finally:
        process.terminate()
        process.wait(20)


def a_close_stands_at_a_mark_that_no_billed_total_is_newer_than(brokers):
    """Totals are read after their mark was taken: an event that came in between would be billed, and an audit up to the
    mark would not find it."""
    rig = Rig(brokers, 1)
    january, february = (minute(f"2026-0{month}-01T00:00:00") for month in (1, 2))
    try:
        rig.apply(catalog(1))
        rig.write("usage 0 2")
        rig.run("close", "--at", FEBRUARY, "--wait", "2s", status=75)
        rig.write("usage 0 1", f"total 0 {PAYG} api {january} {january + 1440} 150 3", "mark 0 2 1000000")
        rig.run("close", "--at", FEBRUARY, "--wait", "3s", status=75)
        waiting = rig.start("close", "--at", FEBRUARY, "--wait", "30s", "--json")
        time.sleep(2)  # it has read what is there, and waits
        rig.write(f"total 0 {PAYG} api {january} {january + 1440} 150 4", "mark 0 3 1000000")
        time.sleep(1)
        assert waiting.poll() is None
        rig.write("usage 0 2", f"total 0 {PAYG} api {february} {february + 1440} 7 5", "mark 0 4 1000000")
        closed = json.loads(waiting.communicate(timeout=60)[0])
        assert totals(closed) == {f"{PAYG}-20260201T0000Z": "1.50"}, closed
        assert closed["invoices"][0]["position"]["nextOffset"] == 4, closed
    finally:
        rig.end()


def a_close_bills_no_total_that_is_missing_before_a_mark(brokers):
    """Compaction leaves each key's last record: who reads the topic anew doesn't find before a mark what was written again
    behind it."""
    rig = Rig(brokers, 1)
    january = minute("2026-01-01T00:00:00")
    try:
        rig.apply(catalog(1))
        rig.write("usage 0 1", "mark 0 1 1000000", f"total 0 {PAYG} api {january} {january + 1440} 150 1")
        rig.run("close", "--at", FEBRUARY, "--wait", "3s", status=75)
        rig.write("mark 0 1 1000000")
        assert totals(close(rig, FEBRUARY)) == {f"{PAYG}-20260201T0000Z": "1.50"}
    finally:
        rig.end()


def a_close_that_another_host_takes_over_waits_for_the_marks_too(brokers):
    """What the other one's store holds may be less than the close was begun for."""
    rig = Rig(brokers, 1)
    january = minute("2026-01-01T00:00:00")
    other = rig.folder / "other"
    try:
        rig.apply(catalog(1))
        rig.write("usage 0 1", f"total 0 {PAYG} api {january} {january + 1440} 100 1", "mark 0 1 1000000")
        assert totals(close(rig, FEBRUARY, "--dry-run", data=other)) == {f"{PAYG}-20260201T0000Z": "1.00"}
        rig.write("usage 0 1")
        rig.run("close", "--at", FEBRUARY, "--wait", "3s", status=75)
        rig.run("close", "--at", FEBRUARY, "--wait", "3s", status=75, data=other)
        rig.write(f"total 0 {PAYG} api {january} {january + 1440} 150 2", "mark 0 2 1000000")
        assert totals(close(rig, FEBRUARY, data=other)) == {f"{PAYG}-20260201T0000Z": "1.50"}
        rig.write("usage 0 1", f"total 0 {PAYG} api {january + 44640} {january + 46080} 70 3", "mark 0 3 1000000")
        assert totals(close(rig, MARCH)) == {f"{PAYG}-20260301T0000Z": "0.70"}
    finally:
        rig.end()


def write(rig, name):
    path = rig.folder / f"{name}.json"
    path.write_text(json.dumps({"customers": [{"key": "sleeper", "name": name}]}))
    return path


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    rig = Rig(brokers)
    try:
        for test in (a_bucket_is_what_it_was_made, a_catalog_is_applied_once, a_get_catalog_applied_again_changes_nothing,
                     a_changed_plan_becomes_version_2_and_old_subscriptions_keep_theirs,
                     a_close_waits_until_the_marks_have_passed_the_ends, what_is_due_is_billed,
                     one_subscription_is_billed_alone,
                     a_close_done_twice_changes_nothing, late_usage_becomes_the_next_invoices_adjustment,
                     a_backtest_prices_what_was_counted,
                     an_explanation_leads_from_cents_to_offsets, a_lost_folder_comes_back_from_the_topics,
                     keys_that_nobody_could_use_are_not_made, verbs_work_beside_a_serve,
                     a_second_invoicer_waits_and_takes_over,
                 whoever_acts_goes_on_when_another_one_starts_or_ends,
                     a_sleepers_write_is_neither_answered_nor_kept,
                     what_kafka_never_got_is_not_shown_while_another_acts,
                     a_fenced_record_does_not_outlive_the_valid_one):
            test(rig)
            print("passed:", test.__name__.replace("_", " "), flush=True)
    finally:
        rig.end()
    for test in (a_close_stands_at_a_mark_that_no_billed_total_is_newer_than,
                 a_close_bills_no_total_that_is_missing_before_a_mark,
                 a_close_that_another_host_takes_over_waits_for_the_marks_too):
        test(brokers)
        print("passed:", test.__name__.replace("_", " "), flush=True)


if __name__ == "__main__":
    main()
