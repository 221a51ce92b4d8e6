#!/usr/bin/env python3
"""Subscriptions whose ends are set, moved and taken back between closes pay each period of each card once, and what it
comes to: fees in advance when their billing period is over at the latest, all else when it is."""
# limit: 120
import collections
import datetime
import json
import pathlib
import random
import sys
from fractions import Fraction as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import Rig, chosen_seed, given  # noqa: E402
from test_invoicer_lives import (ALIGNED, BEGIN, END, FOREVER, LIVES, Life, add, close, count,  # noqa: E402
                                 phases_of, text, total_of)

DAY, HOUR = datetime.timedelta(days=1), datetime.timedelta(hours=1)


def life_of(rng, number):
    """Without an end at first; most fees in advance, many for less than a billing period."""
    life = Life(rng, number)
    life.end, finer = FOREVER, ALIGNED[life.plan["billingCadence"]]
    for phase in life.plan["phases"]:
        for card in phase["rateCards"]:
            if card["type"] == "flat_fee" and card["price"] and rng.random() < 0.7:
                card["billingCadence"] = min(finer, key=lambda cadence: add(BEGIN, cadence))
                card["price"].pop("paymentTerm", None)
    return life


def file_of(lives):
    return {"meters": [{"slug": "api", "aggregation": "SUM", "valueProperty": "$.total"}],
            "features": [{"key": "api", "name": "API", "meterSlug": "api"}],
            "plans": [life.plan for life in lives],
            "customers": [{"key": f"customer{number}"} for number in range(LIVES)],
            "subscriptions": [life.record(f"customer{number}") for number, life in enumerate(lives)]}


def move_ends(rng, lives, now):
    """Of those that run, to a day that is still to come; mostly shortly before it would have come."""
    moved = 0
    for life in lives:
        is_near = life.end < now + DAY * 40
        if life.start >= now or life.end <= now or rng.random() > (0.8 if is_near else 0.4):
            continue
        if life.end == FOREVER:
            life.end = now + DAY * rng.choice([2, 10, 31, 45, 60, 75, 100, 130, 200])
        elif is_near:
            life.end = rng.choice([FOREVER, FOREVER, life.end + DAY * rng.randint(1, 100)])
        moved += 1
    return moved


def paid(rig):
    """{(subscription, phase, card, from): total}; no line stands on two invoices."""
    found, ids = collections.defaultdict(F), collections.Counter()
    for file in (rig.folder / "out").glob("**/*.json"):
        invoice = json.loads(file.read_text())
        for line in invoice["lines"]:
            ids[line["id"]] += 1
            found[invoice["subscription"], line["phaseKey"], line["rateCardKey"], line["period"]["from"]] += \
                F(line["total"])
    assert max(ids.values()) == 1, [name for name, times in ids.items() if times > 1]
    return found


def is_due(card, period, billing, until):
    in_advance = card["type"] == "flat_fee" and card["price"].get("paymentTerm") != "in_arrears"
    return any((begin <= period[0] < end if in_advance else begin < period[1] <= end)
               for begin, end in billing if end <= until)


def each_period_is_paid_once(rig, lives, until):
    found, periods = paid(rig), 0
    for life in lives:
        for phase in phases_of(life):
            billing = phase.periods(life.plan["billingCadence"])
            for card in filter(lambda card: card["price"], phase.of["rateCards"]):
                for period in phase.periods(card["billingCadence"]):
                    if not is_due(card, period, billing, until):
                        continue
                    key = (life.id, phase.of["key"], card.get("key", "api"), text(period[0]))
                    assert found[key] == total_of(life, card, period), (key, period, found[key], life.end)
                    periods += 1
    assert periods > 3 * LIVES, periods
    return periods


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    rng = random.Random(chosen_seed())
    lives = [life_of(rng, number) for number in range(LIVES)]
    rig, now, moved = Rig(brokers), BEGIN + DAY * rng.randrange(30), 0
    try:
        rig.apply(file_of(lives))
        count(rig, lives, lambda life: life.usage)
        while now < END:
            close(rig, now + HOUR)
            moved += move_ends(rng, lives, now)
            rig.apply({"subscriptions": file_of(lives)["subscriptions"]})
            now += DAY * rng.choice([3, 11, 17, 23, 31])
        close(rig, END)
        print(f"{each_period_is_paid_once(rig, lives, END - HOUR)} periods, {moved} ends moved")
    finally:
        rig.end()


if __name__ == "__main__":
    main()
