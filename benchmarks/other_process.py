"""What Linux says of another process, in /proc: memory, processor time, and which libraries it has loaded."""

import os
from pathlib import Path

from tinycopilot.process import memory_bytes


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """VmRSS, now, or VmHWM, at the highest; 0 where there is no /proc."""
    return _mb(memory_bytes(field, pid))


def proportional_mb(pid: int) -> float:
    """The same, but what n processes share counts a share of 1/n in each (PSS); 0 where there is no /proc."""
    return _mb(memory_bytes("Pss", pid, "smaps_rollup"))


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


def _mb(n_bytes: int | None) -> float:
    return round((n_bytes or 0) / 1e6, 1)
