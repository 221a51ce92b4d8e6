#!/usr/bin/env python3
"""Compares `invoicer periods --json` with Python's zoneinfo over 1970 to 2100.

Usage: periods.py INVOICER [--all] [--seed N]
       periods.py --vectors >tests/golden/calendar/zones.ndjson

Rules are those of rating.md 19 to 21, written from the text in calendar.py beside this; offsets are
zoneinfo's. Of every zone and cadence that is tried: the periods are those that the rules give, none
is empty, none overlaps the next or leaves a gap to it, and any of them is found again alone, by an
instant in it, without those before it. Without --all some zones, and of days and hours some years;
with it every zone of the system, all days of 130 years.
"""
import argparse
import collections
import datetime as dt
import hashlib
import importlib.util
import json
import pathlib
import random
import subprocess
import sys
import zoneinfo

# By its path: as `import calendar` the standard library's would be meant.
spec = importlib.util.spec_from_file_location(
    "calendar_rules", pathlib.Path(__file__).with_name("calendar.py"))
rules = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rules)

EPOCH = dt.datetime(1970, 1, 1)
FIRST, LAST = 0, 4102444800  # 1970-01-01 and 2100-01-01
# Skipped and repeated days, half-hour and two-hour changes, changes at midnight, odd seconds,
# winter time that is the exception, several changes a year.
TRICKY = ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Pacific/Kwajalein",
          "Pacific/Kiritimati", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Monrovia",
          "Africa/Casablanca", "Europe/Dublin", "America/Sao_Paulo", "America/Havana",
          "Asia/Beirut", "Asia/Gaza", "America/Caracas", "Asia/Pyongyang", "America/Anchorage"]


# Zones named by their clock alone: since tzdata 2024b other names of places, but not in every distribution.
CLOCKS = {"WET", "CET", "MET", "EET", "EST", "MST", "HST", "EST5EDT", "CST6CDT", "MST7MDT", "PST8PDT"}


def instant(seconds):
    return (EPOCH + dt.timedelta(seconds=seconds)).isoformat() + "Z"


def boundaries(zone, anchor, cadence):
    """Boundary n as a function of n, its local anchor worked out once."""
    if cadence == "PT1H":
        return lambda n: anchor + 3600 * n
    shift = rules.offset(zone, anchor)
    local = EPOCH + dt.timedelta(seconds=anchor + shift)
    count, unit = int(cadence[1:-1]), cadence[-1]

    def of_days(n):
        naive = local + dt.timedelta(days=n * count * (7 if unit == "W" else 1))
        since = naive - EPOCH
        return since.days * 86400 + since.seconds - offset_of(naive, zone)

    def of_months(n):
        date = rules.add_months(local.date(), n * count * (12 if unit == "Y" else 1))
        since = dt.datetime.combine(date, local.time()) - EPOCH
        return since.days * 86400 + since.seconds - offset_of(EPOCH + since, zone)
    by_calendar = of_days if unit in "DW" else of_months
    return lambda n: by_calendar(n) if n else anchor


def offset_of(naive, zone):
    """fold 0 is the first of two, and in a gap the offset before it: both the rule."""
    shift = naive.replace(tzinfo=zone).utcoffset()
    return shift.days * 86400 + shift.seconds


def first_index(boundary, cadence, anchor, since):
    mean = {"H": 3600, "D": 86400, "W": 604800, "M": 2629746, "Y": 31556952}[cadence[-1]]
    count = 1 if cadence == "PT1H" else int(cadence[1:-1])
    index = (since - anchor) // (mean * count)
    while boundary(index) > since:
        index -= 1
    while boundary(index + 1) <= since:
        index += 1
    return index


def periods(question):
    """What is to be answered: rows of index, from, to."""
    zone, cadence = zoneinfo.ZoneInfo(question["timeZone"]), question["cadence"]
    anchor, since = question["anchor"], question["from"]
    boundary = boundaries(zone, anchor, cadence)
    index = first_index(boundary, cadence, anchor, since)
    start, found = boundary(index), []
    while len(found) < question["count"]:
        end = boundary(index + 1)
        if end != start:
            found.append((index, instant(start), instant(end)))
        index, start = index + 1, end
    return found


def written(question):
    return {**question, "anchor": instant(question["anchor"]), "from": instant(question["from"])}


