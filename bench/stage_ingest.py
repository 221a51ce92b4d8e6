"""Taking in over HTTP: single posts beside nginx's `return 204` by the same wrk, batches of 100 into an
acknowledged Kafka, and the latency of answers at half load."""
import contextlib
import pathlib
import re
import shutil
import subprocess
import time

from report import Figure
from stand import HOME, Bucket, Wrong, children, cpu_ns, say, wait_for

STAGE = "taking in (ingest alone)"
SIZES = {"quick": {"seconds": 2, "batches": 300_000, "rounds": 3},
         "full": {"seconds": 8, "batches": 4_000_000, "rounds": 7}}
CONNECTIONS = 256  # of wrk: an answer of ingest's waits for Kafka, so more of them are under way
SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/cloudevents+json"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.body = [[{body}]]
"""
NGINX = """daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  keepalive_requests 1000;  # as ingest has them
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


@contextlib.contextmanager
def nginx(port):
    folder = HOME / "nginx"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "conf").write_text(NGINX.format(folder=folder, port=port))
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
    if not program:
        raise Wrong("nginx isn't installed: scripts/setup bench")
    child = subprocess.Popen([program, "-p", folder, "-c", folder / "conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for("nginx", 20, lambda: len(children(child.pid)) > 1)
        yield children(child.pid)[1]
    finally:
        child.terminate()
        child.wait(20)


def wrk(url, script, seconds, pid):
    """(requests/s, CPU ns a request of the server)"""
    before = cpu_ns(pid)
    text = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", script, url], check=True,
                          capture_output=True, text=True).stdout
    spent = cpu_ns(pid) - before
    if "Non-2xx" in text:
        raise Wrong(f"wrk: {text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]), spent / requests


def single_posts(run, bucket, ingest, size):
    """The same event again and again: which is new is not ingest's to know."""
    body = ('{"specversion":"1.0","id":"6f1c0f0e-5a5e-4c1b-9d0e-000000000001","source":"/gateways/eu-1",'
            '"type":"request","subscription":"01ARZ3NDEKTSV4RRFF00000000","time":"%s",'
            '"datacontenttype":"application/json","data":{"value":123.4,"path":"/v1/things/1234","method":'
            '"GET","status":200,"region":"eu-central-1","bytes":12345}}'
            % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    script = pathlib.Path(bucket.folder / "post.lua")
    script.write_text(SCRIPT.format(key=bucket.key, body=body))
    cost = Figure(STAGE, "single POST, CPU", unit="us/request",
                  note=f"floor: nginx `return 204`; wrk, {CONNECTIONS} connections")
    rate = Figure(STAGE, "single POST, requests/s by those of nginx", unit="x", must=0.9, stretch=1.0,
                  more_is_better=True, note="wall clock; wrk and the server have a core each")
    port = 20000 + (time.monotonic_ns() // 1000) % 10000
    with nginx(port) as worker:
        for _ in range(size["rounds"]):
            bare_rps, bare_ns = wrk(f"http://127.0.0.1:{port}/v1/events", script, size["seconds"], worker)
            rps, ns = wrk(f"{ingest.url}/v1/events", script, size["seconds"], ingest.pid)
            cost.add(ns / 1000, bare_ns / 1000)
            rate.add(rps / bare_rps, ingest=rps, nginx=bare_rps)
    return [cost, rate]


def batches(run, bucket, ingest, size):
    cost = Figure(STAGE, "JSON batches of 100, acknowledged", must=1.0, stretch=1.5,
                  note="ingest's CPU; HTTP in, Kafka out with acks=all")
    walls = []
    for _ in range(size["rounds"]):
        before = ingest.cpu()
        done = bucket.post(ingest, size["batches"], batch=100, connections=16)
        cost.add((ingest.cpu() - before) / done["events"], sender=done["cpu_ns"] / done["events"])
        walls.append(done["events"] / done["wall_ns"] * 1e9)
    half = max(walls) / 2
    say(f"    half load: {half:,.0f} events/s")
    latency = [Figure(STAGE, f"answer to a batch at half load, {name}", unit="ms") for name in ("p50", "p99", "p99.9")]
    for _ in range(size["rounds"]):
        done = bucket.post(ingest, max(size["batches"] // 4, 100_000), batch=100, connections=32, rate=int(half))
        for figure, name in zip(latency, ("p50_ms", "p99_ms", "p999_ms")):
            figure.add(done[name])
            figure.note = f"{half:,.0f} events/s; from when the rate wanted it sent"
    return [cost, *latency]


def run(run):
    size = SIZES[run.size]
    bucket = Bucket(run.kafka, "ingest", 100_000)
    ingest = bucket.ingest("--kafka-intake=false")
    try:
        ingest.await_ready()
        bucket.warm(ingest)
        figures = batches(run, bucket, ingest, size)
        aggregator = bucket.aggregator()
        try:
            aggregator.await_ready()
            sent = sum(counted + duplicate for counted, duplicate, _ in bucket.sent.values())
            wait_for("the count", 300, lambda: aggregator.counted() == sent and aggregator.lag() == 0)
            say(f"    totals of {bucket.check(aggregator):,} subscriptions are right")
        finally:
            aggregator.stop()
        figures += single_posts(run, bucket, ingest, size)
    finally:
        ingest.stop()
    bucket.remove()
    return figures
