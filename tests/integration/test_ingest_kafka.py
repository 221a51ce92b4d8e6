#!/usr/bin/env python3
"""Intake from <bucket>.events: forms, refusals with their headers, positions over restarts."""
# limit: 180
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import ROOT, SUBSCRIPTION, Rig, event, main, wait_for  # noqa: E402

sys.path.insert(0, str(ROOT / "proto" / "reference"))
import gateway_batch  # noqa: E402

RIG = None
SENT = {"usage": 0, "rejected": 0}
BATCH = "application/cloudevents-batch+json"


def structured(value, content_type=None, **record):
    headers = {"content-type": content_type} if content_type else {}
    value = value if isinstance(value, str) else json.dumps(value)
    return {"value": value, "headers": {**headers, **record.pop("headers", {})}, **record}


def binary(ident, body='{"total":1}', content_type="application/json", **more):
    attributes = {"specversion": "1.0", "id": ident, "source": "/test", "type": "request",
                  "subscription": SUBSCRIPTION, **more}
    headers = {f"ce_{name}": value for name, value in attributes.items() if value is not None}
    if content_type:
        headers["content-type"] = content_type
    return {"value": body, "headers": headers}


def send(records, usage=0, rejected=0):
    """Puts the records and waits for as many new events and refusals; returns both."""
    RIG.put("events", records)
    SENT["usage"] += usage
    SENT["rejected"] += rejected

    def arrived():
        found = RIG.usage(), RIG.rejected()
        return found if (len(found[0]), len(found[1])) >= (SENT["usage"], SENT["rejected"]) else None
    got = wait_for(f"{usage} events and {rejected} refusals", 20, arrived)
    assert (len(got[0]), len(got[1])) == (SENT["usage"], SENT["rejected"]), \
        (len(got[0]), len(got[1]), SENT)
    return got


def rejects(record, reason, pointer=None):
    before = {(r["partition"], r["offset"]) for r in RIG.rejected()}
    _, rejected = send([record], rejected=1)
    [found] = [r for r in rejected if (r["partition"], r["offset"]) not in before]
    headers = found["headers"]
    assert headers["tollway_reason"] == reason, headers
    assert headers.get("tollway_pointer") == pointer, headers
    assert headers["tollway_topic"] == RIG.topic("events")
    assert int(headers["tollway_partition"]) == found["partition"] and headers["tollway_offset"].isdigit()
    assert len(headers["tollway_detail"]) > 20 and headers["tollway_time"].endswith("Z")
    assert "tollway_index" not in headers
    assert found["value"] == record.get("value") and found["key"] == record.get("key")
    for name, value in record.get("headers", {}).items():
        assert headers[name] == value, headers
    return found


def test_structured_events_need_no_content_type():
    send([structured(event("s1")), structured(event("s2"), "application/json"),
          structured(event("s3"), "application/cloudevents+json; charset=UTF-8", key="any")], usage=3)


def test_binary_events_have_their_attributes_in_headers_as_utf8():
    usage, _ = send([binary("b1", '{"total":"41.5"}', subject="Euro \u20ac 100%"),
                     binary("b2", content_type=None),
                     binary("b3", datacontenttype="application/json")], usage=3)
    [found] = [e for e in usage if e["entries"][0]["value"] == "41.5"]
    assert found["entries"][0]["subject"] == "Euro \u20ac 100%", found


def test_arrival_is_the_records_timestamp():
    usage, _ = send([structured(event("a1", data={"total": 42}))], usage=1)
    [found] = [e for e in usage if e["entries"][0]["value"] == "42"]
    assert abs(found["arrivalMs"] - time.time() * 1000) < 30000 and found["timeAbsent"]


def test_what_cannot_be_accepted_is_kept_with_the_reason():
    rejects({"key": "k", "value": None}, "tombstone")
    rejects(structured("not json", key="k", headers={"x": "y"}), "invalid_json", "")
    rejects(structured(json.dumps(event("r1")) + " {}"), "invalid_json", "")
    rejects(structured([event("r2")]), "invalid_event", "")
    rejects(structured(event("r3", type="nothing")), "unknown_type", "/type")
    rejects(structured(event("r4", data={"total": -1})), "negative_value", "/data/total")
    rejects(structured(event("r5"), "text/plain"), "unsupported_media_type")
    rejects(structured(event("r6"), "application/cloudevents+avro"), "unsupported_media_type")
    rejects(binary("r8", content_type="text/xml"), "unsupported_content", "/datacontenttype")
    rejects(binary("r9", body="{"), "invalid_data", "/data")
    rejects(binary(None), "missing_attribute", "/id")
    rejects(binary("r10", datacontenttype="text/xml"), "invalid_attribute",
            "/datacontenttype")


