"""What must have been counted, computed from the send log alone, and the comparison with what is."""
import collections
import datetime
import decimal
import json

from stage import check

D = decimal.Decimal


def day_of(event):
    time = datetime.datetime.fromisoformat(event["time"]).astimezone(datetime.timezone.utc)
    return time.strftime("%Y-%m-%dT00:00:00Z")


class Counted:
    """Units and requests by subscription and day, of a set of events, each id once."""

    def __init__(self, events):
        self.units = collections.defaultdict(D)
        self.requests = collections.Counter()
        self.of_subscription = collections.Counter()
        for event in events:
            cell = event["subject"], day_of(event)
            self.units[cell] += D(event["data"]["units"])
            self.requests[cell] += 1
            self.of_subscription[event["subject"]] += 1


def identity_of(line):
    """Who an event of the log is; a numbered one's identity is its source."""
    return f"{line['identity']}/{line['sequence']}" if line["numbered"] else line["identity"]


def in_log(usage):
    """(identities of all events in the log with how often, events with a subscription)"""
    return collections.Counter((line["subscription"], identity_of(line)) for line in usage)


def check_log(traffic, usage):
    """Every acknowledged event is in the log; nothing is that wasn't sent. Returns the count of
    different events."""
    check(not any("foreign" in line for line in usage), "a batch of ours can't be decoded")
    different = collections.Counter(subscription for subscription, _ in in_log(usage))
    acked = Counted(traffic.attempted[id] for id in traffic.acked).of_subscription
    attempted = Counted(traffic.attempted.values()).of_subscription
    for subscription in attempted:
        check(acked[subscription] <= different[subscription] <= attempted[subscription],
              f"{subscription}: {acked[subscription]} acknowledged, {different[subscription]} in the "
              f"log, {attempted[subscription]} attempted")
    check(sum(different.values()) == sum(different[s] for s in attempted), "a foreign subscription")
    return sum(different.values())


def check_ledger(ledger, usage):
    """The ledger equation, with numbers counted from the log."""
    times = in_log(usage)
    check(ledger["lag"] == 0, f"lag {ledger['lag']}")
    expected = {"accepted": len(usage), "counted": len(times), "duplicate": len(usage) - len(times),
                "conflict": 0, "rejected": 0, "late": 0}
    found = {name: ledger[name] for name in expected}
    check(found == expected, f"the ledger says {found}, the log {expected}")
    check(found["accepted"] == found["counted"] + found["duplicate"] + found["rejected"] +
          found["late"], f"the ledger doesn't add up: {found}")


def check_ledger_of_each(ledger, usage):
    accepted = collections.Counter(line["subscription"] for line in usage)
    counted = collections.Counter(subscription for subscription, _ in in_log(usage))
    found = {row["subscription"]: row for row in ledger["subscriptions"]}
    check(set(found) == set(accepted), "the ledger names other subscriptions than the log")
    for subscription, row in found.items():
        check(row["accepted"] == accepted[subscription] and
              row["counted"] == counted[subscription],
              f"{subscription}: the ledger says {row}, the log {accepted[subscription]} accepted, "
              f"{counted[subscription]} counted")


def rows_as_cells(rows):
    return {(row["subscription"], row["windowStart"]): D(row["value"]) for row in rows}


def check_sums(traffic, usage, units_rows, request_rows, fickle):
    """Sums by subscription and day: the send log's, exactly; of fickle clients, the log's."""
    sent = Counted(traffic.attempted[id] for id in traffic.acked)
    logged_units, logged_requests = sums_of_log(usage)
    for expected, logged, rows, what in ((sent.units, logged_units, units_rows, "units"),
                                         (sent.requests, logged_requests, request_rows,
                                          "requests")):
        found = rows_as_cells(rows)
        check(found == logged, f"{what}: {different_cells(found, logged)}")
        steady = {cell: value for cell, value in found.items() if cell[0] not in fickle}
        wanted = {cell: D(value) for cell, value in expected.items() if cell[0] not in fickle}
        check(steady == wanted, f"{what} sent: {different_cells(steady, wanted)}")


def sums_of_log(usage):
    units, requests, seen = collections.defaultdict(D), collections.defaultdict(D), set()
    for line in usage:
        key = line["subscription"], identity_of(line)
        if key in seen:
            continue
        seen.add(key)
        cell = line["subscription"], line["time"][:10] + "T00:00:00Z"
        for entry in line["entries"]:
            if entry["meter"] == "units":
                units[cell] += D(entry["value"])
            else:
                requests[cell] += 1
    return dict(units), dict(requests)


def different_cells(found, wanted):
    cells = sorted(c for c in set(found) | set(wanted) if found.get(c) != wanted.get(c))
    return f"{len(cells)} cells differ: " + ", ".join(
        f"{c}: {found.get(c)} instead of {wanted.get(c)}" for c in cells[:4])


def last_marks(counters):
    """The last mark of each partition, from the records of `counters`."""
    marks = {}
    for record in counters:
        if record["key"] and record["key"].startswith("M/"):
            marks[record["partition"]] = json.loads(record["value"])
    return marks


def check_marks(marks, usage, rejected=0):
    """The marks of all partitions together say what the log holds: ours, and so many foreign ones."""
    times = in_log(usage)
    sums = {name: sum(mark[name] for mark in marks.values())
            for name in ("accepted", "counted", "duplicate", "conflict", "rejected", "late")}
    expected = {"accepted": len(usage) + rejected, "counted": len(times),
                "duplicate": len(usage) - len(times), "conflict": 0, "rejected": rejected, "late": 0}
    check(sums == expected, f"the marks say {sums}, the log {expected}")


def bytes_of(record):
    """A value as topic-tool writes it: hex where it isn't UTF-8; None for a tombstone."""
    if "hex" in record:
        return bytes.fromhex(record["hex"])
    return None if record["value"] is None else record["value"].encode()


def check_totals(counters, usage):
    """The last totals on `counters`, by subscription and day, are the log's: the invoicer bills them."""
    last = {}
    for record in counters:
        if record["key"] and record["key"].startswith("T/"):
            last[record["key"]] = bytes_of(record)
    units, requests = collections.defaultdict(D), collections.defaultdict(D)
    for key, value in last.items():
        if value is None:
            continue
        _, subscription, meter, begin, _, _ = key.split("/", 5)
        day = datetime.datetime.fromtimestamp(int(begin) * 60, datetime.timezone.utc)
        cell = subscription, day.strftime("%Y-%m-%dT00:00:00Z")
        if meter == "units":
            units[cell] += D(int.from_bytes(value[8:24], "little", signed=True)).scaleb(-12)
        else:
            requests[cell] += int.from_bytes(value[24:32], "little")
    for found, wanted, what in zip((units, requests), sums_of_log(usage), ("units", "requests")):
        check(dict(found) == wanted, f"totals of {what}: {different_cells(found, wanted)}")
