"""`tinycopilot train` compared with its original recipe, and with nanoGPT's train.py, on one machine.

    python benchmarks/train_vs_peers.py [--minutes 10] [--nanogpt FOLDER] [--threads 2] [--only lab,ours]

All train on Python's standard library, and are measured in bits per character on the list of heldout.json, network
alone. None is trained on these packages.

1. `lab` (lab_recipe.py) and `ours` take turns of 15 s while the other is stopped, so that noise affects both alike. The
   claim is for equal CPU time: both get --minutes of all threads. Where bfloat16 is faster, both run in float32 as
   well, since most laptops have no fast bfloat16.
2. `nanogpt` runs alone, with its README's settings for a CPU, for as many steps as fill --nanogpt_minutes. The claim is
   for wall time, from the command's start to its end.
3. `soon` searches for the shortest run of ours, with --minutes, that reaches nanoGPT's bits per character.

With the defaults about 40 minutes; 60 with bfloat16. Prints a table and one JSON line. For Linux and macOS.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lab_recipe
import nanogpt
import torch
from heldout_bits import PACKAGES, Excerpt, bits_by_package, bits_of, excerpts
from how_soon import WANTED, Run, how_soon, times_quicker
from turns import Child, take_turns

from tinycopilot import UserError
from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import model_to_load
from tinycopilot.training.device import has_fast_bfloat16

BITS_LOWER = 0.08
"""First target: ours is at least this much below the lab's recipe."""
CPU_TOLERANCE = 1.03
"""Equal CPU time: ours may have used at most this many times the lab's."""
STARTING_S = 40.0
SETTLING_SHARE = 0.5
"""Ours determines its number of steps by the speed of its first two fifths: it is not stopped during that time."""
TRIAL_MINUTES = 0.1
HALVED = has_fast_bfloat16(torch.device("cpu"))
MODEL, LOG = "model.pth", "log.txt"
TURNS = ("lab", "ours", "lab_float32", "ours_float32")
PEERS = (*TURNS, "nanogpt", "soon")


@dataclass(frozen=True)
class Result:
    """A peer's result."""

    bits_per_char: float
    trained_chars: int | None
    """None if its file does not record it."""
    cpu_s: float
    wall_s: float
    """Running time from start to end."""

    def to_json(self) -> dict[str, Any]:
        """Rounded, and with the throughput, its start and end included."""
        rate = None if self.trained_chars is None else round(self.trained_chars / self.wall_s)
        rounded = {name: round(value, 4) for name, value in asdict(self).items() if value is not None}
        return {"trained_chars": None, **rounded, "chars_per_s": rate}


