"""nanoGPT as a peer: where to get it, its train.py on the standard library, and the figures of its network.

https://github.com/karpathy/nanoGPT (MIT) is fetched and run separately, and is not part of this project.
"""

import importlib.util
import json
import math
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import Child

from tinycopilot import UserError

URL = "https://github.com/karpathy/nanoGPT"
CLONE_LIMIT_S = 120
EVAL_INTERVAL_STEPS = 250
"""config/train_shakespeare_char.py evaluates, and so saves, once in this many steps: a run's length is a multiple."""
BATCH, WINDOW = 12, 64
README_FLAGS = (
    *("config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20", "--log_interval=1"),
    *(f"--block_size={WINDOW}", f"--batch_size={BATCH}", "--n_layer=4", "--n_head=4", "--n_embd=128", "--dropout=0.0"),
)


def copy_of(given: Path | None, folder: Path) -> Path:
    """Copy the given nanoGPT, or the one on GitHub, into `folder`. Raises UserError if there is none."""
    copy = folder / "nanoGPT"
    if given is not None:
        if not (given / "train.py").is_file():
            raise UserError(f"{given}: not nanoGPT (no train.py); use a clone of {URL}")
        shutil.copytree(given, copy, ignore=shutil.ignore_patterns(".git", "out*"))
        return copy
    command = ["git", "clone", "--quiet", "--depth", "1", URL, str(copy)]
    quiet = os.environ | {"GIT_TERMINAL_PROMPT": "0"}
    try:
        subprocess.run(command, check=True, timeout=CLONE_LIMIT_S, capture_output=True, env=quiet)
    except (OSError, subprocess.SubprocessError):
        raise UserError(f"nanoGPT could not be cloned from {URL}; set --nanogpt to a clone") from None
    return copy


def prepare(copy: Path, text: str) -> None:
    """Write `text` as its data/shakespeare_char/prepare.py would: a vocabulary, the first nine tenths, the rest."""
    alphabet = sorted(set(text))
    id_of = {character: i for i, character in enumerate(alphabet)}
    ids = np.array([id_of[character] for character in text], dtype=np.uint16)
    folder = copy / "data" / "stdlib_char"
    folder.mkdir(parents=True, exist_ok=True)
    cut = int(len(ids) * 0.9)
    ids[:cut].tofile(folder / "train.bin")
    ids[cut:].tofile(folder / "val.bin")
    meta = {"vocab_size": len(alphabet), "itos": dict(enumerate(alphabet)), "stoi": id_of}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    (folder / "alphabet.json").write_text(json.dumps(alphabet), "utf-8")  # for `load`, which unpickles nothing


def training(copy: Path, n_steps: int, env: Mapping[str, str]) -> Child:
    """The command of its train.py, with its README's settings for a CPU, for `n_steps` steps."""
    run = (f"--max_iters={n_steps}", f"--lr_decay_iters={n_steps}", "--dataset=stdlib_char", "--out_dir=saved")
    return Child("nanogpt", [sys.executable, "train.py", *README_FLAGS, *run], copy / "log.txt", env, copy)


def n_steps_in(seconds: float, log: str) -> int:
    """Number of steps that fill the time, evaluations included, by a log of EVAL_INTERVAL_STEPS or more steps."""
    times_ms = [float(ms) for ms in re.findall(r"^iter \d+: .* time ([\d.]+)ms", log, re.MULTILINE)]
    step_s = sum(times_ms[1:]) / len(times_ms[1:]) / 1000  # the first one includes the start-up
    return max(1, round(seconds / step_s / EVAL_INTERVAL_STEPS)) * EVAL_INTERVAL_STEPS


def n_chars_in(n_steps: int) -> int:
    """Number of characters read in that many steps; it takes one more than requested."""
    return (n_steps + 1) * BATCH * WINDOW


def load(copy: Path) -> tuple[nn.Module, dict[str, int]]:
    """The network that its training saved, and its vocabulary."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", copy / "model.py")
    assert spec is not None
    assert spec.loader is not None
    its_code: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(its_code)
    saved = torch.load(copy / "saved" / "ckpt.pt", map_location="cpu", weights_only=True)
    network = its_code.GPT(its_code.GPTConfig(**saved["model_args"]))
    network.load_state_dict(saved["model"])
    alphabet = json.loads((copy / "data" / "stdlib_char" / "alphabet.json").read_text("utf-8"))
    return network.requires_grad_(False).eval(), {character: i for i, character in enumerate(alphabet)}


def bits_of(network: nn.Module, id_of: Mapping[str, int], text: str, first: int, last: int) -> float:
    """Sum of -log2 p over text[first:last]: windows overlap by half, and the second half of each counts.

    Positions are learned, so the window cannot slide; the first window counts whole. Every character must be in its
    vocabulary, as those of heldout.json are: printable ASCII, all of which occurs in the standard library.
    """
    ids = torch.tensor([id_of[character] for character in "\n" + text[:last]])
    half = WINDOW // 2
    nats = 0.0
    for start in range(0, last, half):
        inputs, targets = ids[start : start + WINDOW][None], ids[start + 1 : start + WINDOW + 1][None]
        inputs = inputs[:, : targets.size(1)]
        end = start + targets.size(1)  # target i is character start + i of the text
        counted_from = max(first, start + (half if start else 0))
        if counted_from < end:
            logits: Tensor = network(inputs, targets)[0]  # without targets it returns the last position only
            each = F.cross_entropy(logits[0], targets[0], reduction="none")
            nats += each[counted_from - start :].sum().item()
    return nats / math.log(2)
