#!/usr/bin/env python3
"""Random changes of plan give the credit that fractions say, and later fees use it up to the cent."""
# limit: 120
import collections
import datetime
import math
import pathlib
import random
import sys
from fractions import Fraction as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "oracle"))  # last: it has a calendar.py
from invoicer_rig import Rig, chosen_seed, given, plan, ulid, usage_card  # noqa: E402
from rating import half_away  # noqa: E402

CHANGES = 24
BEGIN = datetime.datetime(2026, 4, 1, tzinfo=datetime.timezone.utc)
ENDS = {"P1M": BEGIN.replace(month=5), "P3M": BEGIN.replace(month=7)}  # of the fees' running periods
DAY = datetime.timedelta(days=1)


def text(instant):
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def fee(rng, key, cadences, discount):
    card = {"type": "flat_fee", "key": key, "name": key, "billingCadence": rng.choice(cadences),
            "price": {"type": "flat", "amount": f"{rng.randint(0, 80)}.{rng.randint(0, 99):02}",
                      "paymentTerm": rng.choice(["in_advance"] * 4 + ["in_arrears"])}}
    if rng.random() < 0.3:
        card["discounts"] = {"percentage": discount}
    return card


class Change:
    """From a plan with fees, a quota and a way to prorate to one with other fees, at a minute of April."""

    def __init__(self, rng, number):
        self.id, self.name = ulid(number + 1), str(number)
        self.fees = [fee(rng, f"old{of}", ["P1M", "P1M", "P3M", None], rng.choice(["10", "33.3", "100"]))
                     for of in range(rng.randint(1, 3))]
        self.next_fees = [fee(rng, f"new{of}", ["P1M"], "50") for of in range(rng.randint(1, 3))]
        self.quota, self.reset = rng.choice([None, "0", "100", "10000"]), rng.choice([None, None, "P1D", "P1W"])
        self.proration = rng.choice([None, {"mode": "max_consumption_based"}, {"mode": "time_based"},
                                     {"mode": "none"}, {"enabled": False}])
        self.at = BEGIN + datetime.timedelta(minutes=rng.randint(24 * 60, 28 * 24 * 60))
        self.usage = {BEGIN + of * DAY: rng.choice([1, 10, 400]) for of in range(28) if rng.random() < 0.4}

    def plans(self):
        api = usage_card({"type": "unit", "amount": "0"})
        if self.quota is not None:
            api["entitlementTemplate"] = {"type": "metered", "issueAfterReset": self.quota, "isSoftLimit": True}
        if self.quota is not None and self.reset:
            api["entitlementTemplate"]["usagePeriod"] = self.reset
        more = {} if self.proration is None else {"proRatingConfig": self.proration}
        return [plan("old" + self.name, [*self.fees, api], **more), plan("new" + self.name, self.next_fees)]

    def consumed(self):
        """The share of the quota that its running period has used."""
        if not self.quota or self.quota == "0" or (self.proration or {}).get("mode") == "time_based":
            return F(0)
        days = {"P1D": 1, "P1W": 7, None: 31}[self.reset]
        begin = BEGIN + (self.at - BEGIN) // DAY // days * days * DAY
        used = sum(quantity for day, quantity in self.usage.items() if begin <= day < self.at)
        return min(F(1), F(used, int(self.quota)))

    def credit(self):
        if self.proration and (self.proration.get("mode") == "none" or "enabled" in self.proration):
            return F(0)
        paid = collections.defaultdict(F)  # by the end of the period: rounded once each
        for card in self.fees:
            if card["billingCadence"] and card["price"]["paymentTerm"] == "in_advance":
                amount = F(card["price"]["amount"])
                percent = F(card.get("discounts", {}).get("percentage", "0"))
                paid[ENDS[card["billingCadence"]]] += amount - half_away(amount * percent / 100, 2)
        return sum((half_away(amount * (1 - max(F((self.at - BEGIN) // DAY * 86400 + (self.at - BEGIN).seconds,
                                                  int((end - BEGIN).total_seconds())), self.consumed())), 2)
                    for end, amount in paid.items()), F(0))


def spread(amount, weights):
    """By weight, to the cent; the largest remainders get the cents that are left, the first of equals first."""
    whole = sum(weights, F(0))
    exact = [amount * 100 * weight / whole if whole else F(0) for weight in weights]
    cents = [math.floor(share) for share in exact]
    order = sorted(range(len(exact)), key=lambda at: (cents[at] - exact[at], at))
    for at in order[:int(amount * 100) - sum(cents)]:
        cents[at] += 1
    return [F(share, 100) for share in cents]


def check_use(invoices, credit):
    """Boundary by boundary, from fees in advance alone, until nothing is left."""
    left = credit
    for invoice in sorted(invoices, key=lambda invoice: invoice["boundary"]):
        fees = [F(line["amount"]) - F(line["discount"]) if line["price"]["paymentTerm"] == "in_advance" else F(0)
                for line in invoice["lines"]]
        used = min(left, sum(fees, F(0)))
        left -= used
        taken = [F(line["amount"]) - F(line["discount"]) - F(line["total"]) for line in invoice["lines"]]
        assert taken == spread(used, fees), (invoice["id"], taken, spread(used, fees))


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    seed = chosen_seed()
    rng = random.Random(seed)
    changes = [Change(rng, number) for number in range(CHANGES)]
    rig = Rig(brokers)
    try:
        rig.apply({"meters": [{"slug": "api", "aggregation": "SUM", "valueProperty": "$.total"}],
                   "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
                   "plans": [made for change in changes for made in change.plans()],
                   "customers": [{"key": "customer" + change.name} for change in changes],
                   "subscriptions": [{"id": change.id, "customerKey": "customer" + change.name,
                                      "plan": {"key": "old" + change.name}, "activeFrom": text(BEGIN)}
                                     for change in changes]})
        rig.count([(change.id, text(day)[:-1], quantity) for change in changes
                   for day, quantity in change.usage.items()])
        rig.json("close", "--at", text(BEGIN + DAY))
        followers = {}
        for change in changes:
            done = rig.json("subscriptions", "change", change.id, "--plan", "new" + change.name, "--at", text(change.at))
            assert F(done["creditAmount"]) == change.credit(), (vars(change), done["creditAmount"], change.credit())
            followers[done["next"]["id"]] = change.credit()
        rig.json("close", "--at", "2026-09-01T02:00:00Z")
        invoices = collections.defaultdict(list)
        for listed in rig.json("invoices", "list"):
            invoice = rig.json("invoices", "show", listed["id"])
            invoices[invoice["subscription"]].append(invoice)
        for name, credit in followers.items():
            check_use(invoices[name], credit)
        credited = sum(credit > 0 for credit in followers.values())
        assert credited, "no change gave a credit"
        print(f"{credited} credits of {CHANGES} changes")
    finally:
        rig.end()


if __name__ == "__main__":
    main()
