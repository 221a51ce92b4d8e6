#!/usr/bin/env python3
"""Rates random questions by rating.md with fractions and compares every line with what
`invoicer rate --json` answers.

Usage: rating.py INVOICER [CASES] [SEED]. Shares no code with the engine: amounts are exact fractions,
rounded with one function; a slice is the difference of two rounded sums; slices of a period are
also checked to add up to the period. A million cases take some minutes.
"""
import json
import math
import random
import subprocess
import sys
from fractions import Fraction as F

DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3, "CLF": 4, "UYW": 4}
CHUNK = 20000
BILLED_MAX = F(2**127 - 1, 10**12)  # what alreadyBilled.amount can hold; a total can be more


def half_away(value, digits):
    scaled = abs(value) * 10**digits
    whole = math.floor(scaled + F(1, 2))
    return F(whole, 10**digits) * (-1 if value < 0 else 1)


class Refused(Exception):
    pass


def convert(price, quantity):
    conversion = price.get("unitConversion")
    if not conversion:
        return quantity
    factor = F(conversion["factor"])
    value = quantity / factor if conversion["operation"] == "divide" else quantity * factor
    digits = conversion.get("precision", 0)
    kind = conversion.get("rounding", "none")
    if kind == "none":
        return half_away(value, 12)
    scaled = value * 10**digits
    if kind == "up":
        return F(math.ceil(scaled), 10**digits)
    if kind == "down":
        return F(math.floor(scaled), 10**digits)
    return half_away(value, digits)


def part(tier, key):
    value = tier.get(key)
    if isinstance(value, dict):
        value = value["amount"]
    return None if value is None else F(value)


def sums(price, quantity, question):
    """{(order, kind, tier): (quantity, unit amount, exact amount)} of a period's whole quantity."""
    kind = price["type"]
    found = {}
    if kind in ("unit", "dynamic"):
        unit = F(price.get("amount" if kind == "unit" else "multiplier", "1"))
        found[(0, "usage", None)] = (quantity, unit, quantity * unit)
    elif kind == "package":
        packages = F(math.ceil(quantity / F(price["quantityPerPackage"])))
        found[(0, "usage", None)] = (packages, F(price["amount"]), packages * F(price["amount"]))
    elif kind == "graduated_percentage" or price.get("mode") == "graduated":
        before = F(0)
        for number, tier in enumerate(price["tiers"], 1):
            bound = F(tier["upToAmount"]) if tier.get("upToAmount") else None
            inside = max(F(0), (quantity if bound is None else min(quantity, bound)) - before)
            if kind == "graduated_percentage":
                rate = None if tier.get("rate") is None else F(tier["rate"])
                amount = None if rate is None else inside * rate / 100
            else:
                rate = part(tier, "unitPrice")
                amount = None if rate is None else inside * rate
            if rate is not None:
                found[(2 * number, "usage", number)] = (inside, rate, amount)
            flat = part(tier, "flatPrice")
            if flat is not None and (number == 1 or quantity > before):
                found[(2 * number + 1, "flat", number)] = (F(1), flat, flat)
            before = bound
    elif price.get("mode") == "volume":
        for number, tier in enumerate(price["tiers"], 1):
            if tier.get("upToAmount") is None or quantity <= F(tier["upToAmount"]):
                unit, flat = part(tier, "unitPrice"), part(tier, "flatPrice")
                if unit is not None:
                    found[(0, "usage", number)] = (quantity, unit, quantity * unit)
                if flat is not None:
                    found[(1, "flat", number)] = (F(1), flat, flat)
                break
    elif kind == "percentage":
        charged, fees = percentage(price, [F(e) for e in question["events"]])
        found[(0, "usage", None)] = (charged, F(price["rate"]), fees)
    elif kind == "matrix":
        for index, value in enumerate(price["values"] + [{"amount": price["amount"]}]):
            inside = sum((F(c["quantity"]) for c in question["quantities"]
                          if matches(price, c["dimensions"]) == index), F(0))
            unit = F(value["amount"])
            found[(index, "usage", None)] = (inside, unit, inside * unit)
    return found


