"""The recorded steps of a run, limited in number and size, and stored in the run's folder in case it is resumed."""

import base64
import contextlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from tinycopilot.atomic import atomic_write
from tinycopilot.training.watch.watched_step import WatchedStep

MAX_STEPS: Final = 24
MAX_BYTES: Final = 1_200_000
"""Maximum size of all recorded steps in the page."""
NAME: Final = "watch.json"


def thinned(steps: Sequence[WatchedStep]) -> list[WatchedStep]:
    """Return at most MAX_STEPS and MAX_BYTES of `steps`, always the first and the newest.

    The others are about equally far apart on a logarithmic scale of characters read: most happens at the beginning.
    """
    kept = list(steps)
    while len(kept) > 2 and (len(kept) > MAX_STEPS or sum(step.n_bytes for step in kept) > MAX_BYTES):
        places = [math.log(max(1, step.chars)) for step in kept]
        gaps = [places[i + 1] - places[i - 1] for i in range(1, len(kept) - 1)]
        del kept[1 + gaps.index(min(gaps))]
    return kept


def save_history(folder: Path, steps: Sequence[WatchedStep]) -> None:
    """Store the steps in the folder of a run. On OSError nothing is stored: a resumed run's page then starts again."""
    with contextlib.suppress(OSError), atomic_write(folder / NAME) as file:
        file.write(json.dumps([_to_data(step) for step in steps]).encode())


def load_history(folder: Path, n_steps: int) -> list[WatchedStep]:
    """Return the stored steps up to `n_steps`, where the run resumes; empty if the file is missing or invalid."""
    try:
        steps = [_from_data(data) for data in json.loads((folder / NAME).read_bytes())]
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return []
    return [step for step in steps if step.step <= n_steps]


def _to_data(step: WatchedStep) -> dict[str, Any]:
    embedding = base64.b64encode(step.embedding.astype("<f2").tobytes()).decode("ascii")
    return asdict(step) | {"embedding": embedding, "width": step.embedding.shape[1]}


def _from_data(data: dict[str, Any]) -> WatchedStep:
    flat = np.frombuffer(base64.b64decode(data["embedding"]), "<f2").astype(np.float16)
    attention = {"table": dict(data["attention"]["table"]), "data": str(data["attention"]["data"])}
    return WatchedStep(
        int(data["step"]), int(data["chars"]), float(data["bits"]), tuple(map(str, data["completions"])), attention,
        flat.reshape(-1, int(data["width"])), {str(kind): float(share) for kind, share in data["same_kind"].items()},
    )  # fmt: skip