def test_headers_that_pretend_to_be_ours_are_left_out():
    RIG.put("events", [structured("x", headers={"tollway_reason": "paid", "mine": "1"})])
    SENT["rejected"] += 1
    found = wait_for("the refusal", 20, lambda: [r for r in RIG.rejected() if "mine" in r["headers"]])
    assert found[0]["headers"]["tollway_reason"] == "invalid_json"


def test_a_record_that_leaves_no_room_for_our_headers_stops_nothing():
    """A record may be as large as one can be, and the copy is larger by what says why."""
    most, partition = 999_900, 3
    _, rejected = send([{"partition": partition, "key": "large", "value": "x" * most},
                        {"partition": partition, "key": "k" * most, "value": "x"},
                        {"partition": partition, "value": "x", "headers": {"h": "x" * most}},
                        structured(event("behind"), partition=partition)], usage=1, rejected=3)
    copies = [(r["headers"]["tollway_reason"], r["key"], r["value"], "h" in r["headers"])
              for r in sorted((r for r in rejected if r["partition"] == partition),
                              key=lambda r: r["offset"])][-3:]
    assert copies == [("invalid_json", "large", None, False)] + [("invalid_json", None, None, False)] * 2, \
        [(reason, key, str(value)[:9], header) for reason, key, value, header in copies]


def test_a_batch_of_more_refused_events_than_a_header_can_name_stops_nothing():
    lines = structured("1\n" * 400_000, "application/x-ndjson", partition=2)
    _, rejected = send([lines, structured(event("behind lines"), partition=2)], usage=1, rejected=1)
    [found] = [r for r in rejected if r["headers"].get("tollway_index", "").endswith(",…")]
    index = found["headers"]["tollway_index"]
    assert index.startswith("0,1,2,3,") and len(index) < 20_000, (len(index), index[:50])
    assert found["headers"]["tollway_reason"] == "invalid_event" and found["value"] == lines["value"]


def test_a_gateways_batch_is_unpacked_and_its_refused_events_are_numbered():
    batch = gateway_batch.Batch()
    for i in range(20):
        batch.add(id=f"g{i}", type="request" if i % 5 else "nothing", source="gw",
                  subscription=SUBSCRIPTION if i % 7 else "nobody", time="2026-10-01T12:00:00Z",
                  properties={"$.total": 900 + i, "$.http.status": 200, "$.method": "GET"})
    record = {"hex": batch.encode().hex(), "key": "twenty",
              "headers": {"content-type": gateway_batch.CONTENT_TYPE}}
    refused = [i for i in range(20) if i % 5 == 0 or i % 7 == 0]
    usage, rejected = send([record], usage=20 - len(refused), rejected=2)
    counted = {e["entries"][0]["value"]: e for e in usage if e["time"] == "2026-10-01T12:00:00Z"}
    assert sorted(counted) == [str(900 + i) for i in range(20) if i not in refused]
    assert counted["901"]["entries"][0]["dimensions"] == {"method": "GET", "status": "200"}
    indexes = {r["headers"]["tollway_reason"]: r["headers"]["tollway_index"] for r in rejected
               if r["key"] == "twenty"}
    assert indexes == {"unknown_type": "0,5,10,15", "unknown_subscription": "7,14"}, indexes


def many(count, first, **other):
    """Events whose totals tell them apart; the fifth, tenth… are of an unknown type."""
    return [event(f"m{first + i}", type="request" if (i + 1) % 5 else "nothing", data={"total": first + i}, **other)
            for i in range(count)]


def test_an_array_of_events_is_unpacked_and_its_refused_events_are_numbered():
    usage, rejected = send([structured(many(200, 3000), BATCH)], usage=160, rejected=1)
    values = [e["entries"][0]["value"] for e in usage]
    assert all(values.count(str(3000 + i)) == ((i + 1) % 5 > 0) for i in range(200))
    [found] = [r for r in rejected if r["headers"].get("tollway_index", "").startswith("4,9,14,")]
    assert found["headers"]["tollway_reason"] == "unknown_type"
    assert found["headers"]["tollway_index"] == ",".join(map(str, range(4, 200, 5)))
    assert json.loads(found["value"]) == many(200, 3000)


def test_lines_of_events_are_unpacked_and_a_broken_line_is_one_of_them():
    lines = [json.dumps(one) for one in many(9, 4000)]
    lines[2] = lines[2][:-1]
    usage, rejected = send([structured("\n".join(lines) + "\n\n", "application/x-ndjson")], usage=7, rejected=2)
    values = [e["entries"][0]["value"] for e in usage]
    assert [i for i in range(9) if str(4000 + i) in values] == [0, 1, 3, 5, 6, 7, 8]
    indexes = {r["headers"]["tollway_reason"]: r["headers"]["tollway_index"] for r in rejected
               if r["headers"].get("tollway_index") in ("2", "4")}
    assert indexes == {"invalid_json": "2", "unknown_type": "4"}, indexes


