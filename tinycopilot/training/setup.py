"""Set up a run: from command-line options to a Run, with every check before the first step."""

import contextlib
import dataclasses
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tinycopilot import UserError
from tinycopilot.files.walking import normalize_suffixes
from tinycopilot.model.gpt import GPTConfig, TinyGPT, load_pair
from tinycopilot.model.storage.writing import as_tensors
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.model.widen import widened
from tinycopilot.paths import ModelPaths, bundled_path, model_to_load, shell_command, user_path
from tinycopilot.training.batches import ids_of
from tinycopilot.training.checkpoint import (
    ELSEWHERE,
    ELSEWHERE_CHARS,
    Run,
    can_resume,
    discard_command,
    load_run,
    lock_run_folder,
    resume_command,
)
from tinycopilot.training.corpus import Corpus, open_corpus, prepare_corpus
from tinycopilot.training.device import device_label, has_fast_bfloat16
from tinycopilot.training.distributed import DistContext
from tinycopilot.training.metrics import bits_per_char
from tinycopilot.training.saving import check_overwritable, check_writable
from tinycopilot.training.schedule import Schedule, finish_within, stages_for
from tinycopilot.training.train_config import CONV_WIDTH, SIZES, TrainConfig
from tinycopilot.training.train_state import TrainState

MAX_AMOUNT = 1e9
"""Limit of epochs and minutes, as on the command line."""
MIN_ADAPT_CHARS = 20_000
"""Minimum number of characters to train an existing model on."""

DEFAULTS: dict[str, Any] = {
    "corpus": None, "ext": [".py"], "size": "nano", "init": None, "epochs": 20.0, "minutes": None,
    "precision": "auto", "seed": 0,
}  # fmt: skip


@dataclass(frozen=True)
class TrainOptions:
    """The options of `train`. None: not given; then the value in DEFAULTS, or that of the resumed run, is used."""

    corpus: list[str] | None = None
    """Files, folders, globs, `stdlib`, `package:NAME`. Default: the bundled corpus.txt."""
    ext: list[str] | None = None
    """File extensions to take from folders."""
    size: str | None = None
    init: str | None = None
    """Model file to fine-tune, instead of random weights; with `size`, widened to it first."""
    epochs: float | None = None
    minutes: float | None = None
    precision: str | None = None
    seed: int | None = None
    device: str = "auto"
    model_path: str | None = None
    tokenizer_path: str | None = None
    resume: bool = False
    finish: float | None = None
    """With `resume`: end the run within this many minutes."""
    use_anyway: bool = False
    """Use the new model even if it is worse than the one in use."""
    tensorboard: str | None = None
    """Folder for TensorBoard event files."""
    watch: str | None = None
    """HTML page that is updated during training (watch/); empty: next to the model."""
    progress: str | None = None
    """`json`: print progress to standard output (observers.py)."""
    exclude: frozenset[Path] = frozenset()
    """Files in the corpus folders that are not trained on."""
    measure_forgetting: bool = True
    """Fine-tuning: whether to measure how much worse the model gets on the standard library."""
    command: str = "tinycopilot train"
    """The command line, for the report."""

    def given(self) -> list[str]:
        """Return the names of the given flags that determine the result."""
        return [name for name in DEFAULTS if getattr(self, name) is not None]

    def unstored_flags(self) -> list[str]:
        """Return the flags that a run does not store, so that they must be given again to resume it."""
        flags = ["--use-anyway"] * self.use_anyway
        flags += ["--device", self.device] if self.device != "auto" else []
        flags += ["--tensorboard", _from_anywhere(self.tensorboard)] if self.tensorboard else []
        flags += ["--watch"] if self.watch is not None else []
        return flags + ([_from_anywhere(self.watch)] if self.watch else [])

    def flags(self) -> dict[str, Any]:
        """Return the flags that determine the result, with values or defaults. Paths are absolute. Raises UserError."""
        # The command line's parser rejects these values; the Python API has no parser.
        if self.corpus is not None and not self.corpus:
            raise UserError("the corpus is an empty list; give files or folders")
        if self.size is not None and self.size not in SIZES:
            raise UserError(f"size must be {', '.join(SIZES)}, not {self.size!r}")
        for name in ("epochs", "minutes", "finish"):
            value = getattr(self, name)
            if value is not None and not 0 < value < MAX_AMOUNT:
                raise UserError(f"{name} must be a number above 0, not {value}")
        if self.finish and not self.resume:
            raise UserError("--finish requires --resume")
        if self.epochs and self.minutes:
            raise UserError("--epochs and --minutes exclude each other; give one of them")
        flags = DEFAULTS | {name: getattr(self, name) for name in self.given()}
        flags["corpus"] = [_from_anywhere(name) for name in flags["corpus"] or [str(bundled_path("corpus.txt"))]]
        flags["ext"] = list(normalize_suffixes(flags["ext"]))
        if flags["init"]:
            flags |= {"init": _from_anywhere(flags["init"]), "size": self.size}
        if flags["minutes"]:
            flags["epochs"] = None
        return flags


