#!/usr/bin/env python3
"""One close bills prices by dimensions, by per cent and in converted units, in three currencies, as fractions say."""
# limit: 120
import collections
import json
import pathlib
import random
import subprocess
import sys
from fractions import Fraction

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import BIN, Rig, given, minute, plan, ulid  # noqa: E402

DIGITS = {"USD": 2, "EUR": 2, "JPY": 0}
SCALE = {"USD": Fraction(1), "EUR": Fraction(9, 10), "JPY": Fraction(150)}
METERS = ("calls", "paid", "volume", "bytes", "peak")
SUBSCRIPTIONS = {ulid(1): "USD", ulid(2): "EUR", ulid(3): "JPY"}
REGIONS, MODELS = ("eu", "us", "", None), ("large", "small", None)


def text(amount):
    """A fraction that ends within twelve decimals."""
    units = amount * 10 ** 12
    assert units.denominator == 1
    whole, rest = divmod(units.numerator, 10 ** 12)
    return f"{whole}.{rest:012d}".rstrip("0").rstrip(".")


def rounded(amount, digits):
    """Half away from zero; amounts here are never negative."""
    scaled = amount * 10 ** digits
    return Fraction((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator), 10 ** digits)


def prices(make):
    return {"price": make("USD"), "prices": {code: make(code) for code in ("EUR", "JPY")}}


def at(code, amount):
    return text(Fraction(amount) * SCALE[code])


MATRIX = [("eu", "large", "0.213"), ("us", "large", "0.157"), ("", "small", "0.031")]
OTHER, RATE, FIXED = "0.1005", "1.37", "0.255"
PARTS = [("1000", "2.5", None), ("25000", "1.25", "3"), (None, "0.6", "10")]
TIERS = [("2", "0"), ("50", "0.049"), (None, "0.0311")]
GIGA, PERCENT_OFF = 10 ** 9, "7.5"


def matrix(code):
    return {"type": "matrix", "dimensions": ["region", "model"], "amount": at(code, OTHER),
            "values": [{"match": {"region": region, "model": model}, "amount": at(code, amount)}
                       for region, model, amount in MATRIX]}


def percentage(code):
    return {"type": "percentage", "rate": RATE, "fixedAmount": at(code, FIXED)}


def graduated(code):
    return {"type": "graduated_percentage",
            "tiers": [{"upToAmount": bound, "rate": rate, "flatPrice": flat and at(code, flat)}
                      for bound, rate, flat in PARTS]}


def converted(code):
    return {"type": "tiered", "mode": "graduated",
            "tiers": [{"upToAmount": bound, "unitPrice": at(code, amount)} for bound, amount in TIERS],
            "unitConversion": {"operation": "divide", "factor": str(GIGA), "rounding": "up", "precision": 1}}


def card(key, make, **more):
    return {"type": "usage_based", "featureKey": key, "billingCadence": "P1M", **prices(make), **more}


def catalog():
    cards = [card("calls", matrix), card("paid", percentage, discounts={"percentage": PERCENT_OFF}),
             card("volume", graduated), card("bytes", converted, discounts={"usage": {"quantity": "3"}}),
             card("peak", lambda code: {"type": "unit", "amount": at(code, "0.333")})]
    meters = [{"slug": slug, "aggregation": "MAX" if slug == "peak" else "SUM", "valueProperty": "$.v",
               "groupBy": {"region": "$.r", "model": "$.m"} if slug == "calls" else {}} for slug in METERS]
    customers = [{"key": code.lower(), **({"currency": "EUR"} if code == "EUR" else {})} for code in DIGITS]
    return {"meters": meters, "features": [{"key": slug, "name": slug.title(), "meterSlug": slug} for slug in METERS],
            "plans": [plan("mixed", cards, currency="USD")], "customers": customers,
            "subscriptions": [{"id": of, "customerKey": code.lower(), "plan": {"key": "mixed"},
                               "activeFrom": "2026-01-01T00:00:00Z", **({"currency": code} if code == "JPY" else {})}
                              for of, code in SUBSCRIPTIONS.items()]}


class Usage:
    """Random usage: what counters say of it, and what it comes to."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.sums = collections.defaultdict(Fraction)
        self.events = collections.Counter()
        self.peaks = collections.defaultdict(Fraction)
        self.cells = collections.defaultdict(Fraction)

    def value(self, most, decimals):
        return Fraction(self.random.randrange(most * 10 ** decimals), 10 ** decimals)

    def add(self, of, meter, day):
        """One window's (value, events, dimensions)."""
        most, decimals = {"calls": (400, 3), "paid": (90, 2), "volume": (3000, 2), "bytes": (40 * GIGA, 0),
                          "peak": (500, 1)}[meter]
        value, events = self.value(most, decimals), self.random.randrange(1, 9)
        names = {}
        if meter == "calls":
            names = {"model": self.random.choice(MODELS), "region": self.random.choice(REGIONS)}
            self.cells[of, names["region"], names["model"], day] += value
        self.sums[of, meter] += value
        self.events[of, meter] += events
        self.peaks[of, meter] = max(self.peaks[of, meter], value)
        return value, events, json.dumps(names, separators=(",", ":"))

    def lines(self, rig):
        written = []
        for of in SUBSCRIPTIONS:
            partition = rig.partition(of)
            for meter in METERS:
                for day in range(1, 31, 3):
                    start = minute(f"2026-01-{day:02d}T00:00:00")
                    value, events, names = self.add(of, meter, day)
                    kind = "MAX" if meter == "peak" else "SUM"
                    rig.next[partition] += 1
                    written += [f"usage {partition} 1",
                                f"total {partition} {of} {meter} {start} {start + 1440} {text(value)} "
                                f"{rig.next[partition]} {events} {names} {kind}"]
        return written + [f"mark {p} {rig.next[p]} 1000000" for p in range(rig.partitions)]


