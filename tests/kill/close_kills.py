"""The close of a billing period is killed again and again, then run to its end, then once more, then
from an empty folder: one invoice for each subscription, with the amounts of the send log."""
import datetime
import decimal
import json
import random
import subprocess
import time

import count_kills
import model
import traffic
from stage import BIN, await_that, check

D = decimal.Decimal
PRICES = {"units": D("0.01"), "requests": D("0.001")}


def cents(amount):
    return amount.quantize(D("0.01"), decimal.ROUND_HALF_UP)  # of what is positive: away from zero


def expected_totals(usage):
    """By subscription, from what the log holds: each line rounded, then added."""
    units, requests = model.sums_of_log(usage)
    totals = {}
    for subscription in traffic.SUBSCRIPTIONS:
        lines = [cents(PRICES[meter] * sum((v for (s, _), v in cells.items() if s == subscription),
                                           D(0)))
                 for meter, cells in (("units", units), ("requests", requests))]
        totals[subscription] = sum(lines)
    return totals


def close_command(stage, data):
    """Nothing is late any more, so the month that ended is billed in the first hour of the next one, too."""
    return [BIN / "invoicer", "close", "--at", stage.close_at, "--collection-interval", "0s", "--data", data,
            "--brokers", stage.kafka.brokers, "--bucket", stage.bucket, "--kafka-config", stage.properties]


def kill_some_closes(stage, dice, rounds, data):
    """How many were killed before they had ended. Each may work at first: behind one that was killed
    the group waits for two seconds."""
    log = stage.folder / "close.log"
    killed = 0
    for _ in range(rounds):
        with log.open("ab") as out:
            size = out.tell()
            close = subprocess.Popen(list(map(str, close_command(stage, data))), stdout=out,
                                     stderr=out)
        await_that("acting, or over", lambda: close.poll() is not None or
                   b"tenure_begun" in log.read_bytes()[size:], step=0.01)
        time.sleep(dice.uniform(0, 0.08))
        if close.poll() is None:
            close.kill()
            killed += 1
        close.wait()
    return killed


def close_to_the_end(stage, data):
    done = subprocess.run(list(map(str, close_command(stage, data))), capture_output=True, text=True,
                          check=False, timeout=120)
    check(done.returncode == 0, f"close: exit {done.returncode}\n{done.stdout[-500:]}"
          f"{done.stderr[-1500:]}")


def invoices(stage, data):
    out = stage.run("invoicer", "invoices", "list", "--json", "--data", data)
    listed = json.loads(out)
    return listed["data"] if isinstance(listed, dict) else listed


def check_invoices(found, expected):
    by_subscription = {}
    for invoice in found:
        by_subscription.setdefault(invoice["subscription"], []).append(invoice)
    for subscription, total in expected.items():
        of_it = by_subscription.get(subscription, [])
        billed = sum((D(i["total"]) for i in of_it), D(0))
        check(len(of_it) <= 1, f"{subscription} has {len(of_it)} invoices")
        check(billed == total, f"{subscription}: {billed} billed instead of {total}")


def run(stage, seed, rounds):
    first = traffic.this_month()
    days = [first - datetime.timedelta(days=d, hours=2) for d in range(3)]
    stage.close_at = traffic.now().strftime("%Y-%m-%dT%H:%M:00Z")
    ingest = stage.program("ingest").start()
    aggregator = stage.program("aggregator", None, "--data", stage.folder / "aggregator").start()
    ingest.await_ready()
    load = traffic.Traffic(ingest, seed, days=days).start()
    time.sleep(4)
    load.stop()
    check(not load.problems, f"clients: {load.problems}")
    aggregator.await_ready()
    count_kills.check_counts(stage, load, aggregator)
    expected = expected_totals(stage.read("usage", "usage"))

    dice = random.Random(seed)
    killed = kill_some_closes(stage, dice, rounds, stage.invoicer_data)
    close_to_the_end(stage, stage.invoicer_data)
    found = invoices(stage, stage.invoicer_data)
    check_invoices(found, expected)
    close_to_the_end(stage, stage.invoicer_data)
    check(invoices(stage, stage.invoicer_data) == found, "closing twice changed the invoices")
    audit = json.loads(stage.run("invoicer", "audit", "--json", "--data", stage.invoicer_data))
    check(not audit["differences"] and audit["quantities"], f"the audit says {audit}")
    elsewhere = stage.folder / "invoicer-elsewhere"
    close_to_the_end(stage, elsewhere)
    check(sorted(map(str, invoices(stage, elsewhere))) == sorted(map(str, found)),
          "an invoicer that begins with an empty folder has other invoices")
    ingest.stop()
    aggregator.stop()
    return f"{killed} of {rounds} closes killed, {len(found)} invoices, each once and to the cent"