def _from_anywhere(name: str) -> str:
    """Return a corpus or model name that is valid in any working folder, since the run may be resumed elsewhere."""
    path = user_path(name)
    if name.startswith("package:") or (name == "stdlib" and not path.exists()):
        return name
    return os.path.abspath(path)  # noqa: PTH100 (a glob is not a Path, and the file need not exist)


def open_run(
    options: TrainOptions, paths: ModelPaths, folder: Path, stack: contextlib.ExitStack
) -> tuple[Run, dict[str, Any]] | None:
    """Check that the run and its model can be saved, and lock its folder, before minutes of work. Raises UserError.

    Returns the interrupted run and its last snapshot, or None for a new run.
    """
    flags = options.flags()
    check_writable(paths)
    if not options.resume:
        check_overwritable(paths)
    elif not can_resume(folder):
        raise UserError(f"{folder}: no run to resume; start one without --resume")
    stack.enter_context(lock_run_folder(folder))  # its error is that of an active run
    if options.resume:
        run, snapshot = load_run(folder)
        run.refuse_if_other(flags, options.given())
        if options.finish:
            schedule, config = finish_within(60 * options.finish, run.schedule, run.config, snapshot["log"])
            run = dataclasses.replace(run, schedule=schedule, config=config)
        return run, snapshot
    if can_resume(folder):
        raise UserError(
            f"{folder}: there is an unfinished run; resume it: {resume_command(paths)}, "
            f"or discard it: {discard_command(folder)}"
        )
    return None


def new_run(
    options: TrainOptions, folder: Path, device: torch.device, dist: DistContext, say: Callable[[str], None]
) -> Run:
    """Prepare corpus, tokenizer, shape and schedule of a new run. Raises UserError."""
    flags = options.flags()
    init = _load_init(flags)
    corpus = dist.from_main(lambda: _prepare(flags, folder, options.exclude))
    for line in corpus.left_out:
        say(line)
    own = corpus if dist.is_main or dist.local_rank else _own_copy(corpus, flags, folder, options.exclude)
    if not dist.all_equal(own.digest):
        raise UserError("the processes of this run have different corpora; give all machines the same corpus")
    counts = corpus.train.counts()
    tokenizer = init[1] if init else SimpleTokenizer.of_common(counts)
    if init:
        shape, is_long = init[0].config, False
    else:
        size = SIZES[flags["size"]]
        shape, is_long = GPTConfig(tokenizer.vocab_size, **size.shape(), conv_width=CONV_WIDTH), size.is_long
    if len(corpus.train) <= shape.window:
        characters = f"{len(corpus.train)} character{'s' * (len(corpus.train) != 1)}"
        raise UserError(
            f"the corpus has {characters} to train on, but needs more than one window of {shape.window}; add more text"
        )
    if line := unknown_characters_line(counts, len(corpus.train), tokenizer):
        say(line)
    bfloat16 = flags["precision"] == "auto" and dist.from_main(lambda: has_fast_bfloat16(device))
    config = TrainConfig.for_run(adapting=bool(init), is_long=is_long, bfloat16=bfloat16, seed=flags["seed"])
    stages = stages_for(shape.window, adapting=bool(init), is_long=is_long)
    if any(stage.batch % dist.world_size for stage in stages):
        smallest = min(stage.batch for stage in stages)
        raise UserError(
            f"{dist.world_size} processes cannot share a batch of {smallest} windows; use a number that divides it"
        )
    if line := corpus_size_warning(len(corpus.train), shape, flags, options.model_path):
        say(line)
    schedule = Schedule.over((flags["epochs"] or 0) * len(corpus.train), stages)
    measure_forgetting = options.measure_forgetting and "stdlib" not in flags["corpus"]
    facts = dist.from_main(lambda: _before(init, corpus, folder, measure_forgetting=measure_forgetting))
    return Run(flags, corpus, tokenizer, shape, config, schedule, facts)


def summary(run: Run, device: torch.device) -> str:
    """Return one line: corpus, parameters, device, epochs and steps."""
    corpus, schedule = run.corpus, run.schedule
    epochs = schedule.n_chars / len(corpus.train)
    return (
        f"{corpus.label}: {len(corpus.train):,} characters to learn from, {len(corpus.held_out):,} held out; "
        f"{run.shape.n_parameters / 1e6:.1f} M parameters on {device_label(device)}; "
        f"{'about ' * bool(schedule.reestimate_after)}{epochs:{'.1f' if epochs >= 1 else '.1g'}} epochs "
        f"in {schedule.n_steps:,} steps"
    )


