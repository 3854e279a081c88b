"""Train the bundled model again, in the stages below, and replace paras/.

    python benchmarks/bundled_model.py FOLDER [--length SHARE]

The text is prepared in FOLDER, outside the repository (model_data.py). Each stage but the first starts from the weights
of the one before, and may end with a weighted average of both (Wortsman et al. 2022, WiSE-FT), which forgets less of
the earlier text. --length is a share of each stage's length, for a trial run.
"""

import argparse
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from manifest import write_manifest

ROOT = Path(__file__).resolve().parents[1]
PARAS = ROOT / "paras"
EXTENSIONS = ("py", "ts", "js", "go", "rs", "c", "h", "md", "toml", "yaml", "yml", "sh")


@dataclass(frozen=True)
class Stage:
    """One run of `tinycopilot train`."""

    corpus: tuple[str, ...]
    """Values of --corpus; `text` and `scripts` are the prepared texts in FOLDER."""
    epochs: float
    seed: int
    share: float
    """Weight of the new weights in the average with those that the run started from."""
    size: str = ""
    """Value of --size; empty: the size of the weights that the run starts from."""


STAGES = (
    Stage(("corpus.txt", "text"), epochs=0.38, seed=11, share=1, size="small"),
    Stage(("corpus.txt", "scripts"), epochs=0.6, seed=4, share=0.6),
)
"""`text` is nearly all libraries, so the second stage reads scripts."""


def words_of(stage: Stage, length: float = 1) -> list[str]:
    """The command line of a stage after `tinycopilot`, without paths outside the repository."""
    words = ["train", "--corpus", *stage.corpus, "--epochs", f"{stage.epochs * length:g}", "--seed", str(stage.seed)]
    words += ["--size", stage.size] if stage.size else []
    return [*words, "--ext", *EXTENSIONS] if "text" in stage.corpus else words


def stage_entry(stage: Stage, length: float = 1) -> dict[str, Any]:
    """A stage in paras/manifest.json."""
    return {"command": f"tinycopilot {' '.join(words_of(stage, length))}", "share_of_new_weights": stage.share}


def average(before: Path, after: Path, share: float) -> None:
    """Replace the weights in `after` by share x after + (1 - share) x before."""
    old, new = (torch.load(path, weights_only=True) for path in (before, after))
    for name, weight in new["weights"].items():
        weight.lerp_(old["weights"][name].to(weight), 1 - share)
    torch.save(new, after)


def train(stage: Stage, length: float, folder: Path, start: Path | None, model: Path) -> None:
    """Run a stage from `start` (None: random weights), and save its average as `model`."""
    words = [str(folder / word) if word in ("text", "scripts") else word for word in words_of(stage, length)]
    start_words = ["--init", str(start)] if start else []
    command = [sys.executable, "-m", "tinycopilot", *words, *start_words, "--model_path", str(model), "--use-anyway"]
    subprocess.run(command, check=True, cwd=ROOT)
    if start:
        average(start, model, stage.share)


def main() -> None:
    """Prepare the text, train, replace."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder outside the repository; needs about 1 GB")
    parser.add_argument("--length", type=float, default=1, help="share of each stage's length (default: 1)")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    subprocess.run([sys.executable, ROOT / "benchmarks" / "model_data.py", folder], check=True)
    start: Path | None = None
    for number, stage in enumerate(STAGES, start=1):
        (model := folder / f"stage{number}" / "tiny_gpt.pth").parent.mkdir(exist_ok=True)
        train(stage, arguments.length, folder, start, model)
        start = model
    assert start
    for name in ("tiny_gpt.pth", "tokenizer.pth"):
        shutil.copy(start.with_name(name), PARAS / name)
    write_manifest([stage_entry(stage, arguments.length) for stage in STAGES])


if __name__ == "__main__":
    main()
