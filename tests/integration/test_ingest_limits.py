#!/usr/bin/env python3
"""The limits of ingest's HTTP are settings: each holds where it was set, at it and past it."""
# limit: 120
import json
import pathlib
import socket
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import BATCH, KEY, STRUCTURED, Rig, event, main, wait_for  # noqa: E402

RIG = None



def refused(code, body, content_type):
    status, answer, _ = RIG.post(body, content_type)
    assert (status, answer["code"]) == (413, code), (status, answer)


def test_sizes_and_numbers_of_events():
    single = json.dumps(event("l"))
    single += " " * (2048 - len(single))
    assert RIG.post(single)[0] == 202
    refused("body_too_large", single + " ", STRUCTURED)
    refused("body_too_large", single + " ", "application/json")
    batch = json.dumps([event("l")])
    batch += " " * (8192 - len(batch))
    assert RIG.post(batch, BATCH)[0] == 202
    refused("body_too_large", batch + " ", BATCH)
    assert RIG.post([event(str(i)) for i in range(3)], BATCH)[1]["accepted"] == 3
    refused("too_many_events", [event(str(i)) for i in range(4)], BATCH)
    refused("too_many_events", "{}\n" * 4, "application/x-ndjson")


def address():
    host, port = urllib.parse.urlparse(RIG.url).netloc.split(":")
    return host, int(port)


def answered(sent):
    """What comes back for a request that stops there, until the server closes."""
    with socket.create_connection(address(), 20) as connection:
        connection.sendall(sent)
        got = b""
        while chunk := connection.recv(4096):
            got += chunk
    return got.split(b"\r\n")[0]


def test_slow_heads_bodies_and_silence():
    assert b" 408 " in answered(b"POST /v1/events HTTP/1.1\r\nHost: a\r\n")
    assert b" 408 " in answered(b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                                b"Content-Type: application/json\r\nAuthorization: Bearer " +
                                KEY.encode() + b"\r\n\r\n{")
    assert b" 200 " in answered(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), "closed when silent"


def test_connections_beyond_the_limit_are_turned_away():
    held = []

    def ten_are_held():
        """Those of the case before may still be on their way out; then some of these are turned away."""
        for connection in held:
            connection.close()
        held[:] = [socket.create_connection(address(), 20) for _ in range(10)]
        try:
            for connection in held:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            return all(b" 200 " in connection.recv(4096) for connection in held)
        except ConnectionError:
            return False

    def there_is_room():
        """One that is turned away may hear of it before it has its answer, as below."""
        try:
            return b" 200 " in answered(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        except ConnectionError:
            return False
    wait_for("ten connections", 20, ten_are_held)
    more = socket.create_connection(address(), 20)
    try:
        more.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 200 " not in more.recv(4096)
    except ConnectionError:
        pass
    for connection in [*held, more]:
        connection.close()
    wait_for("room for a connection", 10, there_is_room)


def restart_with_files(soft, hard, *settings):
    """`hard` can't be raised again by another than root."""
    RIG.stop()
    RIG.settings = ["--topics-check=false", "--kafka-intake=false", *settings]
    process = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard})); " \
              "os.execv(sys.argv[1], sys.argv[1:])"
    RIG.start(before=[sys.executable, "-c", process])


def test_open_files_are_raised_to_what_the_system_allows():
    restart_with_files(64, 600, "--http-connections=300")
    held = [socket.create_connection(address(), 20) for _ in range(250)]
    for connection in held:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert all(b" 200 " in connection.recv(4096) for connection in held)
    for connection in held:
        connection.close()
    assert "few_open_files" not in (RIG.folder / "log").read_text()


def test_too_few_open_files_are_told_and_cost_nobody_who_is_in():
    restart_with_files(64, 120, "--http-connections=300")
    assert (RIG.folder / "log").read_text().count("few_open_files") == 1
    held = [socket.create_connection(address(), 20) for _ in range(200)]
    for connection in held[:20]:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert all(b" 200 " in connection.recv(4096) for connection in held[:20])
    for connection in held:
        connection.close()

    def is_let_in():
        try:
            return RIG.post([event("f")], BATCH)[0] == 202
        except OSError:  # turned away
            return False
    wait_for("room for a connection", 60, is_let_in)


def test_ten_thousand_events_a_request_where_the_setting_says_so():
    RIG.stop()
    RIG.settings = ["--topics-check=false", "--kafka-intake=false", "--request-events=10000",
                    "--body-bytes=16MiB"]
    RIG.start()
    events = [event(f"m{i}", subject="s" * 500) for i in range(10000)]
    began = time.monotonic()
    status, answer, _ = RIG.post(events, BATCH)
    assert status == 202 and answer["accepted"] == 10000, (status, str(answer)[:300])
    refused("too_many_events", [*events, 1], BATCH)
    print(f"     10,000 events in one request: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    with Rig(settings=["--kafka-intake=false", "--single-bytes=2KiB", "--body-bytes=8KiB",
                       "--request-events=3", "--http-connections=10", "--http-header-timeout=3s",
                       "--http-body-timeout=300ms", "--http-idle-timeout=2s"]) as RIG:
        RIG.put_catalog()
        RIG.start()
        main(sys.modules["__main__"])
