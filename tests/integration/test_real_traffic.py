#!/usr/bin/env python3
"""Real traffic, through HTTP and through Kafka, against totals that awk counts from the same files.

An Apache access log (10,000 requests of 1,753 clients in 2015) and two traces of calls to a language
model (28,185 calls in 2023) go in by the converters of examples/, every tenth batch twice. The meter
queries by subscription, day and status, the ledger and the totals on the counters topic must equal
what awk says, to the unit.
Needs ../shared/data, and a Kafka in TOLLWAY_TEST_BROKERS.
"""
# limit: 600
import collections
import datetime
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from stack import (ROOT, Stack, brokers_or_skip, check_equal, data_or_skip,  # noqa: E402
                   program_or_skip)

BATCH = 100
TWICE = 10  # every tenth batch
HORIZON = "P7300D"  # the traffic is of 2015 and 2023

# By awk's own fields, not by the converter's: address, day, status, requests, bytes.
COUNT_APACHE = """{ split($4, t, /[[\\/:]/); k = $1 " " t[4] "-" (t[3] == "May" ? "05" : "??") "-" t[2] " " $9
                    n[k]++; b[k] += $10 }
                  END { for (k in n) printf "%s %d %d\\n", k, n[k], b[k] }"""
COUNT_AZURE = """FNR > 1 { k = substr($1, 1, 10); n[k]++; c[k] += $2; g[k] += $3 }
                 END { for (k in n) printf "%s %d %d %d\\n", k, n[k], c[k], g[k] }"""


def lines_of(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout.splitlines()


def events_of(apache, code, conv):
    return (lines_of(ROOT / "examples/apache/events", apache)
            + lines_of(ROOT / "examples/azure-llm/events", "-v", "customer=code", code)
            + lines_of(ROOT / "examples/azure-llm/events", "-v", "customer=conv", conv))


def catalog_of(apache):
    first = json.loads(b"\n".join(lines_of(ROOT / "examples/apache/catalog", apache)))
    second = json.loads((ROOT / "examples/azure-llm/catalog.json").read_text())
    return {name: first[name] + second[name] for name in first}


def wanted_of(apache, code, conv):
    """{meter: {(customer, day, status or None): value}}"""
    wanted = collections.defaultdict(dict)
    for line in lines_of("awk", COUNT_APACHE, apache):
        address, day, status, requests, size = line.decode().split()
        wanted["requests"][address, day, status] = int(requests)
        wanted["bytes"][address, day, status] = int(size)
    for customer, file in (("code", code), ("conv", conv)):
        for line in lines_of("awk", "-F,", COUNT_AZURE, file):
            day, calls, context, generated = line.decode().split()
            wanted["completions"][customer, day, None] = int(calls)
            wanted["context_tokens"][customer, day, None] = int(context)
            wanted["generated_tokens"][customer, day, None] = int(generated)
    return wanted


def batches_of(events):
    """Batches in order, every tenth once more."""
    for index, start in enumerate(range(0, len(events), BATCH)):
        batch = events[start:start + BATCH]
        yield index, batch
        if index % TWICE == TWICE - 1:
            yield index, batch


def send_by_http(tollway, events):
    for index, batch in batches_of(events):
        if index % 3 == 0:
            body, kind = b"[" + b",".join(batch) + b"]", "application/cloudevents-batch+json"
        else:
            body, kind = b"\n".join(batch) + b"\n", "application/x-ndjson"
        status, answer = tollway.post_events(body, kind, "gzip" if index % 3 == 2 else None)
        assert (status, answer) == (202, {"accepted": len(batch), "rejected": []}), (status, answer)


def send_by_kafka(tollway, events):
    tollway.produce([event for _, batch in batches_of(events) for event in batch])


def got_of(tollway, meter, customer_of, groups):
    got = {}
    for row in tollway.query(meter, windowSize="DAY", groupBy=["subscription"] + groups):
        key = (customer_of[row["subscription"]], row["windowStart"][:10],
               row["groupBy"]["status"] if groups else None)
        assert key not in got, f"{meter}: two rows for {key}"
        got[key] = int(row["value"])
    return got


def check_ledger(ledger, customer_of, wanted, sent):
    events = collections.Counter()
    for meter in ("requests", "completions"):
        for (customer, _, _), value in wanted[meter].items():
            events[customer] += value
    total = sum(events.values())
    check_equal("ledger", {name: ledger[name] for name in
                           ("accepted", "counted", "duplicate", "conflict", "rejected", "late", "lag")},
                {"accepted": sent, "counted": total, "duplicate": sent - total, "conflict": 0,
                 "rejected": 0, "late": 0, "lag": 0})
    check_equal("ledger by customer",
                {customer_of[row["subscription"]]: row["counted"] for row in ledger["subscriptions"]
                 if row["accepted"]}, dict(events))


def check_topic(records, customer_of, wanted, sent):
    """The totals and marks on `counters`, which are all that the bill is made from."""
    got = {meter: collections.Counter() for meter in wanted}
    marks = collections.Counter()
    for record in records.values():
        if record["kind"] == "M":
            marks.update({name: record[name] for name in ("accepted", "counted", "duplicate")})
            continue
        assert record["to"] - record["from"] == 1440, "these periods begin and end at midnight"
        day = datetime.datetime.fromtimestamp(record["from"] * 60, datetime.timezone.utc)
        key = (customer_of[record["subscription"]], day.strftime("%Y-%m-%d"),
               record["dimensions"].get("status"))
        got[record["meter"]][key] += int(record["count"] if record["aggregation"] == "COUNT"
                                         else record["value"])
    for meter, values in wanted.items():
        check_equal(f"{meter} on the counters topic", dict(got[meter]), values)
    total = sum(wanted["requests"].values()) + sum(wanted["completions"].values())
    check_equal("marks", dict(marks), {"accepted": sent, "counted": total, "duplicate": sent - total})


def run(way, send, brokers, catalog, events, wanted):
    print(f"--- {way}")
    customer_of = {row["id"]: row["customerKey"] for row in catalog["subscriptions"]}
    sent = sum(len(batch) for _, batch in batches_of(events))
    with Stack(brokers, catalog, TOLLWAY_DEDUP_HORIZON=HORIZON) as tollway:
        send(tollway, events)
        check_ledger(tollway.wait_ledger("accepted", sent), customer_of, wanted, sent)
        check_topic(tollway.counters(sent), customer_of, wanted, sent)
        for meter, values in wanted.items():
            groups = ["status"] if meter in ("requests", "bytes") else []
            check_equal(f"{meter} by customer, day{' and status' if groups else ''}",
                        got_of(tollway, meter, customer_of, groups), values)


def main():
    files = data_or_skip("apache_access.log", "azure_llm_code.csv", "azure_llm_conv.csv")
    brokers = brokers_or_skip()
    program_or_skip("kcat")
    catalog, events, wanted = catalog_of(files[0]), events_of(*files), wanted_of(*files)
    assert len(events) == 10000 + 8819 + 19366
    assert len({key[0] for key in wanted["requests"]}) == 1753
    run("HTTP", send_by_http, brokers, catalog, events, wanted)
    run("Kafka", send_by_kafka, brokers, catalog, events, wanted)


if __name__ == "__main__":
    main()
