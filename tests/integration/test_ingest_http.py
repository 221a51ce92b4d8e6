#!/usr/bin/env python3
"""POST /v1/events against the running process: forms, attributes, answers, limits, keys."""
# limit: 180
import base64
import gzip
import json
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import (ADMIN_KEY, BATCH, ENDED, EXPIRED_KEY, KEY, OTHER, ROOT, STRUCTURED,  # noqa: E402
                        SUBSCRIPTION, Rig, event, key_record, main, make_key, wait_for)

RIG = None


def accepts(body, content_type=STRUCTURED, headers=(), count=1):
    status, answer, _ = RIG.post(body, content_type, headers)
    assert status == 202, (status, answer)
    assert answer == {"accepted": count, "rejected": []}, answer


def refuses(body, code, pointer, content_type=STRUCTURED, headers=(), ident="x"):
    """One event, refused: 400 with its code, pointer and id."""
    status, answer, sent = RIG.post(body, content_type, headers)
    assert status == 400, (status, answer)
    assert sent["Content-Type"] == "application/problem+json"
    assert answer["code"] == "no_acceptable_event" and answer["accepted"] == 0, answer
    [refusal] = answer["rejected"]
    assert (refusal["code"], refusal["pointer"]) == (code, pointer), refusal
    assert refusal["index"] == 0 and refusal["id"] == ident, refusal
    assert len(refusal["detail"]) > 20
    return refusal


def refuses_whole(status, code, body, content_type=STRUCTURED, headers=(), key=KEY):
    got, answer, sent = RIG.post(body, content_type, headers, key)
    assert (got, answer.get("code")) == (status, code), (got, answer)
    assert sent["Content-Type"] == "application/problem+json" and answer["status"] == status
    return answer, sent


def counted(ident):
    """The usage events of this id's identity: found by a marker value in `total`."""
    return [e for e in RIG.usage() if e["entries"][0]["value"] == ident]


def binary_headers(ident="b", **more):
    attributes = {"specversion": "1.0", "id": ident, "source": "/test", "type": "request",
                  "subscription": SUBSCRIPTION, **more}
    return [(f"ce-{name}", value) for name, value in attributes.items() if value is not None]


# --- facts.md E.1, HTTP ---

def test_1_the_mode_is_told_by_the_content_type_in_either_case():
    accepts(event("1a"))
    accepts(event("1b"), "Application/CloudEvents+JSON; charset=UTF-8")
    accepts([event("1c")], "application/cloudevents-BATCH+json", count=1)
    accepts(b'{"total":1}', "application/json", binary_headers("1d"))
    refuses_whole(415, "unsupported_media_type", b"x", "application/cloudevents+avro")
    refuses_whole(415, "unsupported_media_type", b"x", "application/cloudevents-batch+avro")
    refuses_whole(415, "unsupported_media_type", b"x", "text/plain")
    refuses_whole(415, "unsupported_media_type", b"x", None)
    refuses_whole(415, "unsupported_media_type", event("1e"), STRUCTURED + "; charset=iso-8859-1")


def test_2_required_attributes_are_there_once_and_not_empty():
    for name in ("id", "source", "specversion", "type"):
        ident = None if name == "id" else "x"
        without = event("x")
        del without[name]
        refuses(without, "missing_attribute", f"/{name}", ident=ident)
        refuses({**event("x"), name: None}, "missing_attribute", f"/{name}", ident=ident)
        refuses({**event("x"), name: ""}, "invalid_attribute", f"/{name}",
                ident="" if name == "id" else "x")
        refuses(json.dumps(event("x"))[:-1] + f',"{name}":"y"}}', "duplicate_key", f"/{name}")
    refuses({**event("x"), "specversion": "0.3"}, "invalid_attribute", "/specversion")
    refuses({**event("x"), "source": "not a uri"}, "invalid_attribute", "/source")


def test_3_optional_attributes_are_well_formed_and_not_empty():
    accepts(event("3a", datacontenttype="Application/JSON;charset=utf-8", dataschema="https://a/b",
                  subject="s", time="2026-11-01T12:00:00.123+01:00"))
    for name in ("datacontenttype", "dataschema", "subject", "time", "subscription"):
        refuses(event("x", **{name: ""}), "invalid_attribute", f"/{name}")
    refuses(event("x", time="yesterday"), "invalid_attribute", "/time")
    refuses(event("x", dataschema="b"), "invalid_attribute", "/dataschema")
    refuses(event("x", datacontenttype="json"), "invalid_attribute", "/datacontenttype")
    refuses(event("x", datacontenttype="application/xml"), "unsupported_content",
            "/datacontenttype")


