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

from filelock import FileLock, Timeout

from tinycopilot import UserError
from tinycopilot.model.config import GPTConfig
from tinycopilot.model.storage import load_data
from tinycopilot.model.storage.limits import config_from_data
from tinycopilot.model.storage.writing import as_tensors, save_atomically
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, model_to_save
from tinycopilot.training.corpus import Corpus, open_corpus
from tinycopilot.training.log import TrainLog
from tinycopilot.training.observer import Observer
from tinycopilot.training.schedule import Schedule, Stage
from tinycopilot.training.train_config import TrainConfig

CHECKPOINT_S = 60.0
CHECKPOINT_NAME = "checkpoint.pth"
MAX_PICKLE_BYTES = 100_000_000
"""Of all but the tensors: the learning curve of a run of weeks, some 50 for each block of steps."""
ELSEWHERE = "elsewhere"
"""In the run's folder: text on which it is seen what an adapted model forgets, and so much of it is measured."""
ELSEWHERE_CHARS = 50_000


@dataclass(frozen=True)
class Run:
    """What one run is, settled before its first step."""

    flags: dict[str, Any]
    """The flags that decide what is learned, by their names, each a plain value."""
    corpus: Corpus
    tokenizer: SimpleTokenizer
    shape: GPTConfig
    config: TrainConfig
    schedule: Schedule
    facts: dict[str, Any]
    """What is known of the model that it begins with, in plain values."""

    def refuse_if_other(self, flags: dict[str, Any], given: Sequence[str]) -> None:
        """Raises UserError where a flag that was `given` says another thing than what this run was begun with."""
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


def resume_command(paths: ModelPaths, *, use_anyway: bool = False) -> str:
    """The command that goes on with a run that was stopped."""
    words = ["tinycopilot", "train", "--resume"]
    if paths != model_to_save():
        words += ["--model_path", str(paths.model)]
        if paths != model_to_save(str(paths.model)):
            words += ["--tokenizer_path", str(paths.tokenizer)]
    return shlex.join([*words, *["--use-anyway"] * use_anyway])


def run_folder(paths: ModelPaths) -> Path:
    """Where the run whose model will be saved at `paths` keeps what it needs to go on: .tiny_gpt.pth.run beside it."""
    return paths.model.with_name(f".{paths.model.name}.run")


def can_resume(folder: Path) -> bool:
    """Whether there is a run in `folder` that can be gone on with."""
    return (folder / CHECKPOINT_NAME).exists()


def discard_command(folder: Path) -> str:
    """The command that gives a run up."""
    return shlex.join(["rm", "-r", str(folder)])


@contextlib.contextmanager
def lock_run_folder(folder: Path, *, has_a_choice: bool = True) -> Iterator[None]:
    """`folder`, made if need be, is this process's alone. Raises UserError where another run goes on there.

    `has_a_choice`: whether its user could have named another one.

    Of a run that was not begun in the end, nothing stays behind, the folders neither that were made for it.
    """
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of what may be private
        lock = FileLock(folder / "lock", timeout=0)
        lock.acquire()
    except Timeout:
        otherwise = ", or use another --model_path" if has_a_choice else ""
        raise UserError(f"{folder}: another run is active here; wait for it{otherwise}") from None
    except OSError as error:
        otherwise = "use another --model_path" if has_a_choice else "free some space, or make it writable"
        raise UserError(f"{folder}: cannot store the run there ({error.strerror}); {otherwise}") from None
    try:
        yield
    finally:
        if not can_resume(folder):
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # there is something else in one, such as the model
                for parent in made:
                    parent.rmdir()
        lock.release()


def load_run(folder: Path) -> tuple[Run, dict[str, Any]]:
    """The run in `folder`, and the TrainState's snapshot to go on from. Raises UserError if there is none."""
    try:
        return _reopened(folder)
    except (UserError, KeyError, TypeError, ValueError, AttributeError) as error:
        why = str(error).rpartition("; ")[0] or error  # without what it says to do about it
        raise UserError(f"cannot resume the run: {why}; discard it: {discard_command(folder)}") from None