def sum_of_matrix(usage, of, code):
    """Rounded a value, then what nothing matches."""
    price = {(region, model): Fraction(at(code, amount)) for region, model, amount in MATRIX}
    quantity = collections.defaultdict(Fraction)
    for (owner, region, model, _), value in usage.cells.items():
        if owner == of:
            quantity[(region, model) if (region, model) in price else None] += value
    return sum(rounded(count * price.get(key, Fraction(at(code, OTHER))), DIGITS[code])
               for key, count in quantity.items())


def sum_of_percentage(usage, of, code):
    amount = rounded(usage.sums[of, "paid"] * Fraction(RATE) / 100
                     + usage.events[of, "paid"] * Fraction(at(code, FIXED)), DIGITS[code])
    return amount - rounded(amount * Fraction(PERCENT_OFF) / 100, DIGITS[code])


def sum_of_tiers(quantity, tiers, digits):
    """tiers: (bound or None, amount a unit, flat or None)."""
    total, before = Fraction(0), Fraction(0)
    for bound, amount, flat in tiers:
        if quantity > before or before == 0:
            end = quantity if bound is None else min(quantity, Fraction(bound))
            total += rounded((end - before) * amount, digits)
            total += rounded(Fraction(flat), digits) if flat else 0
        before = Fraction(bound or 0)
        if bound is None or quantity <= before:
            return total
    raise AssertionError("the last tier is open")


def sum_of_graduated(usage, of, code):
    tiers = [(bound, Fraction(rate) / 100, flat and at(code, flat)) for bound, rate, flat in PARTS]
    return sum_of_tiers(usage.sums[of, "volume"], tiers, DIGITS[code])


def sum_of_converted(usage, of, code):
    tenths = -(-usage.sums[of, "bytes"] * 10 // GIGA)
    quantity = max(Fraction(tenths, 10) - 3, Fraction(0))
    return sum_of_tiers(quantity, [(bound, Fraction(at(code, amount)), None) for bound, amount in TIERS], DIGITS[code])


def sum_of_peak(usage, of, code):
    return rounded(usage.peaks[of, "peak"] * Fraction(at(code, "0.333")), DIGITS[code])


SUMS = {"calls": sum_of_matrix, "paid": sum_of_percentage, "volume": sum_of_graduated, "bytes": sum_of_converted,
        "peak": sum_of_peak}


def each_subscription_pays_in_its_currency(rig):
    for of, code in SUBSCRIPTIONS.items():
        assert rig.json("catalog", "get", f"subscription/{of}")["currency"] == code


def what_is_billed_is_what_fractions_say(rig, usage):
    closed = rig.json("close", "--at", "2026-02-01T01:00:00Z", "--wait", "20s", "--out", rig.folder / "out")
    assert closed["billed"] == len(SUBSCRIPTIONS), closed
    for invoice in closed["invoices"]:
        of = invoice["subscription"]
        code = SUBSCRIPTIONS[of]
        assert invoice["currency"] == code, invoice
        found = {line["rateCardKey"]: Fraction(line["total"]) for line in invoice["lines"]}
        expected = {meter: rule(usage, of, code) for meter, rule in SUMS.items()}
        assert found == expected, (code, {key: (str(found.get(key)), str(expected[key])) for key in expected})
        assert Fraction(invoice["total"]) == sum(expected.values())
        assert len(invoice["total"].partition(".")[2]) == DIGITS[code], invoice["total"]


def each_form_says_how(rig):
    name = f"{ulid(2)}-20260201T0000Z"
    page = (rig.folder / "out" / f"{name}.html").read_text()
    table = rig.run("invoices", "show", name)
    explained = rig.run("explain", name)
    rows = rig.run("invoices", "show", name, "--csv")
    for form in (page, table):
        for words in ("eu, large", "Other", "(empty), small", " events at 0.2295", "1.37 %", "divided by 1,000,000,000", "the first 3 free"):
            assert words in form, (words, form)
    assert "% + " in explained and " events x 0.2295 = " in explained, explained
    assert ",EUR," in rows and '"eu, large"' in rows, rows
    assert "Total EUR" in table and "Total in EUR" in page


def nobody_changes_currency(rig):
    changed = catalog()
    changed["subscriptions"][0]["currency"] = "EUR"
    rig.apply(changed, status=65)
    changed = catalog()
    changed["customers"][0]["currency"] = "EUR"
    rig.apply(changed)
    assert rig.json("catalog", "get", f"subscription/{ulid(1)}")["currency"] == "USD"


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    rig, usage = Rig(brokers), Usage(20260101)
    try:
        rig.apply(catalog())
        subprocess.run([BIN / "counters-writer", brokers, rig.bucket], input="\n".join(usage.lines(rig)) + "\n",
                       text=True, check=True, timeout=60)
        each_subscription_pays_in_its_currency(rig)
        what_is_billed_is_what_fractions_say(rig, usage)
        each_form_says_how(rig)
        nobody_changes_currency(rig)
    finally:
        rig.end()


if __name__ == "__main__":
    main()
