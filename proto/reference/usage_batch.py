#!/usr/bin/env python3
"""Reads Tollway's usage batches (proto/README.md 3): for tests and audits; standard library only.

    usage_batch.py FILE…              prints each batch's events as NDJSON
    kcat -C -b … -t <bucket>.usage -e -f '%S\\n%s' | usage_batch.py --kcat
    usage_batch.py --check usage_vectors.json

As a module: decode(bytes) returns the events, or raises Foreign with the reason.
"""
import json
import pathlib
import struct
import sys
from decimal import Decimal, localcontext

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from xxh3 import xxh3_64  # noqa: E402

AGGREGATIONS = ["SUM", "COUNT", "MIN", "MAX", "AVG", "LATEST", "UNIQUE_COUNT"]
HEADER, EVENT = struct.Struct("<4sBBHHHIqQ"), struct.Struct("<12sIqiBBH")
SEQUENCES, WIDE = 1, 2  # of a layout
ABSENT = 0xFFFF
EVENTS_MAX, ENTRIES_MAX, SERIES_MAX, BYTES_MAX, METERS_MAX = 4000, 16000, 16000, 900 * 1024, 64
AMOUNT_END = 10**27


class Foreign(ValueError):
    """Not a usage batch, or a damaged one."""


def require(holds, reason):
    if not holds:
        raise Foreign(reason)


def exact(units):
    """Units of 10^-12 as a Decimal."""
    with localcontext() as context:
        context.prec = 60
        return Decimal(units).scaleb(-12)


class Cursor:
    def __init__(self, data, at, end):
        self.data, self.at, self.end = data, at, end

    def take(self, length):
        require(self.end - self.at >= length, "a series ends early")
        self.at += length
        return self.data[self.at - length:self.at]

    def text(self):
        length = struct.unpack("<H", self.take(2))[0]
        return None if length == ABSENT else self.take(length).decode()


def read_series(cursor):
    size, aggregation, count = struct.unpack("<HBB", cursor.take(4))
    require(aggregation < len(AGGREGATIONS) and count <= 8, "an unknown aggregation")
    inner = Cursor(cursor.data, cursor.at, cursor.at + size - 4)
    cursor.take(size - 4)
    series = {"aggregation": AGGREGATIONS[aggregation], "subscription": inner.text(),
              "meter": inner.text(), "subject": inner.text(), "dimensions": {}}
    for _ in range(count):
        name = inner.text()
        require(name and all(name.encode() > other.encode() for other in series["dimensions"]),
                "dimensions out of order")
        series["dimensions"][name] = inner.text()
    require(inner.at == inner.end, "a series of another length than it says")
    require(series["subscription"] and series["meter"], "a series without subscription or meter")
    return series


def read_entry(data, series):
    """The number of its series, and the entry."""
    number, value = struct.unpack("<H", data[:2])[0], data[2:]
    require(number < len(series), "an entry of no series")
    if series[number]["aggregation"] == "UNIQUE_COUNT":
        require(len(value) == 16, "a unique value that is too short")
        return number, {**series[number], "unique": value.hex()}
    units = int.from_bytes(value, "little", signed=len(value) == 16)
    require(0 <= units < AMOUNT_END, "an amount out of range")
    return number, {**series[number], "value": exact(units)}


def read_event(data, base_ms, sequence, entries):
    """`entries`: those that no event before it has."""
    identity, payload, time, later_ms, count, flags, series = EVENT.unpack(data)
    require(0 < count <= METERS_MAX and count <= len(entries) and flags <= 3
            and series == entries[0][0], "a malformed event")
    require(sequence is not None if flags & 2 else not sequence, "a sequence of no numbered event")
    own = [entry for _, entry in entries[:count]]
    require(len({entry["subscription"] for entry in own}) == 1, "an event of two subscriptions")
    return {"subscription": own[0]["subscription"], "identity": identity.hex(), "payload": payload,
            "time_ns": time, "arrival_ms": base_ms + later_ms, "sequence": sequence or 0,
            "time_absent": bool(flags & 1), "numbered": bool(flags & 2), "entries": own}


def cut(data, at, size, count):
    return [data[at + i * size:at + (i + 1) * size] for i in range(count)], at + size * count


def decode(data):
    """The events of a batch, each with its entries."""
    require(len(data) >= HEADER.size and data[:4] == b"TWU1", "not a usage batch")
    _, version, layout, series_count, event_count, entry_count, size, base_ms, checksum = (
        HEADER.unpack_from(data))
    require(version == 2, "a usage batch of another version")
    require(size == len(data) <= BYTES_MAX, "a usage batch of another length than it says")
    require(checksum == xxh3_64(data[32:], xxh3_64(data[:24])), "a usage batch with a wrong checksum")
    require(layout <= SEQUENCES | WIDE, "an unknown layout")
    require(0 < event_count <= EVENTS_MAX and entry_count <= ENTRIES_MAX
            and series_count <= SERIES_MAX, "too many events, entries or series")
    heads, at = cut(data, HEADER.size, EVENT.size, event_count)
    numbers = [None] * event_count
    if layout & SEQUENCES:
        numbers, at = cut(data, at, 8, event_count)
        numbers = [int.from_bytes(number, "little") for number in numbers]
    values, at = cut(data, at, 2 + (16 if layout & WIDE else 8), entry_count)
    require(at <= len(data), "a usage batch shorter than its counts say")
    cursor = Cursor(data, at, len(data))
    series = [read_series(cursor) for _ in range(series_count)]
    require(cursor.at == cursor.end, "bytes behind the series")
    entries = [read_entry(value, series) for value in values]
    events = []
    for head, number in zip(heads, numbers):
        events.append(read_event(head, base_ms, number, entries))
        entries = entries[len(events[-1]["entries"]):]
    require(not entries, "entries of no event")
    return events


def shown(value):
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    raise TypeError(value)


def print_batch(data):
    for event in decode(data):
        print(json.dumps(event, default=shown, ensure_ascii=False))


def kcat_messages(stream):
    """Of kcat's format '%S\\n%s': a length on a line, then as many bytes."""
    while line := stream.readline():
        yield stream.read(int(line))


def check(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        data = bytes.fromhex(vector["hex"])
        events = json.loads(json.dumps(decode(data), default=shown))
        if events != vector["events"]:
            sys.exit(f"{vector['name']}: {json.dumps(events)}")
        for bit in range(0, len(data) * 8, 11):
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            try:
                decode(bytes(damaged))
            except (Foreign, UnicodeDecodeError):
                continue
            sys.exit(f"{vector['name']}: takes a damaged batch, bit {bit}")
    print(f"{len(vectors)} vectors agree")


def main(arguments):
    if arguments[:1] == ["--check"] and len(arguments) == 2:
        return check(arguments[1])
    if arguments == ["--kcat"]:
        for message in kcat_messages(sys.stdin.buffer):
            print_batch(message)
        return None
    if not arguments:
        sys.exit(__doc__)
    for name in arguments:
        print_batch(pathlib.Path(name).read_bytes())
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
