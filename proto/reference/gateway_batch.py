#!/usr/bin/env python3
"""Writes Tollway's gateway batch (proto/README.md 2): the reference for writers in other languages.

Standard library only. As a module:

    batch = Batch()
    batch.add(id="r-1", type="request", source="gw/1", subscription="01ARZ3NDEKTSV4RRFFQ69G5FAV",
              time="2026-10-01T12:00:00Z",
              properties={"$.total": 1, "$.bytes": Decimal("512.5"), "$.method": "GET"})
    producer.send("<bucket>.events", value=batch.encode(),
                  headers=[("content-type", CONTENT_TYPE.encode())])

As a command, events as NDJSON in (members as add's arguments; numbers stay exact), a batch out:

    gateway_batch.py < events.ndjson > batch.bin
    gateway_batch.py --check vectors.json     encodes the test vectors and compares
    gateway_batch.py --vectors > vectors.json writes them
"""
import datetime
import json
import re
import struct
import sys
import zlib
from decimal import Decimal

CONTENT_TYPE = "application/vnd.tollway.gateway-batch"
TIME, SUBSCRIPTION, SUBJECT, SEQUENCE, UUID = 1, 2, 4, 8, 16
UUID_TEXT = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NULL, FALSE, TRUE, STRING, DECIMAL = range(5)
SCALE_MAX = 12
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def varint(number):
    """Unsigned LEB128: seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number):
    """0, -1, 1, -2, … become 0, 1, 2, 3, …: small numbers stay short, whatever their sign."""
    return 2 * number if number >= 0 else -2 * number - 1


def nanoseconds(time):
    """Of an RFC 3339 text, or a number of nanoseconds as it is."""
    if isinstance(time, int):
        return time
    match = re.fullmatch(r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", time)
    if not match:
        raise ValueError(f"not an RFC 3339 time: {time}")
    zone = "+00:00" if match[3] in "Zz" else match[3]
    whole = datetime.datetime.fromisoformat(match[1].upper() + zone) - EPOCH
    return (whole.days * 86400 + whole.seconds) * 10**9 + int(((match[2] or "") + "0" * 9)[:9])


def mantissa_and_scale(value):
    """value = mantissa / 10^scale, with 0 <= scale <= 12."""
    sign, digits, exponent = Decimal(value).as_tuple()
    mantissa = int("".join(map(str, digits))) * (-1 if sign else 1)
    if exponent > 0:
        return mantissa * 10**exponent, 0
    if -exponent > SCALE_MAX:
        raise ValueError(f"more than {SCALE_MAX} decimals: {value}")
    return mantissa, -exponent


class Batch:
    """One batch. Each text is written once, however many events name it."""

    def __init__(self):
        self.strings = {}
        self.events = []

    def number_of(self, text):
        return varint(self.strings.setdefault(text, len(self.strings)))

    def property(self, path, value):
        out = self.number_of(path)
        if value is None:
            return out + bytes([NULL])
        if isinstance(value, bool):
            return out + bytes([TRUE if value else FALSE])
        if isinstance(value, str):
            return out + bytes([STRING]) + self.number_of(value)
        mantissa, scale = mantissa_and_scale(value)
        return out + bytes([DECIMAL, scale]) + varint(zigzag(mantissa))

    def add(self, id, type, source, properties, subscription=None, subject=None, time=None,
            sequence=None):
        flags = 0
        flags |= TIME if time is not None else 0
        flags |= SUBSCRIPTION if subscription is not None else 0
        flags |= SUBJECT if subject is not None else 0
        flags |= SEQUENCE if sequence is not None else 0
        if UUID_TEXT.fullmatch(id):
            out = bytes([flags | UUID]) + bytes.fromhex(id.replace("-", ""))
        else:
            name = id.encode()
            out = bytes([flags]) + varint(len(name)) + name
        out += self.number_of(type) + self.number_of(source)
        if subscription is not None:
            out += self.number_of(subscription)
        if subject is not None:
            out += self.number_of(subject)
        if time is not None:
            out += struct.pack("<q", nanoseconds(time))
        if sequence is not None:
            out += varint(sequence)
        out += varint(len(properties))
        for path, value in properties.items():
            out += self.property(path, value)
        self.events.append(out)

    def encode(self):
        out = b"TWG1" + varint(len(self.strings))
        for text in self.strings:
            encoded = text.encode()
            out += varint(len(encoded)) + encoded
        out += varint(len(self.events)) + b"".join(self.events)
        return out + struct.pack("<I", zlib.crc32(out))


def read_events(lines):
    for line in lines:
        if line.strip():
            yield json.loads(line, parse_float=Decimal)


def encode(events):
    batch = Batch()
    for event in events:
        batch.add(**event)
    return batch.encode()


# --- test vectors: events, the batch in hexadecimal, and the CloudEvents that they stand for ---

def spell_time(ns):
    seconds, rest = divmod(ns, 10**9)
    text = (EPOCH + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    for unit, width in ((10**6, 3), (10**3, 6), (1, 9)):
        if rest and rest % unit == 0:
            return f"{text}.{rest // unit:0{width}d}Z"
    return text + "Z"


def steps_of(path):
    found = re.findall(r"\.([^.\[]+)|\['((?:[^'\\]|\\.)*)'\]", path)
    return [name or re.sub(r"\\(.)", r"\1", quoted) for name, quoted in found]


def spell(value):
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode())
        return "{" + ",".join(spell(name) + ":" + spell(member) for name, member in members) + "}"
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False)


def cloudevent(event):
    """The JSON text that the event stands for, as the C decoder writes it."""
    data = {}
    for path, value in event["properties"].items():
        place = data
        *objects, last = steps_of(path)
        for step in objects:
            place = place.setdefault(step, {})
        place[last] = value
    members = [("specversion", "1.0")]
    members += [(name, event[name]) for name in ("id", "source", "type")]
    members += [(name, event[name]) for name in ("subscription", "subject") if name in event]
    if "time" in event:
        members.append(("time", spell_time(nanoseconds(event["time"]))))
    if "sequence" in event:
        members.append(("sequence", str(event["sequence"])))
    members.append(("data", data))
    return "{" + ",".join(spell(name) + ":" + spell(value) for name, value in members) + "}"


SUBSCRIPTION_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
VECTORS = {
    "nothing": [],
    "the least": [{"id": "1", "type": "request", "source": "gw", "properties": {}}],
    "one request": [{
        "id": "r-1", "type": "request", "source": "gw/1", "subscription": SUBSCRIPTION_ID,
        "time": "2026-10-01T12:00:00Z",
        "properties": {"$.total": 1, "$.bytes": Decimal("512.5"), "$.method": "GET"}}],
    "every kind": [{
        "id": "k", "type": "t", "source": "s", "subject": "acme", "sequence": 2**63 - 1,
        "time": "1969-12-31T23:59:59.999999999Z",
        "properties": {"$.null": None, "$.false": False, "$.true": True, "$.empty": "",
                       "$.text": "é\"\\\n\u007f€😀", "$.zero": 0, "$.minus": Decimal("-0.05"),
                       "$.places": Decimal("1.000000000001"), "$.zeros": Decimal("2.50"),
                       "$.large": Decimal("999999999999999.999999999999"),
                       "$.huge": 2**127 - 1}}],
    "numbers": [
        {"id": f"n{i}", "type": "request", "source": "gw/1", "subject": "acme", "sequence": number,
         "properties": {}} for i, number in enumerate((0, 127, 128, 2**32, 2**63 - 1))],
    "nested paths": [{
        "id": "n", "type": "t", "source": "s",
        "properties": {"$.b": 1, "$.a.x.y": 2, "$.a['it\\'s here']": "q", "$.a.x.z": 3,
                       "$.c.d": True, "$['a b'].c": None}}],
    "shared texts": [
        {"id": f"e{i}", "type": "request", "source": "gw/1", "subject": f"customer-{i % 2}",
         "time": f"2026-10-01T00:00:0{i}.5+02:00", "sequence": i + 1,
         "properties": {"$.total": i, "$.method": ("GET", "POST")[i % 2]}} for i in range(5)],
    "ids that are UUIDs": [
        {"id": id, "type": "request", "source": "gw/1", "subject": "acme", "properties": {}}
        for id in ("00000000-0000-0000-0000-000000000000", "0123e567-89ab-4cde-8f01-23456789abcd",
                   "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", "ffffffff-ffff-ffff-ffff-ffffffffffff",
                   "0123e567-89ab-4cde-8f01-23456789abcde")],
    "many texts": [
        {"id": f"id-{i}", "type": "request", "source": "gw/1", "subscription": f"sub-{i:03d}",
         "properties": {"$.total": Decimal(i) / 8}} for i in range(200)],
}


def shown(value):
    """Decimals and large integers as objects in the vectors' JSON: no reader makes doubles of them."""
    if isinstance(value, Decimal) or (isinstance(value, int) and abs(value) >= 2**53):
        return {"decimal": format(Decimal(value), "f")}
    return value


