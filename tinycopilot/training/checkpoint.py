"""A run's own folder, so that no run is lost: its copy of the text, and a checkpoint from which it goes on exactly."""

import contextlib
import dataclasses
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycopilot import UserError, places
from tinycopilot.model.gpt import GPTConfig
from tinycopilot.model.storage import load_data, save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths
from tinycopilot.training.corpus import Corpus, open_corpus
from tinycopilot.training.observer import Observer
from tinycopilot.training.recipe import Plan, Recipe, Stage

CHECKPOINT_S = 60.0
CHECKPOINT_NAME = "checkpoint.pth"
ELSEWHERE = "elsewhere"
"""In the run's folder: text on which it is seen what an adapted model forgets, and so much of it is measured."""
ELSEWHERE_CHARS = 50_000


@dataclass(frozen=True)
class Run:
    """What one run is, settled before its first step."""

    asked: dict[str, Any]
    """The flags that decide what is learned, by their names, each a plain value."""
    corpus: Corpus
    tokenizer: SimpleTokenizer
    shape: GPTConfig
    recipe: Recipe
    plan: Plan
    facts: dict[str, Any]
    """What is known of the model that it begins with, in plain values."""

    def refuse_if_other(self, asked: dict[str, Any], given: Sequence[str]) -> None:
        """Raises UserError where a flag that was `given` says another thing than what this run was begun with."""
        other = [name for name in given if asked[name] != self.asked[name]]
        if other:
            differences = "; ".join(
                f"--{name} was {_said(self.asked[name])}, not {_said(asked[name])}" for name in other
            )
            raise UserError(f"this run cannot go on so: {differences}; give --resume alone, or begin another run")


def _said(value: Any) -> str:
    return "not given" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)


def way_on(paths: ModelPaths) -> str:
    """The command that goes on with a run that was stopped."""
    words = ["tinycopilot", "train", "--resume"]
    if paths != places.to_save():
        words += ["--model_path", str(paths.model)]
        if paths != places.to_save(str(paths.model)):
            words += ["--tokenizer_path", str(paths.tokenizer)]
    return shlex.join(words)


def run_folder(paths: ModelPaths) -> Path:
    """Where the run whose model will be saved at `paths` keeps what it needs to go on: .tiny_gpt.run beside it."""
    return paths.model.with_name(f".{paths.model.stem}.run")


def refuse_unfinished(paths: ModelPaths) -> None:
    """A new run never overwrites one that can go on. Raises UserError; clears away what cannot."""
    folder = run_folder(paths)
    if (folder / CHECKPOINT_NAME).exists():
        raise UserError(
            f"{folder}: a run is not finished here, or still going; go on with it: {way_on(paths)}, "
            f"or give it up: rm -r {shlex.quote(str(folder))}"
        )
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """If the block fails, a run that it has half begun in `folder` is cleared away; one that can go on stays."""
    try:
        yield
    except BaseException:
        if not (folder / CHECKPOINT_NAME).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise


def reopen(folder: Path) -> tuple[Run, dict[str, Any]]:
    """The run in `folder`, and the Learner's snapshot to go on from. Raises UserError where there is no sound one."""
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        raise UserError(f"{folder}: there is no run to go on with; begin one without --resume")
    parts = ("asked", "shape", "recipe", "plan", "facts", "learner")
    data = load_data(path, "checkpoint", dict.fromkeys(parts, dict) | {"alphabet": str, "corpus_digest": str})
    corpus = open_corpus(folder)
    if corpus.digest != data["corpus_digest"]:
        raise UserError(f"{folder}: its text is not the one that the run was begun with; begin another run")
    try:
        plan = Plan(tuple(Stage(*stage) for stage in data["plan"]["stages"]), tuple(data["plan"]["steps"]))
        run = Run(
            asked=data["asked"], corpus=corpus, tokenizer=SimpleTokenizer(data["alphabet"]),
            shape=GPTConfig(**data["shape"]), recipe=Recipe(**data["recipe"]), plan=plan, facts=data["facts"],
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the checkpoint is damaged ({error}); begin another run") from None
    return run, data["learner"]


class Checkpoints(Observer):
    """Has the newest state of a run: on disk by the clock, and whenever `write` is called."""

    def __init__(
        self,
        folder: Path,
        run: Run,
        snapshot: dict[str, Any],
        say: Callable[[str], None],
    ) -> None:
        self._path, self._say = folder / CHECKPOINT_NAME, say
        self._contents = {
            "kind": "checkpoint",
            "asked": run.asked,
            "alphabet": run.tokenizer.alphabet,
            "shape": dataclasses.asdict(run.shape),
            "recipe": dataclasses.asdict(run.recipe),
            "plan": {"stages": [list(dataclasses.astuple(s)) for s in run.plan.stages], "steps": list(run.plan.steps)},
            "facts": run.facts,
            "corpus_digest": run.corpus.digest,
        }
        self._newest = snapshot
        self._written_at = time.monotonic()  # a clock that is never set back

    def keep(self, snapshot: dict[str, Any]) -> None:
        """The run could go on from here; write that down if the last time is long enough ago."""
        self._newest = snapshot
        if time.monotonic() - self._written_at >= CHECKPOINT_S:
            self.write()

    def write(self) -> bool:
        """Write the newest state; a disk that is full leaves the checkpoint before it as it is, and is said."""
        self._written_at = time.monotonic()
        try:
            save_atomically(self._contents | {"learner": self._newest}, self._path)
        except OSError as error:
            self._say(
                f"no checkpoint could be written ({error.strerror}); the one before it stays, and training goes on"
            )
            return False
        return True

    def finish(self) -> None:
        """The model is saved: the run's folder is no longer needed."""
        shutil.rmtree(self._path.parent, ignore_errors=True)
