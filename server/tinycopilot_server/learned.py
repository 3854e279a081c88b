"""What a workspace teaches the mixture, between memory and disk: read with the model, written now and then."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinycopilot.completion.workspace import Workspace

SAVE_S = 60.0
"""It is written at most so often, and at the end."""


class Learned:
    """One workspace's; without a path, nothing is kept. For the thread that owns the Completer."""

    def __init__(self, path: Path | None = None, tokenizer_digest: str = "") -> None:
        """With a model of that tokenizer."""
        self._path, self._digest = path, tokenizer_digest
        self.is_saved = True
        self._saved_s = -SAVE_S

    @property
    def is_due(self) -> bool:
        """Whether there is something to write, and it is time."""
        return not self.is_saved and time.monotonic() - self._saved_s >= SAVE_S

    def recall(self, workspace: "Workspace") -> None:
        """Take up what was learned there before."""
        from tinycopilot.completion import weights  # noqa: PLC0415 (brings PyTorch; here it has been loaded)

        if self._path is not None:
            workspace.mixture = weights.load(self._path, self._digest)

    def saving(self, workspace: "Workspace") -> Callable[[], None]:
        """Writes, in any thread, what has been learned until now."""
        from tinycopilot.completion import weights  # noqa: PLC0415 (see recall)

        self.is_saved, self._saved_s = True, time.monotonic()
        if self._path is None:
            return lambda: None
        return partial(weights.save, self._path, weights.weights_of(workspace.mixture), self._digest)

    def forget(self) -> None:
        """Delete it."""
        self.is_saved = True
        if self._path is not None:
            self._path.unlink(missing_ok=True)
