#!/usr/bin/env python3
"""Subscriptions whose billing begins and ends elsewhere than when their usage was published first.

A plan is changed at 10:37, one cancelled at 05:11, one gets another anchor, one is cancelled after it
was billed: each has other cuts then, and its billing windows are published anew. Usage comes before
and after, by consumer name and by id; every billed quantity must equal a count of the events
themselves, by their time alone. Needs a Kafka in TOLLWAY_TEST_BROKERS."""
# limit: 300
import datetime
import json
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import chosen_seed, ulid  # noqa: E402
from stack import BIN, Stack, brokers_or_skip  # noqa: E402

CHANGED, ENDED, MOVED, SAME, BILLED = (ulid(number) for number in range(1, 6))
START = datetime.datetime(2025, 3, 1, tzinfo=datetime.timezone.utc)


def card(key, price):
    return {"type": "usage_based", "featureKey": key, "billingCadence": "P1M",
            "price": {"type": "unit", "amount": price}}


def plan(key):
    return {"key": key, "name": key.title(), "billingCadence": "P1M", "phases": [
        {"key": "default", "name": "Default", "rateCards": [card("api", "0.01"), card("users", "1")]}]}


def subscription(name, consumer=None, **more):
    made = {"id": name, "customerKey": "acme", "plan": {"key": "basic"},
            "activeFrom": "2025-03-01T00:00:00Z", **more}
    return {**made, "consumer": {"name": consumer}} if consumer else made