def ask(invoicer, questions):
    """An answer a question, read one by one: those of 130 years of days are long."""
    process = subprocess.Popen([invoicer, "periods", "--json"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    with process:
        for question in questions:
            process.stdin.write(json.dumps(written(question)) + "\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert "periods" in answer, (written(question), answer)
            yield [(p["index"], p["from"], p["to"]) for p in answer["periods"]]
        process.stdin.close()
        assert process.wait() == 0


def random_anchor(rng, zone):
    """Month ends, and times of the day that zones like to skip, show twice or begin days at."""
    date = dt.date(rng.randint(1970, 2099), rng.randint(1, 12), 1)
    day = rng.choice([1, 15, 28, 29, 30, 31, 31])
    local = dt.datetime.combine(date, dt.time()) + dt.timedelta(
        days=day - 1, minutes=rng.choice([0, 0, 30, 90, 150, 180, 1425, rng.randint(0, 1439)]))
    seconds = int((local - EPOCH).total_seconds())
    return (seconds - offset_of(local, zone)) // 60 * 60


def cover(rng, name, cadence, everything):
    zone = zoneinfo.ZoneInfo(name)
    long = {"PT1H": 3600, "P1D": 86400, "P1W": 604800, "P2W": 1209600, "P4W": 2419200}
    length = long.get(cadence, 2629746 * (int(cadence[1:-1]) if cadence[-1] == "M" else 12))
    start, count = FIRST, (LAST - FIRST) // length
    most = 10000 if cadence == "PT1H" else 10**6 if everything else 1200
    if count > most:
        start, count = rng.randint(FIRST, LAST - most * length), most
    return {"anchor": random_anchor(rng, zone), "cadence": cadence, "timeZone": name,
            "from": start, "count": count}


def seconds_of(text):
    return int((dt.datetime.fromisoformat(text[:-1]) - EPOCH).total_seconds())


def alone(rng, question, rows):
    """Single periods of those, asked for by instants in them; each with what must come."""
    for row in rng.sample(rows, min(6, len(rows))):
        start, end = seconds_of(row[1]), seconds_of(row[2])
        for since in (start, end - 1, rng.randint(start, end - 1)):
            yield {**question, "from": since, "count": 1}, [row]


def check(rows, expected):
    if rows != expected:
        pairs = [(a, b) for a, b in zip(rows, expected) if a != b]
        return f"{pairs[0][0]}, expected {pairs[0][1]}" if pairs else "another number of periods"
    for before, after in zip(rows, rows[1:]):
        if before[2] != after[1] or not before[0] < after[0]:
            return f"{before} and {after} don't touch"
    empty = [row for row in rows if not row[1] < row[2]]
    return f"{empty[0]} is empty" if empty else None


def distinct(names):
    """Names of the same zone once: the rest are links to it."""
    found = collections.OrderedDict()
    for name in names:
        for folder in zoneinfo.TZPATH:
            path = pathlib.Path(folder) / name
            if path.is_file():
                found.setdefault(hashlib.sha256(path.read_bytes()).digest(), name)
                break
    return set(found.values())


def plan(rng, everything):
    names = sorted(zoneinfo.available_timezones())
    if not everything:
        names = [n for n in TRICKY if n in names] + rng.sample(names, 22)
    own = distinct(names)
    for name in names:
        for cadence in rules.CADENCES:
            if name in own or cadence in ("P1M", "P1Y"):
                yield cover(rng, name, cadence, everything)


def compare(invoicer, rng, everything):
    questions, singles, wrong, total = list(plan(rng, everything)), [], [], 0
    for question, rows in zip(questions, ask(invoicer, questions)):
        reason = check(rows, periods(question))
        total += len(rows)
        if reason:
            wrong.append(f"{json.dumps(written(question))}: {reason}")
        singles += alone(rng, question, rows)
    for (question, expected), rows in zip(singles, ask(invoicer, [q for q, _ in singles])):
        if rows != expected:
            wrong.append(f"{json.dumps(written(question))}: {rows}, in a row {expected}")
    for text in wrong[:10]:
        print(text)
    zones = len({question["timeZone"] for question in questions})
    print(f"{total} periods in {zones} zones, {len(singles)} of them found alone, {len(wrong)} wrong")
    return 1 if wrong else 0


def write_vectors():
    """Up to 2020: what lies ahead, governments change."""
    rng = random.Random(20)
    for name in sorted(distinct(sorted(zoneinfo.available_timezones() - CLOCKS))):
        zone = zoneinfo.ZoneInfo(name)
        changes = [s for s in rules.samples(zone, rng, 40) if FIRST < s < 1577836800]
        for cadence in rng.sample(rules.CADENCES[1:], 2):
            since = rng.choice(changes[-30:]) if changes else rng.randint(FIRST, 1577836800)
            anchor = random_anchor(rng, zone)
            while not FIRST <= anchor < 1577836800:
                anchor = random_anchor(rng, zone)
            question = {"anchor": anchor, "cadence": cadence, "timeZone": name, "from": since,
                        "count": 3}
            rows = [dict(zip(("index", "from", "to"), row)) for row in periods(question)]
            if seconds_of(rows[-1]["to"]) < 1577836800:
                print(json.dumps({"name": f"{name}, {cadence}", "ask": "periods",
                                  "question": written(question), "answer": {"periods": rows}}))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("invoicer", nargs="?", default="build/bin/invoicer")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vectors", action="store_true")
    arguments = parser.parse_args()
    if arguments.vectors:
        return write_vectors()
    return compare(arguments.invoicer, random.Random(arguments.seed), arguments.all)


if __name__ == "__main__":
    sys.exit(main())