class Benchmark:
    """One session: its settings, a temporary folder, and the results so far."""

    def __init__(self, arguments: argparse.Namespace, folder: Path, listed: list[Excerpt]) -> None:
        self.minutes: float = arguments.minutes
        self.n_threads: int = arguments.threads
        self.lab_minutes: float = arguments.lab_minutes or self.minutes
        self.folder, self.listed = folder, listed
        self.keep: Path | None = arguments.keep
        self.env: Mapping[str, str] = os.environ | {"OMP_NUM_THREADS": str(self.n_threads)}
        self.results: dict[str, Result] = {}
        self.runs: list[Run] = []
        self.failed: list[str] = []

    def in_turns(self, names: list[str]) -> None:
        """Run ours and the lab's recipe, each of `names`, in turns."""
        children = [self.ours(name, self.minutes) if name.startswith("ours") else self.lab(name) for name in names]
        say(f"{', '.join(names)}: in turns, about {len(names) * self.minutes:.0f} minutes")
        take_turns(children)
        for child in children:
            if self.has_worked(child):
                self.judge_ours(child) if child.name.startswith("ours") else self.judge_lab(child)

    def ours(self, name: str, minutes: float) -> Child:
        """The command as a user runs it."""
        folder = self.new_folder()
        command = [sys.executable, "-m", "tinycopilot", "train", "--corpus", "stdlib", "--device", "cpu"]
        command += ["--minutes", f"{minutes:.3f}", "--model_path", str(folder / MODEL), *precision_of(name)]
        first_turn_s = STARTING_S + SETTLING_SHARE * 60 * minutes
        return Child(name, command, folder / LOG, self.env, first_turn_s=first_turn_s)

    def lab(self, name: str) -> Child:
        """lab_recipe.py, with a budget of CPU time."""
        folder = self.new_folder()
        budget_s = self.lab_minutes * 60 * self.n_threads
        command = [sys.executable, lab_recipe.__file__, str(folder / MODEL), "--cpu_s", str(budget_s)]
        return Child(name, [*command, *precision_of(name)], folder / LOG, self.env)

    def new_folder(self) -> Path:
        """A folder per child: ours compares its model with one that it replaces, which would take time."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def has_worked(self, child: Child) -> bool:
        """Whether the child succeeded; otherwise print its last lines."""
        if child.exit_code != 0:
            say(f"{child.name} failed with exit code {child.exit_code}; its last lines:\n{child.last_lines()}")
            self.failed.append(child.name)
        return child.exit_code == 0

    def judge_ours(self, child: Child) -> None:
        """Measure the model that it saved."""
        paths = model_to_load(str(child.log.with_name(MODEL)))
        model, tokenizer = load_pair(paths.model, paths.tokenizer)
        training = torch.load(paths.model, weights_only=True)["training"]
        self.record(child, self.bits(partial(bits_of, model, tokenizer)), training.get("chars"))
        if self.keep and child.name == "ours":
            shutil.copytree(child.log.parent, self.keep, dirs_exist_ok=True)

    def judge_lab(self, child: Child) -> None:
        """Measure its weights in a TinyGPT, which has the same shape, so that both are measured by the same code."""
        saved = torch.load(child.log.with_name(MODEL), weights_only=True)
        model, tokenizer = lab_as_ours(saved["weights"])
        self.record(child, self.bits(partial(bits_of, model, tokenizer)), saved["n_chars"])

    def bits(self, bits_of_text: Callable[[str, int, int], float]) -> float:
        """Bits per character over the whole list."""
        n_bits, n_chars = bits_by_package(bits_of_text, self.listed)["all"]
        return n_bits / n_chars

    def record(self, child: Child, bits: float, trained_chars: int | None) -> None:
        """Store a result under the child's name."""
        self.results[child.name] = Result(bits, trained_chars, child.cpu_s, child.wall_s)

    def beside_nanogpt(self, copy: Path, minutes: float) -> None:
        """Run nanoGPT alone: a short run determines how many steps fill `minutes`, then the real one follows."""
        nanogpt.prepare(copy, lab_recipe.standard_library_text())
        trial = nanogpt.training(copy, nanogpt.EVAL_INTERVAL_STEPS, self.env)
        take_turns([trial])
        if not self.has_worked(trial):
            return
        n_steps = nanogpt.n_steps_in(minutes * 60, trial.log.read_text("utf-8"))
        say(f"nanogpt: {n_steps:,} steps, about {minutes:.1f} minutes")
        child = nanogpt.training(copy, n_steps, self.env)
        take_turns([child])
        if self.has_worked(child):
            self.record(child, self.bits(partial(nanogpt.bits_of, *nanogpt.load(copy))), nanogpt.n_chars_in(n_steps))

    def soon(self) -> None:
        """Find the shortest run of ours that reaches nanoGPT's bits; record it, or else the best run."""
        peer = self.results["nanogpt"]
        trial = self.run_soon(TRIAL_MINUTES)  # for start-up and saving
        del self.results["soon"]
        overhead_s = trial.wall_s - 60 * TRIAL_MINUTES
        self.runs = how_soon(peer.wall_s, peer.bits_per_char, overhead_s, self.run_soon)

    def run_soon(self, minutes: float) -> Run:
        """One short run of ours. Raises UserError if it fails."""
        say(f"soon: {60 * minutes:.0f} s")
        child = self.ours("soon", minutes)
        take_turns([child])
        if not self.has_worked(child):
            raise UserError("how soon ours reaches nanoGPT's figure could not be measured")
        before = self.results.get("soon")
        self.judge_ours(child)
        run = Run(minutes, child.wall_s, self.results["soon"].bits_per_char)
        if before and not is_better(run, before, self.results["nanogpt"].bits_per_char):
            self.results["soon"] = before
        return run


def precision_of(name: str) -> list[str]:
    """The flag, the same for ours and the lab's."""
    return ["--precision", "float32"] if name.endswith("float32") else []


def is_better(run: Run, before: Result, bits: float) -> bool:
    """Whether `run` is the better evidence: one that reaches `bits`, then the faster one."""
    if run.bits <= bits and before.bits_per_char <= bits:
        return run.wall_s < before.wall_s
    return run.bits < before.bits_per_char


def lab_as_ours(weights: dict[str, torch.Tensor]) -> tuple[TinyGPT, SimpleTokenizer]:
    """The lab's weights in a TinyGPT, and its alphabet as a tokenizer; the unknown id is the last in both."""
    r = lab_recipe
    model = TinyGPT(GPTConfig(r.VOCAB_SIZE, r.N_LAYERS, r.N_HEADS, r.D_MODEL, r.WINDOW))
    model.load_state_dict(weights)
    return model.requires_grad_(False).eval(), SimpleTokenizer(r.ALPHABET)


def lab_bar(results: Mapping[str, Result], suffix: str = "") -> dict[str, Any] | None:
    """How far ours is below the lab's recipe for the same CPU time; None if one of them was not measured."""
    ours, lab = results.get("ours" + suffix), results.get("lab" + suffix)
    if ours is None or lab is None:
        return None
    lower, cpu_ratio = lab.bits_per_char - ours.bits_per_char, ours.cpu_s / lab.cpu_s
    met = lower >= BITS_LOWER and cpu_ratio <= CPU_TOLERANCE
    return {
        "wanted_bits_lower": BITS_LOWER,
        "bits_lower": round(lower, 4),
        "cpu_ratio": round(cpu_ratio, 3),
        "met": met,
    }


