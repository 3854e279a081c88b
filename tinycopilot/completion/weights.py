"""What a workspace has taught the mixture, kept in a file: small, checked, and for its user's eyes alone."""

import contextlib
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tinycopilot.completion.mixture import INITIAL, KINDS, MAX_WEIGHT, Key, Mixture, Row

KIND = "tinycopilot weights"
N_ROWS = 3
MAX_BYTES = 65_536
"""Ours takes about two thousand."""
LEFT_S = 60.0
"""What was half written so long ago is a killed process's: to write it takes milliseconds."""

Weights = dict[Key, list[float]]
"""As Mixture has them."""

log = logging.getLogger(__name__)


def weights_of(mixture: Mixture) -> Weights:
    """A copy, for another thread."""
    return {key: list(map(float, weights)) for key, weights in mixture.weights.items()}


def load(path: Path, tokenizer_digest: str) -> Mixture:
    """The mixture that `save` wrote; a new one where there is none, or where it is damaged, foreign or impossible."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError("it is too large")
        return Mixture(_checked(json.loads(content), tokenizer_digest))
    except FileNotFoundError:
        return Mixture()
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: not used, learning begins anew: %s", path, error)
        return Mixture()


def save(path: Path, weights: Weights, tokenizer_digest: str) -> None:
    """Write them, atomically; a failure is logged, for they are no more than a help."""
    data = {"kind": KIND, "tokenizer": tokenizer_digest, "weights": weights}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _clear_up(path)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # with the mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except (OSError, ValueError) as error:
        log.warning("%s: what was learned could not be kept: %s", path, error)
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _clear_up(path: Path) -> None:
    """Remove what processes that were killed have left behind; what others write now, stays."""
    for left in path.parent.iterdir():
        if left.name.startswith(f".{path.name}."):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > LEFT_S:
                    left.unlink()


def _checked(data: Any, tokenizer_digest: str) -> dict[Key, Row]:
    """The weights in it. Raises ValueError."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ValueError("it is something else")
    if data.get("tokenizer") != tokenizer_digest:
        raise ValueError("it is of another model")
    weights = data.get("weights")
    if not isinstance(weights, dict) or weights.keys() != set(map(str, INITIAL)):
        raise ValueError("it is for other contexts")
    if not all(_is_possible(row, -MAX_WEIGHT if key in KINDS else 0) for key, row in weights.items()):
        raise ValueError(f"weights are {N_ROWS} numbers, none above {MAX_WEIGHT:g} nor too low")
    rows = {key: weights[str(key)] for key in INITIAL}
    return {key: (float(network), float(memory), float(file)) for key, (network, memory, file) in rows.items()}


def _is_possible(row: Any, least: float) -> bool:
    return (
        isinstance(row, list)
        and len(row) == N_ROWS
        and all(isinstance(x, int | float) and not isinstance(x, bool) and least <= x <= MAX_WEIGHT for x in row)
    )
