"""What a process may use, and takes: processors, and memory as Linux counts it in /proc."""

import os
import re
from pathlib import Path


def memory_bytes(field: str = "VmRSS", pid: int | str = "self", file: str = "status") -> int | None:
    """A field of /proc/PID/status, or of another file there; None where the system, or the process, does not say.

    VmRSS is resident now, VmHWM at the highest (proc(5)).
    """
    try:
        told = Path(f"/proc/{pid}/{file}").read_text()
    except OSError:
        return None
    found = re.search(rf"^{field}:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def usable_cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows have no such limit
        return os.cpu_count() or 1
