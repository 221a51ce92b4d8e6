#!/usr/bin/env python3
"""metering.md rule by rule, from outside: queries (21-27) and ingest's answers (28-31), and what
HTTP must not let through."""
# limit: 240
import csv
import gzip
import io
import json
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import urllib.parse
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from rules_rig import BATCH, LINES, STRUCTURED, Rules, base_catalog, event, run_cases, sub  # noqa: E402

MIB = 1024 * 1024


# --- query, 21 to 27 ---

def test_21_22_from_and_to_are_cut_to_minutes_and_rows_at_them(tollway):
    who, day = sub(0), "2026-11-10"
    for i, clock in enumerate(("09:59:59.999999999", "10:00:00", "10:05:59.5", "10:06:00",
                               "10:59:59", "11:00:00")):
        tollway.accepts(event(f"21-{i}", who, time=f"{day}T{clock}Z", data={"total": 10 ** i}))

    def asked(**more):
        return [(row["windowStart"] and row["windowStart"][11:], row["windowEnd"] and
                 row["windowEnd"][11:], row["value"]) for row in tollway.rows("api", who, **more)]

    def at(clock):
        return f"{day}T{clock}"
    assert asked() == [(None, None, "111111")]
    assert asked(**{"from": at("10:00:59.999Z")}) == [("10:00:00Z", None, "111110")]
    assert asked(to=at("10:05:00.000000001Z")) == [(None, "10:06:00Z", "111")]
    assert asked(to=at("10:05:00Z")) == [(None, "10:05:00Z", "11")]
    assert asked(**{"from": at("10:05:01Z"), "to": at("10:05:02Z")}) == [
        ("10:05:00Z", "10:06:00Z", "100")]
    # Rows are cut at both ends, and say so; the rest are whole.
    assert asked(windowSize="HOUR", **{"from": at("09:59:30Z"), "to": at("10:06:00Z")}) == [
        ("09:59:00Z", "10:00:00Z", "1"), ("10:00:00Z", "10:06:00Z", "110")]
    assert asked(windowSize="DAY", **{"from": at("10:06:00Z")}) == [
        ("10:06:00Z", "00:00:00Z", "111000")]
    assert asked(windowSize="HOUR", windowTimeZone="Asia/Kolkata", **{"from": at("10:00:00Z")}) == [
        ("10:00:00Z", "10:30:00Z", "1110"), ("10:30:00Z", "11:30:00Z", "110000")]
    assert asked(windowSize="MINUTE", **{"from": at("10:05:00+00:00"), "to": at("15:37:00+05:30")}) == [
        ("10:05:00Z", "10:06:00Z", "100"), ("10:06:00Z", "10:07:00Z", "1000")]
    # As far as a time can be written, and no further than asked.
    ends = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"}
    assert tollway.rows("api", who, **ends)[0] == {
        **tollway.rows("api", who)[0], "windowStart": ends["from"], "windowEnd": ends["to"]}
    assert asked(**ends, windowSize="MONTH") == [("00:00:00Z", "00:00:00Z", "111111")]
    assert asked(**{"from": "2300-01-01T00:00:00Z", "to": "2400-01-01T00:00:00Z"}) == []
    # No event, no row: for COUNT, too.
    for meter in ("api", "calls", "users", "v_avg"):
        assert tollway.rows(meter, who, **{"from": "2026-11-11T00:00:00Z"}) == []
    assert tollway.rows("api", who, windowSize="DAY", **{"from": "2026-11-11T00:00:00Z"}) == []
    for begin, end in (("10:00:00Z", "10:00:00Z"), ("10:00:01Z", "10:00:00Z"),
                       ("10:00:00+01:00", "09:00:00Z")):
        status, answer = tollway.ask("api", {"from": at(begin), "to": at(end)})
        assert (status, answer["code"]) == (400, "invalid_range"), answer


def test_22_the_answer_repeats_what_the_cuts_became(tollway):
    tollway.settle()
    status, answer = tollway.ask("api", {"filterSubscription": [sub(0)], "windowSize": "DAY",
                                         "from": "2026-11-10T10:00:59Z", "to": "2026-11-10T10:05:01Z"})
    assert status == 200 and answer["from"] == "2026-11-10T10:00:00Z", answer
    assert answer["to"] == "2026-11-10T10:06:00Z" and answer["windowSize"] == "DAY", answer
    status, answer = tollway.ask("api", {"filterSubscription": [sub(0)]})
    assert set(answer) == {"data"} and set(answer["data"][0]) == {
        "value", "windowStart", "windowEnd", "subject", "subscription", "groupBy"}, answer


