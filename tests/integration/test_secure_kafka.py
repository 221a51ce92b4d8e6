#!/usr/bin/env python3
"""A Kafka that asks for TLS and a password (scripts/kafka start --secure): the three processes work
with the properties of --kafka-config; with a wrong password each says so and ends with 77."""
# limit: 240
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BIN, ROOT, Stack, check_equal, program_or_skip  # noqa: E402

FIRST = ROOT / "examples/first/catalog.json"
SUBSCRIPTION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def kafka(verb, home, *arguments):
    done = subprocess.run([ROOT / "scripts/kafka", verb, "--home", home, *arguments], check=True,
                          stdout=subprocess.PIPE, text=True, timeout=120)
    return done.stdout.strip()


def check_that_it_works(brokers, properties):
    events = [{"specversion": "1.0", "id": str(i), "source": "/secure", "type": "request",
               "subscription": SUBSCRIPTION, "data": {"total": i, "method": "GET"}} for i in range(100)]
    with Stack(brokers, json.loads(FIRST.read_text()), TOLLWAY_KAFKA_CONFIG=str(properties)) as tollway:
        status, answer = tollway.post_events(json.dumps(events).encode(),
                                             "application/cloudevents-batch+json")
        assert status == 202 and answer["accepted"] == 100, (status, answer)
        tollway.wait_ledger("counted", 100)
        [row] = tollway.query("api")
        check_equal("the sum", {"value": row["value"]}, {"value": "4950"})
        for name in ("ingest", "aggregator", "invoicer"):
            log = (tollway.folder / "data/logs" / f"{name}.log").read_text()
            assert "sasl.password" not in log and properties.read_text().split("password=")[1][:12] \
                not in log, f"{name} logs the password"


def check_a_wrong(brokers, properties, folder, change, wanted, said):
    wrong = folder / "wrong.properties"
    wrong.write_text(change(properties.read_text()))
    common = ["--brokers", brokers, "--bucket", "denied", "--kafka-config", wrong]
    for command in (["invoicer", "topics", "create", "--partitions", "1", "--replication", "1", "--data",
                     folder / "i"],
                    ["invoicer", "serve", "--listen", "127.0.0.1:0", "--data", folder / "s"],
                    ["ingest", "--listen", "127.0.0.1:0"],
                    ["aggregator", "--listen", "127.0.0.1:0", "--data", folder / "a"]):
        done = subprocess.run([BIN / command[0], *command[1:], *common],
                              capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == wanted, (command, done.returncode, done.stderr[-1500:])
        lines = [line for line in done.stderr.splitlines() if said in line]
        assert len(lines) == 1, (command, done.stderr[-1500:])
        print(f"{command[0]}: exit {wanted}: {lines[0][:200]}")


def main():
    program_or_skip("openssl")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tollway-secure-"))
    try:
        brokers = kafka("start", folder / "kafka", "--secure")
        properties = folder / "kafka/client.properties"
        check_that_it_works(brokers, properties)
        check_a_wrong(brokers, properties, folder, lambda text: text.replace("password=", "password=x"),
                      77, "refuses our credentials")
        check_a_wrong(brokers, properties, folder, lambda text: text.replace("password", "passwort"),
                      78, "passwort")
    finally:
        kafka("stop", folder / "kafka", "--wipe")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