def test_4_names_and_types_of_extensions():
    accepts(event("4a", traceparent="00-a-b-01", int=-5, bool=True, none=None))
    refuses(event("x", Upper="v"), "invalid_attribute", "/Upper")
    refuses(event("x", under_score="v"), "invalid_attribute", "/under_score")
    refuses(event("x", number=1.5), "invalid_attribute", "/number")
    refuses(event("x", number=2**31), "invalid_attribute", "/number")
    refuses(event("x", object={}), "invalid_attribute", "/object")


def test_5_binary_mode():
    body = b'{"total":5.5,"method":"GET"}'
    accepts(body, "application/json; charset=utf-8", binary_headers("5a", subject="Euro%20%E2%82%AC"))
    [found] = counted("5.5")
    assert found["entries"][0]["subject"] == "Euro \u20ac", found
    accepts(body, "application/json", binary_headers("5b", subject='"quoted \\"text\\""'))
    accepts(body, "application/json", binary_headers("5c", subject="needless%41"))
    accepts(body, None, binary_headers("5d"))
    accepts(b"", None, binary_headers("5e", type="ping"))
    for value in ("%C0%A0", "%ED%A0%80", "%FF", "a%00"):
        refuses(body, "invalid_string", "/subject", "application/json",
                binary_headers("x", subject=value))
    refuses(body, "invalid_attribute", "/subject", "application/json",
            binary_headers("x", subject='"open'))
    refuses(body, "invalid_attribute", "/datacontenttype", "application/json",
            binary_headers("x", datacontenttype="application/json"))
    refuses(body, "duplicate_key", "/id", "application/json", binary_headers("x") + [("CE-ID", "y")])
    refuses(body, "missing_attribute", "/id", "application/json", binary_headers(None), ident=None)
    refuses(b"<a/>", "unsupported_content", "/datacontenttype", "text/xml", binary_headers("x"))
    refuses(b'{"total":', "invalid_data", "/data", "application/json", binary_headers("x"))
    refuses(b'{"total":-1}', "negative_value", "/data/total", "application/json",
            binary_headers("x"))


def test_6_structured_mode():
    accepts(event("6a", subject=None, time=None, dataschema=None))
    encoded = base64.b64encode(b'{"total":6.25}').decode()
    no_data = event("6b", data_base64=encoded)
    del no_data["data"]
    accepts(no_data)
    assert len(counted("6.25")) == 1
    refuses(event("x", data_base64=encoded), "invalid_data", "/data_base64")
    refuses({**no_data, "id": "x", "data_base64": "e!"}, "invalid_data", "/data_base64")
    refuses({**no_data, "id": "x", "data_base64": "AAEC"}, "invalid_data", "/data_base64")
    refuses(event("x", data='{"total":1}'), "missing_value", "/data/total")


def test_7_batches():
    accepts([], BATCH, count=0)
    accepts([event("7a"), event("7b")], BATCH, count=2)
    accepts([event("7c")], "application/json")
    accepts(event("7d"), "application/json")
    status, answer, _ = RIG.post([event("7e"), 7, event("7f", type="x"), event("7g")], BATCH)
    assert status == 202 and answer["accepted"] == 2, answer
    assert [(r["index"], r["id"], r["code"]) for r in answer["rejected"]] == [
        (1, None, "invalid_event"), (2, "7f", "unknown_type")], answer
    refuses_whole(400, "not_an_array", event("7h"), BATCH)
    refuses_whole(400, "invalid_json", '[{"id":"1"},', BATCH)
    refuses_whole(400, "invalid_json", "[1] 2", BATCH)
    refuses_whole(400, "invalid_json", "", BATCH)
    many = [{"id": str(i)} for i in range(1001)]
    refuses_whole(413, "too_many_events", many, BATCH)
    status, answer, _ = RIG.post(many[:1000], BATCH)
    assert status == 400 and len(answer["rejected"]) == 1000


