"""The folder of a run: a copy of its corpus, and a checkpoint from which it resumes exactly."""

import contextlib
import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from tinycopilot import UserError
from tinycopilot.model.config import GPTConfig
from tinycopilot.model.storage import load_data
from tinycopilot.model.storage.weights import config_from_data
from tinycopilot.model.storage.writing import as_tensors, save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, model_to_save, shell_command
from tinycopilot.training.corpus import Corpus, open_corpus
from tinycopilot.training.interrupts import interrupts_ignored
from tinycopilot.training.log import TrainLog
from tinycopilot.training.observers import Observer
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train_config import TrainConfig
from tinycopilot.training.train_state import DivergedError

CHECKPOINT_S = 60.0
CHECKPOINT_NAME = "checkpoint.pth"
MAX_PICKLE_BYTES = 100_000_000
"""Limit of the data besides tensors: the log of a run of weeks, about 50 bytes per interval."""
ELSEWHERE = "elsewhere"
"""Subfolder with other text (the standard library), to measure how much fine-tuning forgets; and how much is used."""
ELSEWHERE_CHARS = 50_000


@dataclass(frozen=True)
class Run:
    """Everything that defines a run before its first step."""

    flags: dict[str, Any]
    """The flags that determine the result: name -> plain value."""
    corpus: Corpus
    tokenizer: SimpleTokenizer
    shape: GPTConfig
    config: TrainConfig
    schedule: Schedule
    facts: dict[str, Any]
    """Measurements of the model to fine-tune: name -> plain value."""

    def refuse_if_other(self, flags: dict[str, Any], given: Sequence[str]) -> None:
        """Raise UserError if a flag that was `given` differs from this run's."""
        other = [name for name in given if flags[name] != self.flags.get(name)]
        if other:
            differences = "; ".join(
                f"--{name} was {_said(self.flags.get(name))}, not {_said(flags[name])}" for name in other
            )
            raise UserError(
                f"cannot resume with other options: {differences}; use --resume alone, or start another run"
            )


def _said(value: Any) -> str:
    return "not given" if value is None else " ".join(map(str, value)) if isinstance(value, list) else str(value)


def resume_command(paths: ModelPaths, flags: Sequence[str] = ()) -> str:
    """Return the command that resumes an interrupted run, with the `flags` that a run does not store."""
    words = ["tinycopilot", "train", "--resume"]
    if paths != model_to_save():
        words += ["--model-path", str(paths.model)]
        if paths != model_to_save(str(paths.model)):
            words += ["--tokenizer-path", str(paths.tokenizer)]
    return shell_command(*words, *flags)


def run_folder(paths: ModelPaths) -> Path:
    """Return the run folder of the model that is saved at `paths`: .tiny_gpt.pth.run next to it."""
    return paths.model.with_name(f".{paths.model.name}.run")


def can_resume(folder: Path) -> bool:
    """Whether `folder` contains a checkpoint."""
    return (folder / CHECKPOINT_NAME).exists()


def discard_command(folder: Path) -> str:
    """Return the command that deletes a run."""
    delete = ("cmd", "/c", "rmdir", "/s", "/q") if sys.platform == "win32" else ("rm", "-r")
    return shell_command(*delete, str(folder))


@contextlib.contextmanager
def lock_run_folder(folder: Path, *, has_a_choice: bool = True) -> Iterator[None]:
    """Create and lock `folder`; delete it afterwards if it has no checkpoint. Raises UserError if it is locked.

    `has_a_choice`: whether the error should suggest another --model-path.
    """
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # private: it contains a copy of the code
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        otherwise = ", or use another --model-path" if has_a_choice else ""
        raise UserError(f"{folder}: another run is active here; wait for it{otherwise}") from None
    except OSError as error:
        otherwise = "use another --model-path" if has_a_choice else "free some space, or make it writable"
        raise UserError(f"{folder}: cannot store the run there ({error.strerror}); {otherwise}") from None
    try:
        yield
    finally:
        is_needed = can_resume(folder)
        if not is_needed:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()
        if not is_needed:
            with contextlib.suppress(OSError):  # not empty: it contains the model, for instance; or used again
                if sys.platform == "win32":  # there, the lock could not be deleted while it was held
                    (folder / "lock").unlink(missing_ok=True)
                    folder.rmdir()
                for parent in made:
                    parent.rmdir()


