#!/usr/bin/env python3
"""Random plans with phases, anchors and every pair of cadences are billed as a model of the rules says, fee by fee,
and what comes in late is billed so that each period has paid what it would have paid at once."""
# limit: 120
import calendar
import collections
import datetime
import json
import pathlib
import random
import sys
from fractions import Fraction as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))  # last: it has a calendar.py
import rating  # noqa: E402
from invoicer_rig import Rig, chosen_seed, given, plan, ulid, usage_card  # noqa: E402

UTC = datetime.timezone.utc
LIVES = 24
BEGIN, END = datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.datetime(2025, 3, 10, tzinfo=UTC)
HORIZON = END + datetime.timedelta(days=400)  # a yearly invoice holds the fees of the year to come
FOREVER = datetime.datetime(2100, 1, 1, tzinfo=UTC)
CADENCES = {"P1D": (0, 1), "P1W": (0, 7), "P10D": (0, 10), "P2W": (0, 14), "P4W": (0, 28), "P1M": (1, 0),
            "P2M": (2, 0), "P3M": (3, 0), "P6M": (6, 0), "P12M": (12, 0), "P1Y": (12, 0)}
ALIGNED = {"P1W": ["P1W", "P2W", "P4W", "P1D"], "P2W": ["P1W", "P2W", "P4W"], "P4W": ["P4W", "P1W"],
           "P1M": ["P1M", "P3M", "P6M", "P1Y"], "P3M": ["P1M", "P3M", "P6M", "P1Y"], "P6M": ["P6M", "P1M"],
           "P12M": ["P1Y", "P12M", "P1M"], "P1Y": ["P1M", "P3M", "P1Y"]}