def test_7_lines():
    lines = "\n".join([json.dumps(event("l1")), "", "  ", json.dumps(event("l2", type="x")),
                       '{"broken', json.dumps(event("l3")) + "\r", ""])
    for content_type in ("application/x-ndjson", "application/jsonl"):
        status, answer, _ = RIG.post(lines, content_type)
        assert status == 202 and answer["accepted"] == 2, answer
        assert [(r["index"], r["code"]) for r in answer["rejected"]] == [
            (1, "unknown_type"), (2, "invalid_json")], answer
    accepts("", "application/x-ndjson", count=0)
    refuses_whole(413, "too_many_events", "{}\n" * 1001, "application/x-ndjson")


def test_8_source_and_id_are_the_identity():
    for _ in range(2):
        accepts(event("8a", data={"total": 8.5}))
    accepts(event("8a", data={"total": 8.5}, source="/other"))
    first, again, other = counted("8.5")
    assert first["identity"] == again["identity"] != other["identity"]
    assert first["payload"] == again["payload"] == other["payload"]


def test_9_extensions_to_honour():
    accepts(event("9a", partitionkey="p", traceparent="t", tracestate="s", sequence="7",
                  recordedtime="2026-01-01T00:00:00Z", expirytime="2026-01-01T00:00:00Z",
                  sampledrate=1))
    refuses(event("x", sampledrate=10), "unsupported_attribute", "/sampledrate")
    refuses(event("x", dataref="https://a/b"), "unsupported_attribute", "/dataref")


# --- verdicts and values ---

def test_whose_an_event_is():
    accepts(event("w1", subscription=None, subject="acme"))
    accepts(event("w2", subscription=None, subject="acme-key"))
    accepts(event("w3", subscription=None, subject=SUBSCRIPTION))
    refuses(event("x", subscription=None), "missing_subscription", "/subscription")
    refuses(event("x", subscription="nobody"), "unknown_subscription", "/subscription")
    refuses(event("x", subscription=None, subject="nobody"), "unknown_subscription", "/subject")
    refuses(event("x", subscription=None, subject="two"), "ambiguous_subject", "/subject")
    refuses(event("x", subscription=ENDED), "subscription_inactive", "/subscription")
    refuses(event("x", subscription=None, subject="gone"), "subscription_inactive", "/subject")
    accepts(event("w4", subscription=ENDED, time="2015-06-01T00:00:00Z"))


def test_when_an_event_was():
    ahead = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 360))
    near = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 240))
    refuses(event("x", time=ahead), "time_in_future", "/time")
    accepts(event("t1", time=near))
    accepts(event("t2", time="2015-05-17T10:05:03Z"))
    refuses(event("x", type="newer", time="2026-05-31T23:59:59Z"), "before_event_from", "/time")


def test_values():
    for value in (1, 1.0, "12.5", "-0", 0):
        accepts(event("v", data={"total": value}))
    for raw, code in (("true", "invalid_value"), ('"1e3"', "invalid_value"), ('"NaN"', "invalid_value"),
                      ("{}", "invalid_value"), ("null", "missing_value"), ("-1", "negative_value"),
                      ("1e15", "value_too_large"), ("1e999", "value_too_large"),
                      ("9" * 400, "value_too_large"), ("0.0000000000001", "value_too_precise")):
        body = json.dumps(event("x", data={"total": "@"})).replace('"@"', raw)
        refuses(body, code, "/data/total")
    refuses_whole(400, "invalid_json", json.dumps(event("x")).replace("1}", "NaN}"))
    refuses_whole(400, "invalid_json", json.dumps(event("x")).replace("1}", "Infinity}"))
    refuses(event("x", type="login", data={"user": ""}), "invalid_value", "/data/user")
    refuses(event("x", data={"total": 1, "method": {}}), "invalid_dimension", "/data/method")
    refuses(event("x", data={"total": 1, "http": {"status": [1]}}), "invalid_dimension",
            "/data/http/status")


def test_dimensions_are_texts():
    accepts(event("d", data={"total": "77.7", "method": 200.0, "http": {"status": True}}))
    [found] = counted("77.7")
    assert found["entries"][0]["dimensions"] == {"method": "200", "status": "true"}, found
    assert [e["meter"] for e in found["entries"]] == ["api", "calls"]


# --- bad input ---

