#!/usr/bin/env python3
"""A month of made-up traffic through the real ingest: its refusals, and the verdicts and quantities
that its usage batches come to, are those of independent code (the reference reader, the oracle)."""
# limit: 120
import collections
import json
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / each) for each in ("tests/support", "tests/oracle", "proto/reference")]
import demo_figures as oracle  # noqa: E402
import usage_batch  # noqa: E402
from ingest_rig import BIN, KEY, PARTITIONS, Rig, catalog, key_record, tool  # noqa: E402

EVENTS = 10000
DAY_NS = 86400 * 10**9


def records_of(file, bucket):
    """What the invoicer would publish of it, as far as ingest looks."""
    records = [catalog(bucket)[0], key_record(KEY)]
    records += [(f"meter/{each['slug']}", {"epoch": 1, **each}) for each in file["meters"]]
    records += [(f"subscription/{each['id']}", {"epoch": 1, **each}) for each in file["subscriptions"]]
    return records


def murmur2(data):
    """Kafka's, from its Java client's definition."""
    m, h = 0x5BD1E995, 0x9747B28C ^ len(data)
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at:at + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    if data[whole:]:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


def usage_of(rig):
    """Every event in usage, in the log's order, and where it belongs."""
    for record in tool("get", rig.brokers, rig.topic("usage")):
        for event in usage_batch.decode(bytes.fromhex(record["hex"])):
            partition = (murmur2(event["subscription"].encode()) & 0x7FFFFFFF) % PARTITIONS
            oracle.same("partition of an event", record["partition"], partition, event["subscription"])
            yield event


def verdicts_of(events, horizon_ns):
    """The ledger and the quantities that an aggregator must come to."""
    ledger, quantities = collections.defaultdict(collections.Counter), collections.Counter()
    seen = {}
    for event in events:
        counts, ns = ledger[event["subscription"]], event["time_ns"]
        identity = (event["subscription"], event["identity"], ns // DAY_NS)
        counts["accepted"] += 1
        if event["arrival_ms"] * 10**6 - ns > horizon_ns:
            counts["late"] += 1
        elif identity in seen:
            oracle.same("payload of a duplicate", event["payload"], seen[identity])
            counts["duplicate"] += 1
        else:
            seen[identity] = event["payload"]
            counts["counted"] += 1
            for entry in event["entries"]:
                key = (entry["subscription"], entry["meter"], entry["subject"],
                       tuple(sorted(entry["dimensions"].items())))
                quantities[key] += oracle.Fraction(entry["value"])
    return ledger, quantities


def quantities_of(counted):
    quantities = collections.Counter()
    for event in counted:
        for slug, value, dimensions in event["entries"]:
            quantities[(event["subscription"], slug, event["subject"],
                        tuple(sorted(dimensions.items())))] += value
    return quantities


def send(rig, file):
    log = rig.folder / "sent.ndjson"
    done = subprocess.run(
        [BIN / "loadgen", "--url", rig.url, "--key", KEY, "--catalog", file, "--month", "2026-10",
         "--events", str(EVENTS), "--batch", "250", "--duplicates", "2%", "--late", "0.5%", "--broken",
         "5%", "--late-first", "24h", "--log", log, "--json"],
        check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout), log


def test_usage_is_what_was_sent():
    file = ROOT / "examples/demo/catalog.json"
    content = json.loads(file.read_text())
    with Rig() as rig:
        rig.put_catalog(records_of(content, rig.bucket))
        rig.start()
        sent, log = send(rig, file)
        # The horizon ends in the last hour of the month's first day.
        horizon_ns = (int(time.time()) - oracle.ns_of("2026-10-01T23:30:00Z") // 10**9) * 10**9
        expected = oracle.Verdicts(oracle.Catalog(content), log, horizon_ns)
        ledger, quantities = verdicts_of(usage_of(rig), horizon_ns)
    assert sent["retries"] == 0 and min(sent[kind] for kind in ("duplicate", "late", "broken")) > 20, sent
    for subscription in ledger.keys() | expected.ledger.keys():
        oracle.same("verdicts of a subscription", ledger[subscription], expected.ledger[subscription])
    assert quantities == quantities_of(expected.counted)
    assert len(quantities) > 1000
    print(dict(oracle.agreed))


def main():
    test_usage_is_what_was_sent()


if __name__ == "__main__":
    main()
