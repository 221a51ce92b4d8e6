#!/usr/bin/env python3
"""metering.md rule by rule, from outside: catalog (1-5), events (6-10), values (15-18), windows (19).

Started by scripts/up; what is expected is worked out here, from the rules' text.
"""
# limit: 240
import datetime
import fractions
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from rules_rig import (BATCH, LINES, STRUCTURED, Rules, ago, base_catalog, event, run_cases,  # noqa: E402
                       shortest, sub, text_of, utc, wait_until, window_of)


def raw(ident, subscription, total):
    """An event whose value is written exactly so."""
    return json.dumps(event(ident, subscription, data={"total": "@"})).replace('"@"', total)


def more_subscriptions():
    """For the look-up of subjects: names that several kinds could know."""
    def one(ident, customer, begin="2005-01-01T00:00:00Z", **more):
        return {"id": ident, "customerKey": customer, "plan": {"key": "payg"}, "activeFrom": begin,
                **more}
    return [
        one("01ARZ3NDEKTSV4RRFFQ69H1000", "c70", consumer={"name": sub(71)}),
        one("01ARZ3NDEKTSV4RRFFQ69H1001", "c70", consumer={"name": "c72"}),
        one("01ARZ3NDEKTSV4RRFFQ69H1002", "c73", consumer={"name": "c74"},
            activeTo="2010-01-01T00:00:00Z"),
        one("01ARZ3NDEKTSV4RRFFQ69H1003", "c75", activeTo="2020-01-01T00:00:00Z"),
        one("01ARZ3NDEKTSV4RRFFQ69H1004", "c75", begin="2020-01-01T00:00:00Z",
            activeTo="2020-02-01T00:01:00Z"),
        one("01ARZ3NDEKTSV4RRFFQ69H1005", "onlyone", begin="2020-01-01T00:00:00Z",
            activeTo="2020-02-01T00:01:00Z"),
    ]


# --- catalog, 1 to 5 ---

def test_01_an_empty_catalog_applies_and_an_unknown_member_is_named(tollway):
    assert tollway.apply({})[0] == 0
    for file, pointer in (({"metres": []}, "/metres"),
                          ({"meters": [{"slug": "x", "aggregation": "COUNT", "unit": "s"}]},
                           "/meters/0/unit")):
        status, text = tollway.apply(file, "unknown.json")
        assert status == 65 and pointer in text and "unknown_member" in text, (status, text)
        assert "unknown.json" in text, text


def test_02_event_type_is_the_slug_unless_given_and_unequal_keys_are_named(tollway):
    tollway.accepts(event("2", sub(0), type="ping", data=...))
    assert tollway.value("ping", sub(0)) == "1"
    for feature, card in (({"key": "other", "name": "O", "meterSlug": "api"}, None),
                          (None, {"key": "other", "featureKey": "api"})):
        catalog = base_catalog()
        if feature:
            catalog["features"] = [feature]
        else:
            catalog["plans"][0]["phases"][0]["rateCards"][0].update(card)
        status, text = tollway.apply(catalog)
        assert status == 65 and "other" in text and "api" in text and "mismatch" in text, text


def test_03_a_file_applies_whole_or_not_at_all_and_twice_changes_nothing(tollway):
    good = {"slug": "later", "eventType": "ping", "aggregation": "COUNT"}
    status, _ = tollway.apply({"meters": [good, {"slug": "no!", "aggregation": "COUNT"}]})
    assert status == 65
    assert tollway.ask("later")[1]["code"] == "unknown_meter"
    assert tollway.apply(base_catalog())[0] == 0
    before = len(tollway.get("catalog"))
    assert tollway.apply(base_catalog())[0] == 0
    assert len(tollway.get("catalog")) == before
    tollway.accepts(event("3a", sub(1), type="ping", data=...))
    tollway.settle()
    assert tollway.apply({"meters": [good]})[0] == 0
    wait_until(lambda: tollway.ask("later")[0] == 200, 20, "the meter at the aggregator")

    def counts():
        tollway.accepts(event(f"3-{tollway.sent}", sub(1), type="ping", data=...))
        return tollway.rows("later", sub(1))
    wait_until(counts, 20, "the meter at ingest")
    # A change counts for what arrives later: the first one was never this meter's.
    assert int(tollway.value("later", sub(1))) < int(tollway.value("ping", sub(1)))


