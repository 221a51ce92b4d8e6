"""An invoicer on a real Kafka with counters that the test writes, for tests of closes from outside."""
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TOLLWAY_BUILD", ROOT / "build")) / "bin"
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def given(variable):
    """What tests/run sets for a test that mentions the variable."""
    value = os.environ.get(variable)
    if not value:
        print(f"no {variable}: tests/run starts a Kafka")
        sys.exit(77)
    return value


def chosen_seed():
    seed = int(os.environ.get("TOLLWAY_TEST_SEED", time.time_ns() % 1000000))
    print("seed", seed, flush=True)
    return seed


def ulid(number):
    text = ""
    for _ in range(26):
        text, number = LETTERS[number % 32] + text, number // 32
    return text


def minute(text):
    return int(datetime.datetime.fromisoformat(text + "+00:00").timestamp()) // 60


def murmur2(data):
    """As the Java client hashes keys."""
    m, h = 0x5BD1E995, (0x9747B28C ^ len(data)) & 0xFFFFFFFF
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15


def plan(key, cards, **more):
    return {"key": key, "name": key.title(), "billingCadence": "P1M",
            "phases": [{"key": "default", "name": "Default", "rateCards": cards}], **more}


def usage_card(price, **more):
    return {"type": "usage_based", "featureKey": "api", "billingCadence": "P1M", "price": price, **more}


FEE = {"type": "flat_fee", "key": "base", "name": "Base fee", "billingCadence": "P1M",
       "price": {"type": "flat", "amount": "99"}}
TIERED = {"type": "tiered", "mode": "graduated",
          "tiers": [{"upToAmount": "1000", "unitPrice": "0"}, {"unitPrice": "0.05"}]}
PLANS = [plan("payg", [usage_card({"type": "unit", "amount": "0.01"})]),
         plan("pro", [FEE, usage_card(TIERED)]),
         plan("free", [{"type": "flat_fee", "featureKey": "api"}])]


def catalog(subscriptions, start="2026-01-01T00:00:00Z"):
    """`subscriptions` of the plans in turn, a customer each."""
    return {"meters": [{"slug": "api", "aggregation": "SUM", "valueProperty": "$.total"}],
            "features": [{"key": "api", "name": "API", "meterSlug": "api"}], "plans": PLANS,
            "customers": [{"key": f"customer{i}", "name": f"Customer {i}"} for i in range(subscriptions)],
            "subscriptions": [{"id": ulid(i + 1), "customerKey": f"customer{i}", "activeFrom": start,
                               "plan": {"key": PLANS[i % len(PLANS)]["key"]}} for i in range(subscriptions)]}


class Rig:
    """A bucket of its own with `partitions`, and folders that end with it."""

    def __init__(self, brokers, partitions=2, mode="test"):
        self.brokers, self.partitions = brokers, partitions
        self.bucket = "inv_" + uuid.uuid4().hex[:10]
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-invoicer-"))
        self.data = self.folder / "data"
        self.next = [0] * partitions
        self.run("topics", "create", "--partitions", partitions, "--mode", mode)

    def command(self, *arguments, data=None):
        return [str(part) for part in (BIN / "invoicer", *arguments, "--brokers", self.brokers, "--bucket",
                                       self.bucket, "--data", data or self.data, "--log-level", "warn")]

    def start(self, *arguments, data=None, **more):
        return subprocess.Popen(self.command(*arguments, data=data), stdout=subprocess.PIPE, text=True, **more)

    def run(self, *arguments, data=None, status=0):
        done = subprocess.run(self.command(*arguments, data=data), capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more))

    def refused(self, code, *arguments, status=65):
        """What --json says is wrong, after one line for people; the error without its code."""
        done = subprocess.run(self.command(*arguments, "--json"), capture_output=True, text=True, timeout=120,
                              check=False)
        assert done.returncode == status and done.stdout.count("\n") == 1, (arguments, done)
        error = json.loads(done.stdout)["error"]
        assert error.pop("code") == code and len(error["detail"]) > 10, (arguments, error)
        assert set(error) <= {"pointer", "detail"}, error
        assert [f"({code})" in line and error["detail"] in line for line in done.stderr.splitlines()] == [True], done
        return error

    def apply(self, content, status=0):
        path = self.folder / "catalog.json"
        path.write_text(json.dumps(content))
        return self.run("catalog", "apply", path, "--json", status=status)

    def partition(self, subscription):
        return (murmur2(subscription.encode()) & 0x7FFFFFFF) % self.partitions

    def count(self, totals, mark=True):
        """[(subscription, day, quantity)]: one message of usage each, then the totals and marks."""
        lines = []
        for subscription, day, quantity in totals:
            at, of = minute(day), self.partition(subscription)
            self.next[of] += 1
            lines += [f"usage {of} 1",
                      f"total {of} {subscription} api {at} {at + 1440} {quantity} {self.next[of]}"]
        if mark:
            lines += [f"mark {p} {self.next[p]} 1000000" for p in range(self.partitions)]
        self.write(*lines)

    def write(self, *lines):
        """By tests/support/counters_writer.c."""
        subprocess.run([BIN / "counters-writer", self.brokers, self.bucket], input="\n".join(lines) + "\n",
                       text=True, check=True, timeout=60)

    def invoices(self, data=None):
        """Every invoice's JSON by its id."""
        listed = self.json("invoices", "list", data=data)
        return {each["id"]: each["total"] for each in listed}

    def serve(self, name, data=None):
        ready = self.folder / f"{name}.ready"
        process = self.start("serve", "--listen", "127.0.0.1:0", "--ready-file", ready, data=data,
                             stderr=subprocess.DEVNULL)
        wait_for("the address", 20, lambda: ready.exists() and ready.read_text().strip())
        return process, ready.read_text().strip()

    def end(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def is_ready(address):
    try:
        with urllib.request.urlopen(address + "/readyz", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return False


def get(url, key):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def wait_for(what, seconds, question):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = question()
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")
