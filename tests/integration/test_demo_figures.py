#!/usr/bin/env python3
"""Every figure of the demo, recomputed: scripts/demo's steps on a smaller month, then verdicts, meter
quantities, invoice lines, totals, what a simulated Stripe holds and the conservation equation against
tests/oracle/demo_figures.py."""
# limit: 240
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin"
sys.path.insert(0, str(ROOT / "tests/oracle"))
import demo_figures as oracle  # noqa: E402

EVENTS = int(os.environ.get("TOLLWAY_TEST_EVENTS", "20000"))
QUERIES = [{}, {"groupBy": ["subscription"]}, {"windowSize": "DAY"},
           {"windowSize": "DAY", "groupBy": ["subscription", "subject"]}]


def run(*command, env=None):
    done = subprocess.run([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, text=True,
                          check=False, env={**os.environ, **(env or {})})
    if done.returncode:
        sys.exit(f"{command[0]} exited {done.returncode}")
    return done.stdout


def get(url, key):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


class Month:
    """Last month, whose first day is for late events: the horizon ends in that day's last hour."""

    def __init__(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.end = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        self.start = (self.end - datetime.timedelta(days=1)).replace(day=1)
        self.name = self.start.strftime("%Y-%m")
        self.horizon = int((now - self.start).total_seconds()) - 23 * 3600 - 1800
        self.closed = self.end.strftime("%Y-%m-%dT01:00:00Z")


def send(folder, up, month):
    sent = run(BIN / "loadgen", "--url", up["ingest"], "--catalog", folder / "catalog.json",
               "--month", month.name, "--events", EVENTS, "--batch", 200, "--duplicates", "1%",
               "--late", "0.4%", "--broken", "2%", "--late-first", "24h", "--seed", 2026,
               "--lag-url", up["aggregator"], "--log", folder / "sent.ndjson", "--json",
               env={"TOLLWAY_KEY": up["key"], "TOLLWAY_ADMIN_KEY": up["adminKey"]})
    (folder / "sent.json").write_text(sent)
    return json.loads(sent)


def wait_until_counted(folder, up):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        ledger = get(up["aggregator"] + "/v1/ledger", up["adminKey"])
        if ledger["lag"] == 0:
            (folder / "ledger.json").write_text(json.dumps(ledger))
            return
        time.sleep(0.1)
    sys.exit(f"the aggregator is still behind: {ledger['lag']}")


def query_meters(folder, up):
    (folder / "usage").mkdir()
    for meter in json.loads((folder / "catalog.json").read_text())["meters"]:
        by_dimensions = {"groupBy": [*sorted(meter.get("groupBy", {})), "subscription"]}
        for number, query in enumerate([*QUERIES, by_dimensions]):
            url = f"{up['aggregator']}/v3/metering/{up['bucket']}/meters/{meter['slug']}/query?"
            answer = get(url + urllib.parse.urlencode(query, doseq=True), up["adminKey"])
            (folder / "usage" / f"{meter['slug']}.{number}.json").write_text(
                json.dumps({"query": query, "answer": answer}))


def settings_of(up):
    return ["--brokers", up["brokers"], "--bucket", up["bucket"], "--topics-check=false",
            "--data", f"{up['data']}/invoicer"]


def close(folder, broker, month):
    run(BIN / "invoicer", "close", "--at", month.closed, "--out", folder / "invoices", *broker)
    audit = json.loads(run(BIN / "invoicer", "audit", "--json", *broker))
    assert audit["differences"] == [] and audit["quantities"] > 1000, audit
    own = json.loads(run(BIN / "invoicer", "backtest", "--plan", "team", "--from", f"{month.name}-01T00:00:00Z",
                         "--to", month.closed[:11] + "00:00:00Z", "--json", *broker))
    assert own["totals"][0]["now"] == backtest_of(folder), own["totals"]


def backtest_of(folder):
    bills = [json.loads(path.read_text()) for path in (folder / "invoices").glob("*.json")]
    return f"{sum(round(float(bill['total']) * 100) for bill in bills) / 100:.2f}"


def dollars(total):
    return f"{int(total * 100) // 100:,}.{int(total * 100) % 100:02d}"


def check_printed(shown, explained, verdicts, bills, invoices):
    """The table, the equation and the explanation, as somebody reads them."""
    total = sum(sum(each[1] for each in lines.values()) for lines in bills.invoices.values())
    match = re.search(r"(\d+) bills in all +([\d,.]+) USD", shown)
    oracle.same("bills in all", match.groups(), (str(len(invoices)), dollars(total)))
    counts = sum(verdicts.ledger.values(), oracle.collections.Counter())
    match = re.search(r"([\d,]+) accepted = ([\d,]+) counted \+ ([\d,]+) duplicate \+ ([\d,]+) "
                      r"rejected \+ ([\d,]+) late +holds", shown)
    oracle.same("printed equation", [int(each.replace(",", "")) for each in match.groups()],
                [counts[name] for name in ("accepted", "counted", "duplicate", "rejected", "late")])
    largest = max(invoices.values(), key=lambda invoice: (oracle.Fraction(invoice["total"])))
    lines = bills.invoices[(largest["subscription"], largest["boundary"])]
    plain = explained.replace(",", "")
    for quantity, line_total, _ in lines.values():
        shown_total = f": {dollars(line_total).replace(',', '')} {largest['currency']}"
        oracle.same("explained line", shown_total in plain, True, shown_total)
        if quantity:
            shown_quantity = f": {oracle.shortest(quantity)} in "
            oracle.same("explained quantity", shown_quantity in plain, True, shown_quantity)


def check_handed_over(shown, bills, invoices):
    """What is at Stripe, each once, as it is counted there and as the invoicer says."""
    total = sum(sum(each[1] for each in lines.values()) for lines in bills.invoices.values())
    due = str(sum(oracle.Fraction(invoice["total"]) != 0 for invoice in invoices.values()))
    for name in ("issued", "at Stripe, each once"):
        match = re.search(rf"{name} +(\d+) invoices +([\d,.]+) USD", shown)
        oracle.same(f"{name} (Stripe)", match.groups(), (due, dollars(total)))
    match = re.search(r"check: (\d+) handed over, (\d+) listed by Stripe, (\d+) under way, (\d+) differences", shown)
    oracle.same("stripe check", match.groups(), (due, due, "0", "0"))


def largest_of(folder):
    found = [json.loads(path.read_text()) for path in (folder / "invoices").glob("**/*.json")]
    return max(found, key=lambda invoice: oracle.Fraction(invoice["total"]))["id"]


def check_demo(folder):
    month = Month()
    text = (ROOT / "examples/demo/catalog.json").read_text()
    (folder / "catalog.json").write_text(text.replace("2026-10-", month.name + "-"))
    (folder / "horizon").write_text(str(month.horizon))
    (folder / "closed").write_text(month.closed)
    data = folder / "data"
    try:
        up = json.loads(run("scripts/up", "--data", data, "--catalog", folder / "catalog.json", "--json",
                            env={"TOLLWAY_DEDUP_HORIZON": f"{month.horizon}s"}))
        sent = send(folder, up, month)
        wait_until_counted(folder, up)
        query_meters(folder, up)
        broker = settings_of(up)
        close(folder, broker, month)
        shown = run("examples/demo/show.py", folder)
        explained = run(BIN / "invoicer", "explain", largest_of(folder), *broker)
        handed_over = run("examples/demo/hand_over.py", folder, BIN / "invoicer", *broker)
    finally:
        run("scripts/down", "--data", data)
    assert sent["late"] > 0 and sent["duplicate"] > 0 and sent["broken"] > 0, sent
    verdicts, bills, invoices = oracle.check(folder)
    check_printed(shown, explained, verdicts, bills, invoices)
    check_handed_over(handed_over, bills, invoices)
    for what, count in oracle.agreed.items():
        print(f"{count:>9,}  {what}")


def skip_without_the_chain():
    needed = [ROOT / "scripts/up", ROOT / "examples/demo/catalog.json", BIN / "aggregator"]
    for path in needed:
        if not path.exists():
            print(f"{path} isn't there")
            sys.exit(77)


def main():
    skip_without_the_chain()
    with tempfile.TemporaryDirectory(prefix="tollway-demo-") as folder:
        check_demo(pathlib.Path(folder))


if __name__ == "__main__":
    main()