def test_broken_strings_and_structures():
    deep = "[" * 15 + "]" * 15
    accepts(json.dumps(event("g")).replace('"total": 1', f'"total": 1, "x": {deep[1:-1]}'))
    refuses(json.dumps(event("x")).replace('"total": 1', f'"total": 1, "x": {deep}'), "too_deep",
            "/data/x" + "/0" * 14)
    refuses(json.dumps(event("x")).replace('"total": 1', '"total": 1, "total": 2'), "duplicate_key",
            "/data/total")
    refuses(json.dumps(event("x", subject="\0")), "invalid_string", "/subject")
    refuses(json.dumps(event("x", subject="@")).replace("@", "\\ud800"), "invalid_string",
            "/subject")
    refuses(json.dumps(event("x", subject="@")).encode().replace(b"@", b"\xff"), "invalid_string",
            "/subject")
    refuses(event("x", subject="s" * 1025), "too_long", "/subject")
    refuses({**event("x"), "id": "i" * 257}, "too_long", "/id", ident=None)
    refuses("7", "invalid_event", "", "application/json", ident=None)
    refuses_whole(400, "invalid_json", '{"id":')
    refuses_whole(400, "invalid_json", "")
    refuses_whole(400, "invalid_json", json.dumps(event("x")) + "{}")
    refuses_whole(400, "invalid_json", "\ufeff" + json.dumps(event("x")))


def test_one_bad_event_never_costs_its_neighbours():
    bad = ['{"a":1,"a":2}', '{"id":"\\u0000"}', "[" * 40 + "]" * 40, "null", '"\\ud800"']
    body = "[" + ",".join(x for i, b in enumerate(bad) for x in (json.dumps(event(f"n{i}")), b)) + "]"
    status, answer, _ = RIG.post(body, BATCH)
    assert status == 202 and answer["accepted"] == 5, answer
    assert [r["index"] for r in answer["rejected"]] == [1, 3, 5, 7, 9], answer


def test_events_read_together_stay_in_their_order():
    bad = {3: event("x3", type="x"), 15: 7, 16: event("x16", subscription="nobody"), 17: event("x17", source=""), 37: []}
    events = [bad.get(i, event(f"o{i}", data={"total": 7000 + i, "pad": "p" * (70000 if i == 20 else i)}))
              for i in range(50)]
    codes = ["unknown_type", "invalid_event", "unknown_subscription", "invalid_attribute", "invalid_event"]
    status, answer, _ = RIG.post(events, BATCH)
    assert status == 202 and answer["accepted"] == 45, answer
    assert [(r["index"], r["code"]) for r in answer["rejected"]] == list(zip(bad, codes, strict=True)), answer
    for i in range(50):
        assert len(counted(str(7000 + i))) == (i not in bad), i
    lines = [json.dumps(e) for e in events]
    lines[18] = '{"broken'
    status, answer, _ = RIG.post("\n".join(lines), "application/x-ndjson")
    assert status == 202 and answer["accepted"] == 44, answer
    assert [r["index"] for r in answer["rejected"]] == [3, 15, 16, 17, 18, 37], answer
    assert answer["rejected"][4]["code"] == "invalid_json", answer


