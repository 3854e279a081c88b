"""Which optimiser moves which weights, and how fast over time."""

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

WARM_UP_STEPS = 50
DECAY_SHARE = 0.6


def rate_at(step: int, n_steps: int) -> float:
    """The learning rate at `step` of `n_steps`, as a share of its peak: a short rise, flat, then linearly to zero.

    Flat, then falling over the last 60 %.
    """
    rise = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = min(1.0, (n_steps - step) / (DECAY_SHARE * n_steps))
    return rise * fall


def momentum_at(step: int) -> float:
    """Muon's momentum: it begins lower, while the gradients still turn quickly (0.85 to 0.95 over 300 steps)."""
    return 0.85 + 0.10 * min(1.0, step / 300)


def make_optimizers(model: nn.Module, *, muon_rate: float, adam_rate: float) -> list[Optimizer]:
    """Muon (Jordan et al. 2024) for the matrices inside the blocks, AdamW for all else: embedding, head, LayerNorms.

    Muon's step is the gradient with all its directions made equally large; benchmarks/LOG.md has its worth.
    """
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith("blocks.")]
    inside = set(map(id, matrices))
    others = [p for p in model.parameters() if id(p) not in inside]
    muon = Muon(matrices, lr=muon_rate, weight_decay=0.0, momentum=0.95, nesterov=True, adjust_lr_fn="original")
    adam = AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


def set_schedule(optimizers: list[Optimizer], step: int, n_steps: int) -> None:
    """Set rate and momentum for `step`."""
    rate = rate_at(step, n_steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * rate
            if isinstance(optimizer, Muon):
                group["momentum"] = momentum_at(step)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware; elsewhere it would only be slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