SPREAD = [  # subject, method, status, total
    (None, None, None, 1), ("a", "", None, 2), ("a", "GET", "200", 4),
    ("b", "GET", 404, 8), ("é", "=1+1", "200", 16), ("z", "a,b", 'q"q', 32), ("z", "+", "\n", 64),
    ("z", "-", "\t", 128), ("z", "@x", "\r", 256), ("z", "\u20ac", "200", 512),
]


def send_spread(tollway, who):
    for i, (subject, method, status, total) in enumerate(SPREAD):
        data = {"total": total}
        if method is not None:
            data["method"] = method
        if status is not None:
            data["http"] = {"status": status}
        tollway.accepts(event(f"23-{i}", who, subject=subject, data=data))


def text(value):
    return None if value is None else str(value)


def test_23_order_is_window_subscription_subject_and_groups_null_first_bytewise(tollway):
    for who in (sub(2), sub(1)):
        send_spread(tollway, who)
    tollway.settle()

    def order(names):
        status, answer = tollway.ask("api", {"groupBy": names, "filterSubscription": [sub(2), sub(1)]})
        assert status == 200, answer
        expected = {}
        for who in (sub(1), sub(2)):
            for subject, method, code, total in SPREAD:
                every = {"subscription": who, "subject": subject, "method": method, "status": text(code)}
                fixed = [n for n in ("subscription", "subject") if n in names]
                group = [n for n in names if n in ("method", "status")]
                key = tuple(every[n] for n in [*fixed, *group])
                expected[key] = expected.get(key, 0) + total
        got = []
        for row in answer["data"]:
            assert row["subscription"] is None or "subscription" in names
            assert row["subject"] is None or "subject" in names
            key = [row[n] for n in ("subscription", "subject") if n in names]
            assert list(row["groupBy"]) == [n for n in names if n in ("method", "status")], row
            got.append((tuple([*key, *row["groupBy"].values()]), row["value"]))
        wanted = sorted(expected, key=lambda key: [(v is not None, (v or "").encode()) for v in key])
        assert got == [(key, str(expected[key])) for key in wanted], (names, got)

    for names in ([], ["subject"], ["subscription"], ["method"], ["status", "method"],
                  ["method", "status"], ["method", "subscription", "subject"],
                  ["status", "subject", "method", "subscription"]):
        order(names)


def test_24_a_list_is_an_or_and_parameters_are_an_and(tollway):
    who = sub(3)
    send_spread(tollway, who)

    def total(**more):
        rows = tollway.rows("api", who, **more)
        return int(rows[0]["value"]) if rows else None

    everything = sum(total for *_, total in SPREAD)
    for nothing in ([], None):
        for name in ("subject", "filterGroupBy", "groupBy"):
            value = nothing if name != "filterGroupBy" else {} if nothing == [] else None
            assert total(**{name: value}) == everything, (name, nothing)
        assert total(filterGroupBy={"method": nothing}) == everything
    assert total(subject=["a", "b"]) == 14 and total(subject="a") == 6
    assert total(filterGroupBy={"method": [None]}) == 1
    assert total(filterGroupBy={"method": [""]}) == 2
    assert total(filterGroupBy={"method": [None, ""]}) == 3
    assert total(filterGroupBy={"method": ["GET"], "status": ["200"]}) == 4
    assert total(filterGroupBy={"method": ["GET", None], "status": ["200", None]}) == 5
    assert total(filterGroupBy={"status": ["404"]}) == 8
    assert total(subject=["a"], filterGroupBy={"method": ["GET"]}) == 4
    assert total(subject=["a"], filterGroupBy={"method": ["PUT"]}) is None
    assert total(subject=["nobody", "A", "e\u0301"]) is None
    # A bucket has hundreds of subscriptions: as many can be named.
    assert total(filterSubscription=[who, *(f"nobody{i}" for i in range(999))]) == everything
    assert tollway.ask("api", {"filterSubscription": ["x"] * 1001})[1]["code"] == "invalid_parameter"
    # What stands in a list twice is one value.
    assert total(filterSubscription=[who, who]) == everything
    assert total(subject=["a", "a"]) == 6 and total(filterGroupBy={"method": [None, None]}) == 1
    get = tollway.ask("api", method="GET", query="?" + f"filterSubscription={who}&" * 3)
    assert int(get[1]["data"][0]["value"]) == everything, get
    [bill] = tollway.http(
        "aggregator", "GET", "/v1/ledger?" + f"filterSubscription={who}&" * 3,
        headers=[("Authorization", f"Bearer {tollway.at['adminKey']}")])[1]["subscriptions"]
    assert bill["counted"] == len(SPREAD), bill
    assert total(subject=["é"]) == 16
    tollway.settle()
    for nobody in ("nobody", sub(3).lower(), ""):
        status, answer = tollway.ask("api", {"filterSubscription": [nobody]})
        assert (status, answer["data"]) == (200, []), answer
    # A filter on every dimension beside a group by another one.
    rows = tollway.rows("api", who, groupBy=["subject"], filterGroupBy={"status": ["200"]})
    assert [(row["subject"], row["value"]) for row in rows] == [("a", "4"), ("z", "512"), ("é", "16")]