def matches(price, dimensions):
    for index, value in enumerate(price["values"]):
        if all(dimensions.get(d) == value["match"][d] for d in price["dimensions"]):
            return index
    return len(price["values"])


def percentage(price, events):
    rate, fixed = F(price["rate"]), F(price.get("fixedAmount", "0"))
    free_amount = F(price["freeAmount"]) if "freeAmount" in price else None
    free_events = int(price["freeEvents"]) if "freeEvents" in price else None
    seen, events_seen, charged, fees = F(0), 0, F(0), F(0)
    ended = free_amount is None and free_events is None
    for event in events:
        if not ended and free_events is not None and events_seen >= free_events:
            ended = True
        if not ended and free_amount is not None and seen >= free_amount:
            ended = True
        due = event
        if not ended:
            events_seen += 1
            seen += event
            if free_amount is None or seen <= free_amount:
                continue
            due = seen - free_amount
        fee = due * rate / 100 + fixed
        if "eventMinimum" in price:
            fee = max(fee, F(price["eventMinimum"]))
        if "eventMaximum" in price:
            fee = min(fee, F(price["eventMaximum"]))
        charged += due
        fees += fee
    return charged, fees


def rate(question):
    price, digits = question["price"], DIGITS[question["currency"]]
    discounts = question.get("discounts", {})
    percent, free = F(discounts.get("percentage", "0")), F(discounts.get("usage", "0"))
    billed = question.get("alreadyBilled", {})
    before, paid = F(billed.get("quantity", "0")), F(billed.get("amount", "0"))
    last = question.get("lastSlice", True)
    first = before == 0 and paid == 0
    kind = price["type"]
    if price.get("mode") == "volume" and not (first and last):
        raise Refused("not_in_slices")
    if kind in ("percentage", "matrix") and before:
        raise Refused("not_in_slices")
    if kind in ("percentage", "matrix", "flat") and "unitConversion" in price:
        raise Refused("unit_conversion_not_applicable")
    if kind in ("percentage", "matrix") and free:
        raise Refused("usage_discount_not_applicable")
    if kind == "flat" and free:
        raise Refused("usage_discount_with_flat_price")
    quantity = F(question.get("quantity", "0"))
    start = max(F(0), convert(price, before) - free)
    end = max(F(0), convert(price, before + quantity) - free)
    lines = []
    if kind == "flat":
        if first if price.get("paymentTerm", "in_advance") == "in_advance" else last:
            amount = F(price["amount"])
            lines.append(["flat", None, F(1), amount, half_away(amount, digits), F(0)])
            lines[0][5] = half_away(lines[0][4] * percent / 100, digits)
    else:
        ends = sums(price, end, question)
        starts = {} if first or kind in ("percentage", "matrix") else sums(price, start, question)
        for key in sorted(ends):
            of, unit, exact = ends[key]
            amount = half_away(exact, digits)
            discount = half_away(amount * percent / 100, digits)
            if key in starts:
                amount_before = half_away(starts[key][2], digits)
                of -= starts[key][0]
                amount -= amount_before
                discount -= half_away(amount_before * percent / 100, digits)
            lines.append([key[1], key[2], of, unit, amount, discount])
        if "maximumAmount" in price:
            left = max(F(0), F(price["maximumAmount"]) - paid)
            for line in lines:
                total = min(left, line[4] - line[5])
                line[5] = line[4] - total
                left -= total
        total = sum((line[4] - line[5] for line in lines), F(0))
        if "minimumAmount" in price and last and F(price["minimumAmount"]) > paid + total:
            missing = F(price["minimumAmount"]) - paid - total
            lines.append(["minimum", None, F(1), missing, missing, F(0)])
    if kind == "percentage" or kind == "matrix":
        used = sum((line[2] for line in lines if line[0] == "usage"), F(0))
    else:
        used = end - start
    return lines, used


