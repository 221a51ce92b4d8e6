#!/usr/bin/env python3
"""Reads records of <bucket>.counters (proto/README.md 6): for tests and audits; standard library only.

    kcat -C -q -b … -t <bucket>.counters -e -f '%K\\n%k%S\\n%s' | counters.py
    counters.py --check counters_vectors.json

As a module: decode(key, value) returns a total or a mark, or raises Foreign. state(records) is what
a reader holds after them.
"""
import json
import pathlib
import struct
import sys
from decimal import Decimal, localcontext

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from xxh3 import xxh3_64  # noqa: E402

AGGREGATIONS = ["SUM", "COUNT", "MIN", "MAX", "AVG", "LATEST", "UNIQUE_COUNT"]
TOTAL = struct.Struct("<2sBBI16sQqqQ")


class Foreign(ValueError):
    """Not a record of ours, or a damaged one."""


def require(holds, reason):
    if not holds:
        raise Foreign(reason)


def exact(units):
    with localcontext() as context:
        context.prec = 60
        return Decimal(units).scaleb(-12)


def read_key(key):
    kind, subscription, meter, start, end, rest = key.split("/", 5)
    unique = None
    if kind == "U":
        rest, unique = rest.rsplit("/", 1)
        require(len(unique) == 32, "a unique value of another length")
    require(int(start) < int(end), "a window without length")
    return {"kind": kind, "subscription": subscription, "meter": meter, "from": int(start),
            "to": int(end), "dimensions": json.loads(rest), "unique": unique}


def decode_total(key, value):
    require(len(value) == TOTAL.size, "not a total")
    magic, version, aggregation, zero, units, count, time, next_offset, checksum = TOTAL.unpack(value)
    require(magic == b"CT" and version == 1 and zero == 0, "not a total of this version")
    require(checksum == xxh3_64(value[:48], xxh3_64(key.encode())), "a total with a wrong checksum")
    require(aggregation < len(AGGREGATIONS) and count < 2**63, "an impossible total")
    return {**read_key(key), "aggregation": AGGREGATIONS[aggregation],
            "value": exact(int.from_bytes(units, "little", signed=True)), "count": count,
            "time_ns": time, "next_offset": next_offset}


def decode(key, value):
    if key.startswith("M/"):
        mark = json.loads(value)
        require(mark["partition"] == int(key[2:]), "a mark under another partition's key")
        return {"kind": "M", **mark}
    require(key[:2] in ("T/", "U/"), "neither a total nor a mark")
    return decode_total(key, value)


def state(records):
    """{key: record} of [(key, value)] in the log's order; value None removes. The newest offset wins."""
    held = {}
    for key, value in records:
        if value is None:
            held.pop(key, None)
            continue
        record = decode(key, value)
        name = "nextOffset" if record["kind"] == "M" else "next_offset"
        if key not in held or held[key][name] <= record[name]:
            held[key] = record
    return held


def shown(value):
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    raise TypeError(value)


def kcat_records(stream):
    """Of kcat's format '%K\\n%k%S\\n%s'."""
    while line := stream.readline():
        key = stream.read(int(line)).decode()
        length = int(stream.readline())
        yield key, stream.read(length) if length >= 0 else None


def check(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        value = bytes.fromhex(vector["hex"])
        record = json.loads(json.dumps(decode(vector["key"], value), default=shown))
        if record != vector["record"]:
            sys.exit(f"{vector['key']}: {json.dumps(record)}")
        if vector["record"]["kind"] == "M":
            continue
        for damaged in (vector["key"] + " ", vector["key"][:-2] + "1}"):
            try:
                decode(damaged, value)
            except ValueError:
                continue
            sys.exit(f"{vector['key']}: the value is taken under another key")
    print(f"{len(vectors)} vectors agree")


def main(arguments):
    if arguments[:1] == ["--check"] and len(arguments) == 2:
        return check(arguments[1])
    if arguments:
        sys.exit(__doc__)
    for key, value in kcat_records(sys.stdin.buffer):
        print(json.dumps(None if value is None else decode(key, value), default=shown))
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
