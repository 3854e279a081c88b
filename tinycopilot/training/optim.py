"""Which optimizer trains which weights (Muon, AdamW), and the learning rate at each step."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from tinycopilot.training.distributed import DistContext
from tinycopilot.training.muon import Muon
from tinycopilot.training.train_config import TrainConfig


def lr_multiplier(step: int, share: float, decay_share: float, warm_up_steps: int = TrainConfig.warm_up_steps) -> float:
    """Return the factor of the peak learning rate at `step`, before which `share` of the run's characters were read.

    Warm-up, stable, then linear decay to zero over the last `decay_share` of the run (WSD: Hu et al. 2024, MiniCPM).
    """
    return min(1.0, (step + 1) / max(1, warm_up_steps)) * min(1.0, (1 - share) / decay_share)


def muon_momentum(step: int) -> float:
    """Return Muon's momentum: lower at first, while gradients change quickly (0.85 to 0.95 over 300 steps)."""
    return 0.85 + 0.10 * min(1.0, step / 300)


def make_optimizers(model: nn.Module, config: TrainConfig, dist: DistContext) -> list[Optimizer]:
    """Return Muon for the matrices in the blocks, and AdamW for embedding, head, LayerNorms and convolutions.

    Its gain over AdamW alone is in benchmarks/LOG.md.
    """
    inside = {name: p for name, p in model.named_parameters() if name.startswith("blocks.")}
    matrices = {name: p for name, p in inside.items() if p.ndim == 2 and not name.endswith("taps")}
    fused_qkv = [p for name, p in matrices.items() if name.endswith("qkv.weight")]
    single = [p for name, p in matrices.items() if not name.endswith("qkv.weight")]
    others = [p for name, p in model.named_parameters() if name not in matrices]
    groups: list[dict[str, Any]] = [{"params": fused_qkv, "n_parts": 3}, {"params": single}]
    muon = Muon(groups, lr=config.muon_lr, dtype=torch.bfloat16 if config.bfloat16 else torch.float32, dist=dist)
    fused = others[0].device.type in ("cpu", "cuda")
    adam = AdamW(others, lr=config.adam_lr, betas=(0.9, 0.95), weight_decay=0.0, fused=fused)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return [muon, adam]


def set_rates(optimizers: Sequence[Optimizer], step: int, multiplier: float) -> None:
    """Set each learning rate to its peak times `multiplier`, and Muon's momentum for `step`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * multiplier
            if isinstance(optimizer, Muon):
                group["momentum"] = muon_momentum(step)
