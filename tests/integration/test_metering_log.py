#!/usr/bin/env python3
"""metering.md rule by rule, through Kafka: arrival (8), verdicts (12-14), kept windows (20), intake
(32, 33) and the ledger (34).

The embedded broker keeps a record's own timestamp, so each event arrives when the test says.
"""
# limit: 240
import datetime
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from rules_rig import (STRUCTURED, Rules, base_catalog, event, run_cases, sub, text_of,  # noqa: E402
                       wait_until, window_of)

MS, MINUTE, DAY = 1, 60_000, 86_400_000
# Yesterday's first ms: days around it are open whatever the hour of the run.
MIDNIGHT = int(time.time()) // 86400 * DAY - DAY
ADDS_UP = ("counted", "duplicate", "rejected", "late")


def at(ms, ns=0):
    """RFC 3339 of a ms since 1970 and more ns."""
    seconds, rest = divmod(ms * 1_000_000 + ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def record(arrival, made, **more):
    return {"value": json.dumps(made), "timestamp": arrival, **more}


def produce(tollway, records, refused=0):
    """Puts them to `events` and waits until they are counted or refused; what was refused now."""
    seen = {(r["partition"], r["offset"]) for r in refusals(tollway)}
    tollway.put("events", [{"partition": 0, **each} for each in records])
    tollway.sent += len(records) - refused
    tollway.settle()
    fresh = []

    def are_there():
        fresh[:] = [r for r in refusals(tollway) if (r["partition"], r["offset"]) not in seen]
        return len(fresh) == refused
    wait_until(are_there, 20, f"{refused} refusals")
    return sorted(fresh, key=lambda r: int(r["headers"]["tollway_offset"]))


def refusals(tollway):
    """Without the copies of late and conflicting events, which come from `usage`."""
    return [r for r in tollway.get("rejected") if r["headers"]["tollway_topic"].endswith(".events")]


def produce_batch(tollway, content_type, batch, counted, refused):
    """One record of many events; its refusals, by their place in it."""
    before = len(refusals(tollway))
    tollway.put("events", [{"headers": {"content-type": content_type}, "partition": 1,
                            "hex": batch.hex(), "timestamp": MIDNIGHT}])
    tollway.sent += counted
    tollway.settle()
    wait_until(lambda: len(refusals(tollway)) == before + refused, 20, f"{refused} refusals")
    return sorted((r for r in refusals(tollway) if r["headers"]["tollway_partition"] == "1"),
                  key=lambda r: r["headers"]["tollway_index"])


def verdicts(tollway, who):
    found = tollway.ledger_of(who)
    assert found["accepted"] == sum(found[name] for name in ADDS_UP), found
    return {name: value for name, value in found.items() if value and name != "accepted"}


# --- arrival and time, 8, 12 ---

def test_08_an_absent_time_is_the_records_timestamp(tollway):
    arrival = MIDNIGHT + 10 * MINUTE + 59_999
    produce(tollway, [record(arrival, event("8", sub(0)))])
    [row] = tollway.rows("api", sub(0), windowSize="MINUTE")
    assert row["windowStart"] == at(MIDNIGHT + 10 * MINUTE).replace(".000000000", ""), row
    [found] = [u for u in tollway.get("usage", "usage") if u["subscription"] == sub(0)]
    assert found["arrivalMs"] == arrival, found


def test_12_exactly_on_a_limit_passes_and_a_nanosecond_more_does_not(tollway):
    arrival, horizon = MIDNIGHT + 12 * 3600 * 1000 + 345, 35 * DAY
    got = produce(tollway, [
        record(arrival, event("12a", sub(1), time=at(arrival + 5 * MINUTE))),
        record(arrival, event("12b", sub(1), time=at(arrival + 5 * MINUTE, 1))),
        record(arrival, event("12c", sub(1), time=at(arrival - horizon))),
        record(arrival, event("12d", sub(1), time=at(arrival - horizon, -1))),
        record(arrival + MS, event("12e", sub(1), time=at(arrival - horizon))),
    ], refused=1)
    assert got[0]["headers"]["tollway_reason"] == "time_in_future", got
    assert verdicts(tollway, sub(1)) == {"counted": 2, "late": 2}


def test_12_late_comes_before_dedup_and_each_copy_is_late(tollway):
    arrival, who = MIDNIGHT + 3600_000, sub(2)
    old, edge = at(arrival - 36 * DAY), at(arrival - 35 * DAY)
    produce(tollway, [
        record(arrival, event("12l", who, time=old)),
        record(arrival, event("12l", who, time=old)),
        record(arrival, event("12l", who, time=old, data={"total": 7})),   # late, no conflict
        record(arrival, event("12m", who, time=edge)),                     # counted
        record(arrival, event("12m", who, time=edge, data={"total": 2})),  # a conflict
        record(arrival + MS, event("12m", who, time=edge)),                # late, though known
        record(arrival + MS, event("12m", who, time=edge, data={"total": 2})),
    ])
    assert verdicts(tollway, who) == {"late": 5, "counted": 1, "duplicate": 1, "conflict": 1}
    assert tollway.value("api", who) == "1"

    def are_kept():
        kept = [r["headers"] for r in tollway.get("rejected")
                if r["headers"]["tollway_topic"].endswith(".usage") and
                who.encode().hex() in r.get("hex", "")]
        return sorted(k["tollway_reason"] for k in kept) == ["conflict"] + ["late"] * 5
    wait_until(are_kept, 20, "five late copies and a conflict on rejected")


# --- identity and payload, 13, 14 ---

def test_13_a_retry_over_midnight_without_time_is_the_same_event(tollway):
    who = sub(3)
    before, after = MIDNIGHT - MS, MIDNIGHT
    produce(tollway, [
        record(before, event("a", who)), record(after, event("a", who)),           # over midnight
        record(before, event("b", who)), record(after + DAY - MS, event("b", who)),  # next day's end
        record(before, event("c", who)), record(after + DAY, event("c", who)),     # two days on
        record(before, event("d", who, time=at(before))),
        record(after, event("d", who, time=at(after))),                            # given: two days
        record(after, event("e", who, time=at(before))),
        record(after, event("e", who, time=at(before))),                           # its own day alone
        record(before, event("f", who)), record(after, event("f", who, source="/other")),
        record(before, event("g", who)), record(after, event("g", sub(4))),
    ])
    assert verdicts(tollway, who) == {"counted": 10, "duplicate": 3}, verdicts(tollway, who)
    assert verdicts(tollway, sub(4)) == {"counted": 1}


def test_13_14_with_and_without_time_on_one_day_is_a_conflict(tollway):
    who, noon = sub(5), MIDNIGHT + 12 * 3600_000
    produce(tollway, [
        record(noon, event("a", who)), record(noon, event("a", who, time=at(noon))),
        record(noon, event("b", who, time=at(noon))), record(noon + MINUTE, event("b", who)),
        record(noon, event("c", who)), record(noon + MINUTE, event("c", who)),
    ])
    assert verdicts(tollway, who) == {"counted": 3, "duplicate": 3, "conflict": 2}


def test_14_the_payload_is_type_subject_time_values_and_dimensions(tollway):
    who, noon = sub(6), MIDNIGHT + 12 * 3600_000
    base = event("14", who, time=at(noon), subject="s",
                 data={"total": 1.5, "method": "1", "http": {"status": None}, "x": 1})
    same = [{**base, "data": {"http": {}, "total": "1.50", "method": 1.0}},
            {**base, "time": at(noon).replace("Z", "+00:00"), "extension": "x", "dataschema": "a:b"},
            {**base, "specversion": "1.0", "data": {"total": 15e-1, "method": 1, "y": [1]}},
            {**base, "datacontenttype": "application/json; charset=utf-8"}]
    other = [{**base, "subject": "S"}, {**base, "subject": None}, {**base, "time": at(noon, 1)},
             {**base, "data": {**base["data"], "total": 1.500000000001}},
             {**base, "data": {**base["data"], "method": "2"}},
             {**base, "data": {**base["data"], "method": ""}},
             {**base, "data": {"total": 1.5}},
             {**base, "data": {**base["data"], "http": {"status": ""}}},
             {**base, "type": "ping"}]
    produce(tollway, [record(noon, each) for each in [base, *same, *other]])
    assert verdicts(tollway, who) == {"counted": 1, "duplicate": len(same) + len(other),
                                      "conflict": len(other)}
    assert tollway.value("api", who) == "1.5" and tollway.rows("ping", who) == []
    # UNIQUE_COUNT's text and a sample's value belong to it as well.
    produce(tollway, [record(noon, event("14u", who, type="login", data={"user": value}))
                      for value in (1, "1", 1.0, "01")])
    assert verdicts(tollway, who)["conflict"] == len(other) + 1


# --- intake, 32 and 33 ---

def ce(ident, who, **more):
    made = {"specversion": "1.0", "id": ident, "source": "/kafka", "type": "request",
            "subscription": who, **more}
    return {f"ce_{name}": value for name, value in made.items() if value is not None}


def test_32_the_form_is_told_by_content_type_and_headers(tollway):
    who, now = sub(7), MIDNIGHT
    whole, data = json.dumps(event("32", who)), '{"total":1}'
    good = [
        ({"content-type": "application/cloudevents+json"}, event("a", who)),
        ({"content-type": "Application/CloudEvents+JSON; charset=UTF-8"}, event("b", who)),
        ({"Content-Type": "application/json"}, event("c", who)), ({}, event("d", who)),
        ({"key": "v"}, event("e", who)),
        ({**ce("f", who), "content-type": "application/json"}, {"total": 1}),
        (ce("g", who), {"total": 1}),
        # A structured record says so itself; its ce_ headers are only a copy.
        ({**ce("x", who), "content-type": "application/cloudevents+json"}, event("h", who)),
        ({**ce("i", who, subject="50%25 é"), "content-type": "application/json"}, {"total": 1}),
    ]
    records = [{"headers": headers, "value": json.dumps(value), "timestamp": now}
               for headers, value in good]
    records.append({"key": "any key", "value": whole, "timestamp": now})
    produce(tollway, records)
    assert verdicts(tollway, who) == {"counted": 10}, verdicts(tollway, who)
    subjects = [row["subject"] for row in tollway.rows("api", who, groupBy=["subject"])]
    assert subjects == [None, "50%25 é"], "nothing is percent-decoded"
    bad = [
        ({"content-type": "application/cloudevents-batch+avro"}, whole, "unsupported_media_type"),
        ({"content-type": "text/plain"}, whole, "unsupported_media_type"),
        ({"content-type": "application/json; charset=utf-16"}, whole, "unsupported_media_type"),
        ({"content-type": ""}, whole, "unsupported_media_type"),
        ({"content-type": "application/cloudevents+avro"}, whole, "unsupported_media_type"),
        ({**ce("x", who), "content-type": "text/plain"}, "x", "unsupported_content"),
        ({}, None, "tombstone"), (ce("x", who), None, "tombstone"),
        ({}, f"[{whole}]", "invalid_event"), ({}, "", "invalid_json"), ({}, whole + "x", "invalid_json"),
        ({"content-type": "application/json"}, data, "missing_attribute"),
        (ce(None, who), data, "missing_attribute"), (ce("", who), data, "invalid_attribute"),
        ({**ce("x", who), "ce_datacontenttype": "text/xml"}, data, "invalid_attribute"),
        ({**ce("x", who), "ce_Upper": "v"}, data, "invalid_attribute"),
        (ce("x", who), '{"total":', "invalid_data"), (ce("x", who), '{"total":-1}', "negative_value"),
        (ce("x", who, time=at(now + 6 * MINUTE)), data, "time_in_future"),
    ]
    got = produce(tollway, [{"headers": {**headers, "mine": "kept", "tollway_reason": "old"}, "key": "k",
                             "value": value, "timestamp": now + MS} for headers, value, _ in bad],
                  refused=len(bad))
    for (headers, value, code), found in zip(bad, got):
        ours = found["headers"]
        assert ours["tollway_reason"] == code, (code, ours)
        assert found["key"] == "k" and found["value"] == value, found
        assert ours["mine"] == "kept" and all(ours[name] == text for name, text in headers.items())
        assert ours["tollway_topic"] == f"{tollway.at['bucket']}.events"
        assert ours["tollway_partition"] == "0" and ours["tollway_offset"].isdigit()
        assert len(ours["tollway_detail"]) > 20 and "tollway_index" not in ours
        assert ours["tollway_time"].endswith("Z"), ours
    pointers = [found["headers"].get("tollway_pointer") for found in got]
    assert pointers[:8] == [None] * 5 + ["/datacontenttype", None, None], pointers
    assert pointers[-3:] == ["/data", "/data/total", "/time"], pointers


def test_33_a_gateways_batch_says_which_of_its_events(tollway):
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "proto/reference"))
    import gateway_batch
    batch = gateway_batch.Batch()
    for i, (kind, who) in enumerate((("request", sub(8)), ("x", sub(8)), ("request", sub(8)),
                                     ("x", sub(8)), ("request", "nobody"), ("request", sub(8)))):
        batch.add(id=f"33-{i}", type=kind, source="gw", subscription=who, properties={"$.total": i})
    got = produce_batch(tollway, gateway_batch.CONTENT_TYPE, batch.encode(), 3, 2)
    # One copy of the record for each reason, not for each event.
    assert [(r["headers"]["tollway_index"], r["headers"]["tollway_reason"]) for r in got] == [
        ("1,3", "unknown_type"), ("4", "unknown_subscription")], got
    assert tollway.value("api", sub(8)) == "7"


