"""Check PyTorch, devices and a model in a separate process, so that a broken library does not break the caller.

`python -m tinycopilot.evaluation.environment MODEL TOKENIZER` prints the result as JSON.
"""

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError
from tinycopilot.extras import has_torch, missing_library
from tinycopilot.paths import ModelPaths, bundled_model

if TYPE_CHECKING:
    from tinycopilot.completion.network import Network
    from tinycopilot.model.tokenizer import SimpleTokenizer

LIMIT_S = 120
"""Time limit: the first import after an installation compiles PyTorch's modules."""


def ask_environment(paths: ModelPaths) -> dict[str, Any]:
    """Return `model` (parameters, digest, bits; or its problem), `torch` (None if not installed), build and devices.

    In a separate process. Raises UserError if PyTorch does not work.
    """
    command = [sys.executable, "-P", "-m", __name__, str(paths.model), str(paths.tokenizer)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, errors="replace")
    except subprocess.TimeoutExpired:
        raise UserError(f"PyTorch did not load within {LIMIT_S} s; if the machine is busy, try again") from None
    if done.returncode != 0:
        if line := missing_library(done.stderr):
            raise UserError(line)
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise UserError(f"PyTorch does not work ({last}); reinstall it: pip install --force-reinstall torch")
    described: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return described


def _describe_torch() -> dict[str, Any]:
    if not has_torch():
        return {"torch": None}
    import torch  # noqa: PLC0415 (only in the child process)

    from tinycopilot.training.device import has_fast_bfloat16  # noqa: PLC0415

    version = torch.version
    build = f"CUDA {version.cuda}" if version.cuda else f"ROCm {version.hip}" if version.hip else "CPU"
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return {
        "torch": torch.__version__,
        "build": build,
        "fast_bfloat16": has_fast_bfloat16(torch.device("cpu")),
        "gpus": [kind for kind, is_there in there.items() if is_there],
    }


def _describe_model(paths: ModelPaths) -> dict[str, Any]:
    from tinycopilot.completion.network import load_pair  # noqa: PLC0415 (only in the child process)
    from tinycopilot.training.corpus import reference_text  # noqa: PLC0415

    try:
        network, tokenizer = load_pair(paths.model, paths.tokenizer)
    except UserError as error:
        return {"problem": str(error)}
    described: dict[str, Any] = {"parameters": network.config.n_parameters, "digest": tokenizer.digest}
    with contextlib.suppress(UserError):  # without the text or the bundled model, there is no comparison
        text, ships = reference_text(), bundled_model()
        bits = _reference_bits(network, tokenizer, text)
        shipped_bits = bits
        if paths != ships:
            shipped_bits = _reference_bits(*load_pair(ships.model, ships.tokenizer), text)
        described |= {"reference_bits": bits, "shipped_bits": shipped_bits, "reference_chars": len(text)}
    return described


def _reference_bits(network: "Network", tokenizer: "SimpleTokenizer", text: str) -> float:
    """Return bits per character of the network alone, comparable between vocabularies."""
    import numpy as np  # noqa: PLC0415

    from tinycopilot.completion.decoding import log_softmax  # noqa: PLC0415
    from tinycopilot.model.tokenizer import DOCUMENT_START  # noqa: PLC0415
    from tinycopilot.training.corpus import UNKNOWN_BITS  # noqa: PLC0415

    ids = np.array(tokenizer.encode(DOCUMENT_START + text))
    log_probs = log_softmax(network.forward(ids[:-1], network.new_cache()))
    bits = -log_probs[np.arange(len(ids) - 1), ids[1:]] / np.log(2)
    return float((bits + UNKNOWN_BITS * (ids[1:] == tokenizer.unknown_id)).mean())


if __name__ == "__main__":
    sys.stdout.write(json.dumps({**_describe_torch(), "model": _describe_model(ModelPaths(*map(Path, sys.argv[1:])))}))