def nanogpt_bar(results: Mapping[str, Result], runs: list[Run]) -> dict[str, Any] | None:
    """Speed-up of ours in reaching nanoGPT's figure; None if not measured, 0 if never reached."""
    if not runs:
        return None
    peer = results["nanogpt"]
    factor = times_quicker(peer.wall_s, peer.bits_per_char, runs)
    tried = [{name: round(value, 4) for name, value in asdict(run).items()} for run in runs]
    return {"wanted_times_quicker": WANTED, "times_quicker": round(factor, 2), "met": factor >= WANTED, "runs": tried}


def table(results: Mapping[str, Result]) -> str:
    """Format a row for each peer."""
    lines = [f"{'peer':14}{'bits/char':>10}{'chars':>14}{'chars/s':>10}{'CPU s':>9}{'wall s':>9}"]
    for name, result in results.items():
        chars = "?" if result.trained_chars is None else f"{result.trained_chars:,}"
        rate = "?" if result.trained_chars is None else f"{result.trained_chars / result.wall_s:,.0f}"
        times = f"{result.cpu_s:9.0f}{result.wall_s:9.0f}"
        lines.append(f"{name:14}{result.bits_per_char:10.3f}{chars:>14}{rate:>10}{times}")
    return "\n".join(lines)


def say(line: str) -> None:
    """Report progress on stderr."""
    print(line, file=sys.stderr, flush=True)


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=positive, default=10.0, help="for ours and the lab's recipe (default: 10)")
    parser.add_argument("--lab_minutes", type=positive, help="another budget for the lab's (default: --minutes)")
    parser.add_argument("--nanogpt", type=Path, metavar="FOLDER", help="a clone of nanoGPT (default: clone it)")
    parser.add_argument("--nanogpt_minutes", type=positive, default=11.0, help="default: 11")
    parser.add_argument("--threads", type=whole, default=2, help="threads of each (default: 2)")
    parser.add_argument("--only", type=peers, default=PEERS, help=f"peers to run, of {','.join(PEERS)}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep our model of --minutes there, and its report")
    parser.add_argument("--packages", type=Path, default=PACKAGES, help="where heldout.json's packages are, or will be")
    return parser.parse_args()


def positive(word: str) -> float:
    """A type for argparse."""
    if not 0 < (number := float(word)) < float("inf"):
        raise argparse.ArgumentTypeError("must be more than 0")
    return number


def whole(word: str) -> int:
    """A type for argparse."""
    if (number := int(word)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def peers(word: str) -> tuple[str, ...]:
    """A type for argparse."""
    names = tuple(word.split(","))
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"unknown peer: {', '.join(sorted(unknown))}; choose from {', '.join(PEERS)}")
    return names


def measure(arguments: argparse.Namespace, folder: Path) -> Benchmark:
    """Run everything that is requested and available."""
    wanted = list(arguments.only)
    copy = None
    if "nanogpt" in wanted:  # first, so that missing peers are reported at once
        try:
            copy = nanogpt.copy_of(arguments.nanogpt, folder)
        except UserError as error:
            say(f"{error}; continuing without it")
    benchmark = Benchmark(arguments, folder, excerpts(arguments.packages))
    if in_turns := [name for name in TURNS if name in wanted and (HALVED or not name.endswith("float32"))]:
        benchmark.in_turns(in_turns)
    if copy is not None:
        benchmark.beside_nanogpt(copy, arguments.nanogpt_minutes)
    if "soon" in wanted and "nanogpt" in benchmark.results:
        try:
            benchmark.soon()
        except UserError as error:
            say(str(error))
    return benchmark


def report(benchmark: Benchmark) -> dict[str, Any]:
    """The JSON line."""
    results = benchmark.results
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": benchmark.n_threads,
        "bfloat16": HALVED,  # without it, all figures are in float32
        "torch": str(torch.__version__),
        "minutes": benchmark.minutes,
        "chars": sum(excerpt.last - excerpt.first for excerpt in benchmark.listed),
        "peers": {name: result.to_json() for name, result in results.items()},
        "failed": benchmark.failed,
        "bars": {
            "lab": lab_bar(results),
            "lab_float32": lab_bar(results, "_float32"),
            "nanogpt": nanogpt_bar(results, benchmark.runs),
        },
    }


def main() -> int:
    """Measure and print; return 1 if a peer failed, 2 for errors that the user can fix."""
    arguments = parsed()
    if not hasattr(os, "killpg"):
        say("train_vs_peers: needs Linux or macOS, where processes can be stopped and resumed")
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):  # exit as after Ctrl-C: no child is left running or stopped
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    torch.set_num_threads(arguments.threads)  # for the measurements, which run alone
    with tempfile.TemporaryDirectory(prefix="tinycopilot-peers-") as folder:
        benchmark = measure(arguments, Path(folder))
    print(table(benchmark.results))
    print(json.dumps(report(benchmark)))
    return 1 if benchmark.failed else 0


if __name__ == "__main__":
    sys.exit(main())
