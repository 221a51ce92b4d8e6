#!/usr/bin/env python3
"""scripts/up and scripts/down, as somebody who tries Tollway out meets them."""
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

GOOD = {"meters": [{"slug": "ping", "aggregation": "COUNT"}]}


def run(script, *arguments, status=0):
    """(what it printed, its messages)"""
    done = subprocess.run([ROOT / "scripts" / script, *arguments], capture_output=True, text=True,
                          timeout=120, check=False,
                          env={**os.environ, "TOLLWAY_BROKERS": ""})
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


if __name__ == "__main__":
    main(sys.modules[__name__])
