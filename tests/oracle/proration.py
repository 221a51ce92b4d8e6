#!/usr/bin/env python3
"""Prorates random prices by rating.md 22 and product.md 3.7 with fractions and compares what
`invoicer prorate --json` answers.

Usage: proration.py INVOICER [CASES] [SEED]
"""
import datetime as dt
import json
import math
import random
import subprocess
import sys
from fractions import Fraction as F

DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}
EPOCH = dt.datetime(1970, 1, 1)
MODES = ["max_consumption_based", "time_based", "none", None]


def half_away(value, digits):
    return math.floor(value * 10**digits + F(1, 2))


def written(units, digits):
    text = str(units).rjust(digits + 1, "0")
    return text[:-digits] + "." + text[-digits:] if digits else text


def expected(question, period, at):
    """The answer; times are given in seconds, already without their fractions."""
    start, end = period
    if end <= start:
        return "period_empty"
    used = F(min(max(at, start), end) - start, end - start)
    mode = question.get("mode", "max_consumption_based")
    quota = F(question.get("quota", "0"))
    if mode == "max_consumption_based" and quota:
        used = max(used, min(F(1), F(question.get("usage", "0")) / quota))
    if mode == "none":
        used = F(1)
    digits = DIGITS[question["currency"]]
    price = half_away(F(question["price"]), digits)
    credit = half_away(F(question["price"]) * (1 - used), digits)
    return {"ratio": written(half_away(used, 12), 12), "credit": written(credit, digits),
            "charge": written(price - credit, digits)}


def decimal(rng, whole, places):
    text = str(rng.randint(0, whole))
    digits = rng.randint(0, places)
    return text + ("." + "".join(rng.choice("0123456789") for _ in range(digits)) if digits else "")


def instant(rng, seconds):
    text = (EPOCH + dt.timedelta(seconds=seconds)).isoformat()
    return text + rng.choice(["", "", ".5", ".999999999"]) + "Z"


def random_case(rng):
    currency = rng.choice(list(DIGITS))
    start = rng.randint(0, 4 * 10**9)
    length = rng.choice([0, 1, 3600, 86400, 30 * 86400, 31 * 86400, 365 * 86400,
                         rng.randint(-5, 10**8)])
    at = rng.choice([start, start + length, start + length // 2, start - 1, start + length + 1,
                     start + rng.randint(0, max(1, length))])
    question = {"price": decimal(rng, rng.choice([9, 999, 10**6, 10**15 - 1]), DIGITS[currency]),
                "currency": currency, "at": instant(rng, at),
                "period": {"from": instant(rng, start), "to": instant(rng, start + length)}}
    mode = rng.choice(MODES)
    if mode:
        question["mode"] = mode
    most = rng.choice([10, 10**6, 10**15 - 1])
    if rng.random() < 0.7:
        question["quota"] = rng.choice(["0", decimal(rng, most, 12)])
    if rng.random() < 0.7:
        question["usage"] = decimal(rng, most, 12)
    return question, (start, start + length), at


def main():
    invoicer = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20000
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    cases = [random_case(rng) for _ in range(count)]
    run = subprocess.run([invoicer, "prorate", "--json"], capture_output=True, text=True, check=False,
                         input="".join(json.dumps(question) + "\n" for question, _, _ in cases))
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    wrong = []
    for case, answer in zip(cases, answers):
        if answer.get("error", {}).get("code", answer) != expected(*case):
            wrong.append(f"{json.dumps(case[0])}: {answer}, expected {expected(*case)}")
    for text in wrong[:10]:
        print(text)
    print(f"{len(answers)} questions, {len(wrong)} answered otherwise")
    return 1 if wrong or len(answers) != count else 0


if __name__ == "__main__":
    sys.exit(main())