def _reopened(folder: Path) -> tuple[Run, dict[str, Any]]:
    parts = ("asked", "shape", "recipe", "plan", "facts", "learner")
    path = folder / CHECKPOINT_NAME
    required = dict.fromkeys(parts, dict) | {"alphabet": str, "corpus_digest": str}
    data = load_data(path, "checkpoint", required, max_pickle_bytes=MAX_PICKLE_BYTES)
    corpus = open_corpus(folder)
    if corpus.digest != data["corpus_digest"]:
        raise UserError("the corpus copy has changed; discard the run")
    run = Run(
        flags=data["asked"], corpus=corpus, tokenizer=SimpleTokenizer(data["alphabet"]),
        shape=config_from_data(data["shape"]), config=_config_from_data(data["recipe"]),
        schedule=_schedule_from_data(data["plan"]), facts=data["facts"],
    )  # fmt: skip
    return run, as_tensors(data["learner"]) | {"log": TrainLog.from_data(data["learner"].get("log"))}


def _schedule_to_data(schedule: Schedule) -> dict[str, Any]:
    """Plain values, by names that checkpoints of all versions have."""
    return {
        "stages": [list(dataclasses.astuple(stage)) for stage in schedule.stages], "steps": schedule.steps,
        "settled_after": schedule.reestimate_after, "settled_at": schedule.reestimated_at,
    }  # fmt: skip


def _schedule_from_data(data: dict[str, Any]) -> Schedule:
    stages = tuple(Stage(*stage) for stage in data["stages"])
    return Schedule(stages, tuple(data["steps"]), tuple(data["settled_after"]), data["settled_at"])


def _config_to_data(config: TrainConfig) -> dict[str, Any]:
    """Plain values, by names that checkpoints of all versions have."""
    return {name.replace("_lr", "_rate"): value for name, value in dataclasses.asdict(config).items()}


def _config_from_data(data: dict[str, Any]) -> TrainConfig:
    return TrainConfig(**{name.replace("_rate", "_lr"): value for name, value in data.items()})


class CheckpointWriter(Observer):
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
            "asked": run.flags,
            "alphabet": run.tokenizer.alphabet,
            "shape": dataclasses.asdict(run.shape),
            "recipe": _config_to_data(run.config),
            "plan": _schedule_to_data(run.schedule),
            "facts": run.facts,
            "corpus_digest": run.corpus.digest,
        }
        self.written_step = 0
        """The step of the checkpoint on disk."""
        self.finished = False
        self._newest = snapshot
        self._written_at = time.monotonic()  # a clock that is never set back

    def on_schedule(self, schedule: Schedule) -> None:
        """The run's length is settled."""
        self._contents["plan"] = _schedule_to_data(schedule)

    def on_snapshot(self, snapshot: dict[str, Any]) -> None:
        """The run could go on from here; write that down if the last time is long enough ago."""
        self._newest = snapshot
        if time.monotonic() - self._written_at >= CHECKPOINT_S:
            self.write()

    def write(self) -> None:
        """Write the newest state; a disk that is full leaves the checkpoint before it as it is, and is said."""
        self._written_at = time.monotonic()
        state = self._newest | {"log": self._newest["log"].to_data()}
        try:
            save_atomically(self._contents | {"learner": state}, self._path)
            self.written_step = self._newest["log"].n_steps
        except OSError as error:
            kept = f"; the one of step {self.written_step:,} is kept" if can_resume(self._path.parent) else ""
            self._say(f"cannot write a checkpoint ({error.strerror}){kept}")

    def finish(self) -> None:
        """The model is saved: there is nothing left to go on with."""
        self.finished = True
        self._path.unlink(missing_ok=True)
