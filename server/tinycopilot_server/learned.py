"""What a workspace teaches the mixture, between memory and disk: read with the model, written now and then."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tinycopilot import places

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

SAVE_S = 60.0
"""It is written at most so often, and at the end."""


class Learned:
    """One workspace's; without a path, nothing is kept. For the thread that owns the engine."""

    def __init__(self, path: Path | None = None, tokenizer_digest: str = "") -> None:
        """With a model of that tokenizer."""
        self.path, self._digest = path, tokenizer_digest
        self.is_saved = True
        self._saved_s = -SAVE_S
        self._lock = threading.Lock()  # what is forgotten is not written any more

    @classmethod
    def of(cls, folder: str | None, tokenizer_digest: str) -> "Learned":
        """What the workspace `folder` teaches; None: no workspace is open."""
        return cls(places.user_weights(folder, tokenizer_digest) if folder is not None else None, tokenizer_digest)

    @property
    def is_due(self) -> bool:
        """Whether there is something to write, and it is time."""
        return not self.is_saved and time.monotonic() - self._saved_s >= SAVE_S

    def recall(self, engine: "Engine") -> None:
        """Take up what was learned there before."""
        from tinycopilot.completion.persistence import load_weights  # noqa: PLC0415 (brings Numba, loaded by now)

        if self.path is not None:
            engine.restore(load_weights(self.path, self._digest))

    def saving(self, engine: "Engine") -> Callable[[], None]:
        """Writes, in any thread, what has been learned until now."""
        from tinycopilot.completion.persistence import save_weights  # noqa: PLC0415 (see recall)

        self.is_saved, self._saved_s = True, time.monotonic()
        learned = engine.mixture.as_rows()

        def save() -> None:
            with self._lock:
                if self.path is not None:
                    save_weights(self.path, learned, self._digest)

        return save

    def forget(self) -> None:
        """Delete it, and keep nothing from now on. From any thread."""
        with self._lock:
            if self.path is not None:
                self.path.unlink(missing_ok=True)
            self.path = None
