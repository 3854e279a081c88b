"""The training device: selection, label, number of threads, bfloat16 support, and utilization."""

import os
import time
import timeit

import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig
from tinycopilot.process import usable_cores
from tinycopilot.training.log import LogInterval
from tinycopilot.training.observers import Observer
from tinycopilot.training.schedule import Schedule

BFLOAT16_PEAK = {
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12,
    "L40": 181e12, "L4": 121e12, "RTX 4090": 165e12,
}  # fmt: skip
"""Dense bfloat16 FLOP/s, from data sheets; longer names first."""

MAX_TIME_RATIO = 0.8
"""bfloat16 is used if it takes at most this share of the time of float32, since the rest of a step has to convert."""

CHECK_S = 60.0
"""Time between changes of the number of threads: the system's load is an average over a minute."""


def choose_device(name: str) -> torch.device:
    """Return the device; `auto` is a GPU if available. Raises UserError if the device does not exist."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name):
        raise UserError(f"PyTorch has no device {name!r} here; use --device cpu or --device auto")
    return torch.device(name)


def device_label(device: torch.device) -> str:
    """Return the name to print."""
    if device.type == "cuda":
        return f"the GPU ({torch.cuda.get_device_name(device)})"
    return "the GPU" if device.type == "mps" else f"the CPU (threads: {torch.get_num_threads()})"


class ThreadTuner(Observer):
    """Sets PyTorch's number of threads on a CPU, now and after intervals: the cores that other programs leave idle.

    At most the initial number. Threads wait for each other after each matrix product, and spin meanwhile. If another
    program delays one, all are delayed: with one other busy process on two cores, two threads were nearly four times
    slower than on an idle machine, while one thread was as fast as before (for a higher load, see benchmarks/LOG.md).
    """

    def __init__(self) -> None:
        self._most = torch.get_num_threads()
        self._checked_at = time.monotonic()
        self._choose(own=0)  # this process has been busy for a second or two at most

    def on_interval(self, interval: LogInterval) -> None:  # noqa: ARG002
        """Choose again, if the load average reflects the last choice by now."""
        if time.monotonic() - self._checked_at >= CHECK_S:
            self._checked_at = time.monotonic()
            self._choose(own=torch.get_num_threads())

    def _choose(self, own: int) -> None:
        try:
            load = os.getloadavg()[0]  # running or waiting processes, this one's threads included
        except (AttributeError, OSError):  # Windows has no load average
            return
        threads = max(1, min(self._most, round(usable_cores() - max(0.0, load - own))))
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)


def thread_tuners(device: torch.device) -> list[Observer]:
    """Return a ThreadTuner, if the network is trained on the CPU."""
    return [ThreadTuner()] if device.type == "cpu" else []


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrix products are faster in bfloat16 than in float32.

    Measured on a CPU, in milliseconds: having the instructions does not imply it (benchmarks/LOG.md).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return _product_seconds(torch.bfloat16) < MAX_TIME_RATIO * _product_seconds(torch.float32)
    return False


def _product_seconds(dtype: torch.dtype) -> float:
    """Return the minimum time of a matrix product of typical shape."""
    x, weight = torch.ones(2048, 128, dtype=dtype), torch.ones(128, 512, dtype=dtype)
    return min(timeit.repeat(lambda: x @ weight, number=1, repeat=10))


def operations(shape: GPTConfig, schedule: Schedule) -> float:
    """Return the FLOPs of all steps of `schedule` (Chowdhery et al. 2022, PaLM, appendix B)."""
    in_products = shape.n_parameters - shape.vocab_size * shape.d_model  # an embedding lookup has no product
    return sum(
        n_steps * stage.batch * stage.window * (6 * in_products + 12 * shape.n_layers * shape.d_model * stage.window)
        for stage, n_steps in zip(schedule.stages, schedule.steps, strict=True)
    )


def share_of_peak(
    shape: GPTConfig, schedule: Schedule, seconds: float, device: torch.device, n_devices: int
) -> float | None:
    """Return the model FLOPs utilization, 0 to 1, of a GPU's bfloat16 peak; None if the peak is unknown."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((peak for card, peak in BFLOAT16_PEAK.items() if card in name), None)
    return operations(shape, schedule) / (seconds * peak * n_devices) if peak else None
