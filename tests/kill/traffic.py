"""Clients that send events to ingest and write down what they sent, and what that must come to.

Every event has an id of its own; every third is of a numbered source and has a number as well. A
client sends a batch again and again until it is answered 2xx, and sends some events twice on purpose.
A batch of the subscriptions that give up easily is dropped after its first failure: whether those
events count is open, but then it is once.
"""
import collections
import datetime
import http.client
import json
import random
import threading
import time
import zlib

SUBSCRIPTIONS = [f"01ARZ3NDEKTSV4RRFFQ69G5F{i:02d}" for i in range(40)]
FICKLE = set(SUBSCRIPTIONS[36:])  # their clients give up after one failure
DAYS = 3
NUMBERED = "/numbered"  # the source


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def this_month():
    """Its first moment."""
    return now().replace(day=1, hour=0, minute=0, second=0)


def last_month():
    return (this_month() - datetime.timedelta(days=1)).replace(day=1)


CATALOG = {
    "configuration": {"numberedSources": [NUMBERED]},
    "meters": [
        {"slug": "units", "eventType": "request", "aggregation": "SUM", "valueProperty": "$.units",
         "groupBy": {"method": "$.method"}},
        {"slug": "requests", "eventType": "request", "aggregation": "COUNT"}],
    "features": [{"key": "units", "name": "Units", "meterSlug": "units"},
                 {"key": "requests", "name": "Requests", "meterSlug": "requests"}],
    "plans": [{"key": "payg", "name": "Pay as you go", "currency": "USD", "billingCadence": "P1M",
               "phases": [{"key": "default", "name": "Default", "rateCards": [
                   {"type": "usage_based", "key": "units", "featureKey": "units",
                    "billingCadence": "P1M", "price": {"type": "unit", "amount": "0.01"}},
                   {"type": "usage_based", "key": "requests", "featureKey": "requests",
                    "billingCadence": "P1M", "price": {"type": "unit", "amount": "0.001"}}]}]}],
    "customers": [{"key": f"customer-{i}", "name": f"Customer {i}"}
                  for i in range(len(SUBSCRIPTIONS))],
    "subscriptions": [{"id": id, "customerKey": f"customer-{i}", "plan": {"key": "payg"},
                       "activeFrom": last_month().strftime("%Y-%m-%dT00:00:00Z")}
                      for i, id in enumerate(SUBSCRIPTIONS)],
}


class Traffic:
    """`clients` threads of batches, `pause` seconds between two; the same seed, the same events."""

    def __init__(self, ingest, seed, clients=3, batch=40, pause=0.01, days=None):
        self.ingest, self.batch, self.pause = ingest, batch, pause
        self.days = days or [now() - datetime.timedelta(days=d) for d in range(DAYS)]
        self.lock = threading.Lock()
        self.attempted, self.acked = {}, set()  # id → event; ids answered for
        self.sent_again = 0
        self.statuses = collections.Counter()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(f"{seed}-{c}",), daemon=True)
                        for c in range(clients)]
        self.problems = []

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self, seconds=120):
        """Lets every client finish its batch."""
        self.stopping.set()
        until = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
            if thread.is_alive():
                self.problems.append(f"a client got no 2xx in {seconds} s: {dict(self.statuses)}")
                return

    def event(self, dice, seed, serial):
        day = dice.choice(self.days)
        moment = day - datetime.timedelta(seconds=dice.randrange(3600))
        who = {"source": "/clients"}
        if serial % 3 == 0:
            who = {"source": NUMBERED, "sequence": str(zlib.crc32(seed.encode()) << 32 | serial // 3)}
        return {"specversion": "1.0", "id": f"{seed}-{serial}", **who, "type": "request",
                "subject": dice.choice(SUBSCRIPTIONS), "time": moment.isoformat(),
                "data": {"units": str(dice.randrange(1, 10**6) / 1000), "method":
                         dice.choice(["GET", "PUT"])}}

    def client(self, seed):
        dice = random.Random(seed)
        recent, serial = [], 0
        while not self.stopping.is_set():
            batch = []
            fickle = dice.random() < 0.1
            while len(batch) < self.batch:
                if recent and dice.random() < 0.03:
                    batch.append(dice.choice(recent))
                    self.sent_again += 1
                    continue
                event = self.event(dice, seed, serial)
                if (event["subject"] in FICKLE) == fickle:
                    batch.append(event)
                    serial += 1
            if self.deliver(batch, dice, fickle):
                recent = (recent + batch)[-200:]
            time.sleep(self.pause)

    def deliver(self, batch, dice, fickle):
        with self.lock:
            self.attempted.update({event["id"]: event for event in batch})
        while True:
            status, answer = self.post(batch)
            self.statuses[status] += 1
            if 200 <= status < 300:
                self.note_answer(batch, answer)
                return True
            if 400 <= status < 500:
                self.complain(f"refused with {status}: {answer}")
                return False
            if fickle:
                return False
            time.sleep(dice.uniform(0.02, 0.2))

    def complain(self, text):
        if len(self.problems) < 5:
            self.problems.append(text)

    def note_answer(self, batch, answer):
        rejected = answer.get("rejected") if isinstance(answer, dict) else None
        if rejected:
            self.complain(f"refused: {rejected[:3]}")
        with self.lock:
            self.acked.update(event["id"] for event in batch)

    def post(self, batch):
        connection = http.client.HTTPConnection("127.0.0.1", self.ingest.port, timeout=40)
        try:
            connection.request("POST", "/v1/events", json.dumps(batch), {
                "Content-Type": "application/cloudevents-batch+json",
                "Authorization": f"Bearer {self.ingest.stage.ingest_key}"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError):
            return 0, None
        finally:
            connection.close()
