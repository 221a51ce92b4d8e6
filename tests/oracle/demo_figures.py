#!/usr/bin/env python3
"""Recomputes every figure of a demo from what was sent and the catalog, slowly and with fractions.

  demo_figures.py FOLDER

FOLDER holds catalog.json, sent.ndjson (loadgen --log), ledger.json and invoices/**.json; horizon (the
dedup horizon in seconds), closed (the close's time, RFC 3339), and, where meters were queried,
usage/<meter>.json: {"query": {…parameters}, "answer": {…}}. Shares no code with the engine. What it
knows: SUM, COUNT, MIN, MAX, AVG, LATEST, UNIQUE_COUNT; flat, unit and graduated prices; plans of one
phase with monthly cadence. Anything else ends it, rather than being passed over.

Exits 1 with the first figure that differs, and says how many agreed.
"""
import collections
import datetime
import json
import math
import pathlib
import re
import sys
import zoneinfo
from fractions import Fraction

DIGITS = {"USD": 2, "EUR": 2, "JPY": 0}
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
NS = 10**9
FUTURE_NS = 300 * NS

agreed = collections.Counter()


def same(what, found, expected, where=""):
    if found != expected:
        sys.exit(f"{what} {where}: found {found}, recomputed {expected}")
    agreed[what] += 1


def unsupported(what):
    sys.exit(f"this oracle doesn't know {what}")


# --- times ---

TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)")


def ns_of(text):
    """Nanoseconds since the epoch, or None."""
    match = TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    zone = match[8]
    offset = 0 if zone in "Zz" else (int(zone[1:3]) * 60 + int(zone[4:6])) * (-60 if zone[0] == "-" else 60)
    seconds = (moment - EPOCH).days * 86400 + (moment - EPOCH).seconds - offset
    return seconds * NS + int(((match[7] or "") + "000000000")[:9])


