#!/usr/bin/env python3
"""topic-tool writes a record as one line, whatever is in it: U+0085, U+2028 and their like end a line
for some readers (Python's splitlines), and bytes of a total can happen to be one."""
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from ingest_rig import Broker, tool  # noqa: E402

ENDS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"
RECORDS = [
    {"key": f"k{ENDS}", "value": f"v{ENDS}", "headers": {"h": f"h{ENDS}"}},
    {"key": "valid", "hex": "c285"},
    {"key": "invalid", "hex": "85ff"},
    {"key": "nul", "hex": "00"},
]


def main():
    with tempfile.TemporaryDirectory(prefix="tollway-topic-tool-") as folder:
        broker = Broker(pathlib.Path(folder), "t")
        try:
            tool("put", broker.address, "t.catalog", "".join(json.dumps(r) + "\n" for r in RECORDS))
            read = tool("get", broker.address, "t.catalog")
        finally:
            broker.stop()
    assert [r["key"] for r in read] == [r["key"] for r in RECORDS], read
    assert read[0]["value"] == RECORDS[0]["value"] and read[0]["headers"] == RECORDS[0]["headers"], read
    assert [r.get("value", r.get("hex")) for r in read[1:]] == ["\x85", "85ff", "\0"], read


if __name__ == "__main__":
    sys.exit(main())
