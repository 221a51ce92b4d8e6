#!/usr/bin/env python3
"""The clocks of ingest and the aggregator are set a month ahead and a month back while they run: nothing
is lost or doubled, and nobody waits longer or shorter for it. The libraries keep the true time
(tests/support/other_clock.c says why)."""
# limit: 240
import contextlib
import datetime
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from aggregator_rig import CountingRig  # noqa: E402
from ingest_rig import BATCH, BIN, catalog, event, main, wait_for  # noqa: E402

LIBRARY = BIN / "libother-clock.so"
HOUR, MONTH = 3600, 30 * 86400
ANSWER_SECONDS = 6


def real_time(seconds=0):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    def __init__(self, file):
        self.file = file
        assert LIBRARY.exists(), LIBRARY
        self.set(0)

    def set(self, offset):
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self.file)

    @contextlib.contextmanager
    def worn(self):
        """For the processes that are started within."""
        ours = {"LD_PRELOAD": str(LIBRARY), "TOLLWAY_TEST_CLOCK": str(self.file)}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in ours:
                del os.environ[name]


@contextlib.contextmanager
def ready_rig():
    rig = CountingRig(settings=[])
    with rig:
        rig.put_catalog(catalog(rig.bucket))
        clock = Clock(rig.folder / "clock")
        aggregator = rig.aggregator()
        rig.settings.append(f"--answer-timeout={ANSWER_SECONDS}s")
        with clock.worn():
            rig.start()
        rig.settings.pop()
        with clock.worn():
            aggregator.start()
        yield rig, clock, aggregator


def await_counted(aggregator, **wanted):
    def settled():
        status, ledger = aggregator.get("/v1/ledger")
        return status == 200 and ledger["lag"] == 0 and all(ledger[k] == v for k, v in wanted.items())
    wait_for(f"a ledger of {wanted}", 60, settled)


def test_nothing_is_lost_or_doubled():
    with ready_rig() as (rig, clock, aggregator):
        sent = []
        for number, offset in enumerate((0, MONTH, 0, -MONTH, HOUR, -HOUR, 0)):
            clock.set(offset)
            events = [event(f"{number}-{i}") for i in range(50)]
            events += [event(f"{number}-past-{i}", time=real_time(-3 * 3600)) for i in range(50)]
            status, answer, _ = rig.post(events, BATCH)
            behind = offset == -MONTH  # a time that lies ahead of the clock is refused
            assert (status, answer["accepted"]) == (202, 50 if behind else 100), (offset, answer)
            assert {r["code"] for r in answer["rejected"]} == ({"time_in_future"} if behind else set())
            sent += events[:50] if behind else events
            await_counted(aggregator, counted=len(sent), duplicate=0)
        timed = [e for e in sent if "time" in e]
        rig.send(timed)
        await_counted(aggregator, counted=len(sent), duplicate=len(timed), rejected=0)
        clock.set(-MONTH)
        assert aggregator.stop() == 0
        with clock.worn():
            aggregator.start()
        await_counted(aggregator, counted=len(sent), duplicate=len(timed), rejected=0)
        assert aggregator.inspect("verify")[0] == 0


def waited(rig, clock, offset):
    """(status, seconds) of a request that waits for a broker that doesn't answer, while the clock is set."""
    answers = []

    def post():
        began = time.monotonic()
        status = rig.post([event(f"w{offset}")], BATCH)[0]
        answers.append((status, time.monotonic() - began))
    clock.set(0)
    rig.broker.process.send_signal(signal.SIGSTOP)
    try:
        thread = threading.Thread(target=post)
        thread.start()
        time.sleep(1)
        clock.set(offset)
        thread.join(60)
        assert answers, f"no answer after the clock was set to {offset}"
    finally:
        rig.broker.process.send_signal(signal.SIGCONT)
        thread.join(60)
    clock.set(0)
    return answers[0]


def test_a_request_waits_as_long_as_it_was_told():
    with ready_rig() as (rig, clock, _):
        assert rig.post([event("first")], BATCH)[0] == 202
        for offset in (HOUR, -MONTH):
            status, seconds = waited(rig, clock, offset)
            assert status == 503 and seconds >= ANSWER_SECONDS - 1, (offset, status, seconds)
            wait_for("readiness", 60, lambda: rig.get("/readyz")[0] == 200)


if __name__ == "__main__":
    main(sys.modules[__name__])
