"""How much memory this process has come to take, as Linux counts it."""

import contextlib
import ctypes
import gc
from pathlib import Path

from corpus_memory import status_bytes

CLEAR_REFS = Path("/proc/self/clear_refs")


class Resident:
    """What is resident beyond what was when this was made."""

    def __init__(self) -> None:
        gc.collect()
        self._first = status_bytes("VmRSS")
        self.restart()

    def restart(self) -> None:
        """Forget what was the highest."""
        CLEAR_REFS.write_text("5")

    @property
    def mb(self) -> float:
        """Now."""
        return self._more("VmRSS")

    @property
    def highest_mb(self) -> float:
        """At the highest, since it was last restarted."""
        return self._more("VmHWM")

    def _more(self, field: str) -> float:
        return round((status_bytes(field) - self._first) / 1e6, 1)

    def in_use_mb(self) -> float:
        """Now, after the C library has given back what it keeps of what was freed, if it is GNU's."""
        gc.collect()
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        return self.mb