def text(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def add(instant, cadence, count=1, months=0):
    """`months` and `count` times the cadence later; a day that the month doesn't have is its last."""
    of_months, of_days = CADENCES[cadence]
    year, month = divmod(instant.year * 12 + instant.month - 1 + months + of_months * count, 12)
    day = min(instant.day, calendar.monthrange(year, month + 1)[1])
    return instant.replace(year=year, month=month + 1, day=day) + datetime.timedelta(days=of_days * count)


# --- random lives ---

def fee_card(rng, number, cadences):
    price = {"type": "flat", "amount": f"{rng.randint(0, 99)}.{rng.randint(0, 99):02}"}
    if rng.random() < 0.4:
        price["paymentTerm"] = "in_arrears"
    card = {"type": "flat_fee", "key": f"fee{number}", "name": f"Fee {number}",
            "billingCadence": rng.choice([*cadences, None]), "price": rng.choice([price] * 9 + [None])}
    if card["price"] and rng.random() < 0.3:
        card["discounts"] = {"percentage": rng.choice(["10", "33.3", "100"])}
    return card


def api_card(rng, cadences):
    while True:
        price = rating.random_price(rng, 2)
        if price["type"] not in ("flat", "percentage", "matrix"):
            break
    discounts = rng.choice([{}, {}, {"percentage": "12.5"}, {"usage": {"quantity": "50"}}])
    return usage_card(price, billingCadence=rng.choice(cadences), discounts=discounts)


def random_plan(rng, number):
    cadence, phases = rng.choice(list(ALIGNED)), []
    lengths = [rng.choice(["P1W", "P2W", "P10D", "P1M", "P2M", "P3M"]) for _ in range(rng.choice([0, 0, 1, 2]))]
    for at, length in enumerate([*lengths, None]):
        cards = [fee_card(rng, of, ALIGNED[cadence]) for of in range(rng.randint(1, 3))]
        if rng.random() < 0.8:
            cards.append(api_card(rng, ALIGNED[cadence]))
        phases.append({"key": f"phase{at}", "name": f"Phase {at}", "duration": length, "rateCards": cards})
    return plan(f"plan{number}", [], billingCadence=cadence, phases=phases)


class Life:
    def __init__(self, rng, number):
        days = datetime.timedelta
        self.id, self.plan = ulid(number + 1), random_plan(rng, number)
        self.start = BEGIN + days(days=rng.choice([0, 28, 30, 59, rng.randint(0, 120)]))
        self.anchor = self.start - days(days=rng.randint(1, 40)) if rng.random() < 0.3 else None
        self.end = self.start + days(days=rng.randint(5, 300)) if rng.random() < 0.3 else FOREVER
        length = (min(self.end, END) - self.start).days
        self.usage = {self.start + days(days=rng.randrange(length)): rng.choice([1, 50, 1000, rng.randint(0, 9000)])
                      for _ in range(rng.randint(0, 40))}
        self.late = {day: self.usage.pop(day) for day in list(self.usage) if rng.random() < 0.2}

    def record(self, customer):
        record = {"id": self.id, "customerKey": customer, "plan": {"key": self.plan["key"]},
                  "activeFrom": text(self.start)}
        if self.anchor:
            record["billingAnchor"] = text(self.anchor)
        if self.end < FOREVER:
            record["activeTo"] = text(self.end)
        return record


# --- the model ---

class Phase:
    """Where a phase lies, and how its periods recur."""

    def __init__(self, life, phase, row, months):
        self.of, self.anchor, self.row, self.months = phase, life.anchor, row, months
        self.start = add(row, "P1M", months)
        length = phase["duration"]
        self.end = min(life.end, FOREVER if length is None else
                       add(row, length, months=months) if CADENCES[length][0] else add(self.start, length))

    def periods(self, cadence):
        """[(from, to)], cut to the phase."""
        if self.start >= self.end:
            return []
        if cadence is None:
            return [(self.start, self.end)]
        # Months recur from the day on which a row of phases of whole months began.
        base, months = (self.anchor, 0) if self.anchor else \
            (self.row, self.months) if CADENCES[cadence][0] else (self.start, 0)
        count, found = 0, []
        while add(base, cadence, count, months) < min(self.end, HORIZON):
            period = add(base, cadence, count, months), add(base, cadence, count + 1, months)
            if period[1] > self.start:
                found.append((max(period[0], self.start), min(period[1], self.end)))
            count += 1
        return found


def phases_of(life):
    row, months = life.start, 0
    for phase in life.plan["phases"]:
        found = Phase(life, phase, row, months)
        yield found
        length = phase["duration"]
        if length and CADENCES[length][0]:
            months += CADENCES[length][0]
        else:
            row, months = found.end, 0


def total_of(life, card, period):
    used = sum(quantity for day, quantity in life.usage.items() if period[0] <= day < period[1])
    discounts = dict(card.get("discounts", {}))
    if "usage" in discounts:
        discounts["usage"] = discounts["usage"]["quantity"]
    question = {"currency": "USD", "price": card["price"], "discounts": discounts}
    lines, _ = rating.rate(question if card["type"] == "flat_fee" else {**question, "quantity": str(used)})
    return sum((line[4] - line[5] for line in lines), F(0))


def expected(life, until):
    """{boundary: sorted [(phase, card, from, to, total)]}: fees in advance on the boundary at or before their
    period's beginning, all else on the one at or behind its end."""
    found = collections.defaultdict(list)
    for phase in phases_of(life):
        billing = phase.periods(life.plan["billingCadence"])
        for card in filter(lambda card: card["price"], phase.of["rateCards"]):
            in_advance = card["type"] == "flat_fee" and card["price"].get("paymentTerm") != "in_arrears"
            for period in phase.periods(card["billingCadence"]):
                boundary = [begin if in_advance else end for begin, end in billing
                            if (begin <= period[0] < end if in_advance else begin < period[1] <= end)]
                if boundary and boundary[0] <= until:
                    found[text(boundary[0])].append(
                        (phase.of["key"], card.get("key", "api"), text(period[0]),
                         None if period[1] == FOREVER else text(period[1]), total_of(life, card, period)))
    return {boundary: sorted(lines, key=str) for boundary, lines in found.items()}


# --- the comparison ---

def line_of(line):
    return (line["phaseKey"], line["rateCardKey"], line["period"]["from"], line["period"]["to"], F(line["total"]))


def billed(rig):
    """{subscription: {boundary: sorted lines}}"""
    found = collections.defaultdict(dict)
    for file in (rig.folder / "out").glob("**/*.json"):
        invoice = json.loads(file.read_text())
        lines = sorted(map(line_of, invoice["lines"]), key=str)
        assert F(invoice["total"]) == sum(line[4] for line in lines), invoice
        found[invoice["subscription"]][invoice["boundary"]] = lines
    return found


def close(rig, at):
    rig.run("close", "--at", text(at), "--out", rig.folder / "out")


def count(rig, lives, usage_of):
    rig.count([(life.id, text(day)[:-1], quantity) for life in lives for day, quantity in usage_of(life).items()])


def each_invoice_holds_what_is_due(rig, lives, rng):
    count(rig, lives, lambda life: life.usage)
    close(rig, BEGIN + datetime.timedelta(days=rng.randrange(400)))
    close(rig, END)
    found, boundaries = billed(rig), 0
    for life in lives:
        wanted = expected(life, END - datetime.timedelta(hours=1))
        for boundary in sorted(wanted.keys() | found[life.id].keys()):
            assert found[life.id].get(boundary) == wanted.get(boundary), (
                life.id, boundary, "got", found[life.id].get(boundary), "wanted", wanted.get(boundary))
        boundaries += len(wanted)
    assert boundaries > LIVES, "next to nothing was billed"
    print(f"{boundaries} invoices of {LIVES} subscriptions")


def late_usage_is_made_up_for(rig, lives):
    """By the horizon each has a boundary on which its adjustments stand."""
    count(rig, lives, lambda life: life.late)
    close(rig, HORIZON)
    found = billed(rig)
    for life in lives:
        life.usage.update(life.late)
        paid = collections.Counter()
        for lines in found[life.id].values():
            for *period, total in lines:
                paid[tuple(period)] += total
        for lines in expected(life, END - datetime.timedelta(hours=1)).values():
            for *period, total in lines:
                assert paid[tuple(period)] == total, (life.id, period, "got", paid[tuple(period)], "wanted", total)
    print(f"{sum(len(life.late) for life in lives)} days came in late")


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    seed = chosen_seed()
    rng = random.Random(seed)
    lives = [Life(rng, number) for number in range(LIVES)]
    rig = Rig(brokers)
    try:
        rig.apply({"meters": [{"slug": "api", "aggregation": "SUM", "valueProperty": "$.total"}],
                   "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
                   "plans": [life.plan for life in lives],
                   "customers": [{"key": f"customer{number}"} for number in range(LIVES)],
                   "subscriptions": [life.record(f"customer{number}") for number, life in enumerate(lives)]})
        each_invoice_holds_what_is_due(rig, lives, rng)
        late_usage_is_made_up_for(rig, lives)
    finally:
        rig.end()


if __name__ == "__main__":
    main()
