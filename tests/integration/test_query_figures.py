#!/usr/bin/env python3
"""Every aggregation, by minute, hour, day and month of several zones: what the aggregator answers is
what independent code (tests/oracle/demo_figures.py) makes of the events that were sent."""
# limit: 240
import json
import pathlib
import sys
import tempfile
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import test_demo_figures as demo  # noqa: E402

oracle = demo.oracle
EVENTS = 8000
SUBSCRIPTIONS = 25


def catalog_of(month):
    """One event type that all aggregations read, and one of unique users."""
    groups = {"method": "$.http.method", "region": "$.region"}
    meters = [{"slug": f"m_{kind.lower()}", "eventType": "request", "aggregation": kind,
               "valueProperty": "$.bytes", "groupBy": groups}
              for kind in ("SUM", "MIN", "MAX", "AVG", "LATEST")]
    meters += [{"slug": "m_count", "eventType": "request", "aggregation": "COUNT"},
               {"slug": "users", "eventType": "login", "aggregation": "UNIQUE_COUNT",
                "valueProperty": "$.user", "groupBy": {"region": "$.region"}}]
    plan = {"key": "free", "name": "Free", "currency": "USD", "billingCadence": "P1M", "phases": [
        {"key": "default", "name": "Default", "rateCards": [
            {"type": "flat_fee", "key": "base", "name": "Base", "billingCadence": "P1M",
             "price": {"type": "flat", "amount": "1", "paymentTerm": "in_arrears"}}]}]}
    subscriptions = [{"id": f"01ARZ3NDEKTSV4RRFFQ69G5F{i:02d}", "customerKey": f"customer_{i}",
                      "plan": {"key": "free"}, "consumer": {"name": f"consumer-{i}"},
                      "activeFrom": f"{month.name}-01T00:0{i % 2 * 7}:00Z"} for i in range(SUBSCRIPTIONS)]
    customers = [{"key": each["customerKey"], "name": each["customerKey"]} for each in subscriptions]
    return {"meters": meters, "features": [], "plans": [plan], "customers": customers,
            "subscriptions": subscriptions}


def queries_of(meter, subscription):
    names = [*sorted(meter.get("groupBy", {})), "subject", "subscription"]
    yield {}
    for size in ("DAY", "MONTH"):
        for zone in ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"):
            yield {"windowSize": size, "windowTimeZone": zone}
    yield {"windowSize": "HOUR", "windowTimeZone": "Asia/Kolkata", "groupBy": names[:1]}
    yield {"windowSize": "MINUTE", "filterSubscription": [subscription]}
    yield {"windowSize": "DAY", "groupBy": names}
    yield {"groupBy": list(reversed(names))}


def ask(folder, up, catalog):
    (folder / "usage").mkdir()
    for meter in catalog["meters"]:
        for number, query in enumerate(queries_of(meter, catalog["subscriptions"][3]["id"])):
            url = f"{up['aggregator']}/v3/metering/{up['bucket']}/meters/{meter['slug']}/query?"
            answer = demo.get(url + urllib.parse.urlencode(query, doseq=True), up["adminKey"])
            (folder / "usage" / f"{meter['slug']}.{number}.json").write_text(
                json.dumps({"query": query, "answer": answer}))


def check_queries(folder):
    month = demo.Month()
    catalog = catalog_of(month)
    (folder / "catalog.json").write_text(json.dumps(catalog))
    (folder / "horizon").write_text(str(month.horizon))
    data = folder / "data"
    try:
        up = json.loads(demo.run("scripts/up", "--data", data, "--catalog", folder / "catalog.json",
                                 "--json", env={"TOLLWAY_DEDUP_HORIZON": f"{month.horizon}s"}))
        demo.EVENTS = EVENTS
        demo.send(folder, up, month)
        demo.wait_until_counted(folder, up)
        ask(folder, up, catalog)
    finally:
        demo.run("scripts/down", "--data", data)
    known = oracle.Catalog(catalog)
    verdicts = oracle.Verdicts(known, folder / "sent.ndjson", month.horizon * oracle.NS)
    oracle.check_ledger(verdicts, json.loads((folder / "ledger.json").read_text()))
    for file in sorted((folder / "usage").glob("*.json")):
        oracle.check_usage(known, verdicts, file)
    for what, count in oracle.agreed.items():
        print(f"{count:>9,}  {what}")


def main():
    demo.skip_without_the_chain()
    with tempfile.TemporaryDirectory(prefix="tollway-query-") as folder:
        check_queries(pathlib.Path(folder))


if __name__ == "__main__":
    main()
