"""The baseline of train_vs_peers.py: tinycopilot's original training recipe, in one file.

    python benchmarks/lab_recipe.py FILE --cpu_s 1200 [--precision float32]

Muon and AdamW with a learning rate by elapsed CPU time, batches of 16 random windows of 256 characters, Python's
standard library without its tests. Parameter names are TinyGPT's, so that both are measured by the same code.
"""

import argparse
import math
import random
import sysconfig
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tinycopilot.training.device import has_fast_bfloat16

ALPHABET = "\n\t" + "".join(map(chr, range(32, 127)))
VOCAB_SIZE = len(ALPHABET) + 1  # the last id is for all other characters; the training text has none
N_LAYERS, N_HEADS, D_MODEL, WINDOW, BATCH = 4, 4, 128, 256, 16
MUON_RATE, ADAM_RATE, CLIP_NORM = 0.02, 3e-3, 1.0
LEFT_OUT = ("site-packages", "/test/", "/tests/", "lib2to3", "idlelib")


def standard_library_text() -> str:
    """The standard library's modules in shuffled order, concatenated, with only the characters in ALPHABET."""
    root = Path(sysconfig.get_paths()["stdlib"])
    documents = []
    for path in sorted(root.rglob("*.py")):
        name = "/" + path.relative_to(root).as_posix()
        if name.startswith("/encodings/") or any(part in name for part in LEFT_OUT):
            continue
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        documents.append("".join(filter(set(ALPHABET).__contains__, text)))
    random.Random(0).shuffle(documents)
    return "\n".join(documents)


class Attention(nn.Module):
    """Causal attention over the whole window, with rotary positions."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(D_MODEL, 3 * D_MODEL, bias=False)
        self.o_proj = nn.Linear(D_MODEL, D_MODEL, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C); `bias` (T, T) is -inf at masked positions."""
        B, T, C = x.shape  # noqa: N806
        D = C // N_HEADS  # noqa: N806
        q, k, v = self.qkv(x).view(B, T, 3, N_HEADS, D).permute(2, 0, 3, 1, 4)  # (B, H, T, D) each

        def rotated(z: Tensor) -> Tensor:
            first, second = z.chunk(2, -1)
            turned = torch.cat([first * cos - second * sin, first * sin + second * cos], -1)
            return turned.type_as(v).reshape(B * N_HEADS, T, D)

        mask = bias.to(v.dtype).expand(B * N_HEADS, T, T)
        scores = torch.baddbmm(mask, rotated(q), rotated(k).transpose(1, 2), alpha=1 / math.sqrt(D))
        y = (scores.softmax(-1) @ v.reshape(B * N_HEADS, T, D)).view(B, N_HEADS, T, D)
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))


class Block(nn.Module):
    """Pre-LayerNorm, sequential residuals, GELU."""

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.attn, self.ln2 = nn.LayerNorm(D_MODEL), Attention(), nn.LayerNorm(D_MODEL)
        up, down = nn.Linear(D_MODEL, 4 * D_MODEL, bias=False), nn.Linear(4 * D_MODEL, D_MODEL, bias=False)
        self.ffn = nn.ModuleDict({"up": up, "down": down})

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, bias: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        x = x + self.attn(self.ln1(x), cos, sin, bias)
        return x + self.ffn["down"](F.gelu(self.ffn["up"](self.ln2(x))))