def corpus_size_warning(n_chars: int, shape: GPTConfig, flags: dict[str, Any], model_path: str | None) -> str:
    """Return a warning if the corpus is too small, else an empty string.

    The minimum is the number of parameters, or MIN_ADAPT_CHARS for fine-tuning.
    """
    if flags["init"]:
        if n_chars >= MIN_ADAPT_CHARS:
            return ""
        return (
            f"too little text: from {n_chars:,} characters, a network learns nothing that the workspace index doesn't "
            f"know; use more than {MIN_ADAPT_CHARS:,}"
        )
    if n_chars >= shape.n_parameters:
        return ""
    ext = ["--ext", *flags["ext"]] if flags["ext"] != DEFAULTS["ext"] else []
    words = ["tinycopilot", "train", "--init", str(model_to_load().model), "--corpus", *flags["corpus"], *ext]
    words += ["--model-path", model_path] if model_path else []
    folders = [name for name in flags["corpus"] if os.path.isdir(name)]  # noqa: PTH112
    alone = f", or, for this project only: {shell_command('tinycopilot', 'adapt', *folders, *ext)}" if folders else ""
    return (
        f"too little text: {n_chars:,} characters for {shape.n_parameters:,} random weights; a model trained from "
        f"scratch will likely be worse than the one in use. Fine-tune that one instead: {shell_command(*words)}"
        f"{alone if n_chars >= MIN_ADAPT_CHARS else ''}"
    )


def unknown_characters_line(counts: Counter[str], n_chars: int, tokenizer: SimpleTokenizer) -> str:
    """Return a line about the characters outside the vocabulary, among `n_chars`; empty if there are none.

    `counts` comes from Text.counts. Raises UserError if only whitespace is in the vocabulary.
    """
    known = set(tokenizer.alphabet)
    unknown = Counter({character: n for character, n in counts.items() if character not in known})
    n_unknown = n_chars - counts.total() + unknown.total()
    some = ", ".join(repr(character) for character, _ in unknown.most_common(3))
    if n_chars > counts.total():
        some += f"{', ' * bool(some)}characters above U+FFFE, such as emoji"
    if not any(character in known and not character.isspace() for character in counts):
        raise UserError(
            f"the corpus has no character in the vocabulary ({some}); add text in which each character occurs more "
            f"than once, or omit --init"
        )
    if not n_unknown:
        return ""
    return (
        f"left out: {n_unknown:,} of {n_chars:,} characters, rare or not in the vocabulary ({some}); treated as unknown"
    )


def _prepare(flags: dict[str, Any], folder: Path, exclude: Collection[Path]) -> Corpus:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # a copy of code that may be private,
        (folder / ".gitignore").write_text("*\n")  # and that does not belong in a repository
        return prepare_corpus(flags["corpus"], folder, flags["ext"], exclude)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot copy the corpus there ({error.strerror}); free some space, or use another --model-path"
        ) from None


def _own_copy(corpus: Corpus, flags: dict[str, Any], folder: Path, exclude: Collection[Path]) -> Corpus:
    """Return the corpus in `folder` if it is the main process's (a shared disk), else prepare another copy."""
    with contextlib.suppress(UserError):
        own = open_corpus(folder)
        if own.digest == corpus.digest:
            return own
    try:
        return _prepare(flags, folder, exclude)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # only on the main machine is it locked, and deleted at the end
        raise


def _load_init(flags: dict[str, Any]) -> tuple[TinyGPT, SimpleTokenizer] | None:
    """Return the model to start from, widened to `size` if that is given; it keeps its window. Raises UserError."""
    if flags["init"] is None:
        return None
    files = model_to_load(flags["init"])
    model, tokenizer = load_pair(files.model, files.tokenizer)
    if flags["size"]:
        size, weights = SIZES[flags["size"]], {name: w.numpy() for name, w in model.state_dict().items()}
        config, weights = widened(model.config, weights, size.n_layers, size.n_heads, size.d_model, flags["seed"])
        model = TinyGPT(config)
        model.load_state_dict(as_tensors(weights))
    return model, tokenizer


def new_train_state(
    run: Run, device: torch.device, dist: DistContext, snapshot: dict[str, Any] | None = None
) -> TrainState:
    """Return the TrainState of `snapshot`, or a new one: random weights, or those of the model to fine-tune."""
    torch.manual_seed(run.config.seed)
    init = None if snapshot else _load_init(run.flags)
    state = TrainState((init[0] if init else TinyGPT(run.shape)).to(device), run.config, dist)
    if snapshot:
        try:
            state.restore(snapshot)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            folder = run.corpus.train.path.parent
            why = str(error).splitlines()[0]
            raise UserError(
                f"the checkpoint is from another version ({why}); discard it: {discard_command(folder)}"
            ) from None
    return state


def _before(
    init: tuple[TinyGPT, SimpleTokenizer] | None, corpus: Corpus, folder: Path, *, measure_forgetting: bool
) -> dict[str, float]:
    """Return bits per character of the model before fine-tuning, on held-out text and on the standard library."""
    if init is None:
        return {}
    model, tokenizer = init
    bits = {"held_out_before": bits_per_char(model, ids_of(corpus.held_out, tokenizer))}
    if measure_forgetting:
        elsewhere = prepare_corpus(["stdlib"], folder / ELSEWHERE).held_out
        bits["elsewhere_before"] = bits_per_char(model, ids_of(elsewhere, tokenizer, ELSEWHERE_CHARS))
    return bits
