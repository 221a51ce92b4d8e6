#!/usr/bin/env python3
"""The aggregator from outside: counting, publishing, handing over, restoring.

Each case runs a broker, ingest and one or two aggregators of its own. With TOLLWAY_BROKERS set, all
but the case that needs a broker that forgets run on that real Kafka, topics checked.
"""
# limit: 900
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig, partition_of
from ingest_rig import BIN, KEY, OTHER, SUBSCRIPTION, Broker, catalog, event, main, subscription, tool, wait_for

PICO = 10 ** 12
SUBSCRIPTIONS = [f"01ARZ3NDEKTSV4RRFFQ69G6{i:03d}" for i in range(20)]


def wide_catalog(rig):
    return catalog(rig.bucket) + [subscription(s, f"c-{s}") for s in SUBSCRIPTIONS]


def renew_broker(rig):
    """Another embedded broker in its place, which holds the catalog and nothing else."""
    rig.stop()
    rig.broker.stop()
    (rig.folder / "broker").unlink()
    rig.broker = Broker(rig.folder, rig.bucket)
    rig.brokers = rig.broker.address
    rig.put_catalog(wide_catalog(rig))


def ready_rig(**more):
    brokers = os.environ.get("TOLLWAY_BROKERS")
    if not brokers:
        rig = CountingRig(**more)
        rig.put_catalog(wide_catalog(rig))
        rig.start()
        return rig
    rig = CountingRig(brokers=brokers, topics_check=True, **more)
    subprocess.run([BIN / "invoicer", "topics", "create", "--brokers", brokers, "--bucket",
                    rig.bucket, "--partitions", "4", "--replication", "1", "--data",
                    rig.folder / "invoicer"], check=True, timeout=60, capture_output=True)
    # Of a later tenure than the record that `topics create` has written.
    rig.put_catalog([(k, {**v, "epoch": 10 ** 9}) for k, v in wide_catalog(rig)])
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


def published(totals):
    sums = {}
    for (sub, meter, *_), total in totals.items():
        if meter == "api":
            sums[sub] = sums.get(sub, 0) + total["units"] / PICO
    return sums


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


def await_ledger(aggregator, accepted, seconds=30):
    def settled():
        status, ledger = aggregator.get("/v1/ledger")
        return status == 200 and ledger["lag"] == 0 and ledger["accepted"] == accepted and ledger
    return wait_for(f"a ledger of {accepted}", seconds, settled)


def balances(entry):
    return entry["accepted"] == sum(entry[k] for k in ("counted", "duplicate", "rejected", "late"))


def query(aggregator, body=None, meter="api", **more):
    return aggregator.request("POST", f"/v3/metering/{aggregator.rig.bucket}/meters/{meter}/query",
                              {} if body is None else body, **more)


def traffic(seed, count, subscriptions=SUBSCRIPTIONS):
    """Random events of the last two days, one in twenty sent again."""
    dice = random.Random(seed)
    events = []
    for i in range(count):
        if events and dice.random() < 0.05:
            events.append(dice.choice(events))
            continue
        events.append(event(f"{seed}-{i}", subscription=dice.choice(subscriptions),
                            time=now(-dice.randrange(2 * 86400)),
                            data={"total": dice.randrange(1000) / 4,
                                  "method": dice.choice(["GET", "PUT"])}))
    return events


def expected_totals(events):
    totals = {}
    for e in {e["id"]: e for e in events}.values():
        totals[e["subscription"]] = totals.get(e["subscription"], 0) + e["data"]["total"]
    return totals


def queried_totals(aggregator):
    status, answer = query(aggregator, {"groupBy": ["subscription"]})
    assert status == 200, answer
    return {row["subscription"]: float(row["value"]) for row in answer["data"]}


