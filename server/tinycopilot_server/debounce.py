"""Debounce: ghost text is looked for when nothing has changed for a while, if the user wants it so."""

import asyncio
import contextlib
import time


class Debounce:
    """Lets the newest question through when it is quiet. For the event loop."""

    def __init__(self) -> None:
        self._changed_s = -float("inf")
        self._waiting: asyncio.Future[None] | None = None  # is done when it need not wait any more

    def changed(self) -> None:
        """A text has changed: a question about how it was need not wait."""
        self._changed_s = time.monotonic()
        self._supersede()

    def _supersede(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def is_quiet(self, quiet_ms: int) -> bool:
        """True when nothing has changed for `quiet_ms`; False, at once, when there is a newer question, or a change."""
        self._supersede()
        wait_s = self._changed_s + quiet_ms / 1000 - time.monotonic()
        if wait_s <= 0:
            return True
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(waiting, wait_s)
            return False
        return True