def test_24_a_get_repeats_names_and_is_what_a_post_says(tollway):
    who = sub(3)
    for pairs, body in (
            ([("filterSubscription", who), ("subject", "a"), ("subject", "b")],
             {"filterSubscription": [who], "subject": ["a", "b"]}),
            ([("filterSubscription", who), ("filterGroupBy[method]", "a,b"), ("groupBy", "status")],
             {"filterSubscription": [who], "filterGroupBy": {"method": ["a,b"]}, "groupBy": ["status"]}),
            ([("filterSubscription", who), ("filterGroupBy[method]", "GET"),
              ("filterGroupBy[method]", "+"), ("filterGroupBy[method]", "€"), ("groupBy", "method"),
              ("groupBy", "subject"), ("windowSize", "DAY"), ("windowTimeZone", "Asia/Kathmandu")],
             {"filterSubscription": [who], "filterGroupBy": {"method": ["GET", "+", "€"]},
              "groupBy": ["method", "subject"], "windowSize": "DAY", "windowTimeZone": "Asia/Kathmandu"}),
            ([("filterSubscription", f"{who},{sub(4)}")], {"filterSubscription": [f"{who},{sub(4)}"]}),
            ([("filterGroupBy[method]", "")], {"filterGroupBy": {"method": [""]}}),
            ([("from", "2026-11-10T15:30:00+05:30"), ("filterSubscription", who), ("clientId", "c")],
             {"from": "2026-11-10T10:00:00Z", "filterSubscription": [who]})):
        got = tollway.ask("api", method="GET", query="?" + urllib.parse.urlencode(pairs))
        assert got == tollway.ask("api", body) and got[0] == 200, (pairs, got)


def test_25_every_code_of_a_query(tollway):
    for code, status, body in (
            ("invalid_json", 400, "["), ("invalid_json", 400, "[]"), ("invalid_json", 400, "7"),
            ("invalid_json", 400, '{"to":null,"\\u0074o":null}'), ("invalid_json", 400, "{}{}"),
            ("invalid_parameter", 400, '{"from":1}'), ("invalid_parameter", 400, '{"from":""}'),
            ("invalid_parameter", 400, '{"from":["2026-01-01T00:00:00Z"]}'),
            ("invalid_parameter", 400, '{"windowSize":"day"}'),
            ("invalid_parameter", 400, '{"windowSize":7}'),
            ("invalid_parameter", 400, '{"windowTimeZone":"../UTC"}'),
            ("invalid_parameter", 400, '{"windowTimeZone":"/etc/localtime"}'),
            ("invalid_parameter", 400, '{"windowTimeZone":"europe/berlin"}'),
            ("invalid_parameter", 400, '{"windowTimeZone":""}'),
            ("invalid_parameter", 400, '{"windowTimeZone":"+05:30"}'),
            ("invalid_parameter", 400, '{"subject":[null]}'),
            ("invalid_parameter", 400, '{"subject":[["a"]]}'),
            ("invalid_parameter", 400, '{"subject":{"a":1}}'),
            ("invalid_parameter", 400, '{"filterSubscription":[1]}'),
            ("invalid_parameter", 400, '{"groupBy":[1]}'),
            ("invalid_parameter", 400, '{"filterGroupBy":["method"]}'),
            ("invalid_parameter", 400, '{"filterGroupBy":{"method":[true]}}'),
            ("unknown_parameter", 400, '{"groupby":[]}'), ("unknown_parameter", 400, '{"":1}'),
            ("unsupported_parameter", 400, '{"filterCustomerId":[]}'),
            ("unsupported_parameter", 400, '{"advancedMeterGroupByFilters":null}'),
            ("unknown_dimension", 400, '{"groupBy":["Method"]}'),
            ("unknown_dimension", 400, '{"groupBy":[""]}'),
            ("unknown_dimension", 400, '{"filterGroupBy":{"subject":["a"]}}'),
            ("invalid_range", 400, '{"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:00Z"}')):
        got, answer = tollway.ask("api", raw=body)
        assert (got, answer.get("code")) == (status, code), (body, got, answer)
        assert answer["status"] == status and len(answer["detail"]) > 10 and answer["title"], answer
    for query, code in (("?from=a", "invalid_parameter"), ("?windowSize=DAY&windowSize=DAY",
                        "invalid_parameter"), ("?filterGroupBy=x", "invalid_parameter"),
                        ("?filterGroupBy[method=x", "invalid_parameter"), ("?x=1", "unknown_parameter"),
                        ("?filterGroupBy[x]=1", "unknown_dimension"), ("?groupBy=x",
                        "unknown_dimension"), ("?filterCustomerId=x", "unsupported_parameter"),
                        ("?subject=%ff", "invalid_parameter"), ("?" + "subject=s&" * 101,
                        "invalid_parameter"), ("?advancedMeterGroupByFilters=x",
                                               "unsupported_parameter")):
        got, answer = tollway.ask("api", method="GET", query=query)
        assert (got, answer.get("code")) == (400, code), (query, got, answer)
    # A filter in a POST's URL would filter nothing.
    got, answer = tollway.ask("api", {}, query=f"?filterSubscription={sub(1)}")
    assert (got, answer["code"]) == (400, "invalid_parameter") and "body" in answer["detail"], answer
    for meter in ("nothing", "API", "a" * 65, "api%2F"):
        got, answer = tollway.ask(meter)
        assert got == 404 and answer["code"] in ("unknown_meter", "not_found"), (meter, answer)
    assert tollway.ask("api", raw="")[0] == 200, "an empty body asks for everything"
    assert tollway.ask("api", {"from": None, "to": None, "windowSize": None, "clientId": None})[0] == 200


