#!/usr/bin/env python3
"""A real gateway: nginx writes CloudEvents, Debian's rsyslog ships them to Kafka, ingest takes them in.

The configurations are those of examples/nginx, with other ports and folders. wrk sends requests of
two consumers and of nobody, with several methods and statuses; rsyslog is restarted in the middle,
so that it may send lines twice. Usage must equal nginx's own lines, by consumer, method and status.
Needs nginx, rsyslog with omkafka, wrk, and a Kafka in TOLLWAY_TEST_BROKERS.
"""
# limit: 300
import collections
import glob
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from ports import free_port  # noqa: E402
from stack import (ROOT, Stack, brokers_or_skip, check_equal, program_or_skip, skip,  # noqa: E402
                   wait_until)

SECONDS = 2  # of requests, before and after rsyslog's restart each
EXAMPLE = ROOT / "examples/nginx"

BACKEND = """
    server {
        listen 127.0.0.1:%d;
        location /ok { return 200 "hello"; }
        location /made { return 201 "made"; }
        location /empty { return 204; }
        location /missing { return 404; }
        location /broken { return 500 "broken"; }
    }
"""

WRK = """
local keys = {"key-of-acme", "key-of-globex", "nobody"}
local calls = {{"GET", "/ok"}, {"POST", "/made"}, {"DELETE", "/empty"}, {"GET", "/missing"},
               {"GET", "/broken"}, {"GET", "/ok?q=%22%5C"}, {"PUT", "/ok"}}
local n = 0
request = function()
    n = n + 1
    local call = calls[n % #calls + 1]
    return wrk.format(call[1], call[2], {["X-Api-Key"] = keys[n % #keys + 1]})
end
"""


def configured(name, changes):
    """The example's text with each of `changes`, which must be in it."""
    text = (EXAMPLE / name).read_text()
    for old, new in changes.items():
        assert old in text, f"examples/nginx/{name} has no {old}"
        text = text.replace(old, new)
    return text


class Gateway:
    """nginx with the example's configuration, in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.port, backend = folder, free_port(), free_port()
        self.log = folder / "tollway.ndjson"
        tollway = configured("tollway.conf", {"127.0.0.1:8000": f"127.0.0.1:{self.port}",
                                              "127.0.0.1:9000": f"127.0.0.1:{backend}",
                                              "/var/log/nginx/tollway.ndjson": str(self.log)})
        (folder / "tollway.conf").write_text(tollway)
        places = "".join(f"    {name}_temp_path {folder}/{name};\n" for name in
                         ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}pid {folder}/nginx.pid;\nerror_log {folder}/nginx.err;\nworker_processes 1;\n"
            f"daemon off;\nevents {{ worker_connections 512; }}\nhttp {{\n    access_log off;\n{places}"
            f"    include {folder}/tollway.conf;\n{BACKEND % backend}}}\n")
        self.process = subprocess.Popen([program_or_skip("nginx"), "-p", folder, "-c",
                                         folder / "nginx.conf", "-e", folder / "nginx.err"])
        wait_until(self.answers, 10, "nginx answers")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def call(self, path, key):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                         headers={"X-Api-Key": key})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status

    def stop(self):
        """Requests under way are finished and the log's buffer is written."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)


class Shipper:
    """rsyslog with the example's configuration."""

    def __init__(self, folder, log, brokers, topic):
        self.folder = folder
        changes = {"/var/log/nginx/tollway.ndjson": str(log), "127.0.0.1:9092": brokers,
                   "production.events": topic,
                   "/var/spool/rsyslog/tollway.failed": str(folder / "failed")}
        (folder / "rsyslog.conf").write_text(f'global(workDirectory="{folder}")\n'
                                             + configured("rsyslog.conf", changes))
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([program_or_skip("rsyslogd"), "-n", "-f",
                                         self.folder / "rsyslog.conf",
                                         "-i", self.folder / "rsyslog.pid"])

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def send_requests(gateway, folder):
    script = folder / "requests.lua"
    script.write_text(WRK)
    out = subprocess.run([program_or_skip("wrk"), "-t1", "-c8", f"-d{SECONDS}s", "-s", script,
                          f"http://127.0.0.1:{gateway.port}"],
                         check=True, capture_output=True, text=True).stdout
    print(next(line for line in out.splitlines() if "requests in" in line).strip())


def lines_by_kind(log):
    """nginx's own count: {(consumer, method, status): lines} and the bytes likewise."""
    lines, size = collections.Counter(), collections.Counter()
    for line in log.read_text().splitlines():
        event = json.loads(line)
        kind = event["subject"], event["data"]["method"], str(event["data"]["status"])
        lines[kind] += 1
        size[kind] += event["data"]["bytes"]
    return dict(lines), dict(size)


def usage_by_kind(tollway, meter, consumer_of):
    return {(consumer_of[row["subscription"]], row["groupBy"]["method"], row["groupBy"]["status"]):
            int(row["value"])
            for row in tollway.query(meter, groupBy=["subscription", "method", "status"])}


def send_and_restart(gateway, shipper, folder):
    send_requests(gateway, folder)
    shipper.stop()
    send_requests(gateway, folder)
    shipper.start()
    assert gateway.call("/ok", "key-of-acme") == 200
    gateway.stop()


def check(tollway, gateway, catalog):
    lines, size = lines_by_kind(gateway.log)
    total = sum(lines.values())
    ledger = tollway.wait_ledger("counted", total)
    consumer_of = {row["id"]: row["consumer"]["name"] for row in catalog["subscriptions"]}
    check_equal("requests by consumer, method and status",
                usage_by_kind(tollway, "requests", consumer_of), lines)
    check_equal("bytes by consumer, method and status",
                usage_by_kind(tollway, "bytes", consumer_of), size)
    assert (ledger["counted"], ledger["conflict"], ledger["rejected"], ledger["late"]) == \
        (total, 0, 0, 0), ledger
    assert {kind[2] for kind in lines} >= {"200", "201", "204", "404", "500"}
    assert {kind[0] for kind in lines} == {"acme", "globex"}, "nobody's calls are not written"


def main():
    brokers = brokers_or_skip()
    for name in ("nginx", "rsyslogd", "wrk"):
        program_or_skip(name)
    if not glob.glob("/usr/lib/*/rsyslog/omkafka.so"):
        skip("rsyslog has no omkafka: apt-get install rsyslog-kafka")
    catalog = json.loads((EXAMPLE / "catalog.json").read_text())
    with tempfile.TemporaryDirectory(prefix="tollway-gateway-") as name, \
            Stack(brokers, catalog) as tollway:
        folder = pathlib.Path(name)
        gateway = Gateway(folder)
        shipper = Shipper(folder, gateway.log, brokers, tollway.at["bucket"] + ".events")
        try:
            send_and_restart(gateway, shipper, folder)
            check(tollway, gateway, catalog)
        finally:
            shipper.stop()
            if gateway.process.poll() is None:
                gateway.stop()


if __name__ == "__main__":
    main()
