"""What the memory of this machine allows."""
from report import Figure
from stand import BIN, run_json

NAMES = {"copy_json_ns": "memcpy of a JSON event (340 bytes)", "copy_packed_ns": "memcpy of a packed one (80)",
         "random_read_ns": "one dependent random read of 512 MiB",
         "fetched_read_ns": "one random read of 512 MiB, 64 fetched at once",
         "cached_read_ns": "the same of 16 MiB, which the last cache may hold",
         "first_touch_ns": "the first touch of a KiB, in pages of 2 MiB"}


def run(run):
    figures = {key: Figure("floor", name) for key, name in NAMES.items()}
    for _ in range(5):
        for key, value in run_json(BIN / "bench-floor").items():
            figures[key].add(value)
    return list(figures.values())
