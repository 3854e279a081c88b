"""Milliseconds of one forward pass: TinyGPT in PyTorch, and the compiled network with float32 and int8 weights.

    python benchmarks/forward.py [--sizes nano small base large] [--positions 1 4 8 16 64 128] [--seconds 2]

Random weights; `nano` to `base` are the sizes of `train --size`, `wide` is 8 layers of width 512. 300 positions are in
the cache, so the window is full; then the new positions are read repeatedly from there. One thread; the three are
interleaved, and the minimum counts. Prints a table and one JSON line.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from tinycopilot.completion.network import Network
from tinycopilot.model.config import GPTConfig
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.training.train_config import SIZES

N_READ = 300
VOCAB_SIZE = 100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shapes = {name: size.shape() | {"window": 256} for name, size in SIZES.items()}
    parser.add_argument("--sizes", nargs="+", choices=shapes, default=list(shapes))
    parser.add_argument("--positions", nargs="+", type=int, default=[1, 4, 8, 16, 64, 128])
    parser.add_argument("--seconds", type=float, default=2.0, help="per row (default: 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'size':8}{'parameters':>12}{'positions':>10}{'eager':>10}{'float32':>10}{'int8':>10}   ms")
    rows = []
    for name in arguments.sizes:
        config = GPTConfig(VOCAB_SIZE, conv_width=3, **shapes[name])
        model = random_model(config)
        for n in arguments.positions:
            ms = dict(zip(("eager", "float32", "int8"), minima(passes(model, n), arguments.seconds), strict=True))
            print(
                f"{name:8}{config.n_parameters:12,}{n:10}" + "".join(f"{one:10.3f}" for one in ms.values()), flush=True
            )
            rows.append({"size": name, "positions": n, **{way: round(one, 4) for way, one in ms.items()}})
    print(json.dumps({"ms": rows, "processor": platform.processor() or platform.machine()}))


def random_model(config: GPTConfig) -> TinyGPT:
    """A network of that shape with random weights: zeros would be faster."""
    torch.manual_seed(0)
    model = TinyGPT(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return model.requires_grad_(False).eval()


def passes(model: TinyGPT, n_new: int) -> list[Callable[[], object]]:
    """Functions for one pass over `n_new` positions, for each of the three."""
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    ids = np.random.default_rng(0).integers(model.config.vocab_size, size=N_READ + n_new)
    torch_cache = model.new_cache()
    model.prefill(ids[:N_READ].tolist(), torch_cache)
    new = torch.from_numpy(ids[None, N_READ:])

    @torch.inference_mode()
    def eager() -> object:
        torch_cache.length = N_READ
        return model(new, torch_cache)

    def compiled(network: Network) -> Callable[[], object]:
        cache = network.new_cache()
        network.forward(ids[:N_READ], cache)

        def one_pass() -> object:
            cache.truncate(N_READ)
            return network.forward(ids[N_READ:], cache)

        return one_pass

    return [eager, *(compiled(Network(model.config, weights, int8=int8)) for int8 in (False, True))]


def minima(ways: Sequence[Callable[[], object]], seconds: float) -> list[float]:
    """Minimum milliseconds of each, interleaved for that many seconds."""
    best = [float("inf")] * len(ways)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, way in enumerate(ways):
            way()  # the first pass after the others has a cold CPU cache, and does not count
            started = time.perf_counter()
            way()
            best[i] = min(best[i], 1000 * (time.perf_counter() - started))
    return best


if __name__ == "__main__":
    main()
