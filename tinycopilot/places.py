"""Where models are looked for, where they are saved, and where what ships with this package lies."""

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

MODEL_NAME, TOKENIZER_NAME = "tiny_gpt.pth", "tokenizer.pth"


@dataclass(frozen=True)
class ModelPaths:
    """The two files of one model."""

    model: Path
    tokenizer: Path

    def exist(self) -> bool:
        """Whether either file is there: half a model is one to report, not one to pass over."""
        return self.model.exists() or self.tokenizer.exists()


def shipped(name: str) -> Path:
    """`corpus.txt` or `paras`, inside the wheel or, in an editable install, at the top of the repository."""
    package = Path(__file__).resolve().parent
    packed = package / "data" / name
    return packed if packed.exists() else package.parent / name


def _pair(folder: Path) -> ModelPaths:
    return ModelPaths(folder / MODEL_NAME, folder / TOKENIZER_NAME)


def user_models() -> Path:
    """The user's own data folder, as the system has it."""
    return Path(platformdirs.user_data_dir("tinycopilot", appauthor=False)) / "paras"


def _resolve(model_path: str | None, tokenizer_path: str | None, choose: Callable[[], ModelPaths]) -> ModelPaths:
    """Both paths where both are given; with one alone, the other lies beside it; with none, what `choose` says."""
    if model_path and tokenizer_path:
        return ModelPaths(Path(model_path).expanduser(), Path(tokenizer_path).expanduser())
    if model_path:
        model = Path(model_path).expanduser()
        return ModelPaths(model, model.with_name(TOKENIZER_NAME))
    if tokenizer_path:
        tokenizer = Path(tokenizer_path).expanduser()
        return ModelPaths(tokenizer.with_name(MODEL_NAME), tokenizer)
    return choose()


def to_load(
    model_path: str | None = None, tokenizer_path: str | None = None, *, trust_working_folder: bool = True
) -> ModelPaths:
    """The model to use: the one given, else paras/ of the working folder, else the user's, else the one that ships.

    The language server is started in whatever folder was opened and does not trust it: `trust_working_folder=False`.
    """

    def choose() -> ModelPaths:
        folders = [Path("paras")] if trust_working_folder else []
        for pair in map(_pair, [*folders, user_models()]):
            if pair.exist():
                return pair
        return _pair(shipped("paras"))

    return _resolve(model_path, tokenizer_path, choose)


def to_save(model_path: str | None = None, tokenizer_path: str | None = None) -> ModelPaths:
    """Where training saves: the paths given, else paras/ of the working folder where there is one, else the user's."""
    return _resolve(
        model_path, tokenizer_path, lambda: _pair(Path("paras") if Path("paras").is_dir() else user_models())
    )


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def keep_old(paths: ModelPaths) -> ModelPaths | None:
    """Keep a model that is about to be replaced: a link to each of its files, under the next free number.

    tiny_gpt.pth stays where it is and is tiny_gpt.1.pth as well, so at no moment is there no model. Returns the
    numbered pair, or None where there was nothing to keep. Raises OSError.
    """
    if not paths.exist():
        return None
    pattern = re.compile(rf"({re.escape(paths.model.stem)}|{re.escape(paths.tokenizer.stem)})\.(\d+)\.[^.]+")
    neighbours = [*paths.model.parent.iterdir(), *paths.tokenizer.parent.iterdir()]
    taken = [int(match[2]) for neighbour in neighbours if (match := pattern.fullmatch(neighbour.name))]
    number = max(taken, default=0) + 1
    kept = ModelPaths(_numbered(paths.model, number), _numbered(paths.tokenizer, number))
    for now, then in ((paths.model, kept.model), (paths.tokenizer, kept.tokenizer)):
        if now.exists():
            try:
                os.link(now, then)  # saving replaces the name, not the file: the old content stays under the number
            except OSError:  # a file system without links
                shutil.copy2(now, then)
    return kept