def test_26_csv_marks_null_empty_quotes_and_formulas(tollway):
    who = sub(5)
    send_spread(tollway, who)
    tollway.settle()
    query = f"?filterSubscription={who}&groupBy=method&groupBy=status&groupBy=subject"
    for more, names in (("", []), ("&groupBy=subscription", ["subscription"])):
        status, body = tollway.ask("api", method="GET", query=query + more,
                                   headers=[("Accept", "text/csv")])
        lines = body.decode().split("\r\n")
        assert status == 200 and lines[0] == ",".join(
            ["window_start", "window_end", "subject", *names, "method", "status", "value"]), lines[0]
        assert body.endswith(b"\r\n") and not body.endswith(b"\r\n\r\n")
        rows = list(csv.reader(io.StringIO(body.decode(), newline="")))[1:]

        def guarded(value):
            return "" if value is None else "'" + value if value[:1] in "=+-@\t\r" and value else value
        expected = [["", "", guarded(subject), *([who] if names else []), guarded(method),
                     guarded(text(code)), str(total)] for subject, method, code, total in SPREAD]
        assert sorted(rows) == sorted(expected), rows
        raw = body.decode()
        assert f",,,{who + ',' if names else ''},,1\r\n" in raw, "null is empty"
        assert f"a,{who + ',' if names else ''}\"\",,2\r\n" in raw, '"" is quoted'
        assert '"a,b","q""q"' in raw and "'=1+1,200" in raw and "\"'\r\",256" in raw, raw
    for accept, kind in (("text/csv;q=0.9", "text/csv"), ("application/json, text/csv", "json"),
                         ("TEXT/CSV", "text/csv"), ("*/*", "json"), ("text/html", "json")):
        answer = tollway.http("aggregator", "GET",
                              f"/v3/metering/{tollway.at['bucket']}/meters/api/query",
                              headers=[("Accept", accept),
                                       ("Authorization", f"Bearer {tollway.at['adminKey']}")])
        assert answer[0] == 200 and kind in answer[2]["Content-Type"], (accept, answer[2])


def test_27_queries_and_the_ledger_need_the_admin_key(tollway):
    path = f"/v3/metering/{tollway.at['bucket']}/meters/api/query"
    for key in (None, "", "x", tollway.at["key"], tollway.at["adminKey"] + "x",
                tollway.at["adminKey"].swapcase()):
        for where, method in ((path, "GET"), (path, "POST"), ("/v1/ledger", "GET"),
                              ("/v3/metering/other/meters/api/query", "GET"),
                              (path.replace("/api/", "/nothing/"), "GET")):
            headers = [] if key is None else [("Authorization", f"Bearer {key}")]
            status, answer, _ = tollway.http("aggregator", method, where,
                                             "{}" if method == "POST" else None, headers)
            assert (status, answer["code"]) == (401, "unauthorized"), (key, where, answer)
            assert answer["type"] == "urn:tollway:problem:unauthorized", answer


# --- ingest's answers, 28 to 31 ---