class Network(nn.Module):
    """Ids (B, T) -> logits (B, T, V), float32, T at most WINDOW."""

    cos: Tensor
    sin: Tensor
    bias: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCAB_SIZE, D_MODEL)
        self.blocks = nn.ModuleList(Block() for _ in range(N_LAYERS))
        self.ln = nn.LayerNorm(D_MODEL)
        self.head = nn.Linear(D_MODEL, VOCAB_SIZE, bias=False)
        rates = 1 / 10_000 ** (torch.arange(0, D_MODEL // N_HEADS, 2) * N_HEADS / D_MODEL)
        angles = torch.outer(torch.arange(WINDOW).float(), rates)
        after = torch.ones(WINDOW, WINDOW, dtype=torch.bool).triu(1)
        constants = {"cos": angles.cos(), "sin": angles.sin(), "bias": torch.zeros(WINDOW, WINDOW)}
        constants["bias"].masked_fill_(after, -math.inf)
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)
        for name, weight in self.named_parameters():
            if name.endswith(("o_proj.weight", "down.weight", "head.weight")):
                nn.init.zeros_(weight)
            elif weight.dim() == 2:
                nn.init.normal_(weight, std=0.02 if name.startswith("embedding") else 0.7 / math.sqrt(weight.size(1)))

    def forward(self, ids: Tensor) -> Tensor:
        """Ids (B, T) -> logits (B, T, V)."""
        T = ids.size(1)  # noqa: N806
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos[:T], self.sin[:T], self.bias[:T, :T])
        return self.head(self.ln(x)).float()


def orthogonal(gradient: Tensor, dtype: torch.dtype) -> Tensor:
    """Approximately the nearest orthogonal matrix, by five Newton-Schulz steps (Jordan et al. 2024)."""
    x = gradient.to(dtype)
    x = x / (x.norm() + 1e-7)
    if tall := x.size(0) > x.size(1):
        x = x.T
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return (x.T if tall else x).float()


def train(text: str, cpu_s: float, dtype: torch.dtype) -> tuple[Network, int]:
    """A network trained for `cpu_s` seconds of this process's CPU time over all threads; and its number of steps."""
    torch.manual_seed(0)
    id_of = {character: i for i, character in enumerate(ALPHABET)}
    ids = torch.tensor([id_of[character] for character in text], dtype=torch.uint8)
    network = Network()
    matrices = [w for name, w in network.named_parameters() if w.dim() == 2 and name.startswith("blocks.")]
    inside = set(map(id, matrices))
    others = [w for w in network.parameters() if id(w) not in inside]
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.95), weight_decay=0.0)
    momenta = [torch.zeros_like(w) for w in matrices]
    step = 0
    since_s = time.process_time()  # does not advance while the process is stopped
    while (share := (time.process_time() - since_s) / cpu_s) < 1:
        rate = min(1, (step + 1) / 50) * min(1, (1 - share) / 0.6)
        starts = torch.randint(len(ids) - WINDOW - 1, (BATCH,))
        windows = ids[starts[:, None] + torch.arange(WINDOW + 1)].long()  # (B, T + 1)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = network(windows[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        adam.param_groups[0]["lr"] = ADAM_RATE * rate
        adam.step()
        inertia = 0.85 + 0.1 * min(1, step / 300)
        with torch.no_grad():
            for weight, momentum in zip(matrices, momenta, strict=True):
                assert weight.grad is not None
                momentum.lerp_(weight.grad, 1 - inertia)
                update = orthogonal(weight.grad.lerp(momentum, inertia), dtype)
                size = math.sqrt(max(1, weight.size(0) / weight.size(1)))
                weight.add_(update, alpha=-MUON_RATE * rate * size)
        network.zero_grad(set_to_none=True)
        step += 1
    return network, step


def main() -> None:
    """Train, and save the weights and the number of characters read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--cpu_s", type=float, required=True, help="seconds of CPU time, all threads counted")
    parser.add_argument("--precision", choices=("auto", "float32"), default="auto")
    arguments = parser.parse_args()
    halved = arguments.precision == "auto" and has_fast_bfloat16(torch.device("cpu"))
    network, n_steps = train(standard_library_text(), arguments.cpu_s, torch.bfloat16 if halved else torch.float32)
    torch.save({"weights": network.state_dict(), "n_chars": n_steps * BATCH * WINDOW}, arguments.file)


if __name__ == "__main__":
    main()
