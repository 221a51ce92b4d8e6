#!/usr/bin/env python3
"""Command lines and settings as they come from somebody in a hurry: how each program says no, without a
broker."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from ingest_rig import main  # noqa: E402
from stack import BIN  # noqa: E402

NOWHERE = ("--brokers=127.0.0.1:1", "--bucket=b")


def run(program, *arguments, status):
    """What it said; nothing takes two minutes, however busy the machine is."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([BIN / program, *arguments], cwd=folder, capture_output=True, text=True,
                              timeout=120, check=False, stdin=subprocess.DEVNULL,
                              env={name: value for name, value in os.environ.items()
                                   if not name.startswith("TOLLWAY_")})
    assert done.returncode == status, (program, arguments, done)
    return done.stdout + done.stderr


def test_a_verb_waits_for_a_broker_as_long_as_wait_says():
    # Each try takes ten seconds of its own.
    said = run("invoicer", "catalog", "get", *NOWHERE, "--wait=8s", status=75)
    assert "no broker answers" in said, said
    said = run("invoicer", "serve", *NOWHERE, "--wait=12s", "--listen=127.0.0.1:0", status=75)
    assert said.count("start_waits") == 1 and "no broker answers" in said, said


def test_a_data_folder_that_cannot_be_made_is_a_setting_to_correct_and_no_damage():
    for program, *command in (("aggregator", "--listen=127.0.0.1:0"), ("invoicer", "keys", "list"),
                              ("invoicer", "serve", "--listen=127.0.0.1:0")):
        said = run(program, *command, *NOWHERE, "--data=/dev/null/data", status=78)
        assert "cannot make the folder /dev/null/data/b" in said and "set --data" in said, said


def test_a_command_that_is_not_there_is_told_with_those_that_are():
    for line, wanted in (
            ("invoicer catalog", 'no command "catalog": there are catalog apply, catalog diff, catalog get'),
            ("invoicer keys frob", 'no command "keys frob": there are keys create, keys list, keys revoke'),
            ("invoicer close now", "wrong number of arguments: give `invoicer close`"),
            ("invoicer stripe", 'no command "stripe": there are stripe connect, stripe deliver, stripe status, stripe check'),
            ("invoicer stripe deliver a b", "wrong number of arguments: give `invoicer stripe deliver [INVOICE]`"),
            ("invoicer stripe status a", "wrong number of arguments: give `invoicer stripe status`"),
            ("invoicer frob", 'no command "frob": --help lists them'),
            ("aggregator digset", 'no command "digset": --help lists them'),
            ("ingest frob", "wrong number of arguments: give `ingest`")):
        said = run(*line.split(), *NOWHERE, status=64)
        assert len(said.splitlines()) == 1 and wanted in said, (line, said)


def test_stripe_verbs_say_what_is_wrong_with_the_key_and_the_address_before_anything_else():
    with tempfile.TemporaryDirectory() as folder:
        key, other = pathlib.Path(folder, "stripe.key"), pathlib.Path(folder, "publishable.key")
        key.write_text("rk_test_a\n")
        other.write_text("pk_test_a\n")
        key.chmod(0o400)
        other.chmod(0o400)
        for verb in ("connect", "deliver", "check"):
            said = run("invoicer", "stripe", verb, *NOWHERE, status=78)
            assert "stripe-key is missing" in said, said
            said = run("invoicer", "stripe", verb, *NOWHERE, f"--stripe-key={folder}/none", status=64)
            assert "can't be read (ENOENT)" in said, said
            said = run("invoicer", "stripe", verb, *NOWHERE, f"--stripe-key={other}", status=78)
            assert "one begins with rk_test_" in said and "pk_test" not in said, said
            said = run("invoicer", "stripe", verb, *NOWHERE, f"--stripe-key={key}", "--stripe-url=http://stripe.example",
                       status=78)
            assert "neither https nor on this machine" in said and "rk_test_a" not in said, said
        said = run("invoicer", "stripe", "connect", *NOWHERE, f"--stripe-key={key}", "--from=yesterday", status=64)
        assert "--from yesterday isn't an RFC 3339 time" in said, said


def test_help_lists_commands_in_two_columns_and_the_manual_is_valid():
    for program in ("ingest", "aggregator", "invoicer"):
        said = run(program, "--help", status=0)
        if program != "ingest":
            listed = said.split("Commands:\n\n")[1].split("\n\n")[0].splitlines()
            for line in listed:
                assert re.match(r"(  | {27})\S", line) and len(line) < 80, (program, line)
        manual = run(program, "--print-manual", status=0)
        if shutil.which("mandoc"):
            subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=manual, text=True, check=True)


if __name__ == "__main__":
    main(sys.modules["__main__"])
