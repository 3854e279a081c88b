"""Where models are looked for, where they are saved, and where what ships with this package lies."""

import contextlib
import hashlib
import itertools
import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import platformdirs

from tinycopilot import UserError

MODEL_NAME, TOKENIZER_NAME, MANIFEST_NAME = "tiny_gpt.pth", "tokenizer.pth", "manifest.json"


@dataclass(frozen=True)
class ModelPaths:
    """The two files of one model."""

    model: Path
    tokenizer: Path

    def exist(self) -> bool:
        """Whether either file is there: half a model is one to report, not one to pass over."""
        return self.model.exists() or self.tokenizer.exists()


class Origin(Enum):
    """Why it is this model that is used, in the user's words."""

    GIVEN = "named by you"
    WORKSPACE = "adapted to this workspace"
    USER = "your own"
    SHIPPED = "ships with tinycopilot"


def bundled_path(name: str) -> Path:
    """`corpus.txt` or `paras`, inside the wheel or, in an editable install, at the top of the repository."""
    package = Path(__file__).resolve().parent
    packed = package / "data" / name
    return packed if packed.exists() else package.parent / name


def _pair(folder: Path) -> ModelPaths:
    return ModelPaths(folder / MODEL_NAME, folder / TOKENIZER_NAME)


NO_HOME = Path(os.devnull, "no-home-folder")
"""Stands for the folders of a user without a home: nothing is ever found in it, and writing there is an OSError."""
NO_HOME_KNOWN, HOW_TO_HAVE_A_HOME = "this user has no home folder", "set HOME to a writable folder"


def home_folder() -> Path:
    """The user's home folder; NO_HOME if neither HOME nor the system names one."""
    try:
        path = Path.home()
    except RuntimeError:
        return NO_HOME
    return path if path.is_absolute() else NO_HOME


def require_home(path: Path, otherwise: str = "") -> None:
    """Raise UserError, one line, if `path` would lie in the folders of a user who has no home; `otherwise`: or what."""
    if NO_HOME in path.parents:
        raise UserError(f"{NO_HOME_KNOWN} to save a model in; {HOW_TO_HAVE_A_HOME}{otherwise and ', or ' + otherwise}")


def _user_folder(find: Callable[..., str]) -> Path:
    """The folder that a function of platformdirs names; one in NO_HOME where that is no full path, such as ~/.cache."""
    try:
        path = Path(find("tinycopilot", appauthor=False)).expanduser()
    except RuntimeError:
        path = Path()
    return path if path.is_absolute() else NO_HOME / "tinycopilot"


def _user_data() -> Path:
    return _user_folder(platformdirs.user_data_dir)


def _user_cache() -> Path:
    return _user_folder(platformdirs.user_cache_dir)


def user_data_folder() -> Path:
    """The folder of models, mixing weights and statistics."""
    return _user_data()


def user_cache_folder() -> Path:
    """The folder of the index, and of compiled code that cannot be beside the package."""
    return _user_cache()


def user_log_folder() -> Path:
    """The folder of the server's log."""
    return log_path().parent


def user_model_folder() -> Path:
    """The user's own data folder, as the system has it."""
    return _user_data() / "paras"


def user_model() -> ModelPaths:
    """The user's own model: where training saves, and the first place where every command looks."""
    return _pair(user_model_folder())


def bundled_model() -> ModelPaths:
    """The model that ships with this package."""
    return _pair(bundled_path("paras"))


def workspace_model(folder: str) -> ModelPaths:
    """Where the model is kept that was adapted to the workspace `folder`, for that workspace alone."""
    real = os.path.normcase(os.path.realpath(folder))
    return _pair(_user_data() / "workspaces" / _digest(real))


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def mixture_weights_path(folder: str, tokenizer_digest: str) -> Path:
    """Where it is kept what was learned in the workspace `folder`, with a model of that tokenizer."""
    return _weights_folder() / f"{_digest(folder)}.{_digest(tokenizer_digest)}.json"


def index_path(folders: Sequence[str], tokenizer_digest: str) -> Path:
    """Where it is kept, in the cache folder, what was indexed in a workspace of these folders, in that alphabet."""
    return _memory_folder() / f"{_digest(*folders)}.{_digest(tokenizer_digest)}.memory"


