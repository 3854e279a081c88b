"""Fit the initial weights of the mixture, on code that is in neither the training text nor heldout.json.

    python benchmarks/fit_weights.py [--model_path FILE] [--max_chars 100000] [--packages rich pytest hypothesis pygls]

Types parts of installed packages, each with the rest of its package indexed, and learns online. Prints the weights for
tinycopilot/completion/predictor.py, and one JSON line with bits per character.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path

from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.evaluation.excerpts import WorkspaceIndex, from_paths, texts_in
from tinycopilot.evaluation.score import Score
from tinycopilot.files.left_out import LeftOut
from tinycopilot.paths import model_to_load

PACKAGES = ("rich", "_pytest", "hypothesis", "pygls", "hatchling", "packaging")


def folder_of(package: str) -> Path:
    """The folder of an installed package; exits if it is missing."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"{package} is not installed; choose others with --packages")
    return Path(spec.submodule_search_locations[0])


def type_along(engine: Engine, folder: Path, max_chars: int) -> Score:
    """Type parts of a package's files, and learn."""
    score, index = Score(), WorkspaceIndex(engine.ngrams)
    index.load(texts_in(folder, (".py",), LeftOut()))
    excerpts, _ = from_paths([folder], (".py",), max_chars, None)
    for excerpt in excerpts:
        with index.excluding_duplicates_of(excerpt):
            for at in range(excerpt.first, excerpt.last):
                score.bits.append(engine.observe(Request(excerpt.text[:at], document=excerpt.name), excerpt.text[at]))
    index.load({})
    return score


def main() -> None:
    """Fit and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model_path")
    parser.add_argument("--max_chars", type=int, default=100_000)
    parser.add_argument("--packages", nargs="+", default=PACKAGES)
    arguments = parser.parse_args()
    engine = Engine.load(model_to_load(arguments.model_path), CompleterSettings())
    total = Score()
    for package in arguments.packages:
        total += type_along(engine, folder_of(package), arguments.max_chars // len(arguments.packages))
    for key, weights in engine.mixture.as_rows().items():
        print(f"    {key!r}: ({', '.join(f'{weight:.2f}' for weight in weights)}),")
    print(json.dumps(total.figures()["bits_per_char"] | {"chars": len(total.bits)}))


if __name__ == "__main__":
    main()