CATALOG = {"meters": [{"slug": "api", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.total"},
                      {"slug": "users", "eventType": "request", "aggregation": "UNIQUE_COUNT",
                       "valueProperty": "$.user"}],
           "features": [{"key": key, "name": key, "meterSlug": key} for key in ("api", "users")],
           "plans": [plan("basic"), plan("plus")], "customers": [{"key": "acme", "name": "Acme"}],
           "subscriptions": [subscription(CHANGED, "changed-key"), subscription(ENDED, "ended-key"),
                             subscription(MOVED), subscription(SAME), subscription(BILLED, "billed-key")]}


class Usage:
    """What was sent, by who it is of: (time, total, user)."""

    def __init__(self, tollway, dice):
        self.tollway, self.dice, self.sent, self.number = tollway, dice, {}, 0

    def send(self, who, attribute, first, days, count):
        """Events of the days from `first` on, counted from 1 March."""
        events = []
        for _ in range(count):
            at = START + datetime.timedelta(days=first, seconds=self.dice.randrange(days * 86400))
            total, user = self.dice.randrange(1, 1000), f"user{self.dice.randrange(40)}"
            self.number += 1
            self.sent.setdefault(who, []).append((at, total, user))
            events.append({"specversion": "1.0", "id": str(self.number), "type": "request", "source": "test",
                           **attribute, "time": at.isoformat().replace("+00:00", "Z"),
                           "data": {"total": total, "user": user}})
        status, answer = self.tollway.post_events(json.dumps(events).encode(),
                                                  "application/cloudevents-batch+json")
        assert status == 202 and not answer["rejected"], (status, answer)

    def send_all(self, first, days):
        for who in ("changed-key", "ended-key", "billed-key"):
            self.send(who, {"subject": who}, first, days, 40 * days)
        for who in (MOVED, SAME):
            self.send(who, {"subscription": who}, first, days, 40 * days)
        self.tollway.wait_ledger("counted", self.number)

    def count(self, who, meter, start, end):
        within = [each for each in self.sent[who] if start <= each[0] < end]
        return sum(total for _, total, _ in within) if meter == "api" else \
            len({user for _, _, user in within})


def invoicer(tollway, *arguments, status=0):
    done = subprocess.run([BIN / "invoicer", *arguments, "--json", "--wait", "60s", "--brokers",
                           tollway.brokers, "--bucket", tollway.at["bucket"],
                           "--data", tollway.folder / "data/invoicer"],
                          capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)


def apply(tollway, subscriptions):
    path = tollway.folder / "more.json"
    path.write_text(json.dumps({"subscriptions": subscriptions}))
    return invoicer(tollway, "catalog", "apply", path)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def check(tollway, usage, owners, at):
    """Closes and compares each new line with the events; the periods billed, by subscription."""
    periods, billed = {}, 0
    for invoice in invoicer(tollway, "close", "--at", at)["invoices"]:
        for line in invoice["lines"]:
            start, end = moment(line["period"]["from"]), moment(line["period"]["to"])
            wanted = usage.count(owners[invoice["subscription"]], line["featureKey"], start, end)
            assert line["quantity"] == str(wanted), (invoice["id"], line, wanted)
            periods.setdefault(invoice["subscription"], []).append((line["kind"], line["period"]["from"],
                                                                     line["period"]["to"]))
            billed += wanted
    assert billed > 0
    return periods


def main():
    brokers = brokers_or_skip()
    seed = chosen_seed()
    with Stack(brokers, CATALOG, TOLLWAY_DEDUP_HORIZON="P7300D") as tollway:
        usage = Usage(tollway, random.Random(seed))
        usage.send_all(0, 19)
        changed = invoicer(tollway, "subscriptions", "change", CHANGED, "--plan", "plus",
                           "--at", "2025-03-20T10:37:00Z")["next"]["id"]
        invoicer(tollway, "subscriptions", "cancel", ENDED, "--timing", "2025-03-25T05:11:00Z",
                 "--at", "2025-03-20T10:37:00Z")
        apply(tollway, [subscription(MOVED, billingAnchor="2025-03-07T13:45:00Z")])
        usage.send("changed-key", {"subject": "changed-key"}, 0, 60, 500)  # both sides of the change
        usage.send("ended-key", {"subject": "ended-key"}, 18, 5, 200)
        usage.send(MOVED, {"subscription": MOVED}, 0, 60, 500)
        usage.send("billed-key", {"subject": "billed-key"}, 20, 40, 300)
        usage.tollway.wait_ledger("counted", usage.number)
        owners = {CHANGED: "changed-key", changed: "changed-key", ENDED: "ended-key", MOVED: MOVED,
                  SAME: SAME, BILLED: "billed-key"}
        periods = check(tollway, usage, owners, "2025-05-01T01:00:00Z")
        first, cut = "2025-03-01T00:00:00Z", "2025-03-20T10:37:00Z"
        assert periods[CHANGED] == [("usage", first, cut)] * 2, periods[CHANGED]
        assert periods[changed][0] == ("usage", cut, "2025-04-01T00:00:00Z") and len(periods[changed]) == 4
        assert periods[ENDED] == [("usage", first, "2025-03-25T05:11:00Z")] * 2, periods[ENDED]
        assert ("usage", "2025-03-07T13:45:00Z", "2025-04-07T13:45:00Z") in periods[MOVED], periods[MOVED]
        print("as it was counted, on both sides of each cut", flush=True)

        usage.send("billed-key", {"subject": "billed-key"}, 61, 19, 300)
        usage.send("billed-key", {"subject": "billed-key"}, 3, 1, 20)  # for a period that is billed
        usage.send("changed-key", {"subject": "changed-key"}, 3, 30, 50)
        usage.tollway.wait_ledger("counted", usage.number)
        invoicer(tollway, "subscriptions", "cancel", BILLED, "--at", "2025-05-20T07:07:00Z")
        periods = check(tollway, usage, owners, "2025-06-01T01:00:00Z")
        kinds = {kind for kind, start, _ in periods[BILLED] if start == first}
        assert kinds == {"adjustment"}, periods[BILLED]
        assert ("usage", "2025-05-01T00:00:00Z", "2025-05-20T07:07:00Z") in periods[BILLED], periods[BILLED]
        assert {kind for kind, _, _ in periods[CHANGED]} == {"adjustment"}, periods[CHANGED]
        assert MOVED not in periods or all(kind == "usage" for kind, _, _ in periods[MOVED])
        print("late usage too, and what was billed before isn't taken back", flush=True)

        audit = invoicer(tollway, "audit")  # the aggregator's horizon is what its marks say
        assert audit["differences"] == [] and audit["quantities"] > 100, audit
        assert audit["partitionsWithoutBeginning"] == 0, audit
        assert audit["late"] == 0 and audit["dedupHorizonSeconds"] == 7300 * 86400, audit
        assert audit["hint"] is None, audit
        # With a horizon that isn't the aggregators' own it differs, and says which it went by.
        audit = invoicer(tollway, "audit", "--dedup-horizon", "P35D", status=65)
        assert audit["differences"] and audit["late"] == audit["events"] > 0, audit["late"]
        assert audit["dedupHorizonSeconds"] == 35 * 86400, audit["dedupHorizonSeconds"]
        assert "without --dedup-horizon" in audit["hint"], audit["hint"]
        print("the audit finds the same in the log, adjustments too:", audit["quantities"], "quantities",
              audit["amounts"], "amounts", flush=True)


if __name__ == "__main__":
    main()