def event_of_json(event):
    values = {path: Decimal(value["decimal"]) if isinstance(value, dict) else value
              for path, value in event["properties"].items()}
    return {**event, "properties": values}


def vectors():
    rows = []
    for name, events in VECTORS.items():
        inputs = [{**event, "properties": {path: shown(value) for path, value
                                           in event["properties"].items()}} for event in events]
        rows.append({"name": name, "events": inputs, "hex": encode(events).hex(),
                     "cloudevents": [cloudevent(event) for event in events]})
    return {"contentType": CONTENT_TYPE, "vectors": rows}


def check(path):
    with open(path, encoding="utf-8") as file:
        rows = json.load(file)["vectors"]
    for row in rows:
        events = [event_of_json(event) for event in row["events"]]
        if encode(events).hex() != row["hex"]:
            sys.exit(f"{row['name']}: encodes to {encode(events).hex()}")
        if [cloudevent(event) for event in events] != row["cloudevents"]:
            sys.exit(f"{row['name']}: stands for other CloudEvents")
    print(f"{len(rows)} vectors agree")


def main(arguments):
    if arguments[:1] == ["--vectors"]:
        json.dump(vectors(), sys.stdout, ensure_ascii=True, indent=1)
        print()
    elif arguments[:1] == ["--check"] and len(arguments) == 2:
        check(arguments[1])
    elif not arguments:
        sys.stdout.buffer.write(encode(read_events(sys.stdin)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