def test_an_array_that_breaks_off_loses_nothing_and_counts_once_when_it_is_sent_again():
    whole = json.dumps([one for one in many(110, 5000) if one["type"] == "request"])
    broken = whole[:whole.index('"m5100"') + 3]
    usage, rejected = send([structured(broken, BATCH)], usage=80, rejected=1)
    [found] = [r for r in rejected if r["headers"].get("tollway_index") == "80"]
    assert found["headers"]["tollway_reason"] == "invalid_json" and found["value"] == broken
    assert found["headers"]["tollway_detail"].endswith("; the events before it are taken"), found["headers"]
    again, _ = send([structured(whole, BATCH)], usage=88)
    identities = {e["identity"] for e in again if 5000 <= float(e["entries"][0]["value"]) < 5110}
    assert len(identities) == 88, len(identities)


def test_what_is_no_array_is_kept_whole():
    for value, reason in (('{"id":"x"}', "invalid_batch"), ("", "invalid_json")):
        _, rejected = send([structured(value, BATCH, key="no-array")], rejected=1)
        found = [r for r in rejected if r["key"] == "no-array"][-1]
        assert found["headers"]["tollway_reason"] == reason and found["value"] == value, found
    send([structured([], BATCH), structured("\n \n", "application/x-ndjson")])


def test_records_of_all_forms_are_taken_together():
    batch = gateway_batch.Batch()
    for i in range(3):
        batch.add(id=f"t{i}", type="request", source="gw", subscription=SUBSCRIPTION, time="2026-10-02T12:00:00Z",
                  properties={"$.total": 1000 + i})
    forms = [lambda i: structured(event(f"tog{i}", data={"total": 2000 + i})),
             lambda i: binary(f"tog{i}", json.dumps({"total": 2000 + i})),
             lambda i: structured(event(f"tog{i}", type="nothing")),
             lambda i: {"hex": batch.encode().hex(), "headers": {"content-type": gateway_batch.CONTENT_TYPE}},
             lambda i: structured(event(f"tog{i}", data={"total": 2000 + i, "pad": "p" * 70000})),
             lambda i: structured([event(f"tog{i}", data={"total": 2000 + i})], BATCH)]
    records = [forms[i % 6](i) for i in range(60)]
    usage, _ = send(records, usage=40 + 30, rejected=10)
    values = [e["entries"][0]["value"] for e in usage]
    for i in range(60):
        assert values.count(str(2000 + i)) == (i % 6 in (0, 1, 4, 5)), i
    assert [values.count(str(1000 + i)) for i in range(3)] == [10, 10, 10]


def test_a_damaged_batch_is_kept_whole():
    record = {"hex": gateway_batch.Batch().encode()[:-1].hex(),
              "headers": {"content-type": gateway_batch.CONTENT_TYPE}}
    _, rejected = send([record], rejected=1)
    [found] = [r for r in rejected if r.get("hex") == record["hex"]]
    assert found["headers"]["tollway_reason"] == "invalid_batch", found
    assert "tollway_index" not in found["headers"], found


def test_the_group_goes_on_where_it_was():
    send([structured(event(f"p{i}")) for i in range(50)], usage=50)
    time.sleep(1.2)  # commits are sent twice a second
    assert RIG.stop() == 0
    RIG.put("events", [structured(event(f"q{i}")) for i in range(10)])
    RIG.start()
    send([], usage=10)
    time.sleep(1)
    assert len(RIG.usage()) == SENT["usage"], "nothing is read twice after a clean end"


def test_after_a_kill_nothing_is_missing():
    RIG.put("events", [structured(event(f"k{i}", data={"total": 7000 + i})) for i in range(2000)])
    time.sleep(0.3)
    RIG.process.send_signal(signal.SIGKILL)
    RIG.process.wait()
    RIG.start()

    def values():
        found = {e["entries"][0]["value"] for e in RIG.usage()}
        return all(str(7000 + i) in found for i in range(2000))
    wait_for("all 2000 events", 40, values)


def test_two_processes_share_the_partitions_and_hand_them_over():
    with Rig(RIG.brokers, bucket=RIG.bucket) as second:
        second.start()
        RIG.put("events", [structured(event(f"h{i}", data={"total": 20000 + i})) for i in range(500)])
        wait_for("partitions of the second", 30, lambda: "partition_assigned" in log_of(second))
        RIG.put("events", [structured(event(f"h{i}", data={"total": 20000 + i}))
                           for i in range(500, 1000)])
        time.sleep(0.2)
        assert second.stop() == 0
        RIG.put("events", [structured(event(f"h{i}", data={"total": 20000 + i}))
                           for i in range(1000, 1200)])

        def values():
            found = {e["entries"][0]["value"] for e in RIG.usage()}
            return all(str(20000 + i) in found for i in range(1200))
        wait_for("all 1200 events", 60, values)


def log_of(rig):
    return (rig.folder / "log").read_text()


if __name__ == "__main__":
    with Rig() as RIG:
        RIG.put_catalog()
        RIG.start()
        main(sys.modules["__main__"])
