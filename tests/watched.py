"""Write pages of `train --watch` without training: `python tests/watched.py FOLDER` creates running.html, ended.html.

The network has random weights, which change between the recorded steps; the completions contain HTML.
"""

import dataclasses
import math
import sys
from pathlib import Path

import torch
from learning import write_corpus
from networks import randomize

from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.training.checkpoint import Run
from tinycopilot.training.log import Evaluation, LogInterval
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train_config import TrainConfig
from tinycopilot.training.train_state import TrainState
from tinycopilot.training.watch.observer import Watch

HOSTILE = (
    '</pre></script><script>document.title = "run"</script><!-- <img src=x onerror="document.title=1">{{ 7 * 7 }}\x07'
)
TEXT = "def add(a, b):\n    return [a + b]\n\n\nfor i in range(3):\n    print(add(i, i))\n" * 20
SCHEDULE = Schedule((Stage(4, 32),), (400,))


def a_run(folder: Path, *, ext: str = ".py", held_out: str = TEXT, **shape: int) -> tuple[Run, TrainState]:
    """Return a run before its first step, with random weights."""
    folder.mkdir(exist_ok=True, parents=True)
    corpus = write_corpus([TEXT], [held_out], folder, "some text </title>")
    tokenizer = SimpleTokenizer.of_common(corpus.train.counts())
    config = GPTConfig(tokenizer.vocab_size, **{"n_layers": 2, "n_heads": 2, "d_model": 16, "window": 64} | shape)
    run = Run({"ext": [ext]}, corpus, tokenizer, config, TrainConfig(), SCHEDULE, {})
    state = TrainState(randomize(TinyGPT(config), std=0.1), run.config)
    return run, state


def take_steps(state: TrainState, n: int, seed: int = 0) -> None:
    """Change the weights as if `n` steps had been taken; log an interval and an evaluation."""
    randomize(state.model, seed, std=0.3)
    log = state.log
    log.n_steps, log.n_chars, log.seconds = log.n_steps + n, log.n_chars + 128 * n, log.seconds + 0.1 * n
    bits = 1 + 6 * math.exp(-log.n_steps / 100)
    log.intervals.append(LogInterval(log.n_steps, log.n_chars, log.seconds, bits, 1.0))
    log.evaluations.append(Evaluation(log.n_steps, log.n_chars, log.seconds, bits + 0.1, "def "))
    log.best_step = log.n_steps


def write_pages(folder: Path) -> None:
    """Write running.html, for step 300 of 400, and ended.html."""
    run, state = a_run(folder / "run", n_layers=4, n_heads=4)
    with Watch(folder / "running.html", folder / "run", state, run, print, "resume it") as watch:
        for i in range(3):
            take_steps(state, 100, i + 1)
            watch.on_evaluation(state.log.evaluations[-1])
        watch._steps = [dataclasses.replace(step, completions=(HOSTILE,) * 3) for step in watch._steps]
        watch._write(is_running=True)
        take_steps(state, 100, 4)
        watch._path = folder / "ended.html"
        watch.on_evaluation(state.log.evaluations[-1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_pages(Path(sys.argv[1]))