# --- the ledger, 34 ---

def test_34_the_ledger_adds_up_for_all_and_each(tollway):
    foreign = [{"value": text, "partition": 2} for text in ("not a batch", "", '{"json":1}')]
    tollway.put("usage", [*foreign, {"value": None, "partition": 2}])
    tollway.sent += 4
    ledger = tollway.settle()
    assert ledger["rejected"] == 4, ledger
    assert set(ledger) == {"accepted", "counted", "duplicate", "conflict", "rejected", "late", "lag",
                           "subscriptions"}, ledger
    for name in ("accepted", "conflict", *ADDS_UP):
        assert ledger[name] == sum(each[name] for each in ledger["subscriptions"]), name
    for each in ledger["subscriptions"]:
        assert each["accepted"] == sum(each[name] for name in ADDS_UP), each
        assert each["conflict"] <= each["duplicate"]
    [nobody] = [each for each in ledger["subscriptions"] if each["subscription"] is None]
    assert nobody["accepted"] == nobody["rejected"] == 4, nobody
    assert tollway.ledger_of("nobody") == dict.fromkeys(
        ("accepted", "counted", "duplicate", "conflict", "rejected", "late"), 0)


# --- what is kept, 20: last, for it moves the clock on ---

def test_20_minutes_are_kept_for_the_horizon_and_then_quarter_hours(tollway):
    who, step, begin = sub(9), 10 * MINUTE, MIDNIGHT + DAY
    count = 40 * 144  # 40 days in steps of ten minutes
    for first in range(0, count, 1000):
        produce(tollway, [record(begin + i * step, event(f"20-{i}", who, data={"total": i + 1}))
                          for i in range(first, min(first + 1000, count))])
    old, young = begin, begin + 20 * DAY

    def asked(size, zone, day, offset, length, code=None):
        body = {"filterSubscription": [who], "windowTimeZone": zone,
                "from": at(day + offset), "to": at(day + offset + length)}
        if size:
            body["windowSize"] = size
        status, answer = tollway.ask("api", body)
        if code:
            assert (status, answer["code"]) == (400, code), (size, zone, answer)
            return
        assert status == 200, (size, zone, answer)
        expected = {}
        for i in range(count):
            moment = begin + i * step
            if not day + offset <= moment < day + offset + length:
                continue
            if size == "MINUTE":
                window = at(moment)[:16]
            elif size:
                window = window_of(datetime.datetime.fromtimestamp(
                    moment / 1000, datetime.timezone.utc), size, zone)[0]
                window = max(window, at(day + offset)[:19] + "Z")[:16]
            else:
                window = at(day + offset)[:16]
            expected[window] = expected.get(window, 0) + i + 1
        got = {row["windowStart"][:16]: int(row["value"]) for row in answer["data"]}
        assert got == expected, (size, zone, got, expected)

    for day in (old, young):
        for zone in ("UTC", "Asia/Kathmandu", "Australia/Lord_Howe"):
            asked("HOUR", zone, day, 0, 12 * 3600_000)
            asked("DAY", zone, day, 0, 2 * DAY)
            asked(None, zone, day, 45 * MINUTE, 30 * MINUTE)
    asked("MINUTE", "UTC", young, 0, 3600_000)
    asked(None, "UTC", young, 7 * MINUTE, 20 * MINUTE)
    asked("MINUTE", "UTC", old, 0, 3600_000, "finer_than_stored")
    asked(None, "UTC", old, 7 * MINUTE, 20 * MINUTE, "finer_than_stored")
    # Even so, a cut where nothing was counted on either side may be answered or refused, never wrong.
    status, answer = tollway.ask("api", {"filterSubscription": [who], "from": at(old + 15 * MINUTE)})
    assert status == 200 and int(answer["data"][0]["value"]) == sum(range(3, count + 1)), answer


def main():
    with Rules(None, base_catalog()) as tollway:
        run_cases(sys.modules[__name__], tollway)


if __name__ == "__main__":
    main()
