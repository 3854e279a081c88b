"""Resident memory of this process, on Linux."""

import gc
from pathlib import Path

from tinycopilot.completion.segments import release_memory
from tinycopilot.process import memory_bytes

CLEAR_REFS = Path("/proc/self/clear_refs")


class Resident:
    """Memory beyond that at creation."""

    def __init__(self) -> None:
        collect()
        self._first = memory_bytes("VmRSS") or 0
        self.restart()

    def restart(self) -> None:
        """Reset the peak."""
        CLEAR_REFS.write_text("5")

    @property
    def mb(self) -> float:
        """Current memory."""
        return self._more("VmRSS")

    @property
    def highest_mb(self) -> float:
        """Peak since the last reset."""
        return self._more("VmHWM")

    def _more(self, field: str) -> float:
        return round(((memory_bytes(field) or 0) - self._first) / 1e6, 1)

    def in_use_mb(self) -> float:
        """Current memory, without free memory that the C library keeps."""
        collect()
        return self.mb


def collect() -> None:
    """Return free memory to the system."""
    gc.collect()
    release_memory()
