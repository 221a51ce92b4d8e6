#!/usr/bin/env python3
"""scripts/up and scripts/down, as somebody who tries Tollway out meets them, on the embedded broker and
on a real Kafka (TOLLWAY_TEST_BROKERS)."""
# limit: 240
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from ingest_rig import main  # noqa: E402
from stack import Stack, brokers_or_skip, wait_until  # noqa: E402

BROKERS = brokers_or_skip()

GOOD = {"meters": [{"slug": "ping", "aggregation": "COUNT"}]}


def run(script, *arguments, status=0, **variables):
    """(what it printed, its messages)"""
    done = subprocess.run([ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          timeout=120, check=False,
                          env={**os.environ, "TOLLWAY_BROKERS": "", **variables})
    assert done.returncode == status, (arguments, done)
    return done.stdout, done.stderr


def processes_of(folder):
    found = []
    for each in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{folder}/".encode() in each.read_bytes():
                found.append(each.parent.name)
        except OSError:
            pass  # it has ended
    return found


def test_a_wrong_option_ends_with_64_and_one_line():
    for script, *arguments in (("up", "--nothing"), ("up", "--catalog"), ("up", "--data", ""),
                               ("down", "--data"), ("down", "--nothing")):
        out, said = run(script, *arguments, status=64)
        assert out == "" and len(said.splitlines()) == 1 and arguments[0] in said, said


def test_a_start_that_fails_leaves_nothing_running_and_its_folder_can_be_used_again():
    with tempfile.TemporaryDirectory() as folder:
        data, file = f"{folder}/data", pathlib.Path(folder) / "catalog.json"
        file.write_text(json.dumps({"meters": [{"slug": "ping"}]}))
        _, said = run("up", "--data", data, "--catalog", file, status=65)
        assert f"{file}: /meters/0/aggregation: missing_member" in said, said
        assert processes_of(data) == []
        file.write_text(json.dumps(GOOD))
        up = json.loads(run("up", "--data", data, "--catalog", file, "--json")[0])
        try:
            assert set(up) == {"bucket", "ingest", "aggregator", "invoicer", "key", "adminKey",
                               "brokers", "data"} and up["data"] == data, up
            run("up", "--data", data, status=75)
        finally:
            run("down", "--data", data)
        assert processes_of(data) == [] and pathlib.Path(data, "aggregator").is_dir()
        run("down", "--data", data)
        # What was in the embedded broker is gone with it: counting on would count anew.
        _, said = run("up", "--data", data, status=69)
        assert "embedded broker" in said, said
        assert pathlib.Path(data, "aggregator").is_dir() and processes_of(data) == []


def test_a_bucket_on_kafka_goes_on_where_it_was_with_the_horizon_it_had():
    with tempfile.TemporaryDirectory() as folder:
        data, file = f"{folder}/data", pathlib.Path(folder) / "catalog.json"
        file.write_text(json.dumps({
            **GOOD, "customers": [{"key": "c"}], "plans": [
                {"key": "p", "name": "P", "billingCadence": "P1M", "phases": [
                    {"key": "d", "name": "D", "rateCards": [
                        {"type": "flat_fee", "key": "fee", "name": "Fee", "billingCadence": "P1M",
                         "price": {"type": "flat", "amount": "1"}}]}]}],
            "subscriptions": [{"id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "customerKey": "c",
                               "plan": {"key": "p"}, "activeFrom": "2015-01-01T00:00:00Z"}]}))
        one = {"specversion": "1.0", "source": "/up", "type": "ping", "id": "1",
               "subscription": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "time": "2015-05-17T10:05:03Z"}

        def counted(up):
            stack = Stack.__new__(Stack)
            stack.at = up
            status, answer = stack.post_events(json.dumps(one).encode(), "application/cloudevents+json")
            assert (status, answer["accepted"]) == (202, 1), answer
            wait_until(lambda: stack.ledger()["lag"] == 0, 60, "a lag of 0")
            ledger = stack.ledger()
            return {name: ledger[name] for name in ("counted", "duplicate", "late")}

        up = json.loads(run("up", "--brokers", BROKERS, "--data", data, "--catalog", file, "--json",
                            TOLLWAY_DEDUP_HORIZON="P7300D")[0])
        try:
            assert counted(up) == {"counted": 1, "duplicate": 0, "late": 0}
            run("down", "--data", data)
            again = json.loads(run("up", "--data", data, "--json")[0])
            assert {name: again[name] for name in ("bucket", "key", "adminKey", "brokers")} == {
                name: up[name] for name in ("bucket", "key", "adminKey", "brokers")}
            assert counted(again) == {"counted": 1, "duplicate": 1, "late": 0}
            run("down", "--data", data)
            _, said = run("up", "--data", data, status=69, TOLLWAY_DEDUP_HORIZON="P35D")
            assert "start with the old --dedup-horizon" in said, said
            assert processes_of(data) == []
        finally:
            run("down", "--data", data)


if __name__ == "__main__":
    main(sys.modules[__name__])