# --- random questions ---

def decimal(rng, whole, places):
    """Mostly small; now and then written as no one would."""
    text = str(rng.randint(0, rng.choice([1, 9, 99, whole])))
    if rng.random() < 0.01:
        text = "00" + text
    digits = rng.randint(0, places)
    if digits:
        text += "." + "".join(rng.choice("0123456789") for _ in range(digits))
    return text


def tiers(rng, percent):
    count, bound, found = rng.randint(1, 5), F(0), []
    for number in range(count):
        tier = {"upToAmount": None}
        if number < count - 1:
            bound += rng.choice([F(1), F(rng.randint(1, 5000)), F(rng.randint(1, 999), 100)])
            tier["upToAmount"] = text_of(bound)
        tier["flatPrice"] = rng.choice([None, {"type": "flat", "amount": decimal(rng, 50, 4)}])
        if percent:
            tier["rate"] = decimal(rng, 100, 5)
        elif tier["flatPrice"] is None or rng.random() < 0.7:
            tier["unitPrice"] = {"type": "unit", "amount": decimal(rng, 3, 12)}
        else:
            tier["unitPrice"] = None
        found.append(leniently(rng, tier))
    return found


def leniently(rng, tier):
    """The same in another spelling that is taken."""
    if rng.random() < 0.8:
        return tier
    spelled = {}
    for name, value in tier.items():
        if value is None and rng.random() < 0.7:
            continue
        if isinstance(value, dict):
            value = rng.choice([value["amount"], {"amount": value["amount"]}])
        spelled[name] = value
    return spelled


def text_of(value):
    """A shortest decimal of a fraction that has one."""
    scaled = value * 10**26
    assert scaled.denominator == 1
    sign, digits = ("-" if value < 0 else ""), str(abs(scaled.numerator)).rjust(27, "0")
    text = (digits[:-26] + "." + digits[-26:]).rstrip("0").rstrip(".")
    return sign + text


def random_price(rng, digits):
    kind = rng.choice(["flat", "unit", "graduated", "graduated", "volume", "package", "dynamic",
                       "percentage", "graduated_percentage", "matrix"])
    if kind == "flat":
        price = {"type": "flat", "amount": decimal(rng, rng.choice([1000, 10**15 - 1]), 4)}
        if rng.random() < 0.5:
            price["paymentTerm"] = rng.choice(["in_advance", "in_arrears"])
        return price
    if kind == "unit":
        price = {"type": kind, "amount": decimal(rng, rng.choice([50, 10**9]), 12)}
    elif kind in ("graduated", "volume"):
        price = {"type": "tiered", "mode": kind, "tiers": tiers(rng, False)}
    elif kind == "graduated_percentage":
        price = {"type": kind, "tiers": tiers(rng, True)}
    elif kind == "package":
        price = {"type": kind, "amount": decimal(rng, 50, 6),
                 "quantityPerPackage": rng.choice(["1", "1000", "0.5", "7", "333.333"])}
    elif kind == "dynamic":
        price = {"type": kind}
        if rng.random() < 0.7:
            price["multiplier"] = decimal(rng, 5, 12)
    elif kind == "percentage":
        price = {"type": kind, "rate": decimal(rng, 30, 6)}
        for name, whole in (("fixedAmount", 3), ("freeAmount", 200)):
            if rng.random() < 0.5:
                price[name] = decimal(rng, whole, 4)
        if rng.random() < 0.5:
            price["freeEvents"] = str(rng.randint(0, 5))
        if rng.random() < 0.3:
            price["eventMinimum"] = decimal(rng, 1, 3)
        if rng.random() < 0.3:
            price["eventMaximum"] = str(rng.randint(10, 30))
            if F(price["eventMaximum"]) < F(price.get("eventMinimum", "0")):
                del price["eventMaximum"]
    else:
        names = ["region", "model"][:rng.randint(1, 2)]
        pairs = [(r, m) for r in ("eu", "us") for m in ("a", "b")][:rng.randint(0, 3)]
        values = [{"match": dict(zip(names, pair)), "amount": decimal(rng, 3, 6)} for pair in pairs]
        if len(names) == 1:
            values = values[:1] + [v for v in values[2:]]
        price = {"type": kind, "dimensions": names, "values": values, "amount": decimal(rng, 3, 6)}
    if rng.random() < 0.25:
        price["maximumAmount"] = decimal(rng, 5000, digits)
    if rng.random() < 0.25:
        least = decimal(rng, 2000, digits)
        if F(least) <= F(price.get("maximumAmount", least)):
            price["minimumAmount"] = least
    if kind not in ("percentage", "matrix") and rng.random() < 0.25:
        price["unitConversion"] = {
            "operation": rng.choice(["divide", "multiply"]),
            "factor": rng.choice(["1000", "3", "0.07", "1.5", "12.5"]),
            "rounding": rng.choice(["none", "up", "down", "half_away"]),
            "precision": rng.randint(0, 6)}
        if price["unitConversion"]["operation"] == "divide" and rng.random() < 0.3:
            price["unitConversion"]["factor"] = "1000000000"
    return price