def test_28_one_acceptable_event_makes_202_and_none_400(tollway):
    good, bad = event("28", sub(6)), event("28x", sub(6), type="unknown")
    assert tollway.post([], BATCH) == (202, {"accepted": 0, "rejected": []})
    assert tollway.post("", LINES) == (202, {"accepted": 0, "rejected": []})
    assert tollway.post(" \r\n\r\n \n", LINES) == (202, {"accepted": 0, "rejected": []})
    first = tollway.post([bad, good, bad], BATCH)
    assert first[0] == 202 and first[1]["accepted"] == 1, first
    assert [refusal["index"] for refusal in first[1]["rejected"]] == [0, 2]
    assert tollway.post([bad, good, bad], BATCH) == first, "a resend gets the same answer"
    late = event("28l", sub(6), time="2006-01-01T00:00:00Z")
    assert tollway.post([late, late], BATCH)[1] == {"accepted": 2, "rejected": []}
    assert tollway.ledger_of(sub(6)) == {"accepted": 4, "counted": 1, "duplicate": 1, "conflict": 0,
                                         "rejected": 0, "late": 2}
    status, answer = tollway.post([bad], BATCH)
    assert status == 400 and answer["status"] == 400 and answer["code"] == "no_acceptable_event"
    assert answer["accepted"] == 0 and len(answer["rejected"]) == 1 and answer["title"], answer


def test_29_index_id_and_pointer(tollway):
    good = json.dumps(event("29", sub(7)))
    wrong = ['{"id":7}', '{"id":null}', '{"id":"a","id":"b"}', "7", "null", '"text"', "[1]",
             json.dumps(event("i" * 257, sub(7))), json.dumps(event("29m", sub(7), data={"total": []}))]
    expected = [(None, "missing_attribute"), (None, "missing_attribute"), ("a", "duplicate_key"),
                (None, "invalid_event"), (None, "invalid_event"), (None, "invalid_event"),
                (None, "invalid_event"), (None, "too_long"), ("29m", "invalid_value")]
    status, answer = tollway.post("[" + ",".join([good, *wrong, good]) + "]", BATCH)
    assert status == 202 and answer["accepted"] == 2, answer
    assert [(r["id"], r["code"]) for r in answer["rejected"]] == expected, answer
    assert [r["index"] for r in answer["rejected"]] == list(range(1, 10))
    lines = "\r\n".join(["", good, "  ", *wrong, "{broken", "", good + "\r", '{"id":"x"'])
    status, answer = tollway.post(lines, LINES)
    assert status == 202 and answer["accepted"] == 2, answer
    assert [(r["index"], r["id"], r["code"]) for r in answer["rejected"]] == [
        *[(i + 1, *each) for i, each in enumerate(expected)], (10, None, "invalid_json"),
        (12, None, "invalid_json")], answer
    headers = [("ce-specversion", "1.0"), ("ce-id", "29b"), ("ce-source", "/s"),
               ("ce-type", "request"), ("ce-subscription", sub(7))]
    for body, code, pointer in (('{"total":-1}', "negative_value", "/data/total"),
                                ('{"total":1,"x":[{"a":"\\ud800"}]}', "invalid_string", "/data/x/0/a"),
                                ('{"total":1,"x":[{"a":1,"a":1}]}', "duplicate_key", "/data/x/0/a"),
                                ("[]", "missing_value", "/data/total"), ("", "missing_value",
                                                                        "/data/total"),
                                ("{", "invalid_data", "/data"),
                                ('{"total":1,"x":' + "[" * 15 + "]" * 15 + "}", "too_deep",
                                 "/data/x" + "/0" * 14)):
        found = tollway.refuses(body, code, pointer, "application/json", headers)
        assert found["id"] == "29b" and found["index"] == 0


def test_30_every_code_of_an_event(tollway):
    ok = event("30", sub(8))
    cases = {
        "invalid_event": "7", "too_deep": json.dumps({**ok, "data": [[]]}).replace(
            "[[]]", "[" * 16 + "]" * 16),
        "duplicate_key": json.dumps(ok)[:-1] + ',"id":"2"}', "invalid_string": {**ok, "source": "\0"},
        "too_long": {**ok, "subject": "s" * 1025}, "missing_attribute": {**ok, "type": None},
        "invalid_attribute": {**ok, "type": ""}, "unsupported_attribute": {**ok, "dataref": "d"},
        "unsupported_content": {**ok, "datacontenttype": "text/plain"},
        "invalid_data": {**ok, "data_base64": "e30="}, "unknown_type": {**ok, "type": "x"},
        "missing_subscription": {**ok, "subscription": None},
        "unknown_subscription": {**ok, "subscription": "x"},
        "ambiguous_subject": {**ok, "subscription": None, "subject": "two"},
        "subscription_inactive": {**ok, "time": "2004-12-31T23:59:59Z"},
        "time_in_future": {**ok, "time": "2200-01-01T00:00:00Z"},
        "before_event_from": {**ok, "type": "newer", "time": "2020-05-31T23:59:59.999999999Z"},
        "missing_value": {**ok, "data": None}, "invalid_value": {**ok, "data": {"total": False}},
        "negative_value": {**ok, "data": {"total": -1}}, "value_too_large": {**ok, "data": {"total": 1e15}},
        "value_too_precise": {**ok, "data": {"total": 1e-13}},
        "invalid_dimension": {**ok, "data": {"total": 1, "method": []}},
    }
    status, answer = tollway.post(
        "\n".join(["{", *[body if isinstance(body, str) else json.dumps(body)
                          for body in cases.values()]]), LINES)
    assert status == 400, answer
    assert [r["code"] for r in answer["rejected"]] == ["invalid_json", *cases], answer
    assert all(len(r["detail"]) > 20 and (r["pointer"] == "" or r["pointer"][0] == "/")
               for r in answer["rejected"]), answer
    tollway.accepts({**ok, "type": "newer", "time": "2020-06-01T00:00:00Z"})


