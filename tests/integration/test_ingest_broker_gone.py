#!/usr/bin/env python3
"""ingest and a real Kafka that isn't there, isn't right, goes away and comes back: readiness names the
remedy, requests get 503 with Retry-After instead of waiting or filling memory, and every event that
was answered 202 is on `usage`."""
# limit: 240
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import BATCH, BIN, PARTITIONS, ROOT, Rig, event, memory_bytes, wait_for  # noqa: E402

ANSWER_SECONDS = 3  # which a request would wait for Kafka
DRAIN_SECONDS = 10  # which an end waits for it
SETTINGS = [f"--answer-timeout={ANSWER_SECONDS}s", "--broker-grace=2s",
            f"--drain-timeout={DRAIN_SECONDS}s"]


class Kafka:
    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="tollway-kafka-")

    def command(self, *arguments):
        done = subprocess.run([ROOT / "scripts/kafka", *arguments[:1], "--home", self.home,
                               *arguments[1:]], capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def start(self):
        return self.command("start").splitlines()[-1]

    def node(self, verb, *arguments):
        self.command(verb, "--node", "1", *arguments)

    def remove(self):
        self.command("stop", "--wipe")
        shutil.rmtree(self.home, ignore_errors=True)


def create(rig, partitions):
    done = subprocess.run([BIN / "topic-tool", "create", rig.brokers, f"{rig.bucket}:{partitions}"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Senders:
    """Clients that send batches one after the other and remember what was answered 202."""

    def __init__(self, rig, count):
        self.rig, self.accepted, self.statuses, self.slowest = rig, set(), {}, 0
        self.lock, self.ending = threading.Lock(), False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        batch = 0
        while not self.ending:
            batch += 1
            total = number * 1000000 + batch
            events = [event(f"{number}-{batch}-{i}", data={"total": total, "method": "x" * 400})
                      for i in range(100)]
            begun = time.monotonic()
            try:
                status, _, headers = self.rig.post(events, BATCH)
            except OSError:
                status, headers = "none", {}
            with self.lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
                self.slowest = max(self.slowest, time.monotonic() - begun)
                if status == 202:
                    self.accepted.add(str(total))
            if status == 503:
                assert headers["Retry-After"].isdigit()
            time.sleep(0.02 if status == 202 else 0.1)

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()


def check_readiness(rig):
    rig.start(ready=False)

    def says(*words):
        detail = lambda: str(rig.get("/readyz")[1].get("detail"))  # noqa: E731
        wait_for(f"/readyz to say {words}", 40, lambda: all(w in detail() for w in words))
        assert rig.get("/readyz")[0] == 503
        return detail()
    says(rig.topic("catalog"), "topics create")
    status, answer, headers = rig.post(event("early"))
    assert (status, answer["code"]) == (503, "catalog_not_loaded") and headers["Retry-After"]
    create(rig, PARTITIONS - 1)
    says("bucket record", "topics create")
    rig.put_catalog()
    says(rig.topic("usage"), "partitions")
    status, answer, _ = rig.post(event("early"))
    assert status == 503, answer
    assert rig.stop() == 0
    print("ok   readiness names what is missing, and the remedy")


def check_outage(rig, kafka):
    senders = Senders(rig, 4)
    wait_for("202s", 20, lambda: senders.statuses.get(202, 0) > 20)
    before = memory_bytes(rig)
    kafka.node("stop", "--kill")
    wait_for("503s", 30, lambda: senders.statuses.get(503, 0) > 20)
    wait_for("/readyz to say so", 20, lambda: rig.get("/readyz")[0] == 503)
    begun = time.monotonic()
    status, answer, headers = rig.post(event("gone"))
    assert (status, answer["code"]) == (503, "broker_unavailable"), answer
    assert headers["Retry-After"].isdigit() and time.monotonic() - begun < ANSWER_SECONDS
    grown = memory_bytes(rig) - before
    assert grown < 64 * 1024 * 1024, grown
    answered = senders.statuses[202]
    kafka.node("start")
    wait_for("202s again", 60, lambda: senders.statuses[202] > answered + 20)
    senders.end()
    assert set(senders.statuses) == {202, 503}, senders.statuses
    print(f"ok   answers {senders.statuses}, the slowest after {senders.slowest:.1f} s, "
          f"{grown / 2**20:.1f} MiB more")
    totals = {}
    for found in rig.usage():
        value = found["entries"][0]["value"]
        totals.setdefault(value, set()).add(found["identity"])
    missing = [t for t in senders.accepted if len(totals.get(t, ())) != 100]
    assert not missing, missing
    print(f"ok   all {len(senders.accepted) * 100} acknowledged events are on usage")


def check_ending_without_broker(rig, kafka):
    kafka.node("stop", "--kill")
    thread = threading.Thread(target=lambda: rig.post(event("last")))
    thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    status = rig.stop(seconds=25)
    thread.join()
    assert status in (0, 75) and time.monotonic() - begun < 2 * DRAIN_SECONDS, (status, time.monotonic() - begun)
    print(f"ok   SIGTERM without a broker ends it with {status} in "
          f"{time.monotonic() - begun:.1f} s")


def run(kafka):
    brokers = kafka.start()
    with Rig(brokers, topics_check=True, settings=SETTINGS) as rig:
        check_readiness(rig)
    with Rig(brokers, topics_check=True, settings=SETTINGS) as rig:
        create(rig, PARTITIONS)
        rig.put_catalog()
        rig.start()
        check_outage(rig, kafka)
        check_ending_without_broker(rig, kafka)


if __name__ == "__main__":
    if not shutil.which("java"):
        print("skipped: no Java to run Kafka with")
        sys.exit(77)
    KAFKA = Kafka()
    try:
        run(KAFKA)
    finally:
        KAFKA.remove()
