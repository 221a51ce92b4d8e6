#!/usr/bin/env python3
"""Hands the demo's invoices to a simulated Stripe (tests/sim/stripe) that answers badly on purpose.

  examples/demo/hand_over.py demo-out build/bin/invoicer --brokers … --bucket … --data …

Connects, delivers while requests go wrong, kills the first run and starts a second one; then counts
what Stripe holds, apart from what the invoicer says. Exits 1 when an invoice of demo-out is missing,
is there twice or over another total.
"""
import collections
import decimal
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/support"))
from stripe_rig import StripeSim  # noqa: E402

KILLED_AT = 200  # requests, of six or seven hundred
RUNS_MAX = 6
FAULT_CHANCE = 0.05
FAULTS = [{"do": "after", "times": 12, "seed": 1}, {"do": "before", "times": 8, "seed": 2},
          {"do": "status", "status": 500, "is_executed": True, "times": 10, "seed": 3}]
RATES = ("--stripe-rate=100", "--stripe-account-rate=200")  # real accounts in test mode have 20


class Invoicer:
    def __init__(self, stripe, command):
        self.stripe, (self.program, *self.settings) = stripe, command
        self.key = stripe.folder / "stripe.key"
        self.key.write_text("rk_test_Demo\n")
        self.key.chmod(0o400)

    def start(self, verb, *arguments):
        return subprocess.Popen([self.program, "stripe", verb, *arguments, *self.settings, "--stripe-key", self.key,
                                 "--stripe-url", self.stripe.url], stdout=subprocess.PIPE, text=True)

    def run(self, verb, *arguments, statuses=(0,)):
        process = self.start(verb, *arguments)
        said = process.communicate()[0].strip()
        if process.returncode not in statuses:
            sys.exit(f"invoicer stripe {verb} ended with {process.returncode}: {said}")
        return process.returncode, said


def standing(stripe):
    """Those that aren't void, by the id that they have here."""
    return {each["tollway_invoice"]: each["standing"] for each in stripe.audit()["invoices"] if each["standing"]}


def deliver_and_kill(invoicer):
    process = invoicer.start("deliver", *RATES)
    while process.poll() is None and len(invoicer.stripe.log()) < KILLED_AT:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    final = sum(found[0]["status"] != "draft" for found in standing(invoicer.stripe).values())
    print(f"   first run    killed (kill -9) after {len(invoicer.stripe.log())} requests, "
          f"with {final} invoices final at Stripe")


def deliver(invoicer):
    """Once more when something is left, as somebody would: 75 says that, and 80 that some are held."""
    status, said = invoicer.run("deliver", *RATES, statuses=(0, 75, 80))
    print(f"   second run   {said}")
    for _ in range(RUNS_MAX):
        if status == 0:
            return
        status, said = invoicer.run("deliver", "--held", *RATES, statuses=(0, 75, 80))
        print(f"   once more    {said}")
    sys.exit("some invoices aren't at Stripe")


def print_faults(log):
    faults = collections.Counter(entry["fault"] for entry in log)
    again = sum(entry["status"] == 500 and not entry["fault"] for entry in log)
    print(f"""   on the way   of {len(log)} requests {faults["before"]} got lost, of {faults["after"]} the answer did, and \
{faults["status"]} were carried out and answered 500
                ({again} times more, as Stripe keeps an answer with its idempotency key)
""")


def print_comparison(issued, there):
    ours = sum(decimal.Decimal(invoice["total"]) for invoice in issued.values())
    theirs = decimal.Decimal(sum(each["total"] for found in there.values() for each in found)) / 100
    row = "   {:<22} {:>5} invoices {:>12,.2f} USD"
    print(row.format("issued", len(issued), ours))
    print(row.format("at Stripe, each once", len(there), theirs))


def check(issued, there):
    for ident in issued.keys() | there.keys():
        ours, theirs = issued.get(ident), there.get(ident, [])
        cents = [each["total"] for each in theirs]
        if not ours or cents != [decimal.Decimal(ours["total"]) * 100] or theirs[0]["status"] == "draft":
            sys.exit(f"{ident}: {ours['total'] if ours else 'nothing'} here, {cents} cents at Stripe")


def main():
    found = [json.loads(path.read_text()) for path in (pathlib.Path(sys.argv[1]) / "invoices").glob("**/*.json")]
    issued = {invoice["id"]: invoice for invoice in found if decimal.Decimal(invoice["total"])}
    with StripeSim() as stripe:
        invoicer = Invoicer(stripe, sys.argv[2:])
        invoicer.run("connect", "--from", min(invoice["boundary"] for invoice in found))
        stripe.fault(*({"match": "* /v1/**", "probability": FAULT_CHANCE, **fault} for fault in FAULTS))
        deliver_and_kill(invoicer)
        deliver(invoicer)
        stripe.fault()
        there = standing(stripe)
        print_faults(stripe.log())
        check(issued, there)
        print_comparison(issued, there)
        print("   invoicer stripe check:", invoicer.run("check")[1])


main()