def random_question(rng):
    currency = rng.choice(list(DIGITS))
    price = random_price(rng, DIGITS[currency])
    question = {"currency": currency, "price": price}
    if price["type"] == "percentage":
        question["events"] = [decimal(rng, 300, 4) for _ in range(rng.randint(0, 8))]
    elif price["type"] == "matrix":
        question["quantities"] = [
            {"dimensions": {d: rng.choice(["eu", "us", "a", "b", "x"]) for d in price["dimensions"]},
             "quantity": decimal(rng, 500, 3)} for _ in range(rng.randint(0, 6))]
    else:
        question["quantity"] = decimal(rng, rng.choice([20, 20000, 2000000, 10**15 - 1]),
                                       rng.choice([0, 6, 12]))
    if rng.random() < 0.3:
        discount = {}
        if rng.random() < 0.7:
            discount["percentage"] = rng.choice(["10", "33.3", "50", "100", "0.01", "99.5"])
        if rng.random() < 0.4:
            discount["usage"] = decimal(rng, 3000, 3)
        question["discounts"] = discount
    if rng.random() < 0.3:
        question["alreadyBilled"] = {"quantity": decimal(rng, 5000, 3),
                                     "amount": decimal(rng, 500, DIGITS[currency])}
    if rng.random() < 0.3:
        question["lastSlice"] = rng.choice([True, False])
    return question


def difference(question, answer):
    try:
        lines, used = rate(question)
    except Refused as refused:
        got = answer.get("error", {}).get("code")
        return None if got == str(refused) else f"expected {refused}, got {answer}"
    if "error" in answer:
        return f"refused: {answer['error']}"
    got = [(l["kind"], l["tier"], F(l["quantity"]), F(l["unitAmount"]), F(l["amount"]),
            F(l["discount"]), F(l["total"])) for l in answer["lines"]]
    expected = [(k, t, q, u, a, d, a - d) for k, t, q, u, a, d in lines]

    def money(list_):
        return [line for line in list_ if line[4] or line[5] or line[6]]
    if money(got) != money(expected):
        return f"lines {money(got)}, expected {money(expected)}"
    if F(answer["billedQuantity"]) != used:
        return f"billedQuantity {answer['billedQuantity']}, expected {used}"
    for name, index in (("amount", 4), ("discountTotal", 5), ("total", 6)):
        if F(answer[name]) != sum((line[index] for line in expected), F(0)):
            return f"{name} {answer[name]}"
    return misspelled(question, answer)


def misspelled(question, answer):
    """Money has the currency's decimals, all else its shortest form."""
    digits = DIGITS[question["currency"]]
    for of in answer["lines"] + [answer]:
        for name, value in of.items():
            if name in ("amount", "discount", "total", "discountTotal") and \
                    len(value.partition(".")[2]) != digits:
                return f"{name} is written {value}"
            if name in ("quantity", "billedQuantity") and value != text_of(F(value)):
                return f"{name} is written {value}"
    return None


