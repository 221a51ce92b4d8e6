"""What isn't ours on `usage`, and a `usage` that isn't the one we knew: the first is set aside with its
bytes and never stops a partition; the second stops the aggregator, with the remedy in its log, before
it counts anything."""
import time

import count_kills
import model
import traffic
from stage import await_that, check

FOREIGN = [
    {"value": "not a batch", "key": "somebody"},
    {"hex": "00ff10"},
    {"hex": "54575531" + "00" * 40},  # our magic, then nonsense
    {"value": ""},
    {"value": None, "key": "a tombstone"},
    {"value": '{"specversion":"1.0","id":"1","source":"s","type":"request"}'},
]


def check_foreign(stage, load, aggregator):
    """Foreign records among ours: counted as rejected, copied with their bytes, and no more."""
    lines = [{**record, "partition": i % stage.partitions} for i, record in enumerate(FOREIGN * 3)]
    stage.write("usage", lines)
    time.sleep(1)
    load.stop()
    check(not load.problems, f"clients: {load.problems}")
    everything = stage.read("usage", "usage")
    usage = [line for line in everything if "foreign" not in line]
    marks = count_kills.final_marks(stage, everything, [aggregator])
    model.check_marks(marks, usage, rejected=len(lines))
    model.check_log(load, usage)

    def copied():
        records = stage.read("rejected")
        return records if len(records) >= len(lines) else None
    records = await_that("set aside", copied, 30, 0.5)
    check(len(records) == len(lines), f"{len(records)} records set aside instead of {len(lines)}")
    for record in records:
        check("tollway_reason" in record["headers"] and "tollway_offset" in record["headers"],
              f"set aside without a reason: {record}")
    found, sent = (sorted((str(r.get("key")), str(model.bytes_of(r))) for r in them)
                   for them in (records, lines))
    check(found == sent, "what was set aside isn't what came")
    return marks


def check_stops(program, *words):
    """Ends by itself, not with 0, and says why and what to do."""
    await_that(f"ended: {program.name}", lambda: not program.is_running(), 60)
    check(program.end() not in (0, None) and program.end() > 0,
          f"{program.name} ended with {program.end()}\n{program.tail()}")
    text = program.log.read_text(errors="replace").split("--- start")[-1]
    for word in words:
        check(word in text, f"{program.name} doesn't say {word!r}\n{program.tail()}")


def make_anew(stage):
    stage.kafka.topics("--delete", "--topic", stage.topic("usage"))
    time.sleep(1)
    stage.create_topics()


def run(stage, seed, _):
    ingest = stage.program("ingest").start().await_ready()
    aggregator = stage.program("aggregator", None, "--data", stage.folder / "aggregator").start()
    load = traffic.Traffic(ingest, seed, clients=1).start()
    time.sleep(2)
    marks = check_foreign(stage, load, aggregator)

    stage.kafka.topics("--alter", "--topic", stage.topic("usage"), "--partitions",
                       stage.partitions + 2)
    check(aggregator.stop() == 0, f"the aggregator didn't end well\n{aggregator.tail()}")
    aggregator.start()
    check_not_counting(aggregator, "partitions")
    aggregator.stop()

    make_anew(stage)
    aggregator.start()
    check_stops(aggregator, "remedy")
    last = model.last_marks(stage.read("counters"))
    check({p: m["nextOffset"] for p, m in last.items()} ==
          {p: m["nextOffset"] for p, m in marks.items()}, "a mark was written after all")
    ingest.stop()
    return f"{len(FOREIGN) * 3} foreign records set aside, another partition count and a topic made " \
           "anew refused"


def check_not_counting(program, *words):
    """Either it ends, or it isn't ready; and it says why."""
    await_that("refused", lambda: not program.is_running() or all(
        word in program.log.read_text(errors="replace").split("--- start")[-1] for word in words), 60)
    try:
        check(not program.is_running() or program.ask("GET", "/readyz", timeout=5)[0] != 200,
              f"{program.name} is ready all the same")
    except OSError:
        pass
