"""Bits per character of a network on held-out code: files of six packages, listed in heldout.json.

    python benchmarks/heldout_bits.py [--model_path FILE] [--tokenizer_path FILE] [--packages FOLDER]
                                      [--network torch|float32|int8]

--network selects the implementation: TinyGPT in PyTorch (default), or the compiled network.

The packages are fetched once by pip, at the listed versions, into FOLDER (never used for training), and each file's
digest is checked. Each file is read from its start, as in an editor; the characters from `first` to `last` count,
unknown ones with the network's p(unknown). Prints a table and one JSON line.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinycopilot.completion.network import Network
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.paths import model_to_load

LISTING = Path(__file__).with_name("heldout.json")
PACKAGES = Path(tempfile.gettempdir()) / "tinycopilot-heldout"


@dataclass(frozen=True)
class Excerpt:
    """A listed file, read and checked, of which the characters text[first:last] count."""

    package: str
    text: str
    first: int
    last: int


def excerpts(folder: Path) -> list[Excerpt]:
    """All excerpts of the list, from `folder`, where they are fetched if missing. Exits on failure."""
    entries = json.loads(LISTING.read_text("utf-8"))
    fetch(entries, folder)
    return [Excerpt(e["package"], read_checked(e, folder), e["first"], e["last"]) for e in entries]


def bits_by_package(
    bits: Callable[[str, int, int], float], excerpts: Sequence[Excerpt]
) -> dict[str, tuple[float, int]]:
    """The sum of `bits`(text, first, last) and the number of characters, by package, and under "all"."""
    totals: dict[str, tuple[float, int]] = {}
    for excerpt in excerpts:
        n_bits, n_chars = bits(excerpt.text, excerpt.first, excerpt.last), excerpt.last - excerpt.first
        for name in (excerpt.package, "all"):
            before = totals.get(name, (0.0, 0))
            totals[name] = (before[0] + n_bits, before[1] + n_chars)
    return totals


def fetch(entries: list[dict[str, Any]], folder: Path) -> None:
    """Install the packages at their versions, without dependencies, if they are missing."""
    wanted = sorted({f"{entry['package']}=={entry['version']}" for entry in entries})
    if not all((folder / entry["file"]).is_file() for entry in entries):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
        if subprocess.run([*pip, *wanted]).returncode:
            sys.exit(f"pip could not fetch {', '.join(wanted)}; set --packages to a folder with them")


def read_checked(entry: dict[str, Any], folder: Path) -> str:
    """The file's text; exits if its digest is not the listed one."""
    data = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        sys.exit(f"{entry['file']}: not the listed version; empty {folder} and run again")
    return data.decode("utf-8")


@torch.inference_mode()
def bits_of(model: TinyGPT, tokenizer: SimpleTokenizer, text: str, first: int, last: int) -> float:
    """Sum of -log2 p over text[first:last], read through a sliding cache, from the start of the file."""
    ids = torch.tensor([tokenizer.encode(DOCUMENT_START + text[:last])])
    cache = model.new_cache()
    window = model.config.window
    logits = torch.cat([model(ids[:, i : i + window], cache) for i in range(0, ids.size(1) - 1, window)], dim=1)
    log_probs = logits[0].log_softmax(-1)  # position i predicts character i of the text
    targets = ids[0, 1:]
    nats = -log_probs[first:last].gather(1, targets[first:last, None]).sum().item()
    return nats / math.log(2)


def bits_of_network(network: Network, tokenizer: SimpleTokenizer, text: str, first: int, last: int) -> float:
    """The same with the compiled network."""
    ids = np.array(tokenizer.encode(DOCUMENT_START + text[:last]))
    logits = network.forward(ids[:-1], network.new_cache()).astype(np.float64)[first:]
    top = logits.max(1)
    log_totals = top + np.log(np.exp(logits - top[:, None]).sum(1))
    log_probs = logits[np.arange(len(logits)), ids[1 + first :]] - log_totals
    return -float(log_probs.sum()) / math.log(2)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path")
    parser.add_argument("--tokenizer_path")
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    parser.add_argument("--network", choices=("torch", "float32", "int8"), default="torch")
    arguments = parser.parse_args()
    listed = excerpts(arguments.packages)
    paths = model_to_load(arguments.model_path, arguments.tokenizer_path)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    torch.set_num_threads(1)
    started = time.perf_counter()
    bits_of_text: Callable[[str, int, int], float] = partial(bits_of, model, tokenizer)
    if arguments.network != "torch":
        network = Network.load(paths.model, tokenizer, int8=arguments.network == "int8")
        bits_of_text = partial(bits_of_network, network, tokenizer)
    totals = bits_by_package(bits_of_text, listed)
    print(f"{'package':12} {'characters':>10} {'bits/char':>10}")
    for package, (bits, n_chars) in sorted(totals.items(), key=lambda item: (item[0] == "all", item[0])):
        print(f"{package:12} {n_chars:10} {bits / n_chars:10.3f}")
    n_bits, n_chars = totals["all"]
    report = {
        "network": arguments.network,
        "bits_per_char": round(n_bits / n_chars, 5),
        "chars": n_chars,
        "files": len(listed),
        "parameters": model.config.n_parameters,
        "seconds": round(time.perf_counter() - started, 1),
        "processor": platform.processor() or platform.machine(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