def padded(total_bytes, ident):
    """One event of exactly so many bytes."""
    body = json.dumps(event(ident, sub(9), data={"total": 1, "pad": ""}))
    return body.replace('"pad": ""', '"pad": "%s"' % ("p" * (total_bytes - len(body))))


def test_31_sizes_pass_on_the_limit_and_not_a_byte_more(tollway):
    assert len(padded(MIB, "31")) == MIB
    tollway.accepts(padded(MIB, "31a"), content_type=STRUCTURED)
    tollway.refuses_whole(413, "body_too_large", padded(MIB + 1, "31b"))
    tollway.accepts(padded(MIB, "31c"), content_type="application/json")
    tollway.refuses_whole(413, "body_too_large", padded(MIB + 1, "31d"), "application/json")
    batch = "[" + json.dumps(event("31e", sub(9))) + "]"
    # White space that doesn't shrink to a hundredth: what does is refused as a bomb.
    dice = random.Random(31)
    full = batch[:-1] + "".join(dice.choices(" \n", k=4 * MIB - len(batch))) + "]"
    assert len(full) == 4 * MIB
    tollway.accepts(full)
    tollway.accepts(full, content_type="application/json")
    tollway.refuses_whole(413, "body_too_large", full + " ", BATCH)
    tollway.refuses_whole(413, "body_too_large", " " * (4 * MIB + 1), LINES)
    # Inflated, by gzip and by zstd.
    zstd = shutil.which("zstd")
    for encoding, pack in (("gzip", lambda plain: gzip.compress(plain, 1)), ("zstd", lambda plain: subprocess.run(
            [zstd, "-q", "-c"], input=plain, capture_output=True, check=True).stdout)):
        if encoding == "zstd" and not zstd:
            continue
        coded, packed = [("Content-Encoding", encoding)], pack(full.encode())
        tollway.accepts(packed, headers=coded)
        tollway.refuses_whole(413, "body_too_large", pack((full + " ").encode()), BATCH, coded)
        tollway.refuses_whole(413, "body_too_large", pack(b" " * 4 * MIB), BATCH, coded)
        tollway.refuses_whole(413, "body_too_large", pack(full[:MIB + 1].encode()),
                              STRUCTURED, coded)
        tollway.refuses_whole(400, "invalid_encoding", packed[:-5], BATCH, coded)
        tollway.refuses_whole(400, "invalid_encoding", pack(batch.encode()) + b"tail", BATCH, coded)
        tollway.refuses_whole(400, "invalid_encoding", b"plain", BATCH, coded)
        tollway.refuses_whole(400, "invalid_encoding", b"", BATCH, coded)
    two = gzip.compress(batch[:20].encode()) + gzip.compress(batch[20:].encode())
    tollway.accepts(two, headers=[("Content-Encoding", "GZip")])
    flipped = bytearray(gzip.compress(batch.encode()))
    flipped[-6] ^= 1  # of its check sum
    tollway.refuses_whole(400, "invalid_encoding", bytes(flipped), BATCH, [("Content-Encoding", "gzip")])
    for encoding, body in (("deflate", zlib.compress(batch.encode())), ("gzip, gzip", b"x"),
                           ("br", b"x")):
        tollway.refuses_whole(415, "unsupported_encoding", body, BATCH, [("Content-Encoding", encoding)])
    tollway.accepts(batch, headers=[("Content-Encoding", "identity")])