def test_the_ledger_balances_for_every_subscription():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        events = traffic(1, 800)
        rig.send(events)
        rig.put("usage", [{"value": v, "partition": 2} for v in ("foreign bytes", "x" * 999_900)])
        ledger = await_ledger(a, 802)
        assert balances(ledger) and ledger["rejected"] == 2, ledger
        assert all(balances(s) for s in ledger["subscriptions"])
        assert {s["subscription"] for s in ledger["subscriptions"]} == {None, *SUBSCRIPTIONS}
        one = a.get(f"/v1/ledger?filterSubscription={SUBSCRIPTIONS[3]}")[1]
        mine = [e for e in events if e["subscription"] == SUBSCRIPTIONS[3]]
        assert one["accepted"] == len(mine) and one["counted"] == len({e["id"] for e in mine}), one
        assert [(r["headers"]["tollway_reason"], r["value"]) for r in rig.rejected()] == \
            [("foreign_bytes", "foreign bytes"), ("foreign_bytes", None)]  # its copy would be too large
        for path in ("/v1/ledger", "/internal/v1/ledger", "/internal/v1/ledger?partitions=0"):
            assert [a.get(path, key=key)[0] for key in (None, KEY)] == [401, 401], path
        assert a.request("POST", "/internal/v1/meters/api/query", {}, key=KEY)[0] == 401
        assert a.get("/v1/ledger?nonsense=1")[1]["code"] == "unknown_parameter"


def test_lag_counts_events_exactly_while_few_batches_are_unread():
    """A partition's owner that can't be asked doesn't answer; so one that stands still is made by a
    commit that never comes: what it has read, but not committed, isn't in the ledger."""
    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--commit-interval=60s"])
        rig.send([event(f"l{i}", subscription=SUBSCRIPTIONS[i % 20]) for i in range(700)])
        rig.put("usage", [{"value": "foreign bytes", "partition": 1}])

        def lag_is(wanted):
            status, ledger = a.get("/v1/ledger")
            return status == 200 and ledger["lag"] == wanted and ledger["accepted"] == 0
        wait_for("a lag of 701 events", 20, lambda: lag_is(701))
        rig.send([event(f"m{i}", subscription=SUBSCRIPTIONS[3]) for i in range(50)])
        wait_for("a lag of 751 events", 20, lambda: lag_is(751))
        one = a.get(f"/v1/ledger?filterSubscription={SUBSCRIPTIONS[3]}")[1]
        assert one["lag"] >= 50 and one["accepted"] == 0, one
        # More than are read for it: an estimate, never below a message an event.
        rig.put("usage", [{"value": "foreign bytes", "partition": 1} for _ in range(300)])
        wait_for("an estimate", 20, lambda: a.get("/v1/ledger")[1]["lag"] >= 301)
        assert a.stop() == 0
        a.start()
        await_ledger(a, 1051)


def test_a_backlog_shows_as_lag_from_the_start():
    with ready_rig() as rig:
        rig.put("usage", [{"value": "foreign bytes", "partition": 1} for _ in range(300)])
        a = rig.aggregator().start(settings=["--commit-interval=60s"])
        assert sum(a.metric("tollway_aggregator_lag_messages")) > 0, "unknown isn't nothing"
        wait_for("a lag of 300 messages", 20,
                 lambda: sum(a.metric("tollway_aggregator_lag_messages")) == 300)


def test_queries_answer_by_window_group_and_filter():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))
        rig.send([
            event("1", time=f"{day}T10:00:10Z", subject="al", data={"total": 1.5, "method": "GET"}),
            event("2", time=f"{day}T10:59:59Z", subject="bo", data={"total": 2, "method": "PUT"}),
            event("3", time=f"{day}T11:00:00Z", subject="al", data={"total": 4}),
            event("4", time=f"{day}T23:59:59Z", subscription=OTHER,
                  data={"total": 8, "method": "=GET"}),
        ])
        await_ledger(a, 4)
        status, answer = query(a, {"from": f"{day}T00:00:00Z", "to": f"{day}T12:00:00Z",
                                   "windowSize": "HOUR"})
        assert status == 200 and answer["data"] == [
            {"value": "3.5", "windowStart": f"{day}T10:00:00Z", "windowEnd": f"{day}T11:00:00Z",
             "subject": None, "subscription": None, "groupBy": {}},
            {"value": "4", "windowStart": f"{day}T11:00:00Z", "windowEnd": f"{day}T12:00:00Z",
             "subject": None, "subscription": None, "groupBy": {}}], answer
        status, answer = query(a, {"groupBy": ["subject", "method"],
                                   "filterSubscription": [SUBSCRIPTION]})
        assert [(r["subject"], r["groupBy"]["method"], r["value"]) for r in answer["data"]] == [
            ("al", None, "4"), ("al", "GET", "1.5"), ("bo", "PUT", "2")], answer
        assert query(a, {"filterGroupBy": {"method": [None]}})[1]["data"][0]["value"] == "4"
        assert query(a, {"subject": ["nobody"]})[1]["data"] == []
        assert query(a, meter="calls")[1]["data"][0]["value"] == "4"
        path = f"/v3/metering/{rig.bucket}/meters/api/query"
        status, answer = a.get(f"{path}?subject=al&subject=bo&filterGroupBy%5Bmethod%5D=PUT")
        assert [r["value"] for r in answer["data"]] == ["2"], answer
        status, text = a.get(f"{path}?groupBy=method&filterSubscription={OTHER}",
                             headers={"Accept": "text/csv"})
        assert text.splitlines() == ["window_start,window_end,subject,method,value",
                                     ",,,'=GET,8"], text


