#!/usr/bin/env python3
"""Each code that the catalog's checks can raise has a failing file in tests/golden/catalog."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Raised where no file can lead: a whole bucket's history, or a record that only another version writes.
ELSEWHERE = {"subscription_billed", "file_too_large"}


def raised():
    found = set()
    for path in (ROOT / "invoicer/rules").glob("*.c"):
        if not re.match(r"catalog_|shape", path.name):
            continue
        text = path.read_text()
        for call in re.finditer(r"(?:issue_add|issue_warn|refuse|check_repeated)\(([^;]*?);", text, re.DOTALL):
            found |= set(re.findall(r'"([a-z]+(?:_[a-z]+)+)"', call.group(1)))
    return found - {"in_advance", "in_arrears", "usage_based", "flat_fee", "time_based"}


def main():
    expected = set()
    for path in (ROOT / "tests/golden/catalog").glob("*.expect"):
        expected |= {line.split(" ")[-1] for line in path.read_text().splitlines()}
    codes = raised()
    assert len(codes) > 60, codes
    missing = codes - expected - ELSEWHERE
    assert not missing, f"no file for {sorted(missing)}"
    unknown = expected - codes
    assert not unknown, f"nobody raises {sorted(unknown)}"
    print(f"{len(codes)} codes")


if __name__ == "__main__":
    sys.exit(main())
