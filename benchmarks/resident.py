"""How much memory this process has come to take, as Linux counts it."""

import gc
from pathlib import Path

from tinycopilot.completion.segments import release_memory
from tinycopilot.process import memory_bytes

CLEAR_REFS = Path("/proc/self/clear_refs")


class Resident:
    """What is resident beyond what was when this was made."""

    def __init__(self) -> None:
        collect()
        self._first = memory_bytes("VmRSS") or 0
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
        return round(((memory_bytes(field) or 0) - self._first) / 1e6, 1)

    def in_use_mb(self) -> float:
        """Now, without what the C library keeps of what was freed."""
        collect()
        return self.mb


def collect() -> None:
    """What is free in this process goes back to the system."""
    gc.collect()
    release_memory()