def test_every_code_of_a_refused_query():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        cases = [
            ("unknown_meter", 404, {}, "nothing"),
            ("invalid_json", 400, "{", "api"),
            ("invalid_json", 400, '{"from":null,"from":null}', "api"),
            ("invalid_parameter", 400, {"from": "yesterday"}, "api"),
            ("invalid_parameter", 400, {"windowSize": "WEEK"}, "api"),
            ("invalid_parameter", 400, {"windowTimeZone": "Mars/Base"}, "api"),
            ("invalid_parameter", 400, {"subject": ["s"] * 101}, "api"),
            ("invalid_parameter", 400, {"clientId": "c" * 37}, "api"),
            ("unknown_parameter", 400, {"form": "2026-01-01T00:00:00Z"}, "api"),
            ("unsupported_parameter", 400, {"filterCustomerId": ["acme"]}, "api"),
            ("unsupported_parameter", 400, {"advancedMeterGroupByFilters": {"a": {}}}, "api"),
            ("unknown_dimension", 400, {"groupBy": ["colour"]}, "api"),
            ("unknown_dimension", 400, {"filterGroupBy": {"colour": ["red"]}}, "api"),
            ("invalid_range", 400, {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
             "api"),
        ]
        for code, status, body, meter in cases:
            got = query(a, body, meter)
            assert got[0] == status and got[1]["code"] == code, (code, body, got)
        for key in (None, "mk_test_wrong", KEY):
            assert query(a, key=key)[1]["code"] == "unauthorized"
        assert a.request("POST", "/v3/metering/other/meters/api/query", {})[0] == 404


def test_a_question_for_more_than_a_hundred_thousand_rows_is_refused():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        base = int(time.time()) // 86400 * 86400 - 86400
        for part in range(13):  # 10,000 subjects a day: as many as a day may have, on eleven days
            rig.send([event(f"{part}-{i}", subject=f"s{i}",
                            time=time.strftime("%Y-%m-%dT00:00:00Z",
                                               time.gmtime(base - part * 86400)),
                            data={"total": 1}) for i in range(8000)])
            await_ledger(a, 8000 * (part + 1), 60)  # the embedded broker holds 5 MiB a partition
        got = query(a, {"windowSize": "DAY", "groupBy": ["subject"]})
        assert got[0] == 400 and got[1]["code"] == "too_many_rows", str(got)[:300]
        assert len(query(a, {"windowSize": "DAY"})[1]["data"]) == 13


def test_two_aggregators_share_and_hand_over():
    with ready_rig() as rig:
        a, b = rig.aggregator("a").start(), rig.aggregator("b").start()
        first, second, third = traffic(2, 600), traffic(3, 600), traffic(4, 600)
        wait_for("both own partitions", 40, lambda: all(
            0 < next(x.metric("tollway_aggregator_partitions")) < 4 for x in (a, b)))
        wait_for("both ready", 20, lambda: all(x.get("/readyz")[0] == 200 for x in (a, b)))
        rig.send(first)
        for asked in (a, b):
            await_ledger(asked, 600)
            assert queried_totals(asked) == expected_totals(first)
        began = time.monotonic()
        assert b.stop() == 0 and time.monotonic() - began < 10
        rig.send(second)
        await_ledger(a, 1200, 60)
        assert queried_totals(a) == expected_totals(first + second)
        b.start()
        rig.send(third)
        await_ledger(b, 1800, 60)
        assert queried_totals(b) == expected_totals(first + second + third)
        assert a.stop() == 0
        await_ledger(b, 1800, 60)
        assert queried_totals(b) == expected_totals(first + second + third)
        assert b.stop() == 0
        # A third, alone and from nothing, comes to the same digests.
        c = rig.aggregator("c").start()
        await_ledger(c, 1800, 60)
        assert c.stop() == 0
        theirs = b.digests()
        assert {p: d for p, d in c.digests().items()} == theirs, (c.digests(), theirs)


def test_two_that_ask_each_other_at_once_answer_everybody():
    """Each question needs the other one's partitions: were their threads all taken by questions of
    clients, each would wait for the other until the time is up."""
    with ready_rig() as rig:
        a, b = (rig.aggregator(name, ["--query-threads=2"]).start() for name in "ab")
        events = traffic(60, 400)
        rig.send(events)
        for asked in (a, b):
            await_ledger(asked, 400, 60)
        answers, wrong = [], []

        def ask(asked):
            for _ in range(3):
                try:
                    answers.append(queried_totals(asked) == expected_totals(events))
                except AssertionError as error:
                    wrong.append(str(error))
        threads = [threading.Thread(target=ask, args=(x,)) for x in (a, b) * 30]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong and len(answers) == 180 and all(answers), (len(answers), wrong[:3])
        assert a.stop() == 0 and b.stop() == 0


def test_an_orderly_restart_publishes_no_total_again():
    def sent():
        """So many totals, so many marks."""
        records = tool("get", rig.brokers, rig.topic("counters"))
        marks = sum(record["key"].startswith("M/") for record in records)
        return len(records) - marks, marks

    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--mark-interval=100ms"])
        rig.send(traffic(30, 500))
        marks_reach(rig, 4, 500)
        assert a.stop() == 0
        totals, marks = sent()
        a.start(settings=["--mark-interval=100ms"])
        wait_for("marks of the new owner", 30, lambda: sent()[1] >= marks + 8)
        assert a.stop() == 0
        assert sent()[0] == totals > 0


def test_a_day_behind_new_cuts_is_published_though_a_window_on_the_old_ones_reached_into_it():
    """That window was noted before the cuts changed, for the same pass."""
    def put_cuts(minute):
        rig.put_catalog(catalog(rig.bucket) + [subscription(SUBSCRIPTIONS[0], "acme", cuts=[minute])])

    def at(days, hours):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((midnight + days) * 86400 + hours * 3600))

    with ready_rig() as rig:
        midnight = int(time.time()) // 86400 - 3
        put_cuts(720)
        a = rig.aggregator().start(settings=["--publish-interval=5s", "--mark-interval=100ms"])
        rig.send([event("w-1", time=at(-5, 0), subscription=SUBSCRIPTIONS[0])])
        marks_reach(rig, 4, 1)
        rig.send([event("w-2", time=at(0, 13), subscription=SUBSCRIPTIONS[0])])
        await_ledger(a, 2)
        put_cuts(0)
        time.sleep(0.5)  # the catalog is followed
        for i, time_of_it in enumerate((at(0, 14), at(1, 5))):
            rig.send([event(f"w-{i + 3}", time=time_of_it, subscription=SUBSCRIPTIONS[0])])
            await_ledger(a, i + 3)
        totals = marks_reach(rig, 4, 4)[0]
        days = {int(key[2]) // 1440 - midnight for key in totals if int(key[2]) % 1440 == 0 and key[1] == "calls"}
        assert days == {-5, 0, 1}, totals
        assert a.stop() == 0


def test_after_an_orderly_restart_only_what_has_changed_is_published_again():
    """What the last pass of the former process wrote isn't taken for somebody else's."""
    def totals():
        return sum(r["key"].startswith("T/") for r in tool("get", rig.brokers, rig.topic("counters")))

    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--publish-interval=3s"])
        marks_reach(rig, 4, 0)
        rig.send([event(f"r-{i}", time=now(), subscription=s) for i, s in enumerate(SUBSCRIPTIONS * 5)])
        await_ledger(a, 100)
        assert a.stop() == 0
        before = totals()
        rig.send([event("r-more", time=now(), subscription=s) for s in SUBSCRIPTIONS[:1]])
        a.start()
        marks_reach(rig, 4, 101)
        assert a.stop() == 0
        assert totals() - before <= before // len(SUBSCRIPTIONS) * 2, (before, totals())


def test_an_orderly_end_mends_a_total_that_somebody_has_overwritten():
    """By a former owner's that was on its way: the store says afterwards that all is published."""
    def totals():
        return [record for record in tool("get", rig.brokers, rig.topic("counters"))
                if record["key"].startswith("T/")]

    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--publish-interval=3s"])
        at = now()
        rig.send([event("o-1", time=at)])
        marks_reach(rig, 4, 1)
        old = totals()
        rig.send([event("o-2", time=at)])
        marks_reach(rig, 4, 2)
        rig.put("counters", [{k: record[k] for k in ("key", "value", "hex", "partition") if k in record}
                             for record in old])
        count = len(totals())
        time.sleep(0.5)  # its follower reads them
        assert a.stop() == 0
        assert {record["key"] for record in totals()[count:]} == {record["key"] for record in old}


def test_a_total_that_was_overwritten_before_a_start_is_mended_before_the_first_mark():
    """By a former owner, while nobody was there, or just before the owner was killed. A reader that begins with an empty
    store behind the topic's compaction would bill from the old one."""
    def records():
        return [r for r in tool("get", rig.brokers, rig.topic("counters")) if r["partition"] == partition]

    def is_mark_of_both(record):  # who counts from the beginning may send one of nothing first
        return record["key"][0] == "M" and json.loads(record["value"])["accepted"] == 2

    def await_mark(count):
        wait_for("a mark", 30, lambda: any(map(is_mark_of_both, records()[count:])))

    def overwrite():
        """Returns how many records there are then."""
        rig.put("counters", [{k: r[k] for k in ("key", "value", "hex", "partition") if k in r} for r in old])
        for _ in range(5):  # the embedded broker's end isn't quite the end
            rig.put("counters", [{"key": "foreign", "value": "x", "partition": partition}])
        return len(records())

    def mends_after(count):
        await_mark(count)
        after = records()[count:]
        before = after[:next(i for i, r in enumerate(after) if is_mark_of_both(r))]
        assert {r["key"] for r in old} <= {r["key"] for r in before}, after

    with ready_rig() as rig:
        partition = partition_of(SUBSCRIPTION)
        settings = ["--publish-interval=2s", "--mark-interval=100ms"]
        a = rig.aggregator().start(settings=settings)
        at = now()
        rig.send([event("o-1", time=at)])
        marks_reach(rig, 4, 1)
        old = [r for r in records() if r["key"][0] == "T"]
        rig.send([event("o-2", time=at)])
        marks_reach(rig, 4, 2)
        assert a.stop() == 0 and old
        count = overwrite()
        a.start(settings=settings)
        mends_after(count)
        assert a.stop() == 0
        count = len(records())
        a.start(settings=["--publish-interval=20s"])
        await_mark(count)
        count = overwrite()
        time.sleep(0.5)  # its follower reads them
        a.stop(signal.SIGKILL)
        a.start(settings=settings)
        mends_after(count)
        assert a.stop() == 0
        count = overwrite()
        rig.aggregator("from the log alone").start(settings=settings)
        mends_after(count)


def test_a_partition_of_counters_without_a_leader_holds_back_its_own_marks_alone():
    if os.environ.get("TOLLWAY_BROKERS"):
        print("skipped: needs the embedded broker, whose leaders go when told to")
        return
    with ready_rig() as rig:
        rig.send(traffic(50, 200))
        rig.broker.process.send_signal(signal.SIGUSR2)
        a = rig.aggregator().start(ready=False)
        wait_for("its warning", 60, lambda: "event=counters_not_read" in a.log())
        wait_for("its address", 20, a.ready.exists)
        a.url = a.ready.read_text().strip()
        await_ledger(a, 200)
        for partition in (1, 2, 3):
            wait_for("the others' marks", 30, lambda p=partition: any(
                r["key"] == f"M/{p}" for r in tool("get", rig.brokers, f"{rig.topic('counters')}/{p}")))
        began_ms = time.time() * 1000
        rig.broker.process.send_signal(signal.SIGUSR2)
        marks_reach(rig, 4, 200)
        assert all(r["timestamp"] >= began_ms for r in tool("get", rig.brokers, rig.topic("counters"))
                   if r["partition"] == 0)
        assert a.stop() == 0


def test_counters_made_anew_are_gone_on_from_as_the_runbook_says():
    """From a copy that lacks its end, with records behind it up to where the aggregator has read."""
    if os.environ.get("TOLLWAY_BROKERS"):
        print("skipped: needs the embedded broker, which forgets")
        return

    def copy(record):
        return {k: record[k] for k in ("key", "value", "hex", "partition", "headers") if k in record}

    with ready_rig() as rig:
        a = rig.aggregator().start()
        rig.send(traffic(51, 300))
        marks_reach(rig, 4, 300)
        assert a.stop() == 0
        kept = {name: tool("get", rig.brokers, rig.topic(name)) for name in ("usage", "counters")}
        renew_broker(rig)
        rig.put("usage", map(copy, kept["usage"]))
        rig.put("counters", [copy(r) for r in kept["counters"] if r["key"][0] != "M"])
        ends = 0
        while True:
            a.start(ready=False)
            wait_for("its end or marks", 40, lambda: a.process.poll() is not None or len(rig.counters()[2]) == 4)
            if a.process.poll() is None:
                break
            ends += 1
            assert a.process.wait() == 82 and ends <= 4, a.log()[-2000:]
            partition, end, read = re.findall(r"counters/(\d+) holds offsets \d+ to (\d+), and we have read up to (\d+)",
                                              a.log())[-1]
            rig.put("counters", [{"key": "x", "value": "", "partition": int(partition)}] * (int(read) - int(end)))
        assert ends > 0
        rig.start()
        rig.send(traffic(52, 100))
        totals = marks_reach(rig, 4, 400)[0]
        assert published(totals) == expected_totals(traffic(51, 300) + traffic(52, 100))
        assert a.stop() == 0


def test_it_isnt_ready_by_its_predecessors_marks():
    """They come while the group is forming: the predecessor is put out only after its session."""
    with ready_rig() as rig:
        a = rig.aggregator().start()
        marks_reach(rig, 4, 0)
        marks = [r for r in tool("get", rig.brokers, rig.topic("counters")) if r["key"][0] == "M"]
        a.stop(signal.SIGKILL)
        a.start(ready=False)
        wait_for("its address", 20, a.ready.exists)
        a.url = a.ready.read_text().strip()

        def is_ready():
            rig.put("counters", [{k: r[k] for k in ("key", "value", "partition")} for r in marks])
            return a.get("/readyz")[0] == 200
        wait_for("its readiness", 40, is_ready)
        assert list(a.metric("tollway_aggregator_partitions")) == [4], "ready before it has loaded its stores"
        assert a.stop() == 0


def test_a_mark_follows_totals_that_kafka_had_refused():
    """None passes before they are sent again, and none of them waits for the next event."""
    if os.environ.get("TOLLWAY_BROKERS"):
        return
    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--publish-interval=1s"])
        events = []
        for seed in range(40, 43):
            more = traffic(seed, 200)
            events += more
            rig.send(more)
            rig.broker.process.send_signal(signal.SIGUSR1)
            totals = marks_reach(rig, 4, len(events))[0]
            assert published(totals) == expected_totals(events), (published(totals), expected_totals(events))
        assert "totals_refused" in a.log()
        assert a.stop() == 0


def test_an_event_isnt_set_aside_while_kafka_refuses_its_copy():
    """The aggregator ends before it commits, and reads the event again when it is started again."""
    if os.environ.get("TOLLWAY_BROKERS"):
        return
    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--publish-interval=60s"])
        rig.send([event("1")])
        await_ledger(a, 1)
        a.process.send_signal(signal.SIGSTOP)
        rig.send([event("late", time="2015-06-01T00:00:00Z")])
        rig.broker.process.send_signal(signal.SIGUSR1)
        a.process.send_signal(signal.SIGCONT)
        assert a.process.wait(20) == 75, a.process.returncode
        assert "Kafka has given up a copy" in a.log()
        for _ in range(10):  # takes what is left of the broker's refusals
            subprocess.run([BIN / "topic-tool", "put", rig.brokers, f"{rig.bucket}.events"], timeout=60,
                           input='{"value": "x"}\n', text=True, capture_output=True, check=False)
        a.start()
        ledger = await_ledger(a, 2)
        assert balances(ledger) and (ledger["counted"], ledger["late"]) == (1, 1), ledger
        assert "late" in {r["headers"]["tollway_reason"] for r in rig.rejected()}
        assert a.stop() == 0


def test_a_killed_aggregator_goes_on_without_loss_or_doubling():
    with ready_rig() as rig:
        a = rig.aggregator().start(settings=["--commit-interval=20ms"])
        events = []
        for round_number in range(4):
            part = traffic(10 + round_number, 500)
            rig.send(part)
            events += part
            a.stop(signal.SIGKILL)
            a.start(ready=False, settings=["--commit-interval=20ms"])
            wait_for("its address", 20, a.ready.exists)
            a.url = a.ready.read_text().strip()
        await_ledger(a, 2000, 60)
        assert queried_totals(a) == expected_totals(events)
        assert a.stop() == 0
        c = rig.aggregator("c").start()
        await_ledger(c, 2000, 60)
        assert c.stop() == 0
        assert c.digests() == a.digests()
        assert a.inspect("verify")[0] == 0


def test_a_partition_is_restored_from_a_snapshot_and_from_the_log_alone():
    with ready_rig() as rig:
        snapshots = rig.folder / "snapshots"
        a = rig.aggregator("a", [f"--snapshots={snapshots}"]).start()
        events = traffic(20, 600)
        rig.send(events)
        await_ledger(a, 600)
        assert a.stop() == 0
        assert len(list(snapshots.glob("*.mdb"))) == 4, list(snapshots.iterdir())
        more = traffic(21, 300)
        rig.send(more)
        b = rig.aggregator("b", [f"--snapshots={snapshots}"]).start()
        await_ledger(b, 900, 60)
        assert b.log().count("snapshot_restored") == 4, b.log()
        assert queried_totals(b) == expected_totals(events + more)
        assert b.stop() == 0
        # Every snapshot damaged: the log alone.
        for path in snapshots.glob("*.mdb"):
            content = bytearray(path.read_bytes())
            content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
            path.write_bytes(content)
        c = rig.aggregator("c", [f"--snapshots={snapshots}"]).start()
        await_ledger(c, 900, 60)
        assert "snapshot_passed_over" in c.log() and "snapshot_restored" not in c.log(), c.log()
        assert c.stop() == 0
        assert c.digests() == b.digests()


def test_a_damaged_partition_is_set_aside_and_rebuilt():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        events = traffic(30, 600)
        rig.send(events)
        await_ledger(a, 600)
        assert a.stop() == 0
        before = a.digests()
        path = next(a.data.glob(f"{rig.bucket}/p1/data.mdb"))
        content = path.read_bytes()
        # One bit of a counter: LMDB sees nothing wrong with it.
        at = content.index(SUBSCRIPTIONS[0].encode()) if SUBSCRIPTIONS[0].encode() in content else \
            next(content.index(s.encode()) for s in SUBSCRIPTIONS if s.encode() in content)
        damaged = bytearray(content)
        for place in range(len(damaged)):
            if damaged[place:place + 26] == content[at:at + 26]:
                damaged[place] ^= 1
        path.write_bytes(damaged)
        assert a.inspect("verify")[0] == 82
        a.start()
        await_ledger(a, 600, 60)
        assert "partition_set_aside" in a.log()
        assert queried_totals(a) == expected_totals(events)
        assert a.stop() == 0
        assert a.digests() == before


def test_a_counter_that_is_found_damaged_while_counting_is_rebuilt_at_the_next_start():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        name = next(s for s in SUBSCRIPTIONS if partition_of(s) == 1)
        minute = int(time.time()) // 60 - 60
        at = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(minute * 60))
        first = event("d-1", subscription=name, time=f"{at}:30Z")
        rig.send([first])
        await_ledger(a, 1)
        assert a.stop() == 0
        path = next(a.data.glob(f"{rig.bucket}/p1/data.mdb"))
        content = bytearray(path.read_bytes())
        key = bytes([0]) + (minute + 2 ** 31).to_bytes(4, "big") + bytes(4)
        places = [m.start() for m in re.finditer(re.escape(key), bytes(content))]
        assert places
        for place in places:
            content[place + len(key) + 8 + 2] ^= 1  # of the value, behind the bitmap
        path.write_bytes(content)
        a.start()
        second = event("d-2", subscription=name, time=f"{at}:40Z")
        rig.send([second])
        assert a.process.wait(30) == 82
        a.start()
        await_ledger(a, 2, 60)
        assert "partition_set_aside" in a.log()
        assert queried_totals(a) == expected_totals([first, second])
        assert a.stop() == 0


