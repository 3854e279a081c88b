"""The training device: selection, label, bfloat16 support, and utilization."""

import time

import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig
from tinycopilot.training.schedule import Schedule

BFLOAT16_PEAK = {
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12,
    "L40": 181e12, "L4": 121e12, "RTX 4090": 165e12,
}  # fmt: skip
"""Dense bfloat16 FLOP/s, from data sheets; longer names first."""

MAX_TIME_RATIO = 0.8
"""bfloat16 is used if it takes at most this share of the time of float32, since the rest of a step has to convert."""


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
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        x @ weight
        seconds.append(time.perf_counter() - started)
    return min(seconds)


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
