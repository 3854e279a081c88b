"""The `adapt` command: fine-tune on a workspace, and use the model there only if it is better.

The comparison is on held-out files, with the rest of the workspace indexed, because the network has to improve on the
n-gram model of the workspace. Each run starts from the model that the workspace would use without its own: repeated
fine-tuning on the same code would forget other code, and might have trained on files that are held out now.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinycopilot import UserError
from tinycopilot.completion.network import Network, load_pair
from tinycopilot.evaluation.comparison import Comparison, choose_held_out, measure_bits, near_duplicates
from tinycopilot.evaluation.excerpts import Excerpt, from_middle, texts_in
from tinycopilot.files.gitignore import Patterns, as_pattern
from tinycopilot.files.left_out import LeftOut
from tinycopilot.files.secret_files import is_secret_place
from tinycopilot.files.walking import normalize_suffixes
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import (
    ModelPaths,
    Origin,
    comparable,
    describe_model,
    find_model,
    real_path,
    require_home,
    workspace_model,
)
from tinycopilot.training.checkpoint import lock_run_folder, run_folder
from tinycopilot.training.interrupts import interrupts_ignored, terminations_as_interrupt
from tinycopilot.training.observers import JsonProgress, stderr_console
from tinycopilot.training.saving import replace_pair
from tinycopilot.training.setup import MIN_ADAPT_CHARS, TrainOptions
from tinycopilot.training.train import train_without_saving

MEASURED_CHARS = 20_000
"""Number of held-out characters that are measured."""


@dataclass(frozen=True)
class WorkspaceSplit:
    """The code of a workspace, split into training and held-out files."""

    folders: list[Path]
    """The first one names the model."""
    texts: dict[str, str]
    """Path -> text."""
    held_out: list[str]
    excluded: frozenset[Path]
    """Files that are not trained on: held-out files, their near-duplicates, and those of --exclude."""

    @property
    def train_folders(self) -> list[str]:
        """The folders that contain other files."""
        left = [Path(name) for name, text in self.texts.items() if text.strip() and Path(name) not in self.excluded]
        return [str(folder) for folder in self.folders if any(folder in path.parents for path in left)]

    def excerpts(self) -> list[Excerpt]:
        """Return the excerpts to measure: about equal parts from the middle of each held-out file."""
        return from_middle({name: self.texts[name] for name in self.held_out}, MEASURED_CHARS, {})


def read_workspace(folders: Sequence[str], suffixes: Sequence[str], exclude: Sequence[str] = ()) -> WorkspaceSplit:
    """Read and split a workspace. Raises UserError if there is too little code."""
    try:
        patterns = Patterns(exclude)
    except UserError as error:
        raise UserError(f"--exclude: invalid pattern: {error}") from None
    roots, texts, excluded = list(map(real_path, folders)), dict[str, str](), set[str]()
    left_out = LeftOut()  # printed by training
    names = dict[str, str]()  # path -> path in the workspace, the same on every machine
    for root in roots:
        if not root.is_dir():
            raise UserError(f"{root}: not a folder; give your project's folders")
        if is_secret_place(root, [str(root.parent)]):
            raise UserError(f"{root}: likely to contain secrets, so it is never read; choose another folder")
        found = texts_in(root, suffixes, left_out)
        excluded |= {
            path
            for path in found
            if patterns.match(path, [str(root)]) or as_pattern(comparable(path)) in exclude  # a forgotten file
        }
        found = {path: text for path, text in found.items() if path not in excluded}
        texts |= found
        above = "" if root == roots[0] else f"{root.name}/"
        names |= {path: above + Path(path).relative_to(root).as_posix() for path in found}
    by_name = {names[path]: texts[path] for path in texts}
    chosen = set(choose_held_out(by_name))
    paths = [path for path in texts if names[path] in chosen]
    workspace = WorkspaceSplit(
        roots, texts, paths, frozenset(map(Path, [*excluded, *paths, *near_duplicates(texts, paths)]))
    )
    n_chars = sum(map(len, texts.values()))
    if n_chars < MIN_ADAPT_CHARS or not workspace.train_folders:
        raise UserError(
            f"{n_chars:,} characters of code ({' '.join(suffixes)}) here is too little: "
            f"training needs {MIN_ADAPT_CHARS:,}, in at least two different files{left_out.in_brackets()}"
        )
    return workspace


def run_adaptation(
    folders: Sequence[str],
    *,
    ext: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    minutes: float,
    device: str,
    progress: str | None,
    answer: Callable[[str], None],
) -> None:
    """Run the command. If it is interrupted, the previous model stays. Raises UserError."""
    reporter = JsonProgress(answer if progress else None)
    reporter.say("reading", 0.0)
    workspace = read_workspace(folders, normalize_suffixes(ext or ["py"]), exclude or ())
    own = workspace_model(str(workspace.folders[0]))
    require_home(own.model)
    folder = run_folder(own)
    with terminations_as_interrupt(), lock_run_folder(folder, has_a_choice=False):
        options = TrainOptions(ext=list(ext or ["py"]), minutes=minutes, device=device, measure_forgetting=False)
        comparison = adapt(workspace, own, folder, options, reporter)
    message = f"{comparison.summary()}: {'in use' if comparison.is_better else 'not better; the model is unchanged'}"
    reporter.say("done", 1.0, message=message, model=str(own.model), **comparison.figures())
    if not progress:
        answer(message)
        if comparison.is_better:
            answer(f"saved for {workspace.folders[0]}; to undo, delete {own.model.parent}")


def adapt(
    workspace: WorkspaceSplit, own: ModelPaths, folder: Path, options: TrainOptions, reporter: JsonProgress
) -> Comparison:
    """Train in `folder`; compare; replace the workspace's model `own` if the new one is better. Raises UserError."""
    base, origin = find_model()
    console = stderr_console()
    before, is_own = _load_current(own, base)
    console.print(describe_model(own, Origin.WORKSPACE) if is_own else describe_model(base, origin))
    options = dataclasses.replace(
        options, corpus=workspace.train_folders, exclude=workspace.excluded, init=str(base.model)
    )
    model, tokenizer, facts = train_without_saving(options, folder, reporter, console)
    excerpts = workspace.excerpts()

    network = Network(model.config, {name: weights.float().numpy() for name, weights in model.state_dict().items()})
    reporter.say("measuring", 0.0)
    old = measure_bits(*before, workspace.texts, excerpts, lambda share: reporter.say_if_due("measuring", share / 2))
    new = measure_bits(
        network, tokenizer, workspace.texts, excerpts, lambda share: reporter.say_if_due("measuring", (1 + share) / 2)
    )
    comparison = Comparison(old, new, len(excerpts))
    if comparison.is_better:
        with interrupts_ignored():
            try:
                replace_pair(own, model, tokenizer, facts | {"adapted": comparison.figures()})
            except OSError as error:
                raise UserError(
                    f"{own.model}: cannot save the model ({error.strerror}); the previous one is kept; "
                    "free some disk space"
                ) from None
    return comparison


def _load_current(own: ModelPaths, base: ModelPaths) -> tuple[tuple[Network, SimpleTokenizer], bool]:
    """Return the model that the workspace uses now, and whether it is its own. Raises UserError."""
    with contextlib.suppress(UserError):
        return load_pair(own.model, own.tokenizer), True
    return load_pair(base.model, base.tokenizer), False