def test_31_a_batch_has_a_thousand_events(tollway):
    many = [event(f"31m-{i}", sub(10)) for i in range(1000)]
    tollway.accepts(*many)
    tollway.refuses_whole(413, "too_many_events", [*many, 1], BATCH)
    lines = "\n\n".join(json.dumps(each) for each in many) + "\n\n"
    assert tollway.accepts(lines, content_type=LINES) == 1000
    tollway.refuses_whole(413, "too_many_events", lines + "x", LINES)
    assert tollway.ledger_of(sub(10)) == {"accepted": 2000, "counted": 1000, "duplicate": 1000,
                                          "conflict": 0, "rejected": 0, "late": 0}


def test_31_a_broken_array_costs_all_of_it_and_a_broken_line_itself(tollway):
    one = json.dumps(event("31q", sub(11)))
    for body in (f"[{one},]", f"[{one}", f"[{one} {one}]", f"[{one}],", f"[{one},{{]", f"[,{one}]",
                 "", "  ", "nul", f"[{one}]x", f"\ufeff[{one}]", "[" * 100000):
        tollway.refuses_whole(400, "invalid_json", body, BATCH)
    for body in (one, "7", "null", '"x"', "{}"):
        tollway.refuses_whole(400, "not_an_array", body, BATCH)
    tollway.refuses_whole(400, "invalid_json", "", "application/json")
    tollway.refuses_whole(400, "invalid_json", one + one, "application/json")
    tollway.refuses_whole(400, "invalid_json", one + "\n" + one, STRUCTURED)
    tollway.refuses("[]", "invalid_event", "", STRUCTURED)
    assert tollway.rows("api", sub(11)) == []


def test_31_media_types(tollway):
    one = json.dumps(event("31t", sub(12)))
    for kind in ("application/cloudevents+json", "Application/CloudEvents+JSON ; Charset=UTF-8",
                 'application/cloudevents+json;charset="utf-8"', "application/json",
                 "application/json; charset=Utf-8; x=y", "application/x-ndjson", "application/jsonl"):
        tollway.accepts(one, content_type=kind)
    tollway.accepts(f" \n\t[{one}]", content_type="application/json")
    for kind in ("application/json; charset=utf-16", "application/cloudevents+json;charset=latin1",
                 "application/x-ndjson; charset=us-ascii", "application/cloudevents",
                 "application/cloudevents+xml", "application/cloudevents-batch",
                 "application/cloudevents+json+x", "text/json", "application/ld+json",
                 "application/jsonx", "json", "application/", "", "application/json; charset",
                 "application/json, text/plain"):
        tollway.refuses_whole(415, "unsupported_media_type", one, kind or None)


def test_a_broken_body_of_a_change_is_told_with_its_place(tollway):
    path = f"/v3/metering/{tollway.at['bucket']}/subscriptions/{sub(14)}/change/estimate-credit"
    for body, told in (('{"plan":{"key":"payg","key":"x"}}', "duplicate object key near '\"key\"' (line 1, "),
                       ('{\n"plan":', "(line 2, "), ("[]", "isn't an object")):
        status, answer, _ = tollway.http("invoicer", "POST", path, body,
                                         [("Authorization", f"Bearer {tollway.at['adminKey']}")])
        assert status == 400 and told in answer["detail"], answer


# --- what HTTP must not let through: facts.md C.4 ---

