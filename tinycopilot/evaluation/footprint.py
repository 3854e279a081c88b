"""Measure the engine's memory usage, and its time to the first suggestion, in a separate process.

`python -m tinycopilot.evaluation.footprint N_CHARS SIZE MODEL TOKENIZER` prints them as JSON.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tinycopilot.paths import ModelPaths
from tinycopilot.process import memory_bytes

PROBE_LIMIT_S = 300
FIRST_TEXT = "import os\n\n\ndef main("


def measure_footprint(paths: ModelPaths, n_chars: int, size: str | None = None) -> dict[str, Any]:
    """Return `rss_mb` {engine, workspace} and `start_s`; `workspace` is what indexing `n_chars` adds.

    `size`: widen the model to this size. `rss_mb` is None without /proc.
    """
    started = time.time()
    command = [sys.executable, "-P", "-m", __name__, str(n_chars), size or "", str(paths.model), str(paths.tokenizer)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PROBE_LIMIT_S)
    measured = json.loads(done.stdout)
    rss = None
    if measured["engine_mb"] is not None:
        rss = {
            "engine": round(measured["engine_mb"], 1),
            "workspace": round(measured["full_mb"] - measured["engine_mb"], 1),
        }
    return {"rss_mb": rss, "start_s": round(measured["ready_at"] - started, 2)}


def _resident_mb() -> float | None:
    n_bytes = memory_bytes()
    return None if n_bytes is None else n_bytes / 1e6


def _measure(n_chars: int, size: str, paths: ModelPaths) -> dict[str, float | None]:
    """Measure, in the child process."""
    from tinycopilot.completion.engine import Engine, Request  # noqa: PLC0415 (only in the child process)
    from tinycopilot.completion.segments import release_memory  # noqa: PLC0415
    from tinycopilot.evaluation.bench_data import index_stdlib, load_widened  # noqa: PLC0415

    engine = Engine(*load_widened(paths, size or None))
    engine.complete(Request(FIRST_TEXT))
    ready_at = time.time()
    release_memory()  # what loading the model freed would count as the engine's, and be reused by the index
    engine_mb = _resident_mb()
    index_stdlib(engine.ngrams, n_chars)
    engine.complete(Request(FIRST_TEXT))
    return {"engine_mb": engine_mb, "full_mb": _resident_mb(), "ready_at": ready_at}


if __name__ == "__main__":
    n_chars, size, *files = sys.argv[1:]
    sys.stdout.write(json.dumps(_measure(int(n_chars), size, ModelPaths(*map(Path, files)))))