def saved_state_paths(folders: Sequence[str]) -> Iterator[Path]:
    """What is there of both, of all folders together and of each alone, whatever the tokenizer was."""
    for some in {tuple(folders), *((folder,) for folder in folders)}:
        yield from _memory_folder().glob(f"{_digest(*some)}.*")
        yield from _weights_folder().glob(f"{_digest(*some)}.*")


def _weights_folder() -> Path:
    return _user_data() / "weights"


def _memory_folder() -> Path:
    return _user_cache() / "memory"


def explanation_path() -> Path:
    """The page that explains the last suggestion of the language server, in the cache folder."""
    return _user_cache() / "explanation.html"


def log_path() -> Path:
    """The language server's log, in the folder that the system has for such."""
    return _user_folder(platformdirs.user_log_dir) / "server.log"


def compiled_code_folder(beside: Path) -> Path | None:
    """The folder to keep compiled code in; None: there is none, and it is compiled again at each start.

    `beside` is the first choice, then one in the user's cache folder, then a private one in the folder for temporary
    files. What is in it is run, so it is never a folder that another user owns or that everybody may write to.
    """
    wanted = [beside, _user_cache() / "compiled"]
    with contextlib.suppress(OSError, AttributeError):  # no such folder; no user ids on Windows
        wanted.append(Path(tempfile.gettempdir(), f"tinycopilot-{os.geteuid()}", "compiled"))
    return next(filter(is_private_and_writable, wanted), None)


def is_private_and_writable(folder: Path) -> bool:
    """Whether files can be written to `folder`, which is made if need be, and no user but root can put others there.

    The folder's group is taken for the user's own. On Windows, whether it can be written is all that is tried.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            here, above, user = folder.stat(), folder.parent.stat(), os.geteuid()
            can_be_replaced = above.st_uid not in (user, 0) or above.st_mode & 0o1002 == 0o002  # not with a sticky bit
            if here.st_uid != user or here.st_mode & 0o002 or can_be_replaced:
                return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def user_folders() -> dict[str, tuple[Path, str]]:
    """The folders that are written to while one types, by the system's names for such, and what each is for."""
    return {
        "data": (_user_data(), "what it learns, counts and trains"),
        "cache": (_memory_folder(), "what it has indexed"),
        "log": (log_path().parent, "its log"),
    }


def statistics_path() -> Path:
    """Where it is kept how suggestions fared."""
    return _user_data() / "statistics.json"


def _resolve(model_path: str | None, tokenizer_path: str | None, choose: Callable[[], ModelPaths]) -> ModelPaths:
    """Both paths where both are given; with one alone, the other lies beside it; with none, what `choose` says."""
    if not model_path and not tokenizer_path:
        return choose()
    model = user_path(model_path) if model_path else _model_beside(user_path(tokenizer_path or ""))
    tokenizer = user_path(tokenizer_path) if tokenizer_path else _tokenizer_beside(model)
    if os.path.abspath(model) == os.path.abspath(tokenizer):  # noqa: PTH100 (neither needs to exist)
        raise UserError(f"{model}: model and tokenizer must be different files")
    return ModelPaths(model, tokenizer)


def user_path(word: str) -> Path:
    """A path as a user writes it, `~` and all. Raises UserError where there is no such home, or nothing was written."""
    if not word:
        raise UserError("empty path; use a file or a folder, or . for the current folder")
    try:
        return Path(word).expanduser()
    except RuntimeError as error:
        raise UserError(f"{word}: {error}") from None


def _tokenizer_beside(model: Path) -> Path:
    """tokenizer.pth for tiny_gpt.pth, tokenizer.1.pth for tiny_gpt.1.pth; for another, a.pth, a.tokenizer.pth."""
    if not model.name:
        raise UserError(f"{model}: is a folder; use the model file in it")
    if model.name.startswith("tiny_gpt."):
        return model.with_name(model.name.replace("tiny_gpt.", "tokenizer.", 1))
    return model.with_name(f"{model.stem}.tokenizer{model.suffix}")


