"""What Linux says of another process, in /proc: memory, processor time, and which libraries it has loaded."""

import os
import re
from pathlib import Path


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """VmRSS, now, or VmHWM, at the highest; 0 where there is no /proc."""
    return _kilobytes(pid, "status", field)


def proportional_mb(pid: int) -> float:
    """The same, but what n processes share counts a share of 1/n in each (PSS); 0 where there is no /proc."""
    return _kilobytes(pid, "smaps_rollup", "Pss")


def private_mb(pid: int) -> float:
    """What would be free if this process alone ended; 0 where there is no /proc."""
    fields = ("Private_Clean", "Private_Dirty")
    return round(sum(_kilobytes(pid, "smaps_rollup", field) for field in fields), 1)


def cpu_ms(pid: int) -> float:
    """Processor time of all its threads since it was started; to 10 ms, as Linux counts it. 0 where there is none."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    user, system = path.read_text().rpartition(")")[2].split()[11:13]
    return 1e3 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def has_loaded(pid: int, library: str) -> bool:
    """Whether a file with this in its name is mapped; False where there is no /proc."""
    path = Path(f"/proc/{pid}/maps")
    return path.exists() and library in path.read_text()


def _kilobytes(pid: int, name: str, field: str) -> float:
    path = Path(f"/proc/{pid}/{name}")
    found = re.search(rf"^{field}:\s+(\d+) kB", path.read_text(), re.MULTILINE) if path.exists() else None
    return round(int(found[1]) * 1024 / 1e6, 1) if found else 0.0