def test_04_subscriptions_begin_on_whole_minutes_and_consumers_are_one_each(tollway):
    one = {"id": "01ARZ3NDEKTSV4RRFFQ69H2000", "customerKey": "c0", "plan": {"key": "payg"},
           "activeFrom": "2005-01-01T00:00:01Z"}
    status, text = tollway.apply({"subscriptions": [one]})
    assert status == 65 and "/subscriptions/0/activeFrom" in text, text
    one["activeFrom"] = "2005-01-01T00:00:00Z"
    twin = {**one, "id": "01ARZ3NDEKTSV4RRFFQ69H2001", "consumer": {"name": "twin"}}
    status, text = tollway.apply({"subscriptions": [{**one, "consumer": {"name": "twin"}}, twin]})
    assert status == 65 and "consumer" in text, text
    without = {name: value for name, value in one.items() if name != "id"}
    assert tollway.apply({"subscriptions": [without]})[0] == 65


def test_05_paths_have_eight_named_steps_at_most(tollway):
    tollway.accepts(event("5", sub(2), type="odd", data={"a.b": {"c d": {"e": {"f": {"g": {"h": {
        "i": {"~/": "2.5"}}}}}}}, "d0": "x", "d7": None}))
    assert tollway.value("odd", sub(2)) == "2.5"
    tollway.refuses(event("5b", sub(2), type="odd", data={}), "missing_value",
                    "/data/a.b/c d/e/f/g/h/i/~0~1")
    for change in ({"valueProperty": "$.a[0]"}, {"valueProperty": "$.*"}, {"valueProperty": "a"},
                   {"valueProperty": "$"}, {"valueProperty": "$.a" + ".b" * 8},
                   {"valueProperty": "$..a"}, {"valueProperty": "$.a[?(@.b)]"},
                   {"valueProperty": "$.a", "aggregation": "COUNT"},
                   {"valueProperty": "$.a", "groupBy": {f"d{i}": "$.a" for i in range(9)}},
                   {"valueProperty": "$.a", "groupBy": {"subject": "$.a"}},
                   {"valueProperty": "$.a", "groupBy": {"subscription": "$.a"}}):
        made = {"slug": "bad", "eventType": "bad", "aggregation": "SUM", **change}
        status, text = tollway.apply({"meters": [made]})
        assert status == 65 and "/meters/0/" in text, (change, text)


# --- events, 6 to 10 ---

def test_06_depth_names_and_strings(tollway):
    whole = json.dumps(event("6", sub(3)))

    def with_data(text, ident="6x"):
        return json.dumps(event(ident, sub(3), data="@")).replace('"@"', text)

    # data's object is level 2, so 14 more fit.
    tollway.accepts(with_data('{"total":1,"x":' + "[" * 14 + "]" * 14 + "}", "6a"),
                    content_type=STRUCTURED)
    tollway.accepts(with_data('{"total":1,"x":' + '{"y":' * 13 + "[]" + "}" * 13 + "}", "6b"),
                    content_type=STRUCTURED)
    tollway.refuses(with_data('{"total":1,"x":' + "[" * 15 + "]" * 15 + "}"), "too_deep",
                    "/data/x" + "/0" * 14)
    tollway.refuses(with_data('{"total":1,"x":[[{"a":1,"b":2,"\\u0061":3}]]}'), "duplicate_key",
                    "/data/x/0/0/a")
    tollway.refuses(with_data('{"total":1,"":1,"":2}'), "duplicate_key", "/data/")
    tollway.accepts(with_data('{"total":1,"x":{"a":1},"y":{"a":1}}', "6c"), content_type=STRUCTURED)
    for bad in ("\\u0000", "\\ud83d", "\\ude00", "\\ude00\\ud83d", "a\\ud800b"):
        tollway.refuses(with_data('{"total":1,"x":[5,{"%s":1}]}' % bad), "invalid_string",
                        "/data/x/1")
        tollway.refuses(with_data('{"total":1,"x":["%s"]}' % bad), "invalid_string", "/data/x/0")
    tollway.refuses(whole.encode().replace(b"/rules", b"/\xed\xa0\x80"), "invalid_string", "/source")
    tollway.refuses(whole.encode().replace(b"/rules", b"/\xc0\xaf"), "invalid_string", "/source")
    tollway.refuses(whole.encode().replace(b"/rules", b"/\xf4\x90\x80\x80"), "invalid_string",
                    "/source")
    tollway.accepts(with_data('{"total":1,"x":"\\ud83d\\ude00"}', "6d"), content_type=STRUCTURED)


