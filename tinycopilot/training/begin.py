"""From what the user asked for to a Run: all that is settled before the first step."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tinycopilot import UserError, places
from tinycopilot.files import normalise_suffixes
from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.places import ModelPaths
from tinycopilot.training.batches import Reader, ids_of
from tinycopilot.training.checkpoint import ELSEWHERE, ELSEWHERE_CHARS, Run, refuse_unfinished, reopen
from tinycopilot.training.corpus import Corpus, CorpusError, prepare_corpus
from tinycopilot.training.device import device_label
from tinycopilot.training.distributed import Team
from tinycopilot.training.learner import Learner
from tinycopilot.training.measure import bits_per_char
from tinycopilot.training.pace import plan_for
from tinycopilot.training.recipe import SIZES, WINDOW, Plan, Recipe, stages_for
from tinycopilot.training.saving import check_writable

DEFAULTS: dict[str, Any] = {
    "corpus": None, "ext": [".py"], "size": "nano", "init": None, "epochs": 20.0, "minutes": None,
    "precision": "auto", "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What the user asked for. None where a flag was not given: `DEFAULTS` then, or in a resumed run what it had."""

    corpus: list[str] | None = None
    """Files, folders, globs, `stdlib`, `package:NAME`; by default the corpus.txt that ships."""
    ext: list[str] | None = None
    """In folders, files whose names end so."""
    size: str | None = None
    init: str | None = None
    """A model's file to begin with, rather than with random weights."""
    epochs: float | None = None
    minutes: float | None = None
    precision: str | None = None
    seed: int | None = None
    device: str = "auto"
    model_path: str | None = None
    tokenizer_path: str | None = None
    resume: bool = False
    tensorboard: str | None = None
    """A folder for event files."""
    command: str = "tinycopilot train"
    """The whole command, as it was typed."""

    def given(self) -> list[str]:
        """The names of the flags that decide what is learned, as far as they were given."""
        return [name for name in DEFAULTS if getattr(self, name) is not None]

    def asked(self) -> dict[str, Any]:
        """Each of those flags and its value, paths as they are from everywhere. Raises UserError."""
        if self.epochs and self.minutes:
            raise UserError("--epochs and --minutes both say how long to train; give one of them")
        if self.init and self.size:
            raise UserError("--init goes on with a model, which has its size; leave --size out")
        asked = DEFAULTS | {name: getattr(self, name) for name in self.given()}
        asked["corpus"] = [_absolute(name) for name in asked["corpus"] or [str(places.shipped("corpus.txt"))]]
        asked["ext"] = list(normalise_suffixes(asked["ext"]))
        if asked["init"]:
            asked |= {"init": _absolute(asked["init"]), "size": None}
        if asked["minutes"]:
            asked["epochs"] = None
        return asked


def _absolute(name: str) -> str:
    path = places.user_path(name)
    return str(path.absolute()) if path.exists() else name


def go_on(request: Request, paths: ModelPaths, folder: Path) -> tuple[Run, dict[str, Any]]:
    """The run that was stopped, and the state that it goes on from. Raises UserError where it cannot go on so."""
    check_writable(paths)
    run, state = reopen(folder)
    run.refuse_if_other(request.asked(), request.given())
    return run, state


def begin(
    request: Request, paths: ModelPaths, folder: Path, device: torch.device, crew: Team, say: Callable[[str], None]
) -> Run:
    """A new run. Raises UserError, with everything left as it was."""
    asked = request.asked()
    corpus = crew.answer(lambda: _prepare(asked, paths, folder))
    if crew.local_rank == 0 and not folder.exists():  # a machine without a disk in common with the one that leads
        _prepare(asked, paths, folder)
    if not crew.agrees(corpus.digest):
        raise UserError("the processes of this run do not have the same text; give all machines the same corpus")
    for line in corpus.left_out:
        say(line)
    init = _load_init(asked["init"])
    tokenizer = init[1] if init else SimpleTokenizer.of_common(corpus.train.counts())
    shape = init[0].config if init else _shape(asked["size"], tokenizer)
    if len(corpus.train) <= shape.window:
        raise CorpusError(
            f"the corpus leaves {len(corpus.train)} characters to learn from, fewer than one window "
            f"of {shape.window}; add more text"
        )
    recipe = Recipe.for_run(adapting=bool(init), float32=asked["precision"] == "float32", seed=asked["seed"])
    stages = stages_for(shape.window, adapting=bool(init))
    if any(stage.batch % crew.world for stage in stages):
        raise UserError(
            f"{crew.world} processes cannot share the batches of {stages[-1].batch} windows; take 2, 4 or 8"
        )
    plan = Plan.over((asked["epochs"] or 0) * len(corpus.train), stages)
    run = Run(asked, corpus, tokenizer, shape, recipe, plan, _before(init, corpus, folder) if init else {})
    if asked["minutes"]:
        reader = Reader(corpus.train, tokenizer, device)
        plan = plan_for(60 * asked["minutes"], stages, lambda: new_learner(run, device), reader, crew)
        run = dataclasses.replace(run, plan=plan)
    say(
        f"{corpus.label}: {len(corpus.train):,} characters to learn from, {len(corpus.held_out):,} held out; "
        f"{shape.n_parameters / 1e6:.1f} M parameters on {device_label(device)}; "
        f"{plan.n_chars / len(corpus.train):.1f} epochs in {plan.n_steps:,} steps"
    )
    return run


def _prepare(asked: dict[str, Any], paths: ModelPaths, folder: Path) -> Corpus:
    check_writable(paths)
    refuse_unfinished(paths)
    try:
        return prepare_corpus(asked["corpus"], folder, asked["ext"])
    except OSError as error:
        raise UserError(
            f"{folder}: the text cannot be copied there ({error.strerror}); make room, or give another --model_path"
        ) from None


def _shape(size: str, tokenizer: SimpleTokenizer) -> GPTConfig:
    return GPTConfig(tokenizer.vocab_size, **dataclasses.asdict(SIZES[size]), window=WINDOW)


def _load_init(path: str | None) -> tuple[TinyGPT, SimpleTokenizer] | None:
    if path is None:
        return None
    files = places.to_load(path)
    return load_pair(files.model, files.tokenizer)


def new_learner(run: Run, device: torch.device, state: dict[str, Any] | None = None) -> Learner:
    """A Learner as `state` has it, else one that has yet to learn: random, or the model that is to be adapted."""
    torch.manual_seed(run.recipe.seed)
    init = None if state else _load_init(run.asked["init"])
    learner = Learner((init[0] if init else TinyGPT(run.shape)).to(device), run.recipe)
    if state:
        learner.restore(state)
    return learner


def _before(init: tuple[TinyGPT, SimpleTokenizer], corpus: Corpus, folder: Path) -> dict[str, float]:
    """Bits per character of the model that is to be adapted, on the held-out text and on text from elsewhere."""
    model, tokenizer = init
    elsewhere = prepare_corpus(["stdlib"], folder / ELSEWHERE).held_out
    return {
        "held_out_before": bits_per_char(model, ids_of(corpus.held_out, tokenizer)),
        "elsewhere_before": bits_per_char(model, ids_of(elsewhere, tokenizer, ELSEWHERE_CHARS)),
    }