def text_of(ns):
    return (EPOCH + datetime.timedelta(seconds=ns // NS)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- the catalog ---

class Catalog:
    def __init__(self, file):
        self.meters = {meter["slug"]: meter for meter in file["meters"]}
        self.features = {feature["key"]: feature for feature in file["features"]}
        self.plans = {plan["key"]: plan for plan in file["plans"]}
        self.subscriptions = {each["id"]: each for each in file["subscriptions"]}
        self.names = {}
        for each in file["subscriptions"]:
            if each.get("consumer"):
                self.names.setdefault(("consumer", each["consumer"]["name"]), []).append(each)
            self.names.setdefault(("customer", each["customerKey"]), []).append(each)

    def meters_of(self, event_type):
        return [meter for meter in self.meters.values()
                if meter.get("eventType", meter["slug"]) == event_type]


def is_active(subscription, ns):
    ends = subscription.get("activeTo")
    return ns_of(subscription["activeFrom"]) <= ns and (not ends or ns < ns_of(ends))


def find_subscription(catalog, event, ns):
    """(subscription, None) or (None, code), by metering.md 9."""
    if "subscription" in event:
        found = catalog.subscriptions.get(event["subscription"])
        known = [found] if found else []
    elif "subject" in event:
        subject = event["subject"]
        known = [catalog.subscriptions[subject]] if subject in catalog.subscriptions else (
            catalog.names.get(("consumer", subject)) or catalog.names.get(("customer", subject)) or [])
    else:
        return None, "missing_subscription"
    active = [each for each in known if is_active(each, ns)]
    if len(active) == 1:
        return active[0], None
    return None, ("ambiguous_subject" if active else
                  "subscription_inactive" if known else "unknown_subscription")


# --- an event ---

class Refused(Exception):
    """With the code."""


def steps_of(path):
    return [plain or re.sub(r"\\(.)", r"\1", quoted)
            for plain, quoted in re.findall(r"\.([^.\[]+)|\['((?:[^'\\]|\\.)*)'\]", path)]


def at_path(data, path):
    for step in steps_of(path):
        data = data.get(step) if isinstance(data, dict) else None
    return data


class Number(str):
    """A JSON number, as it was spelled."""


def exact(value):
    if value is None:
        raise Refused("missing_value")
    if isinstance(value, Number):
        number = Fraction(value)
    elif isinstance(value, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        number = Fraction(value)
    else:
        raise Refused("invalid_value")
    if number < 0:
        raise Refused("negative_value")
    if number >= 10**15:
        raise Refused("value_too_large")
    if (number * 10**12).denominator != 1:
        raise Refused("value_too_precise")
    return number


def shortest(number):
    """A decimal as metering.md writes it."""
    scaled = Fraction(number) * 10**12
    if scaled.denominator != 1:
        sys.exit(f"{number} has no decimal")
    digits = f"{abs(scaled.numerator):013d}"
    text = f"{digits[:-12]}.{digits[-12:]}".rstrip("0").rstrip(".")
    return "-" + text if scaled < 0 else text


def as_text(value):
    if isinstance(value, Number):
        return shortest(Fraction(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str):
        return value
    raise Refused("invalid_dimension")


def entry_of(meter, data):
    value = None
    if meter["aggregation"] == "UNIQUE_COUNT":
        value = as_text(at_path(data, meter["valueProperty"]))
        if not value:
            raise Refused("missing_value" if value is None else "invalid_value")
    elif meter["aggregation"] != "COUNT":
        value = exact(at_path(data, meter["valueProperty"]))
    dimensions = {name: as_text(at_path(data, path)) for name, path in meter.get("groupBy", {}).items()}
    return meter["slug"], value, dimensions


def judge(catalog, event, sent_ns, answered_ns):
    """What an event counts for, or Refused."""
    for name in ("id", "source", "type"):
        if event.get(name) is None:
            raise Refused("missing_attribute")
        if event[name] == "":
            raise Refused("invalid_attribute")
    ns = ns_of(event["time"])
    if ns is None:
        raise Refused("invalid_attribute")
    meters = catalog.meters_of(event["type"])
    if not meters:
        raise Refused("unknown_type")
    subscription, code = find_subscription(catalog, event, ns)
    if code:
        raise Refused(code)
    if ns - FUTURE_NS > answered_ns:
        raise Refused("time_in_future")
    if ns - FUTURE_NS > sent_ns - NS:
        sys.exit("an event is too near the future to say whether it is refused")
    meters = [meter for meter in meters if not meter.get("eventFrom") or ns_of(meter["eventFrom"]) <= ns]
    if not meters:
        raise Refused("before_event_from")
    entries = [entry_of(meter, event.get("data")) for meter in meters]
    return {"subscription": subscription["id"], "source": event["source"], "id": event["id"], "ns": ns,
            "subject": event.get("subject"), "entries": entries}


# --- verdicts ---

def is_late(ns, sent_ns, answered_ns, horizon_ns):
    """Older than the horizon whenever it arrived between the two; else this oracle can't tell."""
    if sent_ns - ns > horizon_ns:
        return True
    if answered_ns - ns > horizon_ns:
        sys.exit(f"an event of {text_of(ns)} is too near the horizon to say whether it is late")
    return False


def read_log(path):
    events, answers, is_retried = [], {}, False
    for line in path.read_text().splitlines():
        entry = json.loads(line, parse_float=Number, parse_int=Number)
        if "kind" in entry:
            events.append(entry)
        elif "try" in entry:
            is_retried = True
        else:
            answers[entry["batch"]] = entry
    return events, answers, is_retried


class Verdicts:
    """What all that was sent comes to."""

    def __init__(self, catalog, log, horizon_ns):
        events, answers, self.is_retried = read_log(log)
        self.ledger = collections.defaultdict(collections.Counter)
        self.counted, self.refused = [], 0
        refused_in = collections.defaultdict(list)
        seen = set()
        for entry in events:
            answer = answers[entry["batch"]]
            sent_ns, answered_ns = int(answer["sentMs"]) * 10**6, int(answer["answeredMs"]) * 10**6
            try:
                if "raw" in entry:
                    raise Refused("invalid_json")
                event = judge(catalog, entry["event"], sent_ns, answered_ns)
            except Refused as why:
                refused_in[entry["batch"]].append((int(entry["index"]), str(why)))
                same("refusal as it was meant", entry.get("expect"), str(why), entry)
                continue
            self.take(event, is_late(event["ns"], sent_ns, answered_ns, horizon_ns), seen)
        for batch, answer in answers.items():
            found = [(int(each["index"]), each["code"]) for each in answer["rejected"]]
            same("answer of a batch", found, refused_in[batch], f"batch {batch}")
            self.refused += len(found)

    def take(self, event, late, seen):
        counts = self.ledger[event["subscription"]]
        counts["accepted"] += 1
        identity = (event["subscription"], event["source"], event["id"], event["ns"] // (86400 * NS))
        if late:
            counts["late"] += 1
        elif identity in seen:
            counts["duplicate"] += 1
        else:
            seen.add(identity)
            counts["counted"] += 1
            self.counted.append(event)


def check_ledger(verdicts, ledger):
    names = ("accepted", "counted", "duplicate", "rejected", "late")
    rows = {row["subscription"]: row for row in ledger["subscriptions"]}
    same("lag", ledger["lag"], 0)
    same("conservation", ledger["accepted"], sum(ledger[name] for name in names[1:]))
    for subscription in sorted(set(rows) | set(verdicts.ledger)):
        expected, row = verdicts.ledger[subscription], rows.get(subscription, {})
        # A batch that was sent again may have been taken before, its late events too.
        for name in ("counted", "rejected") if verdicts.is_retried else names + ("conflict",):
            same("verdict of a subscription", row.get(name, 0), expected[name], f"{subscription} {name}")
    for name in names:
        same("sum over the subscriptions", sum(row[name] for row in rows.values()), ledger[name], name)


# --- quantities ---

def half_away(number, digits):
    scaled = abs(number) * 10**digits
    return Fraction(math.floor(scaled + Fraction(1, 2)), 10**digits) * (-1 if number < 0 else 1)


def aggregate(kind, values):
    """Of [(ns, value)], at least one."""
    plain = [value for _, value in values]
    if kind == "COUNT":
        return Fraction(len(plain))
    if kind == "UNIQUE_COUNT":
        return Fraction(len(set(plain)))
    if kind == "SUM":
        return sum(plain, Fraction(0))
    if kind == "AVG":
        return half_away(sum(plain, Fraction(0)) / len(plain), 12)
    return {"MIN": min, "MAX": max}[kind](plain) if kind != "LATEST" else max(values)[1]


def midnight(date, zone):
    """A day's first instant there; zones that skip midnight aren't known here."""
    local = datetime.datetime(date.year, date.month, date.day, tzinfo=zone)
    return (local.astimezone(UTC) - EPOCH) // datetime.timedelta(seconds=1) * NS


def window_of(ns, size, zone=UTC):
    """Start and end of the window that holds an instant, metering.md 19."""
    if size is None:
        return None, None
    local = (EPOCH + datetime.timedelta(seconds=ns // NS)).astimezone(zone)
    date = local.date()
    if size == "DAY":
        start, end = midnight(date, zone), midnight(date + datetime.timedelta(days=1), zone)
    elif size == "MONTH":
        following = datetime.date(date.year + date.month // 12, date.month % 12 + 1, 1)
        start, end = midnight(date.replace(day=1), zone), midnight(following, zone)
    elif size in ("HOUR", "MINUTE"):
        length = (3600 if size == "HOUR" else 60) * NS
        offset = int(local.utcoffset().total_seconds()) * NS
        start = (ns + offset) // length * length - offset
        end = start + length
    else:
        unsupported(f"windowSize {size}")
    return text_of(start), text_of(end)


def rows_of(catalog, counted, slug, query):
    """The rows of a meter query: every combination that has events."""
    meter, groups = catalog.meters[slug], collections.defaultdict(list)
    unknown = set(query) - {"windowSize", "windowTimeZone", "groupBy", "filterSubscription"}
    if unknown:
        unsupported(f"the query parameters {unknown}")
    wanted, zone = query.get("groupBy", []), zoneinfo.ZoneInfo(query.get("windowTimeZone", "UTC"))
    only = query.get("filterSubscription")
    for event in counted:
        if only and event["subscription"] not in only:
            continue
        for name, value, dimensions in event["entries"]:
            if name != slug:
                continue
            own = {**dimensions, "subject": event["subject"], "subscription": event["subscription"]}
            window = window_of(event["ns"], query.get("windowSize"), zone)
            key = (window, tuple(own[each] for each in wanted))
            groups[key].append((event["ns"], value))
    for ((start, end), names), values in groups.items():
        group = dict(zip(wanted, names))
        yield {"value": shortest(aggregate(meter["aggregation"], values)), "windowStart": start,
               "windowEnd": end, "subject": group.pop("subject", None),
               "subscription": group.pop("subscription", None), "groupBy": group}


def order_of(row):
    names = [row["subscription"], row["subject"], *row["groupBy"].values()]
    return [row["windowStart"] or ""] + [(name is not None, (name or "").encode()) for name in names]


def check_usage(catalog, verdicts, file):
    asked = json.loads(file.read_text())
    slug = file.name.split(".")[0]
    expected = sorted(rows_of(catalog, verdicts.counted, slug, asked["query"]), key=order_of)
    found = asked["answer"]["data"]
    same("rows of a query", len(found), len(expected), file.name)
    for row, recomputed in zip(found, expected):
        same("row of a query", row, recomputed, file.name)


# --- invoices ---

def month_after(ns, count):
    moment = EPOCH + datetime.timedelta(seconds=ns // NS)
    months = moment.year * 12 + moment.month - 1 + count
    year, month = months // 12, months % 12 + 1
    following = datetime.date(year + month // 12, month % 12 + 1, 1)
    day = min(moment.day, (following - datetime.date(year, month, 1)).days)
    return int((moment.replace(year=year, month=month, day=day) - EPOCH).total_seconds()) * NS


def periods_of(subscription, until):
    """Billing periods that begin by then: [(from, to)]."""
    start = ns_of(subscription["activeFrom"])
    end = ns_of(subscription["activeTo"]) if subscription.get("activeTo") else None
    anchor = ns_of(subscription.get("billingAnchor") or subscription["activeFrom"])
    count = 0
    while month_after(anchor, count) > start:
        count -= 1
    found = []
    while month_after(anchor, count) <= until and (end is None or month_after(anchor, count) < end):
        count += 1
        whole = (month_after(anchor, count - 1), month_after(anchor, count))
        if whole[1] > start:
            found.append((max(whole[0], start), min(whole[1], end or whole[1])))
    return found


def tier_amounts(price, quantity):
    """The printed amounts of a usage price, exact: one a line."""
    if price["type"] == "unit":
        return [quantity * Fraction(price["amount"])]
    if price["type"] != "tiered" or price["mode"] != "graduated":
        unsupported(f"the price {price}")
    amounts, below = [], Fraction(0)
    for number, tier in enumerate(price["tiers"]):
        above = Fraction(tier["upToAmount"]) if tier.get("upToAmount") is not None else None
        within = max(Fraction(0), (quantity if above is None else min(quantity, above)) - below)
        if tier.get("unitPrice"):
            amounts.append(within * Fraction(tier["unitPrice"]["amount"]))
        if tier.get("flatPrice") and (within > 0 or number == 0):
            amounts.append(Fraction(tier["flatPrice"]["amount"]))
        below = above
    return amounts


def check_card(card):
    known = {"type", "key", "name", "featureKey", "billingCadence", "price", "entitlementTemplate"}
    if set(card) - known or card["billingCadence"] != "P1M":
        unsupported(f"the rate card {card}")


def lines_of(plan, usage, period, is_advance, digits):
    """{(kind, card, from): (quantity, total, details)} of one period, fees in advance or the rest."""
    if len(plan["phases"]) != 1 or plan["billingCadence"] != "P1M":
        unsupported(f"the plan {plan['key']}")
    lines = {}
    for card in plan["phases"][0]["rateCards"]:
        check_card(card)
        price = card.get("price")
        if not price:
            continue
        if price["type"] == "flat":
            in_advance = price.get("paymentTerm", "in_advance") == "in_advance"
            kind, quantity, details = "fee", None, [Fraction(price["amount"])]
        else:
            in_advance, kind, quantity = False, "usage", usage(card["featureKey"], period)
            details = tier_amounts(price, quantity)
        if in_advance == is_advance:
            details = [half_away(each, digits) for each in details]
            lines[(kind, card["key"], text_of(period[0]))] = (quantity, sum(details), details)
    return lines


class Bills:
    """The invoices that are due by the close's time."""

    def __init__(self, catalog, counted, closed_ns):
        self.catalog, self.by_meter = catalog, collections.defaultdict(list)
        for event in counted:
            for slug, value, _ in event["entries"]:
                self.by_meter[(event["subscription"], slug)].append((event["ns"], value))
        self.invoices = {}
        for subscription in catalog.subscriptions.values():
            self.bill(subscription, closed_ns)

    def usage_of(self, subscription):
        def usage(feature, period):
            meter = self.catalog.meters[self.catalog.features[feature]["meterSlug"]]
            values = [value for value in self.by_meter[(subscription, meter["slug"])]
                      if period[0] <= value[0] < period[1]]
            return aggregate(meter["aggregation"], values) if values else Fraction(0)
        return usage

    def bill(self, subscription, closed_ns):
        plan = self.catalog.plans[subscription["plan"]["key"]]
        digits, usage = DIGITS[plan["currency"]], self.usage_of(subscription["id"])
        due = collections.defaultdict(dict)
        for period in periods_of(subscription, closed_ns):
            due[period[0]].update(lines_of(plan, usage, period, True, digits))
            if period[1] <= closed_ns:
                due[period[1]].update(lines_of(plan, usage, period, False, digits))
        for boundary, lines in due.items():
            if lines:
                self.invoices[(subscription["id"], text_of(boundary))] = lines


def check_line(line, expected, where):
    quantity, total, details = expected
    same("total of a line", Fraction(line["total"]), total, where)
    same("amount of a line", Fraction(line["amount"]) - Fraction(line["discount"]), total, where)
    if quantity is not None:
        same("quantity of a line", Fraction(line["quantity"]), quantity, where)
        same("windows of a line", sum((Fraction(each["quantity"]) for each in line["windows"]),
                                      Fraction(0)), quantity, where)
    found = [Fraction(each["total"]) for each in line["details"] if Fraction(each["total"])]
    same("details of a line", found, [each for each in details if each], where)


def check_invoice(invoice, expected):
    lines = {(line["kind"], line["rateCardKey"], line["period"]["from"]): line
             for line in invoice["lines"]}
    for key in lines.keys() | expected.keys():
        where = f"{invoice['id']} {key}"
        if key not in lines:
            same("total of a line left out", Fraction(0), expected[key][1], where)
        elif key not in expected:
            same("total of a line too many", Fraction(lines[key]["total"]), Fraction(0), where)
        else:
            check_line(lines[key], expected[key], where)
    same("total of an invoice", Fraction(invoice["total"]),
         sum((total for _, total, _ in expected.values()), Fraction(0)), invoice["id"])


def check_invoices(bills, folder):
    found = {}
    for path in sorted(folder.glob("**/*.json")):
        invoice = json.loads(path.read_text())
        if "lines" in invoice:
            found[(invoice["subscription"], invoice["boundary"])] = invoice
    for key in sorted(found.keys() | bills.invoices.keys()):
        expected = bills.invoices.get(key, {})
        if key in found:
            check_invoice(found[key], expected)
        else:
            same("total of an invoice that isn't there",
                 sum((total for _, total, _ in expected.values()), Fraction(0)), Fraction(0), key)
    return found


def check(folder):
    """Checks the folder, and returns what was recomputed for further questions."""
    catalog = Catalog(json.loads((folder / "catalog.json").read_text()))
    horizon_ns = int((folder / "horizon").read_text().strip().rstrip("s")) * NS
    verdicts = Verdicts(catalog, folder / "sent.ndjson", horizon_ns)
    check_ledger(verdicts, json.loads((folder / "ledger.json").read_text()))
    for file in sorted((folder / "usage").glob("*.json")):
        check_usage(catalog, verdicts, file)
    bills = Bills(catalog, verdicts.counted, ns_of((folder / "closed").read_text().strip()))
    invoices = check_invoices(bills, folder / "invoices")
    return verdicts, bills, invoices


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    _, _, invoices = check(pathlib.Path(sys.argv[1]))
    if not invoices:
        sys.exit("there are no invoices")
    for what, count in agreed.items():
        print(f"{count:>9,}  {what}")
    print(f"{sum(agreed.values()):>9,}  figures agree")


if __name__ == "__main__":
    main()
