"""A simulated Stripe of one's own (tests/sim/stripe), and its controls."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SIMULATOR = pathlib.Path(__file__).resolve().parents[1] / "sim/stripe"


class StripeSim:
    """Ends with the block: `with StripeSim() as stripe: …`."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-stripe-"))
        ready = self.folder / "ready"
        self.process = subprocess.Popen([SIMULATOR, "--ready-file", ready], stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while not ready.exists():
            assert self.process.poll() is None and time.monotonic() < until, "the simulated Stripe didn't start"
            time.sleep(0.02)
        self.url = ready.read_text().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, name, given=None):
        body = None if given is None else json.dumps(given).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{name}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None

    # --- what there is ---

    def state(self):
        return self.control("state")

    def log(self):
        """A dictionary a request: n, at, method, path, query, key, digest, fault, request_id, status (None:
        not executed, or not yet), error (its code), replayed."""
        return self.control("log")

    def audit(self):
        return self.control("audit")

    # --- what shall be ---

    def fault(self, *rules):
        """In place of those before: stripe.fault({"match": "POST /v1/invoices", "do": "after"}), as
        tests/sim/stripe_faults.py says; none: all is well again."""
        self.control("faults", {"rules": rules})

    def clock(self, seconds):
        self.control("clock", {"advance": seconds})

    def key(self, key, **more):
        """Of which account a key is (account="acct_…"), what a restricted one lacks (without=["rak_…"]),
        whether it is revoked (revoked=True)."""
        self.control("keys", {"key": key, **more})

    def limits(self, **rates):
        """Requests a second: account=…, endpoint=…"""
        self.control("limits", rates)

    def collect(self, invoice=None):
        """The customers pay. The ids of the invoices that are paid now."""
        return self.control("collect", {"invoice": invoice})

    def check_one_each(self):
        """At most one invoice that isn't void for each of ours, and no key sent with two bodies."""
        found = self.audit()
        twice = [i for i in found["invoices"] if i["tollway_invoice"] and len(i["standing"]) > 1]
        assert not twice and not found["reused_keys"], (twice, found["reused_keys"])
        return found