def exchange(tollway, request, process="ingest"):
    """All that comes back on one connection: the status of each answer."""
    host, port = urllib.parse.urlparse(tollway.at[process]).netloc.split(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while chunk := connection.recv(65536):
            got += chunk
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [A-Z]", got)]


def test_no_request_hides_in_another(tollway):
    body = json.dumps(event("hidden", sub(13))).encode()
    auth = f"Authorization: Bearer {tollway.at['key']}\r\n".encode()
    kind = b"Content-Type: application/cloudevents+json\r\n"
    hidden = (b"POST /v1/events HTTP/1.1\r\nHost: a\r\n" + auth + kind +
              b"Content-Length: %d\r\n\r\n" % len(body) + body)
    chunked = b"%x\r\n" % len(hidden) + hidden + b"\r\n0\r\n\r\n"

    def post(*lines, rest=b"", start=b"POST /v1/nothing HTTP/1.1\r\n"):
        return start + b"".join(lines) + b"\r\n" + rest

    host, te = b"Host: a\r\n", b"Transfer-Encoding: chunked\r\n"
    length = b"Content-Length: %d\r\n" % len(hidden)
    cases = {
        "length and chunked": post(host, length, te, rest=chunked),
        "chunked and length": post(host, te, length, rest=chunked),
        "two lengths": post(host, length, b"Content-Length: 0\r\n", rest=hidden),
        "a list of lengths": post(host, b"Content-Length: 0, %d\r\n" % len(hidden), rest=hidden),
        "a signed length": post(host, b"Content-Length: +0\r\n", rest=hidden),
        "a hex length": post(host, b"Content-Length: 0x0\r\n", rest=hidden),
        "a length with space": post(host, b"Content-Length: 0 0\r\n", rest=hidden),
        "an endless length": post(host, b"Content-Length: " + b"9" * 40 + b"\r\n", rest=hidden),
        "another coding": post(host, b"Transfer-Encoding: xchunked\r\n", rest=chunked),
        "chunked first": post(host, b"Transfer-Encoding: chunked, identity\r\n", rest=chunked),
        "chunked twice": post(host, te, te, rest=chunked),
        "identity": post(host, b"Transfer-Encoding: identity\r\n", rest=hidden),
        "a space before the colon": post(host, b"Transfer-Encoding : chunked\r\n", rest=chunked),
        "a folded coding": post(host, b"Transfer-Encoding:\r\n chunked\r\n", rest=chunked),
        "a bare LF": post(host, b"Content-Length: 0\n", b"X: y\r\n", rest=hidden),
        "all bare LF": post(b"Host: a\n", b"\n", start=b"POST /v1/nothing HTTP/1.1\n") + hidden,
        "a bare CR": post(host, b"X: a\rContent-Length: 0\r\n", rest=hidden),
        "CR ends the head": b"POST /v1/nothing HTTP/1.1\r\nHost: a\r\nX: y\r\r\n" + hidden,
        "a NUL": post(host, b"X: a\0b\r\n", rest=hidden),
        "a chunk's LF": post(host, te, rest=b"5\nhello\r\n0\r\n\r\n" + hidden),
        "a huge chunk": post(host, te, rest=b"fffffffffffffffff\r\n" + hidden),
        "a chunk's minus": post(host, te, rest=b"-1\r\n" + hidden),
        "a chunk's extension of 300 bytes": post(host, te, rest=b"5;" + b"x" * 300 + b"\r\nhello\r\n0"
                                                 b"\r\n\r\n" + hidden),
        "no host": post(b"X: y\r\n", rest=hidden),
        "two hosts": post(host, b"Host: b\r\n", rest=hidden),
        "two keys": post(host, auth, b"Authorization: Bearer other\r\n", rest=hidden),
        "two types": post(host, kind, b"content-type: text/plain\r\n", rest=hidden),
        "chunked in HTTP/1.0": post(host, te, rest=chunked, start=b"POST /v1/nothing HTTP/1.0\r\n"),
        "HTTP/1.2": post(host, rest=hidden, start=b"POST /v1/nothing HTTP/1.2\r\n"),
        "HTTP/2.0": post(host, rest=hidden, start=b"POST /v1/nothing HTTP/2.0\r\n"),
        "HTTP/0.9": b"GET /healthz\r\n" + hidden,
        "a lower method": post(host, rest=hidden, start=b"post /v1/nothing HTTP/1.1\r\n"),
        "another host in the target": post(host, rest=hidden,
                                           start=b"POST http://b/v1/nothing HTTP/1.1\r\n"),
        "a body on GET": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n" + hidden,
        "an upgrade": b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
                      + hidden,
        "CONNECT": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + hidden,
        "an expectation": post(host, b"Expect: 200-maybe\r\n", rest=hidden),
        "65 headers": post(host, *[b"X-%d: y\r\n" % i for i in range(65)], rest=hidden),
        "headers of 17 KiB": post(host, b"X: " + b"y" * 17000 + b"\r\n", rest=hidden),
        "a line of 3 KiB": post(host, rest=hidden, start=b"POST /" + b"n" * 3000 + b" HTTP/1.1\r\n"),
    }
    for process in ("ingest", "aggregator", "invoicer"):
        for name, request in cases.items():
            statuses = exchange(tollway, request, process)
            assert len(statuses) == 1 and 400 <= statuses[0] < 600, (process, name, statuses)
            assert statuses[0] != 500, (process, name)
    assert tollway.rows("api", sub(13)) == [], "the hidden event was counted"
    # Sent in the open, behind another request, it is counted.
    assert exchange(tollway, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + hidden) == [200, 202]
    tollway.sent += 1
    assert tollway.value("api", sub(13)) == "1"


def main():
    catalog = base_catalog()
    catalog["customers"].append({"key": "two", "name": "Two"})
    catalog["subscriptions"] += [{"id": f"01ARZ3NDEKTSV4RRFFQ69H200{i}", "customerKey": "two",
                                  "plan": {"key": "payg"}, "activeFrom": "2005-01-01T00:00:00Z"}
                                 for i in range(2)]
    with Rules(None, catalog) as tollway:
        run_cases(sys.modules[__name__], tollway)


if __name__ == "__main__":
    main()
