"""Bits per character of a network on code that it never saw: files of six packages, named in heldout.json.

    python benchmarks/heldout_bits.py [--model_path FILE] [--tokenizer_path FILE] [--packages FOLDER]

The packages are fetched once by pip, at the versions listed, into FOLDER (a folder of their own; nothing of them is
ever trained on), and each file's digest is checked. Each file is read from its beginning, as in an editor; the
characters from `first` to `last` count, all of them, the unknown ones as the network's p(unknown). Prints a table and
one JSON line.
"""

import argparse
import hashlib
import json
import math
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from tinycopilot import places
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer

LISTING = Path(__file__).with_name("heldout.json")


def fetch(entries: list[dict[str, Any]], folder: Path) -> None:
    """Install the packages at their versions, without what they depend on, where they are not there yet."""
    wanted = sorted({f"{entry['package']}=={entry['version']}" for entry in entries})
    if not all((folder / entry["file"]).is_file() for entry in entries):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        subprocess.run([*pip, *wanted], check=True)


def read_checked(entry: dict[str, Any], folder: Path) -> str:
    """The file's text; exits where it is not the very file that was listed."""
    data = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        sys.exit(f"{entry['file']}: not the listed version; empty {folder} and run again")
    return data.decode("utf-8")


@torch.inference_mode()
def bits_of(model: TinyGPT, tokenizer: SimpleTokenizer, text: str, first: int, last: int) -> float:
    """Sum of -log2 p over text[first:last], read through a cache that slides, from the file's beginning."""
    ids = torch.tensor([tokenizer.encode(DOCUMENT_START + text[:last])])
    cache = model.new_cache()
    window = model.config.window
    logits = torch.cat([model(ids[:, i : i + window], cache) for i in range(0, ids.size(1) - 1, window)], dim=1)
    log_probs = logits[0].log_softmax(-1)  # position i predicts character i of the text
    targets = ids[0, 1:]
    nats = -log_probs[first:last].gather(1, targets[first:last, None]).sum().item()
    return nats / math.log(2)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path")
    parser.add_argument("--tokenizer_path")
    parser.add_argument("--packages", type=Path, default=Path(tempfile.gettempdir()) / "tinycopilot-heldout")
    arguments = parser.parse_args()
    entries = json.loads(LISTING.read_text("utf-8"))
    fetch(entries, arguments.packages)
    paths = places.to_load(arguments.model_path, arguments.tokenizer_path)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    torch.set_num_threads(1)
    totals: dict[str, list[float]] = {}
    started = time.perf_counter()
    for entry in entries:
        bits = bits_of(model, tokenizer, read_checked(entry, arguments.packages), entry["first"], entry["last"])
        total = totals.setdefault(entry["package"], [0.0, 0.0])
        total[0] += bits
        total[1] += entry["last"] - entry["first"]
    print(f"{'package':12} {'characters':>10} {'bits/char':>10}")
    for package, (bits, n_chars) in sorted(totals.items()):
        print(f"{package:12} {n_chars:10.0f} {bits / n_chars:10.3f}")
    n_bits, n_chars = (sum(total[i] for total in totals.values()) for i in (0, 1))
    print(f"{'all':12} {n_chars:10.0f} {n_bits / n_chars:10.3f}")
    report = {
        "bits_per_char": round(n_bits / n_chars, 4),
        "chars": int(n_chars),
        "files": len(entries),
        "parameters": model.config.n_parameters,
        "seconds": round(time.perf_counter() - started, 1),
        "processor": platform.processor() or platform.machine(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
