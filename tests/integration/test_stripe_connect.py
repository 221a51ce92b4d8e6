#!/usr/bin/env python3
"""`stripe connect` and `stripe status`: whose account the bucket's invoices go to, which keys are taken, and
that no key is ever shown."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from invoicer_rig import Rig, catalog, given, ulid  # noqa: E402
from stripe_rig import StripeSim  # noqa: E402

FIRST, SECOND, OTHER = "rk_test_51TheFirst", "sk_test_51TheSecond", "rk_test_51AnotherAccount"
LIVE = "sk_live_51Money"
PERMISSION = "rak_accounts_kyc_basic_read"


class Desk:
    """A bucket, a Stripe, and everything that was ever said."""

    def __init__(self, brokers, rig=None):
        self.rig, self.stripe, self.said = rig or Rig(brokers), StripeSim(), ""
        for key, account in ((FIRST, "acct_1"), (SECOND, "acct_1"), (OTHER, "acct_2"), (LIVE, "acct_1")):
            self.stripe.key(key, account=account)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stripe.stop()
        self.rig.end()

    def key_file(self, content, mode=0o400):
        path = self.rig.folder / "stripe.key"
        path.unlink(missing_ok=True)
        path.write_text(content)
        path.chmod(mode)
        return path

    def run(self, verb, *arguments, data=None, status=0):
        done = subprocess.run(self.rig.command("stripe", verb, *arguments, data=data), capture_output=True,
                              text=True, timeout=120, check=False)
        self.said += done.stdout + done.stderr
        assert done.returncode == status, (verb, arguments, done)
        return done

    def connect(self, key, *arguments, status=0, url=None, mode=0o400, data=None):
        return self.run("connect", "--stripe-key", self.key_file(key, mode), "--stripe-url", url or self.stripe.url,
                        *arguments, status=status, data=data)

    def refused(self, code, key, status=65):
        error = json.loads(self.connect(key, "--json", status=status).stdout)["error"]
        assert error["code"] == code, error
        return error["detail"]


def test_a_key_names_the_account_and_another_one_of_it_may_follow(brokers):
    with Desk(brokers) as desk:
        desk.run("status", status=65)
        said = json.loads(desk.connect(FIRST + "\n", "--json", "--from", "2026-01-01T00:00:00Z").stdout)
        assert said == {"account": "acct_1", "mode": "test", "from": "2026-01-01T00:00:00Z"}, said
        line = desk.connect(SECOND).stdout
        assert "acct_1" in line and "2026-01-01T00:00:00Z" in line, line
        assert "acct_1" in desk.refused("stripe_account_differs", OTHER)
        # Nothing of the refusal is left, and a folder that was lost knows the account.
        assert "acct_2" in desk.refused("stripe_account_differs", OTHER)
        elsewhere = desk.rig.folder / "elsewhere"
        said = json.loads(desk.connect(FIRST, "--json", data=elsewhere).stdout)
        assert said["account"] == "acct_1" and said["from"] == "2026-01-01T00:00:00Z", said
        sent = [(entry["method"], entry["path"]) for entry in desk.stripe.log()]
        assert set(sent) == {("GET", "/v1/account")}, sent


def test_what_is_no_key_is_said_without_showing_it(brokers):
    with Desk(brokers) as desk:
        desk.connect("", status=64)
        desk.connect(FIRST, mode=0o444, status=64)
        for content in ("pk_test_51Public", "sk_test_51 blank", "rk_test_51a\nrk_test_51b", "whsec_51Webhook"):
            desk.connect(content, status=78)
        desk.run("connect", "--stripe-url", desk.stripe.url, "--stripe-key", FIRST, status=64)
        desk.run("connect", "--stripe-url", desk.stripe.url, status=78)
        for url in ("http://192.0.2.1:8080", "http://127.0.0.1.example.test", "http://127.0.0.1:1@192.0.2.1:80",
                    "ftp://127.0.0.1:1", "127.0.0.1:1"):
            desk.connect(FIRST, url=url, status=78)
        assert not desk.stripe.log()
        for secret in ("51TheFirst", "51Public", "51 blank", "51a", "51b", "51Webhook"):
            assert secret not in desk.said, (secret, desk.said)


def test_what_stripe_says_of_a_key_is_said_with_what_to_do(brokers):
    with Desk(brokers) as desk:
        desk.stripe.key(FIRST, account="acct_1", without=[PERMISSION])
        said = desk.connect(FIRST, status=77).stderr
        assert "Connect, Accounts: Read" in said and "req_" in said, said
        desk.stripe.key(FIRST, account="acct_1", revoked=True)
        said = desk.connect(FIRST, status=77).stderr
        assert "give a key that is valid" in said and "req_" in said, said
        desk.stripe.key(FIRST, account="acct_1")
        desk.stripe.fault({"match": "GET /v1/account", "do": "status", "status": 500, "times": 2},
                          {"match": "GET /v1/account", "do": "before", "times": 1})
        desk.connect(FIRST)
        desk.run("status")
        assert "51TheFirst" not in desk.said, desk.said


def test_a_key_of_live_mode_is_for_a_live_bucket_alone(brokers):
    with Desk(brokers) as desk:
        assert "live" in desk.refused("stripe_key_of_wrong_mode", LIVE)
        desk.run("status", status=65)
    rig = Rig(brokers, mode="live")
    with Desk(brokers, rig) as desk:
        assert "test" in desk.refused("stripe_key_of_wrong_mode", FIRST)
        done = desk.connect(LIVE, "--json")
        assert json.loads(done.stdout)["mode"] == "live", done
        assert "rk_live_" in done.stderr and LIVE not in done.stderr, done


def test_status_counts_what_is_to_be_handed_over_and_what_is_too_old(brokers):
    with Desk(brokers) as desk:
        desk.rig.apply(catalog(3))
        desk.rig.count([(ulid(i + 1), "2026-01-03T00:00:00", 7) for i in range(3)])
        desk.rig.run("close", "--at", "2026-02-01T01:00:00Z")
        desk.connect(FIRST, "--from", "2026-02-01T00:00:00Z")
        shown = json.loads(desk.run("status", "--json").stdout)
        assert shown["due"] == len(desk.rig.invoices()) - 1, (shown, desk.rig.invoices())
        lines = desk.run("status", data=desk.rig.folder / "empty").stdout.splitlines()
        assert lines[0].split() == ["to", "hand", "over", str(shown["due"])], lines
        desk.connect(FIRST, "--from", "2026-02-01T00:01:00Z")
        assert json.loads(desk.run("status", "--json").stdout)["due"] == 0


def main():
    brokers = given("TOLLWAY_TEST_BROKERS")
    for name, case in list(globals().items()):
        if name.startswith("test_") and (len(sys.argv) < 2 or sys.argv[1] in name):
            case(brokers)
            print("ok", name, flush=True)


if __name__ == "__main__":
    sys.exit(main())
