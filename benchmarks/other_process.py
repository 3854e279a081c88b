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
    """Processor time of the threads that it has, since they were started; 0 where there is no /proc.

    To the nanosecond where the kernel keeps it so (schedstat), else to the 10 ms of utime and stime.
    """
    return sum(map(_thread_ms, Path(f"/proc/{pid}/task").glob("*")))


def _thread_ms(thread: Path) -> float:
    try:
        if (precise := thread / "schedstat").exists():
            return int(precise.read_text().split()[0]) / 1e6
        user, system = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
        return 1e3 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except OSError:  # it has ended
        return 0.0


def has_loaded(pid: int, library: str) -> bool:
    """Whether a file with this in its name is mapped; False where there is no /proc."""
    path = Path(f"/proc/{pid}/maps")
    return path.exists() and library in path.read_text()


def _kilobytes(pid: int, name: str, field: str) -> float:
    path = Path(f"/proc/{pid}/{name}")
    found = re.search(rf"^{field}:\s+(\d+) kB", path.read_text(), re.MULTILINE) if path.exists() else None
    return round(int(found[1]) * 1024 / 1e6, 1) if found else 0.0