def _model_beside(tokenizer: Path) -> Path:
    """The other way round."""
    if not tokenizer.name:
        raise UserError(f"{tokenizer}: is a folder; use the tokenizer file in it")
    if tokenizer.stem.endswith(".tokenizer"):
        return tokenizer.with_name(tokenizer.stem.removesuffix(".tokenizer") + tokenizer.suffix)
    if tokenizer.name.startswith("tokenizer."):
        return tokenizer.with_name(tokenizer.name.replace("tokenizer.", "tiny_gpt.", 1))
    return tokenizer.with_name(MODEL_NAME)


def model_to_load(
    model_path: str | None = None, tokenizer_path: str | None = None, *, workspace: str | None = None
) -> ModelPaths:
    """The model to use, by the one rule for every command and the server.

    The one given, else the one adapted to the folder `workspace`, else the user's own, else the one that ships. The
    working folder plays no part: an editor starts the server in whatever folder was opened, which may be anybody's.
    """
    return find_model(model_path, tokenizer_path, workspace=workspace)[0]


def find_model(
    model_path: str | None = None, tokenizer_path: str | None = None, *, workspace: str | None = None
) -> tuple[ModelPaths, Origin]:
    """The same, and why it is this one."""
    origin = Origin.GIVEN

    def choose() -> ModelPaths:
        nonlocal origin
        own = [(Origin.WORKSPACE, workspace_model(workspace))] if workspace else []
        pairs = (*own, (Origin.USER, user_model()))
        shipping = (Origin.SHIPPED, bundled_model())
        origin, pair = next(((why, pair) for why, pair in pairs if pair.exist()), shipping)
        return pair

    return _resolve(model_path, tokenizer_path, choose), origin


def describe_model(paths: ModelPaths, origin: Origin) -> str:
    """How a command's first line names the model it uses: `model: /.../tiny_gpt.pth (your own)`."""
    return f"model: {paths.model} ({origin.value})"


def model_to_save(model_path: str | None = None, tokenizer_path: str | None = None) -> ModelPaths:
    """Where training saves: the paths given, else the user's own model."""
    return _resolve(model_path, tokenizer_path, user_model)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def unused_paths(paths: ModelPaths) -> ModelPaths:
    """The first numbered pair beside `paths` of which neither file exists: tiny_gpt.1.pth and tokenizer.1.pth.

    Each finds the other by its name, if the two files of `paths` do.
    """
    is_usual = paths.tokenizer == _tokenizer_beside(paths.model)

    def numbered_pair(n: int) -> ModelPaths:
        model = _numbered(paths.model, n)
        return ModelPaths(model, _tokenizer_beside(model) if is_usual else _numbered(paths.tokenizer, n))

    numbered = map(numbered_pair, itertools.count(1))
    return next(pair for pair in numbered if not any(map(os.path.lexists, (pair.model, pair.tokenizer))))


def move_command(*moves: tuple[ModelPaths, ModelPaths]) -> str:
    """The shell command that moves each pair's files, as far as they exist now, to those of the other pair."""
    files = [move for now, then in moves for move in ((now.model, then.model), (now.tokenizer, then.tokenizer))]
    return " && ".join(shlex.join(["mv", str(now), str(then)]) for now, then in files if now.exists())


def back_up(paths: ModelPaths) -> ModelPaths | None:
    """Keep a model that is about to be replaced: a link to each of its files, under the first free number.

    tiny_gpt.pth stays where it is and is tiny_gpt.1.pth as well, so at no moment is there no model. Returns the
    numbered pair, or None where there was nothing to keep. Raises OSError, and then has changed nothing.
    """
    if not paths.exist():
        return None
    kept = unused_paths(paths)
    try:
        for now, then in ((paths.model, kept.model), (paths.tokenizer, kept.tokenizer)):
            if now.exists():
                _link(now, then)
    except OSError:
        kept.model.unlink(missing_ok=True)
        kept.tokenizer.unlink(missing_ok=True)
        raise
    return kept


def _link(now: Path, then: Path) -> None:
    """Another name for the same content: saving replaces a name, not what it stood for. Else a copy."""
    try:
        os.link(now, then)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(now, then)