def load_run(folder: Path) -> tuple[Run, dict[str, Any]]:
    """Return the run in `folder` and its last snapshot. Raises UserError if there is no valid one."""
    parts = ("asked", "shape", "recipe", "plan", "facts", "learner")
    required = dict.fromkeys(parts, dict) | {"alphabet": str, "corpus_digest": str}
    try:
        data = load_data(folder / CHECKPOINT_NAME, "checkpoint", required, max_pickle_bytes=MAX_PICKLE_BYTES)
        corpus = open_corpus(folder)
        if corpus.digest != data["corpus_digest"]:
            raise UserError("the corpus copy has changed; discard the run")
        plan = data["plan"]
        run = Run(
            flags=data["asked"], corpus=corpus, tokenizer=SimpleTokenizer(data["alphabet"]),
            shape=config_from_data(data["shape"]),
            config=TrainConfig(**{name.replace("_rate", "_lr"): value for name, value in data["recipe"].items()}),
            schedule=Schedule(
                tuple(Stage(*stage) for stage in plan["stages"]),
                tuple(plan["steps"]), tuple(plan["settled_after"]), plan["settled_at"],
            ),
            facts=data["facts"],
        )  # fmt: skip
        return run, as_tensors(data["learner"]) | {"log": TrainLog.from_data(data["learner"].get("log"))}
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = str(error).rpartition("; ")[0] or error  # without its advice
        raise UserError(f"cannot resume the run: {why}; discard it: {discard_command(folder)}") from None


def _schedule_to_data(schedule: Schedule) -> dict[str, Any]:
    """Return plain values, with the names that checkpoints of all versions use."""
    return {
        "stages": [list(stage) for stage in schedule.stages], "steps": schedule.steps,
        "settled_after": schedule.reestimate_after, "settled_at": schedule.reestimated_at,
    }  # fmt: skip


class CheckpointWriter(Observer):
    """Writes the newest snapshot of a run to disk: at the start, every CHECKPOINT_S seconds, and after an error."""

    def __init__(
        self, folder: Path, run: Run, snapshot: dict[str, Any], say: Callable[[str], None], resume: str
    ) -> None:
        """`resume`: the command that resumes the run."""
        self._path, self._say, self._resume = folder / CHECKPOINT_NAME, say, resume
        self._contents = {  # with the names that checkpoints of all versions use
            "kind": "checkpoint",
            "asked": run.flags,
            "alphabet": run.tokenizer.alphabet,
            "shape": dataclasses.asdict(run.shape),
            "recipe": {name.replace("_lr", "_rate"): value for name, value in vars(run.config).items()},
            "plan": _schedule_to_data(run.schedule),
            "facts": run.facts,
            "corpus_digest": run.corpus.digest,
        }
        self._written_step = 0
        self._is_finished = False
        self._newest = snapshot
        self._written_at = time.monotonic()  # a clock that never jumps

    def __enter__(self) -> Self:
        self.write()  # from here on the run can be resumed, even if this process is killed
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        """After an error, write a checkpoint, and print how to resume the run."""
        if error is None or self._is_finished:
            return
        with interrupts_ignored():
            self.write()
        if isinstance(error, DivergedError):
            self._say(f"this run cannot be resumed; discard it: {discard_command(self._path.parent)}")
        elif can_resume(self._path.parent):
            self._say(f"stopped; the checkpoint is of step {self._written_step:,}; resume with: {self._resume}")

    def on_schedule(self, schedule: Schedule) -> None:
        """Store the new schedule in later checkpoints."""
        self._contents["plan"] = _schedule_to_data(schedule)

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """Keep the snapshot; write it if the last checkpoint is older than CHECKPOINT_S."""
        self._newest = snapshot
        if time.monotonic() - self._written_at >= CHECKPOINT_S:
            self.write()

    def write(self) -> None:
        """Write the newest snapshot. If the disk is full, keep the previous checkpoint and print a message."""
        self._written_at = time.monotonic()
        state = self._newest | {"log": self._newest["log"].to_data()}
        try:
            save_atomically(self._contents | {"learner": state}, self._path)
            self._written_step = self._newest["log"].n_steps
        except OSError as error:
            kept = f"; the one of step {self._written_step:,} is kept" if can_resume(self._path.parent) else ""
            self._say(f"cannot write a checkpoint ({error.strerror}){kept}")

    def finish(self) -> None:
        """Delete the checkpoint, after the model was saved."""
        self._is_finished = True
        self._path.unlink(missing_ok=True)
