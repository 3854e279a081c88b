"""Facts about another process from Linux's /proc: memory, CPU time, and loaded libraries."""

import os
from pathlib import Path

from tinycopilot.process import memory_bytes


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory, current (VmRSS) or peak (VmHWM), in MB; 0 without /proc."""
    return _mb(memory_bytes(field, pid))


def proportional_mb(pid: int) -> float:
    """The same, with memory shared by n processes counted as 1/n (PSS); 0 without /proc."""
    return _mb(memory_bytes("Pss", pid, "smaps_rollup"))


def cpu_ms(pid: int) -> float:
    """CPU time of its current threads, in ms; 0 without /proc.

    In nanoseconds if the kernel records it (schedstat), else with the 10 ms resolution of utime and stime.
    """
    return sum(map(_thread_ms, Path(f"/proc/{pid}/task").glob("*")))


def _thread_ms(thread: Path) -> float:
    try:
        if (precise := thread / "schedstat").exists():
            return int(precise.read_text().split()[0]) / 1e6
        user, system = (thread / "stat").read_text().rpartition(")")[2].split()[11:13]
        return 1e3 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    except OSError:  # it has exited
        return 0.0


def _mb(n_bytes: int | None) -> float:
    return round((n_bytes or 0) / 1e6, 1)
