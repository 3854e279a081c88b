"""What the engine takes of a machine: memory beyond PyTorch's own, and the time to its first suggestion.

`python -m tinycopilot.insight.footprint N_CHARS MODEL TOKENIZER` is a process that has done nothing else, and tells.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tinycopilot.places import ModelPaths
from tinycopilot.process import memory_bytes

PROBE_LIMIT_S = 300
FIRST_TEXT = "import os\n\n\ndef main("


def measure_footprint(paths: ModelPaths, n_chars: int) -> dict[str, Any]:
    """`rss_mb` {torch, engine}: after PyTorch is imported; what engine and `n_chars` of workspace add; and `start_s`.

    rss_mb is None where the system does not tell (it is read from /proc).
    """
    started = time.time()
    command = [sys.executable, "-m", __name__, str(n_chars), str(paths.model), str(paths.tokenizer)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PROBE_LIMIT_S)
    told = json.loads(done.stdout)
    rss = None
    if told["torch_mb"] is not None:
        rss = {"torch": round(told["torch_mb"], 1), "engine": round(told["engine_mb"] - told["torch_mb"], 1)}
    return {"rss_mb": rss, "start_s": round(told["ready_at"] - started, 2)}


def _resident_mb() -> float | None:
    n_bytes = memory_bytes()
    return None if n_bytes is None else n_bytes / 1e6


def _tell(n_chars: int, paths: ModelPaths) -> dict[str, float | None]:
    """In the process of its own."""
    import torch  # noqa: F401, PLC0415 (its memory is measured alone)

    torch_mb = _resident_mb()
    from tinycopilot.completion.engine import Completer  # noqa: PLC0415
    from tinycopilot.completion.truncation import CompleterSettings  # noqa: PLC0415
    from tinycopilot.insight.workbench import hold_workspace  # noqa: PLC0415

    completer = Completer.load(paths, CompleterSettings())
    completer.suggest(FIRST_TEXT)
    ready_at = time.time()
    hold_workspace(completer.workspace.memory, n_chars)
    completer.suggest(FIRST_TEXT)
    return {"torch_mb": torch_mb, "engine_mb": _resident_mb(), "ready_at": ready_at}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_tell(int(sys.argv[1]), ModelPaths(*map(Path, sys.argv[2:])))))