def test_a_store_that_was_cut_short_is_set_aside_after_three_starts():
    with ready_rig() as rig:
        a = rig.aggregator().start()
        events = traffic(50, 3000)
        rig.send(events)
        await_ledger(a, 3000)
        assert a.stop() == 0
        before = a.digests()
        path = next(a.data.glob(f"{rig.bucket}/p1/data.mdb"))
        os.truncate(path, path.stat().st_size // 2)
        for _ in range(3):
            a.start(ready=False)
            if a.process.wait(30) >= 0:
                break
        a.start()
        await_ledger(a, 3000, 60)
        assert queried_totals(a) == expected_totals(events)
        assert a.stop() == 0
        assert a.digests() == before


def test_a_full_map_grows_and_counts_nothing_twice():
    with ready_rig() as rig:
        a = rig.aggregator(settings=["--map-size=1MiB"]).start()
        asking = threading.Event()

        def ask():  # its readers hold the map
            while not asking.wait(0.01):
                assert query(a, {"groupBy": ["subscription"]})[0] in (200, 503)
        reader = threading.Thread(target=ask)
        reader.start()
        events = []
        for part in range(10):
            more = traffic(60 + part, 5000)
            rig.send(more)
            events += more
        await_ledger(a, len(events), 60)
        asking.set()
        reader.join()
        assert queried_totals(a) == expected_totals(events)
        size = sum(path.stat().st_size for path in a.data.glob(f"{rig.bucket}/p*/data.mdb"))
        assert size > 4 << 20, f"{size} bytes: no map was full"
        assert a.stop() == 0
        assert a.inspect("verify")[0] == 0


def test_without_a_broker_it_ends_all_the_same():
    """In a time that doesn't grow with the number of partitions."""
    if os.environ.get("TOLLWAY_BROKERS"):
        print("skipped: needs a broker of its own to stop")
        return
    with ready_rig() as rig:
        a = rig.aggregator(settings=["--mark-interval=250ms"]).start()
        events = traffic(70, 500)
        rig.send(events)
        await_ledger(a, 500)
        rig.broker.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        assert a.stop(seconds=30) == 0
        assert a.log().count("partition_revoked") == 4
        assert "handed_over_uncommitted" in a.log(), "the broker did answer"
        rig.broker.process.send_signal(signal.SIGCONT)
        a.start()
        await_ledger(a, 500)
        assert queried_totals(a) == expected_totals(events)
        assert a.stop() == 0
        rig.brokers = "127.0.0.1:1"
        a.start(ready=False)
        wait_for("its address", 20, a.ready.exists)
        assert a.stop(seconds=8) == 0
        assert "ended" in a.log().splitlines()[-1] or "ended" in a.log().splitlines()[-2]


def test_a_stored_position_that_the_log_does_not_hold_stops_it():
    if os.environ.get("TOLLWAY_BROKERS"):
        print("skipped: needs the embedded broker, which forgets")
        return
    with ready_rig() as rig:
        a = rig.aggregator().start()
        rig.send(traffic(40, 300))
        await_ledger(a, 300)
        assert a.stop() == 0
        a.start(ready=False, settings=["--dedup-horizon=P40D"])
        assert a.process.wait(30) == 78
        assert "dedup horizon" in a.log()
        renew_broker(rig)
        a.start(ready=False)
        assert a.process.wait(40) == 82, a.log()[-2000:]
        # A log that is longer than the old one, but another.
        rig.put("usage", [{"value": f"other {i}", "partition": i % 4} for i in range(400)])
        a.start(ready=False)
        assert a.process.wait(40) == 82, a.log()[-2000:]
        assert "made anew" in a.log()
        a.process = None


if __name__ == "__main__":
    main(sys.modules[__name__])
