#!/usr/bin/env python3
"""Compares common/base/{zone,calendar}.c with Python's zoneinfo: every zone, sampled instants.

Usage: calendar.py PROBE [SEED]. The rules are those of rating.md 19-21 and metering.md 19, written
again from the text; the offsets are zoneinfo's, which reads the same files by its own code.
"""
import bisect
import datetime as dt
import random
import subprocess
import sys
import zoneinfo

UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
EARLIEST, LATEST = -2208988800, 6000000000  # 1900 to 2160: datetime and 64 bits of ns hold it
CADENCES = ["PT1H", "P1D", "P1W", "P2W", "P4W", "P1M", "P3M", "P6M", "P12M", "P1Y"]


def offset(zone, seconds):
    return int(dt.datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset().total_seconds())


def seconds_of_local(zone, local):
    """zoneinfo's fold=0 is the first of two, and in a gap the offset before it: both our rule."""
    naive = EPOCH + dt.timedelta(seconds=local)
    return local - int(naive.replace(tzinfo=zone, fold=0).utcoffset().total_seconds())


def local_day(day):
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day))


def day_number(date):
    return (date - dt.date(1970, 1, 1)).days


def add_months(date, months):
    number = date.year * 12 + date.month - 1 + months
    year, month = divmod(number, 12)
    month += 1
    last = ((dt.date(year + (month == 12), month % 12 + 1, 1)) - dt.timedelta(days=1)).day
    return dt.date(year, month, min(date.day, last))


def boundary(zone, anchor, cadence, index):
    if index == 0:
        return anchor
    if cadence == "PT1H":
        return anchor + 3600 * index
    count, unit = int(cadence[1:-1]), cadence[-1]
    local = anchor + offset(zone, anchor)
    day, rest = divmod(local, 86400)
    date = local_day(day)
    if unit in "DW":
        date += dt.timedelta(days=count * (7 if unit == "W" else 1) * index)
    else:
        date = add_months(date, count * (12 if unit == "Y" else 1) * index)
    return seconds_of_local(zone, day_number(date) * 86400 + rest)


def hour_window(zone, seconds):
    """Walks out in steps until the local hour or the offset differs, then to the second."""
    def key(at):
        shift = offset(zone, at)
        return (at + shift) // 3600, shift

    here = key(seconds)

    def edge(step):
        inside, outside = seconds, seconds + step * 3600
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            if key(middle) == here:
                inside = middle
            else:
                outside = middle
        return max(inside, outside)
    return edge(-1), edge(1)


def day_window(zone, size, seconds):
    start = (lambda n: seconds_of_local(zone, n * 86400)) if size == "DAY" else (
        lambda n: seconds_of_local(zone, day_number(dt.date(n // 12, n % 12 + 1, 1)) * 86400))
    date = local_day((seconds + offset(zone, seconds)) // 86400)
    number = day_number(date) if size == "DAY" else date.year * 12 + date.month - 1
    starts = [start(n) for n in range(number - 3, number + 4)]
    i = bisect.bisect_right(starts, seconds)
    return starts[i - 1], starts[i]


def samples(zone, rng, count):
    """Random instants, and those around the zone's own changes, found by halving."""
    found = [rng.randint(EARLIEST + 10**7, LATEST - 10**7) for _ in range(count)]
    for _ in range(count):
        low = rng.randint(EARLIEST + 10**7, LATEST - 3 * 10**7)
        high = low + rng.choice([86400 * 200, 86400 * 20])
        if offset(zone, low) == offset(zone, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if offset(zone, middle) == offset(zone, low):
                low = middle
            else:
                high = middle
        found += [high + d for d in (-86401, -3600, -1801, -1, 0, 1, 1799, 3599, 3600, 86399)]
    return found


def main():
    probe, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    questions, answers = [], []

    def ask(question, answer):
        questions.append(question)
        answers.append(answer)

    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo.ZoneInfo(name)
        for seconds in samples(zone, rng, 12):
            shift = offset(zone, seconds)
            ask(f"offset {name} {seconds}", f"{shift}")
            local = seconds + shift
            ask(f"local {name} {local}", f"{seconds_of_local(zone, local)}")
            local += rng.choice([-3600, -1800, 1800, 3600, 86400])
            ask(f"local {name} {local}", f"{seconds_of_local(zone, local)}")
            ask(f"window {name} HOUR {seconds}", "%d %d" % hour_window(zone, seconds))
            for size in ("DAY", "MONTH"):
                ask(f"window {name} {size} {seconds}", "%d %d" % day_window(zone, size, seconds))
            cadence = rng.choice(CADENCES)
            index = rng.randint(-40, 40)
            at = boundary(zone, seconds, cadence, index)
            # several boundaries may fall together (a skipped day): the last one counts
            while boundary(zone, seconds, cadence, index + 1) == at:
                index += 1
            ask(f"boundary {name} {seconds} {cadence} {index}", f"{at} {index}")
    run = subprocess.run([probe], input="\n".join(questions) + "\n", capture_output=True, text=True,
                         check=True)
    got = run.stdout.splitlines()
    wrong = [(q, a, g) for q, a, g in zip(questions, answers, got) if a != g]
    for question, answer, given in wrong[:20]:
        print(f"{question}: {given}, expected {answer}")
    zones = len(zoneinfo.available_timezones())
    print(f"{len(questions)} answers in {zones} zones, {len(wrong)} wrong")
    return 1 if wrong or len(got) != len(questions) else 0


if __name__ == "__main__":
    sys.exit(main())
