#!/usr/bin/env python3
"""Prints what scripts/demo left in its folder: a table of the bills and the conservation equation.

  examples/demo/show.py demo-out

Adds the invoices' printed lines up again; exits 1 when a total or the equation is wrong. Writes the
id of an invoice worth explaining to demo-out/explained.
"""
import decimal
import json
import pathlib
import sys

SHOWN = 12


def read(path):
    return json.loads(path.read_text())


def money(amount, currency):
    return f"{amount:>12,.2f} {currency}"


def usage_of(invoice, feature):
    quantities = [decimal.Decimal(line["quantity"]) for line in invoice["lines"]
                  if line["kind"] == "usage" and line["featureKey"] == feature]
    return f"{round(sum(quantities)):,}" if quantities else "-"


def print_table(invoices):
    row = "   {:<20} {:<14} {:>9} {:>10} {:>12} {:>16}"
    print(row.format("customer", "plan", "requests", "tokens", "bytes", "total"))
    for invoice in invoices[:SHOWN]:
        print(row.format(invoice["customer"]["name"], invoice["plan"]["name"],
                         usage_of(invoice, "requests"), usage_of(invoice, "tokens"),
                         usage_of(invoice, "bytes"),
                         money(decimal.Decimal(invoice["total"]), invoice["currency"])))
    if len(invoices) > SHOWN:
        print(f"   … and {len(invoices) - SHOWN} more in demo-out/invoices\n")
    for plan in sorted({invoice["plan"]["name"] for invoice in invoices}):
        totals = [decimal.Decimal(i["total"]) for i in invoices if i["plan"]["name"] == plan]
        print(f"   {len(totals):>4} bills on {plan:<15} {money(sum(totals), invoices[0]['currency'])}")
    total = sum(decimal.Decimal(i["total"]) for i in invoices)
    print(f"   {len(invoices):>4} bills in all{' ' * 13}{money(total, invoices[0]['currency'])}")


def check_totals(invoices):
    for invoice in invoices:
        if sum(decimal.Decimal(line["total"]) for line in invoice["lines"]) != decimal.Decimal(invoice["total"]):
            sys.exit(f"{invoice['id']}: the total isn't the sum of its lines")


def print_equation(ledger, sent):
    names = ("counted", "duplicate", "rejected", "late")
    parts = " + ".join(f"{ledger[name]:,} {name}" for name in names)
    holds = ledger["accepted"] == sum(ledger[name] for name in names)
    if sent["retries"] == 0:  # what was sent again after a 503 may have been accepted twice
        holds = holds and ledger["accepted"] == sent["accepted"]
    print(f"\n   {ledger['accepted']:,} accepted = {parts}   {'holds' if holds else 'DOES NOT HOLD'}")
    print(f"   ({sent['rejected']:,} broken events were refused by ingest, each with its reason)")
    if not holds:
        sys.exit(f"the equation doesn't hold; ingest accepted {sent['accepted']:,}")


def main():
    folder = pathlib.Path(sys.argv[1])
    invoices = [read(path) for path in (folder / "invoices").glob("**/*.json")]
    invoices.sort(key=lambda i: (-decimal.Decimal(i["total"]), i["id"]))
    if not invoices:
        sys.exit("there are no invoices")
    print_table(invoices)
    check_totals(invoices)
    print_equation(read(folder / "ledger.json"), read(folder / "sent.json"))
    team = [i for i in invoices if i["plan"]["key"] == "team"] or invoices
    (folder / "explained").write_text(team[0]["id"])


main()
