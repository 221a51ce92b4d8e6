#!/usr/bin/env python3
"""Invoices go to a simulated Stripe: each becomes one there, with its lines and its total, whatever is
killed, cut off, lost or refused; and what Stripe holds is compared with what was issued."""
# limit: 600
import json
import os
import pathlib
import pty
import random
import re
import shutil
import subprocess
import sys
import time
import traceback
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import BIN, Rig, catalog, chosen_seed, given, ulid  # noqa: E402
from stripe_rig import StripeSim  # noqa: E402

KEY = "rk_test_51Tollway"
SUBSCRIPTIONS = 24  # a third of them free
DAY_S = 86400


class Shop:
    """A bucket with a month that is billed, and a Stripe."""

    def __init__(self, brokers, subscriptions=SUBSCRIPTIONS):
        self.rig, self.stripe = Rig(brokers), StripeSim()
        self.key = self.rig.folder / "stripe.key"
        self.key.write_text(KEY + "\n")
        self.key.chmod(0o400)
        self.clock = self.rig.folder / "clock"
        self.clock.write_text("0")
        self.stripe.key(KEY, account="acct_1")
        self.rig.apply(catalog(subscriptions))
        rng = random.Random(1)
        self.rig.count([(ulid(i + 1), f"2026-01-{day:02}T00:00:00", rng.randint(1, 900))
                        for i in range(subscriptions) for day in (3, 9, 20)])
        self.rig.run("close", "--at", "2026-02-01T01:00:00Z")
        self.run("connect", "--from", "2026-01-01T00:00:00Z")
        self.due = {i: total for i, total in self.rig.invoices().items() if float(total)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stripe.stop()
        self.rig.end()

    def command(self, verb, *arguments, data=None):
        access = [] if verb == "status" else ["--stripe-url", self.stripe.url, "--stripe-key", self.key]
        rates = ["--stripe-rate", 500, "--stripe-account-rate", 1000] if verb == "deliver" else []
        return self.rig.command("stripe", verb, *arguments, *access, *rates, data=data)

    def environment(self):
        return {**os.environ, "LD_PRELOAD": str(BIN / "libother-clock.so"), "TOLLWAY_TEST_CLOCK": str(self.clock)}

    def start(self, verb, *arguments, data=None):
        return subprocess.Popen(self.command(verb, *arguments, data=data), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=self.environment())

    def run(self, verb, *arguments, data=None, status=0):
        process = self.start(verb, *arguments, data=data)
        out, said = process.communicate(timeout=120)
        assert process.returncode in ([status] if isinstance(status, int) else status), (
            verb, arguments, process.returncode, out, said)
        return out

    def json(self, verb, *arguments, **more):
        return json.loads(self.run(verb, *arguments, "--json", **more))

    def void(self, invoice):
        """As somebody does in Stripe's dashboard."""
        request = urllib.request.Request(f"{self.stripe.url}/v1/invoices/{invoice}/void", b"",
                                         {"Authorization": f"Bearer {KEY}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert json.loads(answer.read())["status"] == "void"

    def pass_time(self, seconds):
        """For both of us."""
        self.clock.write_text(str(int(self.clock.read_text()) + seconds))
        self.stripe.clock(seconds)

    def records(self):
        """How many records say something of Stripe."""
        done = subprocess.run([BIN / "topic-tool", "get", self.rig.brokers, f"{self.rig.bucket}.invoices"],
                              capture_output=True, text=True, check=True, timeout=60)
        return sum(json.loads(line)["key"].startswith("stripe/") for line in done.stdout.splitlines())

    def check(self):
        """Each is there once, over its total, with its lines, and so says our own check."""
        found = self.stripe.check_one_each()
        there = {}
        for each in found["invoices"]:
            for invoice in each["standing"]:
                there[each["tollway_invoice"]] = invoice
        assert set(there) == set(self.due), set(there) ^ set(self.due)
        for ident, total in self.due.items():
            cents = round(float(total) * 100)
            assert there[ident]["total"] == cents, (ident, total, there[ident])
            assert there[ident]["status"] in ("open", "paid"), there[ident]
        said = self.json("check")
        assert said["differences"] == 0 and said["handedOver"] == len(self.due) == said["listed"], said


def test_each_invoice_becomes_one_at_stripe(brokers):
    with Shop(brokers) as shop:
        said = shop.json("deliver")
        assert said["delivered"] == len(shop.due) and not said["held"] and not said["later"], said
        shop.check()
        sent = len(shop.stripe.log())
        again = shop.json("deliver")
        assert not again["delivered"] and len(shop.stripe.log()) - sent <= 1, again


def test_whatever_goes_wrong_at_stripe_each_is_there_once(brokers):
    rng = random.Random(chosen_seed())
    with Shop(brokers) as shop:
        shop.stripe.fault(*({"match": "* /v1/**", "times": None, "probability": 0.06, "seed": rng.random(), **what}
                            for what in ({"do": "before"}, {"do": "after"}, {"do": "cut", "bytes": 20},
                                         {"do": "status", "status": 500},
                                         {"do": "status", "status": 500, "is_executed": True},
                                         {"do": "status", "status": 409}, {"do": "status", "status": 429})))
        shop.run("deliver", status=(0, 75, 80))
        shop.stripe.fault()
        shop.run("deliver", "--held")
        shop.check()


def test_killed_anywhere_and_continued_elsewhere_each_is_there_once(brokers):
    rng = random.Random(chosen_seed())
    with Shop(brokers) as shop:
        folders = [shop.rig.data, *(shop.rig.folder / f"elsewhere{i}" for i in range(2))]
        for _ in range(8):
            process = shop.start("deliver", data=rng.choice(folders))
            until = time.monotonic() + rng.uniform(0.2, 3.5)
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            process.kill()
            process.communicate()
        shop.run("deliver", data=shop.rig.folder / "empty")
        shop.check()


def test_killed_at_any_system_call_each_is_there_once(brokers):
    """What is sent, what is read back and what is written down: strace kills at the Nth of such calls."""
    if not shutil.which("strace"):
        print("skipped: strace isn't installed")
        return
    rng, killed = random.Random(chosen_seed()), 0
    with Shop(brokers) as shop:
        for _ in range(8):
            call, most = rng.choice((("sendto", 60), ("recvfrom", 60), ("pwrite64", 12), ("fdatasync", 6)))
            trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
                     f"inject={call}:signal=SIGKILL:when={rng.randint(1, most)}"]
            process = subprocess.run([*trace, *shop.command("deliver")], capture_output=True, timeout=120, check=False)
            killed += process.returncode in (-9, 137)
        shop.run("deliver")
        shop.check()
    print(f"killed {killed} times")
    assert killed


def test_a_key_that_stripe_has_forgotten_is_not_used_again(brokers):
    """Everything of a day and more ago is looked up; nothing is made a second time."""
    with Shop(brokers) as shop:
        shop.stripe.fault({"match": "POST /v1/invoices/*/finalize", "do": "before", "times": None},
                          {"match": "POST /v1/invoices/*/add_lines", "do": "before", "times": None, "skip": 3},
                          {"match": "POST /v1/invoices", "do": "after", "times": None, "skip": 8})
        process = shop.start("deliver")
        wait = time.monotonic() + 60
        while time.monotonic() < wait and len(shop.stripe.log()) < 60:
            time.sleep(0.05)
        process.kill()
        process.communicate()
        shop.stripe.fault()
        shop.pass_time(2 * DAY_S)
        shop.run("deliver")
        shop.check()


def test_what_somebody_has_to_look_at_is_held_and_told_and_tried_again_when_asked(brokers):
    with Shop(brokers) as shop:
        shop.stripe.fault({"match": "POST /v1/invoices/*/finalize", "do": "status", "status": 400, "times": None,
                           "is_kept": True})
        said = shop.json("deliver", status=80)
        assert said["held"] == len(shop.due) and not said["delivered"], said
        told = shop.json("status")
        assert told["held"] == said["held"] == len(told["reasons"]), told
        shop.stripe.fault()
        still = shop.json("deliver", status=80)
        assert still["held"] == said["held"] and not still["delivered"], still
        assert shop.json("deliver", "--held")["delivered"] == said["held"]
        shop.check()


def test_check_says_what_stripe_has_otherwise(brokers):
    with Shop(brokers) as shop:
        shop.run("deliver")
        standing = [i for each in shop.stripe.audit()["invoices"] for i in each["standing"]]
        paid = shop.stripe.collect(standing[0]["id"])
        assert paid == [standing[0]["id"]]
        shop.void(standing[1]["id"])
        said = shop.json("check", status=65)
        assert [f["kind"] for f in said["findings"]] == ["void"], said
        assert shop.json("check", status=65)["noted"] == 0
        told = shop.json("status")
        assert told["statuses"]["paid"] >= 1 and told["statuses"]["void"] == 1, told


def test_held_for_their_customer_they_are_told_again_and_written_down_once(brokers):
    with Shop(brokers, 4) as shop:
        shop.stripe.fault({"match": "POST /v1/customers", "do": "status", "status": 400, "times": None})
        first, records = shop.json("deliver", status=80), shop.records()
        assert first["held"] == len(shop.due), first
        assert shop.json("deliver", status=80) == first and shop.records() == records
        assert {"customer", "invoice"} == {kind for r in shop.json("status")["reasons"] for kind in r} & {
            "customer", "invoice"}
        shop.stripe.fault()
        shop.run("deliver", "--held")
        shop.check()


def test_what_was_collected_otherwise_is_not_for_stripe_and_what_is_there_stays(brokers):
    with Shop(brokers, 4) as shop:
        shop.run("connect", "--from", "2026-02-01T00:00:00Z")
        earlier = next(i for i in shop.due if i.endswith("-20260101T0000Z"))
        shop.run("deliver", earlier, status=65)
        assert shop.json("deliver")["delivered"] == sum(i.endswith("-20260201T0000Z") for i in shop.due)
        shop.run("connect", "--from", "2026-01-01T00:00:00Z")
        shop.run("deliver", earlier)
        shop.run("deliver")
        shop.run("connect", "--from", "2027-01-01T00:00:00Z")
        shop.check()
        assert shop.json("status")["due"] == 0


def test_a_key_that_lacks_a_permission_ends_the_run_and_nothing_is_lost(brokers):
    with Shop(brokers) as shop:
        shop.stripe.key(KEY, account="acct_1", without=["rak_invoice_write"])
        shop.run("deliver", status=77)
        shop.stripe.key(KEY, account="acct_1", without=[])
        shop.run("deliver")
        shop.check()


def test_two_runs_at_once_begin_one_new_attempt_of_each(brokers):
    """Both see that nothing is there before either has made it."""
    with Shop(brokers) as shop:
        shop.stripe.fault({"match": "POST /v1/invoices", "do": "status", "status": 400, "times": None, "is_kept": True})
        shop.run("deliver", status=80)
        shop.stripe.fault({"match": "GET /v1/invoices", "do": "delay", "ms": 300, "times": None})
        runs = [shop.start("deliver", "--held") for _ in range(2)]
        for run in runs:
            run.communicate(timeout=120)
        shop.stripe.fault()
        shop.run("deliver", "--held")
        shop.check()


def test_where_stripe_fails_for_good_the_run_ends_and_the_next_one_goes_on(brokers):
    for match in ("POST /v1/customers", "POST /v1/invoices"):
        with Shop(brokers, 3) as shop:
            shop.stripe.fault({"match": match, "do": "status", "status": 500, "times": None})
            said = shop.json("deliver", status=75)
            assert said["later"] == len(shop.due), said
            shop.stripe.fault()
            shop.run("deliver")
            shop.check()


def test_one_that_is_settled_is_left_alone_when_it_is_named(brokers):
    with Shop(brokers, 3) as shop:
        shop.run("deliver")
        each = shop.stripe.audit()["invoices"][0]
        shop.void(each["standing"][0]["id"])
        sent = len(shop.stripe.log())
        said = shop.json("deliver", each["tollway_invoice"])
        assert not said["delivered"] and not said["held"], said
        assert {entry["path"] for entry in shop.stripe.log()[sent:]} <= {"/v1/account"}
        assert shop.json("status")["held"] == 0


def test_a_key_of_another_account_hands_nothing_over(brokers):
    with Shop(brokers, 3) as shop:
        shop.stripe.key(KEY, account="acct_2")
        shop.run("deliver", status=65)
        shop.run("check", status=65)
        assert {entry["path"] for entry in shop.stripe.log()[1:]} == {"/v1/account"}
        shop.stripe.key(KEY, account="acct_1")
        shop.run("deliver")
        shop.check()


def test_on_a_terminal_the_bar_is_drawn_when_it_has_changed_and_never_else(brokers):
    with Shop(brokers, 6) as shop:
        shop.stripe.fault({"match": "POST /v1/invoices", "do": "delay", "ms": 300})
        ours, theirs = pty.openpty()
        process = subprocess.Popen(shop.command("deliver"), stdout=subprocess.PIPE, stderr=theirs, text=True,
                                   env=shop.environment())
        os.close(theirs)
        said = read_terminal(ours)
        process.communicate(timeout=60)
        assert process.returncode == 0, said
        bars = re.findall(r"handing over \[[#.]*\] \d+/\d+, \d+:\d\d left", said)
        assert bars and all(a != b for a, b in zip(bars, bars[1:])), bars


def read_terminal(terminal):
    said = b""
    while True:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # nobody has its other end any more
            os.close(terminal)
            return said.decode()


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    failed = []
    for name, case in list(globals().items()):
        if not name.startswith("test_") or (len(sys.argv) > 1 and sys.argv[1] not in name):
            continue
        began = time.monotonic()
        try:
            case(brokers)
        except Exception:
            traceback.print_exc()
            failed.append(name)
        print("FAILED" if name in failed else "ok", f"{time.monotonic() - began:.1f} s", name, flush=True)
    assert not failed, failed


if __name__ == "__main__":
    sys.exit(main())
