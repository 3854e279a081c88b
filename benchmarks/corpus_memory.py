"""Memory of a corpus of any size: prepares synthetic ones, and reads random windows from them.

    python benchmarks/corpus_memory.py [--megabytes 10 1000] [--folder FOLDER]

Each corpus is 500 kB files of random words, no two alike; it is prepared, and 2,000 batches of 32 windows of 513
characters are read from it, in a new process. `--megabytes 10 10000` tests the full claim and needs 31 GB of disk.
Prints a table and one JSON line. `anonymous` is the process's private memory (sampled every 20 ms; 0 where
unavailable); `in all` includes mapped files.
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from tinycopilot.process import memory_bytes
from tinycopilot.training.corpus import prepare_corpus

FILE_BYTES = 500_000
FILES_IN_FOLDER = 200
N_BATCHES, BATCH, WINDOW = 2_000, 32, 513


def write_sources(folder: Path, megabytes: int) -> None:
    """Write files of random lines, FILE_BYTES each, all different, so that none is dropped as a duplicate."""
    dice = random.Random(0)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz_", k=dice.randrange(2, 10))) for _ in range(5_000)]
    lines = [("    " * dice.randrange(4) + " ".join(dice.choices(words, k=8)) + "\n").encode() for _ in range(20_000)]
    for i in range(megabytes * 1_000_000 // FILE_BYTES):
        place = folder / f"{i // FILES_IN_FOLDER:05}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:07}.py").write_bytes(b"".join(dice.choices(lines, k=10_000))[: FILE_BYTES - 1] + b"\n")


def peak_bytes() -> int:
    """Peak resident memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return memory_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class AnonymousPeak(threading.Thread):
    """Samples the private memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.n_bytes = 0

    def run(self) -> None:
        """Sample until the process exits."""
        while True:
            self.n_bytes = max(self.n_bytes, memory_bytes("RssAnon") or 0)
            time.sleep(0.02)


def measure(sources: Path, prepared: Path) -> dict[str, float]:
    """Prepare and read in this process."""
    anonymous = AnonymousPeak()
    anonymous.start()
    before = peak_bytes()
    since = time.perf_counter()
    corpus = prepare_corpus([str(sources)], prepared)
    prepare_s = time.perf_counter() - since
    dice = np.random.default_rng(0)
    since = time.perf_counter()
    for _ in range(N_BATCHES):
        corpus.train.windows(dice.integers(0, len(corpus.train) - WINDOW, BATCH), WINDOW)
    return {
        "characters": len(corpus.train) + len(corpus.held_out),
        "prepare_s": round(prepare_s, 1),
        "windows_s": round(time.perf_counter() - since, 1),
        "started_mb": round(before / 1e6, 1),
        "anonymous_peak_mb": round(anonymous.n_bytes / 1e6, 1),
        "peak_mb": round(peak_bytes() / 1e6, 1),
    }


def measure_apart(megabytes: int, parent: Path | None) -> dict[str, float]:
    """Write a corpus, and measure it in a new process."""
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        needed = 3.1 * megabytes * 1e6  # the files, and two bytes per character
        free = shutil.disk_usage(folder).free
        if free < needed:
            sys.exit(f"{megabytes:,} MB need {needed / 1e9:.1f} GB of disk, {free / 1e9:.1f} GB are free; set --folder")
        write_sources(folder / "sources", megabytes)
        command = [sys.executable, __file__, "--measure", str(folder / "sources"), str(folder / "prepared")]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"megabytes": megabytes, **json.loads(output)}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 1_000])
    parser.add_argument("--folder", type=Path, help="folder with enough space (default: the temporary folder)")
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
        return
    rows = []
    print(f"{'MB':>8} {'prepare, s':>11} {'windows, s':>11} {'anonymous, MB':>14} {'in all, MB':>11}")
    for megabytes in arguments.megabytes:
        row = measure_apart(megabytes, arguments.folder)
        rows.append(row)
        print(
            f"{megabytes:8,} {row['prepare_s']:11.1f} {row['windows_s']:11.1f} "
            f"{row['anonymous_peak_mb']:14.1f} {row['peak_mb']:11.1f}",
            flush=True,
        )
    growth_mb = round(rows[-1]["peak_mb"] - rows[0]["peak_mb"], 1)
    print(json.dumps({"growth_mb": growth_mb, "processors": os.cpu_count(), "corpora": rows}))


if __name__ == "__main__":
    main()