def test_sizes_and_encodings():
    large = json.dumps(event("z", data={"total": 1, "pad": "p" * (1024 * 1024)}))
    refuses_whole(413, "body_too_large", large)
    refuses_whole(413, "body_too_large", "[" + " " * (4 * 1024 * 1024) + "]", BATCH)
    accepts("[" + json.dumps(event("z1")) + " " * (2 * 1024 * 1024) + "]", BATCH)
    accepts(gzip.compress(json.dumps(event("z2")).encode()), headers=[("Content-Encoding", "gzip")])
    if shutil.which("zstd"):
        zstd = subprocess.run(["zstd", "-q", "-c"], input=json.dumps(event("z3")).encode(),
                              capture_output=True, check=True).stdout
        accepts(zstd, headers=[("Content-Encoding", "zstd")])
    whole = gzip.compress(json.dumps([event(f"q{i}") for i in range(50)]).encode())
    refuses_whole(400, "invalid_encoding", whole[:len(whole) // 2], BATCH,
                  [("Content-Encoding", "gzip")])
    refuses_whole(413, "body_too_large", gzip.compress(b" " * (5 * 1024 * 1024)), BATCH,
                  [("Content-Encoding", "gzip")])
    refuses_whole(415, "unsupported_encoding", b"x", headers=[("Content-Encoding", "br")])


def test_keys():
    good = event("k")
    other_bucket, live = make_key("other bucket"), make_key("mine", "live")
    typo = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
    answers = set()
    for key in (other_bucket, live, typo, ADMIN_KEY, EXPIRED_KEY, "", "x", KEY + "x", None):
        answer, sent = refuses_whole(401, "unauthorized", good, key=key)
        assert sent["WWW-Authenticate"] == "Bearer"
        answers.add(json.dumps(answer))
    assert len(answers) == 1, "all wrong keys are answered alike"
    status, _, _ = RIG.request("POST", f"/v1/events?key={KEY}", json.dumps(good).encode(),
                               [("Content-Type", STRUCTURED)])
    assert status == 401


def test_a_key_opens_from_its_record_on_until_it_is_revoked():
    new = make_key("new")
    name, record = key_record(new)
    refuses_whole(401, "unauthorized", event("kn1"), key=new)

    def is_let_in():
        return RIG.post(event("kn2"), STRUCTURED, key=new)[0] == 202
    RIG.put("catalog", [{"key": name, "value": json.dumps(record)}])
    wait_for("a new key", 60, is_let_in)
    RIG.put("catalog", [{"key": name, "value": None}])
    wait_for("a revoked key to be refused", 60, lambda: not is_let_in())
    refuses_whole(401, "unauthorized", event("kn3"), key=new)


def test_no_key_is_ever_logged():
    RIG.stop()
    RIG.settings.append("--log-level=debug")
    RIG.start()
    wrong = make_key("wrong")
    refuses_whole(401, "unauthorized", event("k1"), key=wrong)
    RIG.request("POST", f"/v1/events?key={wrong}", json.dumps(event("k2")).encode())
    accepts(event("k3"))
    log = (RIG.folder / "log").read_text()
    assert "event=open" in log
    for key in (KEY, wrong):
        assert not [part for part in (key, key.split("_")[3]) if part in log], "a key's secret is in the log"


def test_a_core_dump_would_hold_keys_and_is_not_made():
    RIG.stop()
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))
    RIG.start()
    limits = pathlib.Path(f"/proc/{RIG.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 ", limits), limits


def test_a_client_that_goes_away_costs_nothing():
    for _ in range(20):
        connection = RIG.connect()
        connection.request("POST", "/v1/events", json.dumps(event("away")),
                           {"Authorization": f"Bearer {KEY}", "Content-Type": STRUCTURED})
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sock.close()
    accepts(event("stays"))


def test_the_gateways_batch_is_taken_over_http_too():
    sys.path.insert(0, str(ROOT / "proto" / "reference"))
    import gateway_batch
    batch = gateway_batch.Batch()
    for total, http_status in ((31, 200), (32, 404)):
        batch.add(id=f"gw{total}", type="request", source="gw", subscription=OTHER,
                  properties={"$.total": total, "$.http.status": http_status})
    batch.add(id="gw2", type="request", source="gw", subscription="nobody", properties={"$.total": 1})
    status, answer, _ = RIG.post(batch.encode(), gateway_batch.CONTENT_TYPE)
    assert status == 202 and answer["accepted"] == 2, answer
    assert answer["rejected"][0]["code"] == "unknown_subscription"
    for total, http_status in (("31", "200"), ("32", "404")):
        [found] = counted(total)
        assert found["subscription"] == OTHER
        assert found["entries"][0]["dimensions"]["status"] == http_status
    refuses_whole(400, "invalid_batch", batch.encode()[:-1], gateway_batch.CONTENT_TYPE)


def test_operations():
    assert RIG.get("/healthz")[0] == 200
    assert RIG.get("/version")[1]["process"] == "ingest"
    assert RIG.request("GET", "/v1/events")[0] == 405
    accepted = RIG.metric('tollway_ingest_events_accepted_total{intake="http"}')
    accepts(event("m1"))
    assert RIG.metric('tollway_ingest_events_accepted_total{intake="http"}') == accepted + 1
    assert RIG.metric("tollway_ingest_ready") == 1


if __name__ == "__main__":
    with Rig(settings=["--kafka-intake=false"]) as RIG:
        RIG.put_catalog()
        RIG.start()
        main(sys.modules["__main__"])
