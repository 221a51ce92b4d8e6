#!/usr/bin/env python3
"""ingest killed with SIGKILL at random moments under load, on a real Kafka: every event that was
answered 202, and every record of `events`, is on `usage`; what is there more often is the same event."""
# limit: 900
import http.client
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import BATCH, BIN, PARTITIONS, Rig, event, wait_for  # noqa: E402

ROUNDS = int(os.environ.get("TOLLWAY_TEST_ROUNDS", "15"))
BROKERS = os.environ.get("TOLLWAY_TEST_BROKERS")
SENDERS = 4
HTTP, KAFKA = 1, 2  # hundreds of millions of `total`, which marks each event


class Sender(threading.Thread):
    """Sends batches of ten, each again until it is answered 202; remembers those."""

    def __init__(self, rig, number):
        super().__init__()
        self.rig, self.number, self.accepted, self.ending = rig, number, set(), False

    def run(self):
        batch = 0
        while not self.ending:
            first = HTTP * 10**8 + self.number * 10**7 + batch * 10
            events = [event(str(total), time="2026-10-01T00:00:00Z", data={"total": total})
                      for total in range(first, first + 10)]
            try:
                status, _, _ = self.rig.post(events, BATCH)
            except (OSError, http.client.HTTPException):
                status = None
            if status == 202:
                self.accepted.update(range(first, first + 10))
                batch += 1
            else:
                time.sleep(0.05)


class Producer(threading.Thread):
    """A gateway that writes to `events` by itself."""

    def __init__(self, rig):
        super().__init__()
        self.rig, self.sent, self.ending = rig, set(), False

    def run(self):
        total = KAFKA * 10**8
        while not self.ending:
            records = [{"value": json.dumps(event(str(t), time="2026-10-01T00:00:00Z",
                                                  data={"total": t}))}
                       for t in range(total, total + 100)]
            self.rig.put("events", records)
            self.sent.update(range(total, total + 100))
            total += 100
            time.sleep(0.2)


def check(rig, expected):
    """All that was promised is there, and no total stands for two events."""
    identities = {}
    for found in rig.usage():
        assert "foreign" not in found, found
        total = int(found["entries"][0]["value"])
        identities.setdefault(total, set()).add((found["identity"], found["payload"]))
    missing = expected - identities.keys()
    twice = [t for t, known in identities.items() if len(known) != 1]
    assert not twice, twice[:10]
    return missing


def run(rig, dice):
    senders = [Sender(rig, n) for n in range(SENDERS)]
    producer = Producer(rig)
    for thread in (*senders, producer):
        thread.start()
    try:
        for _ in range(ROUNDS):
            time.sleep(dice.uniform(0.05, 2.5))
            rig.process.send_signal(signal.SIGKILL)
            rig.process.wait()
            rig.start(ready=False)
        rig.await_ready(60)
        time.sleep(1)
    finally:
        for thread in (*senders, producer):
            thread.ending = True
        for thread in (*senders, producer):
            thread.join()
    accepted = {total for sender in senders for total in sender.accepted}
    assert len(accepted) > ROUNDS * 10, len(accepted)
    missing = check(rig, accepted)
    assert not missing, f"acknowledged and missing: {sorted(missing)[:10]}"
    wait_for("every record of `events`", 120, lambda: not check(rig, producer.sent))
    return len(accepted), len(producer.sent), len(rig.usage())


if __name__ == "__main__":
    if not BROKERS:
        print("skipped: TOLLWAY_TEST_BROKERS names no Kafka (tests/run starts one)")
        sys.exit(77)
    SEED = int(os.environ.get("TOLLWAY_TEST_SEED", time.time()))
    print(f"seed {SEED}, {ROUNDS} kills")
    with Rig(BROKERS, topics_check=True) as RIG:
        subprocess.run([BIN / "topic-tool", "create", BROKERS, f"{RIG.bucket}:{PARTITIONS}"], check=True,
                       timeout=60)
        RIG.put_catalog()
        RIG.start()
        HTTP_COUNT, KAFKA_COUNT, USAGE = run(RIG, random.Random(SEED))
    print(f"ok   {HTTP_COUNT} events answered 202 and {KAFKA_COUNT} records, all on usage; {USAGE} "
          f"entries there, duplicates among them")
    print("1 passed, 0 failed")
