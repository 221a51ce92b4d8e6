#!/usr/bin/env python3
"""A close and its audit while usage comes in for what it bills, late and new, on a real Kafka: the aggregator's passes over
thousands of windows go on all the time, and the bill is what the log holds before the position that it names."""
# limit: 300
import datetime
import itertools
import pathlib
import random
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig  # noqa: E402
from ingest_rig import BATCH, event, tool, wait_for  # noqa: E402
from invoicer_rig import Rig, catalog, chosen_seed, given, ulid  # noqa: E402

PARTITIONS, SUBSCRIPTIONS, ROUTES = 2, 60, 6
CLIENTS, EVENTS = 3, 100  # events of a batch: few, so that messages keep coming
NOW = datetime.datetime.now(datetime.timezone.utc)
START = (NOW - datetime.timedelta(days=33)).replace(hour=0, minute=0, second=0, microsecond=0)


class Traffic:
    """A month of each subscription, most of it over, again and again until it is stopped."""

    def __init__(self, chain, key, seed):
        self.chain, self.key, self.dice = chain, key, random.Random(seed)
        self.numbers = itertools.count()
        self.sent, self.problem, self.has_to_end = 0, None, False
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]

    def batch(self):
        for _ in range(EVENTS):
            time = START + self.dice.random() * (NOW - START)
            yield event(str(next(self.numbers)), type="api", subscription=ulid(self.dice.randint(1, SUBSCRIPTIONS)),
                        time=time.strftime("%Y-%m-%dT%H:%M:%SZ"), data={"total": self.dice.randint(1, 9), "route": str(self.dice.randrange(ROUTES))})

    def run(self):
        while not self.has_to_end:
            status, answer, _ = self.chain.post(list(self.batch()), BATCH, key=self.key)
            if status != 202 or answer["rejected"]:
                self.problem = status, answer
                return
            self.sent += EVENTS

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.has_to_end = True
        for thread in self.threads:
            thread.join()

    def await_more(self, count):
        wanted = self.sent + count
        wait_for("more traffic", 60, lambda: self.problem or self.sent >= wanted)
        assert not self.problem, self.problem


def ends_of_usage(chain):
    ends = [0] * PARTITIONS
    for record in tool("get", chain.brokers, chain.topic("usage")):
        ends[record["partition"]] = record["offset"] + 1
    return ends


def audited(rig):
    audit = rig.json("audit")
    assert audit["differences"] == [] and audit["quantities"] >= SUBSCRIPTIONS // 3 and audit["events"], audit
    return audit


def billed_while_it_comes_in(rig, traffic):
    traffic.await_more(10000)
    closed = rig.json("close", "--at", NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "--wait", "60s")
    assert closed["failed"] == 0 and closed["billed"] >= SUBSCRIPTIONS, closed
    audited(rig)
    traffic.await_more(10000)
    audited(rig)
    return {invoice["position"]["partition"]: invoice["position"]["nextOffset"] for invoice in closed["invoices"]}


def made_catalog():
    made = catalog(SUBSCRIPTIONS, start=START.strftime("%Y-%m-%dT%H:%M:%SZ"))
    made["meters"][0]["groupBy"] = {"route": "$.route"}
    return made


def main():
    rig, seed = Rig(given("TOLLWAY_TEST_BROKERS"), PARTITIONS), chosen_seed()
    try:
        rig.apply(made_catalog())
        key = rig.json("keys", "create")["key"]
        with CountingRig(brokers=rig.brokers, topics_check=True, bucket=rig.bucket) as chain:
            chain.start()
            aggregator = chain.aggregator().start()
            wait_for("the key", 30, lambda: chain.post([event("x", type="api", subscription=ulid(1))], BATCH, key=key)[0] == 202)
            with Traffic(chain, key, seed) as traffic:
                positions = billed_while_it_comes_in(rig, traffic)
            ends = ends_of_usage(chain)
            assert all(0 < positions[p] < ends[p] for p in range(PARTITIONS)), (positions, ends)
            print(f"{traffic.sent} events; billed before {positions} of {ends}")
            assert aggregator.stop() == 0
        audited(rig)
    finally:
        rig.end()


if __name__ == "__main__":
    main()