def test_06_lengths_are_bytes_and_strings_compare_byte_by_byte(tollway):
    tollway.accepts(event("i" * 256, sub(4)), event("é" * 128, sub(4)),
                    event("6e", sub(4), subject="s" * 1024),
                    event("6f", sub(4), data={"total": 1, "method": "m" * 1024}),
                    event("6g", sub(4), type="login", data={"user": "u" * 1024}))
    tollway.refuses(event("é" * 128 + "i", sub(4)), "too_long", "/id")
    tollway.refuses(event("6h", "s" * 257), "too_long", "/subscription")
    tollway.refuses(event("6i", sub(4), subject="é" * 512 + "s"), "too_long", "/subject")
    tollway.refuses(event("6j", sub(4), source="/" * 1025), "too_long", "/source")
    tollway.refuses(event("6k", sub(4), ext="e" * 1025), "too_long", "/ext")
    tollway.refuses(event("6l", sub(4), data={"total": 1, "method": "m" * 1025}), "too_long",
                    "/data/method")
    tollway.refuses(event("6m", sub(4), type="login", data={"user": "u" * 1025}), "too_long",
                    "/data/user")
    # Composed and decomposed, upper and lower: four texts. An unused long text harms nobody.
    names = ["caf\u00e9", "cafe\u0301", "CAF\u00c9", "café "]
    tollway.accepts(*[event("same", sub(5), subject=name, source=f"/{i}",
                            data={"total": 1, "method": name, "note": "n" * 5000})
                      for i, name in enumerate(names)])
    rows = tollway.rows("api", sub(5), groupBy=["subject"])
    assert [row["subject"] for row in rows] == sorted(names, key=str.encode), rows


SAME_TIMES = [
    ("2026-10-31T10:00:00Z", "2026-10-31t10:00:00z"),
    ("2026-10-31T10:00:00Z", "2026-10-31T10:00:00.000000000Z"),
    ("2026-10-31T10:00:00Z", "2026-10-31T15:45:00+05:45"),
    ("2026-10-31T10:00:00Z", "2026-10-30T22:00:00-12:00"),
    ("2026-10-31T10:00:00Z", "2026-10-31T10:00:00-00:00"),
    ("2026-10-31T10:00:00Z", "2026-11-01T09:59:00+23:59"),
    ("2026-10-31T10:00:00.1Z", "2026-10-31T10:00:00.1000000009999Z"),
    ("2026-10-31T10:00:00.123456789Z", "2026-10-31T10:00:00.1234567899999999999999999Z"),
    ("2026-10-31T23:59:60Z", "2026-10-31T23:59:59.999999999Z"),
    ("2026-10-31T23:59:60.5Z", "2026-10-31T23:59:59.999999999Z"),
    ("2026-11-01T05:29:60+05:30", "2026-10-31T23:59:59.999999999Z"),
    ("2026-10-31T15:59:60-08:00", "2026-10-31T23:59:59.999999999Z"),
    ("2024-02-29T23:59:60Z", "2024-02-29T23:59:59.999999999Z"),
]
OTHER_TIMES = [
    ("2026-10-31T10:00:00Z", "2026-10-31T10:00:00.000000001Z"),
    ("2026-10-31T10:00:00.123456789Z", "2026-10-31T10:00:00.123456788Z"),
    ("2026-10-31T23:59:60Z", "2026-10-31T23:59:59.999999998Z"),
]
NO_TIMES = ["2026-10-31", "2026-10-31T10:00Z", "2026-10-31T10:00:00", "2026-10-31 10:00:00Z",
            "2026-10-31T10:00:00.Z", "2026-10-31T10:00:00,5Z", "2026-10-31T24:00:00Z",
            "2026-10-31T10:60:00Z", "2026-10-31T10:00:61Z", "2026-02-29T10:00:00Z",
            "2026-10-31T10:00:00+24:00", "2026-10-31T10:00:00+05:60", "2026-10-31T10:00:00+0530",
            "2026-10-31T10:00:00+05", "2026-13-01T10:00:00Z", "2026-00-01T10:00:00Z",
            "2026-10-00T10:00:00Z", "26-10-31T10:00:00Z", "+2026-10-31T10:00:00Z",
            "2026-10-31T23:58:60Z", "2026-10-30T23:59:60Z", "2026-10-31T22:59:60Z",
            "2026-10-31T23:59:60+01:00", "2026-10-31T10:00:00ZZ", " 2026-10-31T10:00:00Z",
            "2026-10-31T10:00:00Z ", "1793440800", "2026-10-31T10:00:00\u00a0Z"]


