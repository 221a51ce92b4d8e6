#!/usr/bin/env python3
"""SIGTERM under load: what was answered 202 is on `usage`, whoever is under way gets an answer, and
the process ends in time. And the rate of a key."""
# limit: 120
import json
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import BATCH, KEY, STRUCTURED, Rig, catalog, event, main, memory_bytes, wait_for  # noqa: E402


class Sender(threading.Thread):
    """One kept-alive connection; ends with the first error or refusal."""

    def __init__(self, rig, number):
        super().__init__()
        self.rig, self.number, self.accepted, self.last = rig, number, [], None

    def run(self):
        connection = self.rig.connect()
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": STRUCTURED}
        for i in range(100000):
            total = self.number * 100000 + i + 1
            body = json.dumps(event(f"{self.number}-{i}", data={"total": total}))
            try:
                connection.request("POST", "/v1/events", body, headers)
                answer = connection.getresponse()
                answer.read()
            except OSError as error:
                self.last = error
                return
            except Exception as error:  # the connection was closed between two requests
                self.last = error
                return
            if answer.status != 202:
                self.last = answer.status
                return
            self.accepted.append(str(total))


def test_sigterm_under_load_loses_nothing_that_was_answered():
    with Rig(settings=["--kafka-intake=false"]) as rig:
        rig.put_catalog()
        rig.start()
        senders = [Sender(rig, i) for i in range(8)]
        for sender in senders:
            sender.start()
        wait_for("202s", 20, lambda: sum(len(s.accepted) for s in senders) > 400)
        begun = time.monotonic()
        assert rig.stop() == 0
        took = time.monotonic() - begun
        for sender in senders:
            sender.join()
        assert took < 10, took
        counted = {e["entries"][0]["value"] for e in rig.usage()}
        accepted = {total for s in senders for total in s.accepted}
        assert accepted <= counted, len(accepted - counted)
        unanswered = counted - accepted
        assert not unanswered, f"{len(unanswered)} events counted whose senders got no answer"
        print(f"     {len(accepted)} answered, ended in {took:.2f} s")


def test_an_idle_process_ends_at_once():
    with Rig() as rig:
        rig.put_catalog()
        rig.start()
        begun = time.monotonic()
        assert rig.stop() == 0
        assert time.monotonic() - begun < 3


def test_a_process_without_a_broker_can_be_ended():
    with Rig(brokers="127.0.0.1:1") as rig:
        rig.start(ready=False)
        assert rig.get("/healthz")[0] == 200
        status, answer = rig.get("/readyz")
        assert status == 503 and answer["detail"], answer
        begun = time.monotonic()
        assert rig.stop() == 0
        assert time.monotonic() - begun < 14


def test_a_key_that_sends_more_than_its_rate_waits():
    with Rig(settings=["--kafka-intake=false", "--key-rate=100"]) as rig:
        rig.put_catalog()
        rig.start()
        status, _, _ = rig.post([event(f"r{i}") for i in range(250)], BATCH)
        assert status == 202
        status, answer, headers = rig.post(event("r"))
        assert (status, answer["code"]) == (429, "rate_exceeded"), answer
        assert 1 <= int(headers["Retry-After"]) <= 2, headers["Retry-After"]
        time.sleep(int(headers["Retry-After"]))
        assert rig.post(event("r"))[0] == 202


def test_a_queue_that_is_full_answers_503_and_memory_stays_bounded():
    settings = ["--kafka-intake=false", "--queue-bytes=8MiB", "--answer-timeout=3s",
                "--broker-grace=60s"]
    with Rig(settings=settings) as rig:
        rig.put_catalog()
        rig.start()
        before = memory_bytes(rig)
        rig.broker.process.send_signal(signal.SIGSTOP)
        answers, lock = [], threading.Lock()

        def send(number):
            for turn in range(4):
                events = [event(f"{number}-{turn}-{i}", subject=f"{number:04}{turn}{i:05}" + "s" * 900)
                          for i in range(1000)]
                status, answer, headers = rig.post(events, BATCH)
                with lock:
                    answers.append((status, answer.get("code")))
                assert status != 503 or headers["Retry-After"].isdigit()
        threads = [threading.Thread(target=send, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = memory_bytes(rig) - before
        assert rig.metric("tollway_ingest_in_flight_bytes") <= 10 * 2**20
        rig.broker.process.send_signal(signal.SIGCONT)
        assert set(answers) == {(503, "queue_full"), (503, "not_acknowledged")}, set(answers)
        assert grown < 96 * 2**20, grown
        wait_for("202s again", 30, lambda: rig.post(event("again"))[0] == 202)
        wait_for("an empty queue", 30, lambda: rig.metric("tollway_ingest_in_flight_bytes") == 0)
        print(f"     {len(answers)} batches of 1 MB refused, {grown / 2**20:.0f} MiB more")


def test_a_changed_catalog_counts_for_events_that_arrive_later():
    with Rig(settings=["--kafka-intake=false"]) as rig:
        rig.put_catalog()
        rig.start()
        assert rig.post(event("c1", type="new"))[1]["rejected"][0]["code"] == "unknown_type"
        rig.put("catalog", [{"key": "meter/new", "value": json.dumps(
            {"epoch": 1, "slug": "new", "eventType": "new", "aggregation": "COUNT"})}])
        wait_for("the new meter", 10, lambda: rig.post(event("c2", type="new"))[0] == 202)
        rig.put("catalog", [{"key": "key/" + KEY.split("_")[2], "value": None}])
        wait_for("the key's end", 5, lambda: rig.post(event("c3"))[0] == 401)


def test_a_bucket_whose_partitions_change_is_left_with_a_reason():
    with Rig(settings=["--kafka-intake=false"]) as rig:
        rig.put_catalog()
        rig.start()
        key, record = catalog(rig.bucket)[0]
        rig.put("catalog", [{"key": key, "value": json.dumps({**record, "partitions": 8})}])
        status = rig.process.wait(15)
        assert status == 70, status
        assert "has changed its partitions" in (rig.folder / "log").read_text()


if __name__ == "__main__":
    main(sys.modules["__main__"])
