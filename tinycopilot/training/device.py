"""What a run computes on: which device there is, how it is called, and how much of what it can do was used."""

import time

import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig
from tinycopilot.training.schedule import Schedule

BFLOAT16_PEAK = {
    "H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12,
    "L40": 181e12, "L4": 121e12, "RTX 4090": 165e12,
}  # fmt: skip
"""Floating-point operations a second in dense bfloat16, from the maker's data sheets; the longer names come first."""

QUICKER = 0.8
"""What bfloat16 may take of the time of float32 at most: the rest of a step converts to it and back."""


def choose_device(name: str) -> torch.device:
    """`auto` takes a GPU where there is one. Raises UserError for a device that is not there."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, there in available.items() if there)
    if not available.get(name):
        raise UserError(f"PyTorch has no device {name!r} here; use --device cpu or --device auto")
    return torch.device(name)


def device_label(device: torch.device) -> str:
    """How the user knows it."""
    if device.type == "cuda":
        return f"the GPU ({torch.cuda.get_device_name(device)})"
    return "the GPU" if device.type == "mps" else f"the CPU (threads: {torch.get_num_threads()})"


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether matrices are multiplied quicker in bfloat16 than in float32.

    On a CPU that is tried out, for some milliseconds: that it has the instructions does not say so (benchmarks/LOG.md).
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return _product_seconds(torch.bfloat16) < QUICKER * _product_seconds(torch.float32)
    return False


def _product_seconds(dtype: torch.dtype) -> float:
    """What the product of two matrices of a usual shape takes, at best."""
    x, weight = torch.ones(2048, 128, dtype=dtype), torch.ones(128, 512, dtype=dtype)
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        x @ weight
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def operations(shape: GPTConfig, schedule: Schedule) -> float:
    """Floating-point operations to take all steps of `schedule` (Chowdhery et al. 2022, PaLM, appendix B)."""
    in_products = shape.n_parameters - shape.vocab_size * shape.d_model  # looking up an embedding multiplies nothing
    return sum(
        n_steps * stage.batch * stage.window * (6 * in_products + 12 * shape.n_layers * shape.d_model * stage.window)
        for stage, n_steps in zip(schedule.stages, schedule.steps, strict=True)
    )


def share_of_peak(
    shape: GPTConfig, schedule: Schedule, seconds: float, device: torch.device, n_devices: int
) -> float | None:
    """The share of a GPU's bfloat16 peak that training used, 0 to 1; None where the peak is not known."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    peak = next((peak for card, peak in BFLOAT16_PEAK.items() if card in name), None)
    return operations(shape, schedule) / (seconds * peak * n_devices) if peak else None