def ask(invoicer, questions):
    run = subprocess.run([invoicer, "rate", "--json"], capture_output=True, text=True, check=False,
                         input="".join(json.dumps(q) + "\n" for q in questions))
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(questions), (len(answers), len(questions), run.stderr)
    assert run.returncode == (65 if any("error" in a for a in answers) else 0), run.returncode
    return answers


# --- slices of a period ---

def random_period(rng):
    """A question that can be rated in slices, and where its slices end."""
    while True:
        question = random_question(rng)
        kind = question["price"]["type"]
        if kind not in ("percentage", "matrix") and question["price"].get("mode") != "volume" and \
                not (kind == "flat" and "usage" in question.get("discounts", {})):
            break
    question.pop("alreadyBilled", None)
    question["lastSlice"] = True
    cuts = sorted(F(rng.randint(0, 1000), 1000) for _ in range(rng.randint(1, 4)))
    whole = F(question["quantity"])
    return question, [F(math.floor(whole * cut * 10**6), 10**6) for cut in cuts] + [whole]


def slice_of(question, ends, step, before, paid):
    return {**question, "quantity": text_of(ends[step] - before),
            "alreadyBilled": {"quantity": text_of(before), "amount": text_of(paid)},
            "lastSlice": step == len(ends) - 1}


def check_slices(invoicer, rng, count):
    """Rates periods whole and in slices: totals and billed quantities agree. A slice behind more than
    BILLED_MAX is refused."""
    periods = [random_period(rng) for _ in range(count)]
    wholes = ask(invoicer, [question for question, _ in periods])
    state = [(F(0), F(0), F(0)) for _ in periods]
    for step in range(max(len(ends) for _, ends in periods)):
        active = [i for i, (_, ends) in enumerate(periods) if step < len(ends)]
        questions = [slice_of(*periods[i], step, *state[i][:2]) for i in active]
        for i, question, answer in zip(active, questions, ask(invoicer, questions)):
            if state[i][1] > BILLED_MAX:
                assert answer["error"]["pointer"] == "/alreadyBilled/amount", (question, answer)
                periods[i][1].clear()
                continue
            assert "error" not in answer, (question, answer)
            state[i] = (periods[i][1][step], state[i][1] + F(answer["total"]),
                        state[i][2] + F(answer["billedQuantity"]))
    wrong = []
    for (question, ends), whole, (_, paid, billed) in zip(periods, wholes, state):
        if ends and (F(whole["total"]) != paid or F(whole["billedQuantity"]) != billed):
            wrong.append(f"{json.dumps(question)} at {[text_of(e) for e in ends]}: slices "
                         f"{text_of(paid)} for {text_of(billed)}, whole {whole}")
    return wrong


def check_questions(invoicer, rng, count):
    questions, wrong = [random_question(rng) for _ in range(count)], []
    for question, answer in zip(questions, ask(invoicer, questions)):
        reason = difference(question, answer)
        if reason:
            wrong.append(f"{json.dumps(question)}\n    {reason}")
    return wrong


def main():
    invoicer = sys.argv[1]
    cases = int(sys.argv[2]) if len(sys.argv) > 2 else 30000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    wrong, sliced, periods = [], [], 0
    for start in range(0, cases, CHUNK):
        count = min(CHUNK, cases - start)
        wrong += check_questions(invoicer, rng, count)
        sliced += check_slices(invoicer, rng, count // 20 + 1)
        periods += count // 20 + 1
    for text in (wrong + sliced)[:10]:
        print(text)
    print(f"{cases} questions, {len(wrong)} answered otherwise; {periods} periods in slices, "
          f"{len(sliced)} that don't add up")
    return 1 if wrong or sliced else 0


if __name__ == "__main__":
    sys.exit(main())