def test_07_14_times_are_instants_however_they_are_written(tollway):
    for i, (one, other) in enumerate(SAME_TIMES + OTHER_TIMES):
        tollway.accepts(event(f"7-{i}", sub(6), time=one), event(f"7-{i}", sub(6), time=other))
    assert tollway.ledger_of(sub(6)) == {
        "accepted": 2 * len(SAME_TIMES + OTHER_TIMES), "counted": len(SAME_TIMES + OTHER_TIMES),
        "duplicate": len(SAME_TIMES + OTHER_TIMES), "conflict": len(OTHER_TIMES), "rejected": 0,
        "late": 0}
    for text in NO_TIMES:
        tollway.refuses(event("7x", sub(6), time=text), "invalid_attribute", "/time")
    tollway.refuses(event("7x", sub(6), time=1793440800), "invalid_attribute", "/time")
    for text in ("9999-12-31T23:59:59Z", "2262-04-12T00:00:00Z", ago(-310)):
        tollway.refuses(event("7x", sub(6), time=text), "time_in_future", "/time")
    tollway.accepts(event("7y", sub(6), time=ago(-280)))


def test_07_12_the_first_years_are_late_and_not_wrong(tollway):
    catalog = base_catalog()["subscriptions"][7]
    catalog["activeFrom"] = "1000-01-01T00:00:00Z"
    times = ["1000-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "1677-09-21T00:12:43Z"]
    tollway.refuses(event("7z", sub(7), time="0000-01-01T00:00:00Z"), "subscription_inactive",
                    "/subscription")
    for i, text in enumerate(times):
        status, answer = tollway.post(event(f"7o{i}", sub(7), time=text))
        assert status == 400 and answer["rejected"][0]["code"] == "subscription_inactive", answer


def test_09_the_first_kind_that_knows_a_subject_decides(tollway):
    def goes_to(subject, subscription, time=...):
        before = tollway.ledger_of(subscription)["counted"]
        tollway.accepts(event(f"9-{tollway.sent}", ..., subject=subject, time=time))
        assert tollway.ledger_of(subscription)["counted"] == before + 1, subject

    goes_to(sub(71), sub(71))                                      # an id, before a consumer
    goes_to("c72", "01ARZ3NDEKTSV4RRFFQ69H1001")                   # a consumer, before a customer
    tollway.refuses(event("9x", ..., subject="c74"), "subscription_inactive", "/subject")
    goes_to("c74", "01ARZ3NDEKTSV4RRFFQ69H1002", "2009-12-31T23:59:59.999999999Z")
    goes_to("onlyone", "01ARZ3NDEKTSV4RRFFQ69H1005", "2020-01-01T00:00:00Z")
    goes_to("onlyone", "01ARZ3NDEKTSV4RRFFQ69H1005", "2020-02-01T00:00:59.999999999Z")
    for time in ("2019-12-31T23:59:59.999999999Z", "2020-02-01T00:01:00Z"):
        tollway.refuses(event("9x", ..., subject="onlyone", time=time), "subscription_inactive",
                        "/subject")
        tollway.refuses(event("9x", "01ARZ3NDEKTSV4RRFFQ69H1005", time=time),
                        "subscription_inactive", "/subscription")
    # c75 has one since 2005, and up to 2020 and in January 2020 another: two at each time.
    for time in ("2019-06-01T00:00:00Z", "2020-01-15T00:00:00Z"):
        tollway.refuses(event("9x", ..., subject="c75", time=time), "ambiguous_subject", "/subject")
    goes_to("c75", sub(75), "2020-02-01T00:01:00Z")
    # `subscription` decides alone, though the subject would lead elsewhere, or is unknown.
    tollway.accepts(event("9s", sub(8), subject="c72"), event("9t", sub(8), subject="nobody"))
    assert tollway.ledger_of(sub(8))["counted"] == 2
    tollway.refuses(event("9x", "c72", subject="c72"), "unknown_subscription", "/subscription")
    tollway.refuses(event("9x", sub(8).lower()), "unknown_subscription", "/subscription")


def test_10_sampled_and_referenced_data_are_refused_and_other_extensions_ignored(tollway):
    tollway.accepts(event("10", sub(9), sampledrate=1), event("10", sub(9), sampledrate="1"),
                    event("10", sub(9), partitionkey="p", sequence="9", expirytime="1999-01-01"),
                    event("10", sub(9), sampledrate=None, dataref=None))
    assert tollway.ledger_of(sub(9)) == {"accepted": 4, "counted": 1, "duplicate": 3, "conflict": 0,
                                         "rejected": 0, "late": 0}
    for value in (2, "10", 0, -1, True):
        tollway.refuses(event("10x", sub(9), sampledrate=value), "unsupported_attribute",
                        "/sampledrate")
    tollway.refuses(event("10x", sub(9), dataref="https://a/b"), "unsupported_attribute", "/dataref")
    for encoded, code in (("eyJ0b3RhbCI6MX0", "invalid_data"), ("eyJ0b3RhbCI6MX0=", None),
                          ("bm9wZQ==", "invalid_data"), ("", "invalid_data"),
                          ("eyJ0b3RhbCI6MX0 =", "invalid_data")):
        made = event("10b", sub(9), data=..., data_base64=encoded)
        if code:
            tollway.refuses(made, code, "/data_base64")
        else:
            tollway.accepts(made)


# --- one bad value refuses it whole, 11 ---

def test_11_a_bad_dimension_of_one_meter_costs_the_event_for_all(tollway):
    tollway.refuses(event("11", sub(10), data={"total": 1, "http": {"status": {}}}),
                    "invalid_dimension", "/data/http/status")
    tollway.refuses(event("11", sub(10), type="sample", data={"v": "x"}), "invalid_value", "/data/v")
    assert tollway.rows("calls", sub(10)) == []


# --- values, 15 to 18 ---

GOOD_VALUES = {
    "1e3": "1000", "1.0": "1", "-0": "0", "-0.0": "0", "0e999999999": "0", "1E+3": "1000",
    "1e-12": "0.000000000001", "0.0000000000010": "0.000000000001", "1.0000000000000": "1",
    "999999999999999.999999999999": "999999999999999.999999999999", "1e14": "100000000000000",
    "0.1e15": "100000000000000", "10000000000000000e-2": "100000000000000", "0.5": "0.5",
    '"12.50"': "12.5", '"007"': "7", '"-0"': "0", '"-0.000"': "0", '"0.0000000000010"':
    "0.000000000001", '"000000000000000000001"': "1", "100e-2": "1", "123456789012345e-12":
    "123.456789012345", "0.000001e6": "1", "1" + "0" * 30 + "e-30": "1",
}
BAD_VALUES = {
    "1e15": "value_too_large", "1e999999999999999999999": "value_too_large",
    "1000000000000000": "value_too_large", '"1000000000000000"': "value_too_large",
    "0.0000000000001": "value_too_precise", "1e-13": "value_too_precise",
    "1e-99999999999999999999": "value_too_precise", '"0.0000000000001"': "value_too_precise",
    "999999999999999.9999999999999": "value_too_precise",
    "-1": "negative_value", "-1e-13": "negative_value", "-1e99": "negative_value",
    '"-0.5"': "negative_value", "null": "missing_value", "true": "invalid_value",
    "[]": "invalid_value", "[1]": "invalid_value", "{}": "invalid_value", '""': "invalid_value",
    '" 1"': "invalid_value", '"1 "': "invalid_value", '"+1"': "invalid_value",
    '".5"': "invalid_value", '"5."': "invalid_value", '"1e3"': "invalid_value",
    '"0x10"': "invalid_value", '"1,5"': "invalid_value", '"Infinity"': "invalid_value",
    '"-"': "invalid_value", '"--1"': "invalid_value", '"\\uff11"': "invalid_value",
}


def test_15_values_are_decimals_of_fifteen_and_twelve_places(tollway):
    for i, (text, value) in enumerate(GOOD_VALUES.items()):
        tollway.accepts(raw(f"15-{i}", sub(11), text).replace('"/rules"', f'"/rules","subject":"{i}"'),
                        content_type=STRUCTURED)
    rows = {row["subject"]: row["value"] for row in tollway.rows("api", sub(11), groupBy=["subject"])}
    for i, (text, value) in enumerate(GOOD_VALUES.items()):
        assert rows[str(i)] == value, (text, rows[str(i)], value)
    total = sum(fractions.Fraction(value) for value in GOOD_VALUES.values())
    assert tollway.value("api", sub(11)) == shortest(total)
    for text, code in BAD_VALUES.items():
        tollway.refuses(raw("15x", sub(11), text), code, "/data/total")
    for text in ("01", "1.", ".5", "+1", "0x1", "1e", "NaN", "--1", "-"):
        tollway.refuses_whole(400, "invalid_json", raw("15x", sub(11), text))


def test_16_dimensions_are_texts_and_one_text_is_one_value(tollway):
    written = {'"1"': "1", "1": "1", "1.0": "1", "1e0": "1", "10e-1": "1", "-0": "0", "0": "0",
               "0.0": "0", "1e3": "1000", '"1e3"': "1e3", '"1.0"': "1.0", "true": "true",
               '"true"': "true", "false": "false", "null": None, '""': "", "-5.50": "-5.5",
               "1e-12": "0.000000000001"}
    for i, text in enumerate(written):
        body = json.dumps(event(f"16-{i}", sub(12), data={"total": 1, "method": "@"}))
        tollway.accepts(body.replace('"@"', text), content_type=STRUCTURED)
    tollway.accepts(event("16-absent", sub(12)))
    expected = {}
    for value in [*written.values(), None]:
        expected[value] = expected.get(value, 0) + 1
    rows = tollway.rows("api", sub(12), groupBy=["method"])
    assert {row["groupBy"]["method"]: int(row["value"]) for row in rows} == expected, rows
    order = [row["groupBy"]["method"] for row in rows]
    assert order == sorted(order, key=lambda name: (name is not None, (name or "").encode())), order


def test_16_unique_count_counts_texts(tollway):
    written = ['"1"', "1", "1.0", "1e0", "true", '"true"', '"TRUE"', "false", "-0", "0", '"0"', "-5",
               '"a"', '"A"', '" a"', "0.10", '"0.1"', '"0.10"']
    texts = {"1", "true", "TRUE", "false", "0", "-5", "a", "A", " a", "0.1", "0.10"}
    for i, text in enumerate(written):
        body = json.dumps(event(f"16u-{i}", sub(13), type="login", data={"user": "@", "region": i % 2}))
        tollway.accepts(body.replace('"@"', text), content_type=STRUCTURED)
    assert tollway.value("users", sub(13)) == str(len(texts))
    rows = tollway.rows("users", sub(13), groupBy=["region"])
    assert sum(int(row["value"]) for row in rows) > len(texts), "some stand in both regions"
    for value, code in (("", "invalid_value"), (None, "missing_value"), ([], "invalid_value"),
                        ({}, "invalid_value")):
        tollway.refuses(event("16x", sub(13), type="login", data={"user": value}), code, "/data/user")


def test_17_past_ten_thousand_combinations_a_day_new_ones_are_other_in_all(tollway):
    day, next_day = "2026-10-05", "2026-10-06"
    for begin in range(0, 10000, 1000):
        tollway.accepts(*[event(f"17-{i}", sub(14), subject=f"s{i}", time=f"{day}T08:00:00Z",
                                data={"total": 1, "method": "GET"})
                          for i in range(begin, begin + 1000)])
    tollway.settle()
    tollway.accepts(event("17-a", sub(14), subject="s1", time=f"{day}T09:00:00Z",
                          data={"total": 10, "method": "GET"}),      # known
                    event("17-b", sub(14), subject="s1", time=f"{day}T09:00:00Z",
                          data={"total": 100, "method": "PUT"}),     # a new combination of old parts
                    event("17-c", sub(14), time=f"{day}T09:00:00Z", data={"total": 1000}),
                    event("17-d", sub(14), subject="new", time=f"{next_day}T09:00:00Z",
                          data={"total": 10000}))                   # another day
    rows = tollway.rows("api", sub(14), groupBy=["subject", "method"], **{
        "from": f"{day}T09:00:00Z"})
    assert [(row["subject"], row["groupBy"]["method"], row["value"]) for row in rows] == [
        ("__other__", "__other__", "1100"), ("new", None, "10000"), ("s1", "GET", "10")], rows
    # `calls` has no dimensions: its combinations are subjects, so none of the parts is new to it
    # but the absent subject.
    rows = tollway.rows("calls", sub(14), groupBy=["subject"], **{"from": f"{day}T09:00:00Z",
                                                                   "to": f"{next_day}T00:00:00Z"})
    assert [(row["subject"], row["value"]) for row in rows] == [("__other__", "1"), ("s1", "2")], rows
    assert tollway.value("api", sub(14)) == "21110"


def test_18_avg_is_rounded_half_away_from_zero(tollway):
    for number, values in enumerate((["1", "0", "0"], ["1", "1", "0"], ["1e-12", "0"],
                                     ["3e-12", "0"], ["1e-12", "0", "0"], ["2e-12", "0", "0"],
                                     ["999999999999999.999999999999"] * 3, ["0"])):
        for i, text in enumerate(values):
            body = json.dumps(event(f"18-{number}-{i}", sub(15), type="sample",
                                    data={"v": "@", "k": str(number)})).replace('"@"', text)
            tollway.accepts(body, content_type=STRUCTURED)
        mean = sum(map(fractions.Fraction, values)) * 10 ** 12 / len(values)
        rounded = int(mean + fractions.Fraction(1, 2))  # none is negative
        got = tollway.value("v_avg", sub(15), filterGroupBy={"k": [str(number)]})
        assert got == shortest(fractions.Fraction(rounded, 10 ** 12)), (values, got)


def test_18_latest_is_the_greatest_time_then_the_greatest_value(tollway):
    at = "2026-11-20T10:00:%sZ"
    sent = [("1", at % "05.000000001"), ("9", at % "05"), ("3", at % "05.000000001"),
            ("2", at % "05.000000001"), ("8", at % "04")]
    random.Random(18).shuffle(sent)
    for i, (value, time) in enumerate(sent):
        tollway.accepts(event(f"18l-{i}", sub(16), type="sample", time=time, data={"v": value}))
    assert tollway.value("v_latest", sub(16)) == "3"
    assert tollway.value("v_min", sub(16)) == "1" and tollway.value("v_max", sub(16)) == "9"
    # Over windows: each its own, and a new row of an earlier minute changes only that one.
    tollway.accepts(event("18m", sub(16), type="sample", time="2026-11-20T09:00:00Z", data={"v": 70}))
    assert tollway.value("v_latest", sub(16)) == "3"
    assert [row["value"] for row in tollway.rows("v_latest", sub(16), windowSize="HOUR")] == ["70", "3"]


# --- windows, 19 ---

CLOCK_CHANGES = [  # zone, a UTC minute of the change, hours around it
    ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"), ("Australia/Lord_Howe", "2026-04-04T15:00:00Z"),
    ("America/St_Johns", "2026-11-01T04:30:00Z"), ("America/St_Johns", "2026-03-08T05:30:00Z"),
    ("America/St_Johns", "2010-11-07T02:31:00Z"), ("America/St_Johns", "2010-03-14T03:31:00Z"),
    ("Asia/Kathmandu", "2026-10-03T18:15:00Z"), ("Pacific/Chatham", "2026-09-26T14:00:00Z"),
    ("Europe/Berlin", "2026-10-25T01:00:00Z"), ("Europe/Berlin", "2026-03-29T01:00:00Z"),
    ("America/Santiago", "2026-09-06T04:00:00Z"), ("Africa/Cairo", "2026-10-29T21:00:00Z"),
    ("Pacific/Apia", "2011-12-30T10:00:00Z"), ("Asia/Pyongyang", "2018-05-04T15:00:00Z"),
]


def test_19_hours_days_and_months_are_those_of_the_clock_on_the_wall(tollway):
    dice = random.Random(19)
    for number, (zone, change) in enumerate(CLOCK_CHANGES):
        moments = [utc(change) + datetime.timedelta(minutes=dice.randrange(-300, 300), seconds=30)
                   for _ in range(20)] + [utc(change), utc(change) - datetime.timedelta(seconds=1)]
        who = sub(20 + number)
        tollway.accepts(*[event(f"19-{i}", who, time=text_of(moment), data={"total": i + 1})
                          for i, moment in enumerate(moments)])
        for size in ("HOUR", "DAY", "MONTH"):
            rows = tollway.rows("api", who, windowSize=size, windowTimeZone=zone)
            windows = {(row["windowStart"], row["windowEnd"]): row["value"] for row in rows}
            expected, looked = {}, {}
            for i, moment in enumerate(moments):
                [found] = [w for w in windows if w[0] <= text_of(moment) < w[1]]
                expected[found] = expected.get(found, 0) + i + 1
                wanted = looked.get(found) or window_of(moment, size, zone)
                looked[found] = wanted
                # What the clock shows twice around midnight stays with the day that has begun.
                if size == "HOUR" or (zone, size) not in TWICE_AROUND_MIDNIGHT:
                    assert found == wanted, (zone, size, text_of(moment), found, wanted)
            assert {w: str(v) for w, v in expected.items()} == windows, (zone, size, rows)


TWICE_AROUND_MIDNIGHT = {("America/St_Johns", "DAY"), ("Africa/Cairo", "DAY")}


def test_19_a_day_that_begins_twice_begins_the_first_time(tollway):
    # 2010-11-07 00:01 in St. John's was 2010-11-06 23:01 again, until the second midnight.
    times = ["2010-11-07T02:29:59Z", "2010-11-07T02:30:00Z", "2010-11-07T02:31:00Z",
             "2010-11-07T03:29:59Z", "2010-11-07T03:30:00Z"]
    tollway.accepts(*[event(f"19t-{i}", sub(40), time=time, data={"total": 10 ** i})
                      for i, time in enumerate(times)])
    rows = tollway.rows("api", sub(40), windowSize="DAY", windowTimeZone="America/St_Johns")
    assert [(row["windowStart"], row["windowEnd"], row["value"]) for row in rows] == [
        ("2010-11-06T02:30:00Z", "2010-11-07T02:30:00Z", "1"),
        ("2010-11-07T02:30:00Z", "2010-11-08T03:30:00Z", "11110")], rows


def main():
    catalog = base_catalog()
    catalog["customers"].append({"key": "onlyone", "name": "One"})
    catalog["subscriptions"] += more_subscriptions()
    with Rules(None, catalog, TOLLWAY_DEDUP_HORIZON="P7300D") as tollway:
        run_cases(sys.modules[__name__], tollway)


if __name__ == "__main__":
    main()
