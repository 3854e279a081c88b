"""Which model is used, and the paths of models, caches, logs and bundled files."""

import contextlib
import hashlib
import itertools
import os
import re
import shlex
import shutil
import sys
import tempfile
import unicodedata
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
        """Whether one of the files exists: half a model is an error to report, not to skip.

        Raises UserError if that is unknown, since the folder is not readable.
        """
        try:
            return self.model.exists() or self.tokenizer.exists()
        except OSError as error:
            raise UserError(
                f"{self.model}: cannot be read ({error.strerror}); check the permissions of its folders"
            ) from None


class Origin(Enum):
    """Why a model is used, as printed."""

    GIVEN = "named by you"
    WORKSPACE = "adapted to this workspace"
    USER = "your own"
    SHIPPED = "ships with tinycopilot"


def composed(name: str) -> str:
    """Return a name in composed characters (NFC) on macOS, where it names the same file; elsewhere, unchanged.

    A folder may list decomposed characters (NFD), but editors send composed ones, and git compares these.
    """
    return unicodedata.normalize("NFC", name) if sys.platform == "darwin" else name


def comparable(path: str | Path) -> str:
    """Return a path in the form in which paths are compared: `composed`, and in lower case on Windows."""
    return composed(os.path.normcase(path))


def bundled_path(name: str) -> Path:
    """Return the path of `corpus.txt` or `paras`, in the wheel or the repository (editable install)."""
    package = Path(__file__).resolve().parent
    packed = package / "data" / name
    return packed if packed.exists() else package.parent / name


def _pair(folder: Path) -> ModelPaths:
    return ModelPaths(folder / MODEL_NAME, folder / TOKENIZER_NAME)


NO_HOME = Path(os.devnull, "no-home-folder")
"""Stands for a missing home folder: nothing is found there, and writing raises OSError."""
NO_HOME_KNOWN, HOW_TO_HAVE_A_HOME = "this user has no home folder", "set HOME to a writable folder"


def require_home(path: Path, otherwise: str = "", what_for: str = "save a model in") -> None:
    """Raise UserError if `path` is below NO_HOME; `otherwise` is an alternative to suggest."""
    if NO_HOME in path.parents:
        raise UserError(f"{NO_HOME_KNOWN} to {what_for}; {HOW_TO_HAVE_A_HOME}{otherwise and ', or ' + otherwise}")


def _user_folder(find: Callable[..., str]) -> Path:
    """Return the folder from a platformdirs function; one in NO_HOME if it is relative, such as ~/.cache."""
    try:
        path = Path(find("tinycopilot", appauthor=False)).expanduser()
    except RuntimeError:
        path = Path()
    return path if path.is_absolute() else NO_HOME / "tinycopilot"


def user_data_folder() -> Path:
    """The folder of models, mixing weights and statistics."""
    return _user_folder(platformdirs.user_data_dir)


def user_cache_folder() -> Path:
    """The folder of the index, and of compiled code that cannot be stored next to the package."""
    return _user_folder(platformdirs.user_cache_dir)


def user_model() -> ModelPaths:
    """Return the user's own model, where training saves by default."""
    return _pair(user_data_folder() / "paras")


def bundled_model() -> ModelPaths:
    """Return the bundled model."""
    return _pair(bundled_path("paras"))


def workspace_model(folder: str) -> ModelPaths:
    """Return the model adapted to the workspace `folder`."""
    return _pair(user_data_folder() / "workspaces" / _digest(comparable(os.path.realpath(folder))))


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def mixture_weights_path(folder: str, tokenizer_digest: str) -> Path:
    """Return the file of the mixing weights of a workspace and tokenizer."""
    return _weights_folder() / f"{_digest(folder)}.{_digest(tokenizer_digest)}.json"


def index_path(folders: Sequence[str], tokenizer_digest: str) -> Path:
    """Return the file of the index of a workspace and tokenizer, in the cache folder."""
    return _memory_folder() / f"{_digest(*folders)}.{_digest(tokenizer_digest)}.memory"


def saved_state_paths(folders: Sequence[str]) -> Iterator[Path]:
    """Yield the existing index and weights files of the workspace, and of each folder, for any tokenizer."""
    for some in {tuple(folders), *((folder,) for folder in folders)}:
        yield from _memory_folder().glob(f"{_digest(*some)}.*")
        yield from _weights_folder().glob(f"{_digest(*some)}.*")


def _weights_folder() -> Path:
    return user_data_folder() / "weights"


def _memory_folder() -> Path:
    return user_cache_folder() / "memory"


def explanation_path() -> Path:
    """The page that explains the last suggestion of the language server, in the cache folder."""
    return user_cache_folder() / "explanation.html"


def log_path() -> Path:
    """Return the log file of the language server."""
    return _user_folder(platformdirs.user_log_dir) / "server.log"


def http_token_path() -> Path:
    """Return the file of the token for `serve --http`, in the user's state folder."""
    return _user_folder(platformdirs.user_state_dir) / "http-token"


MAX_CACHED_NAME_CHARS = 115
"""Limit of the file names in the folder of compiled code; in deep folders, Windows allows no name of this length."""


def compiled_code_folder(beside: Path) -> Path | None:
    """Return the folder for compiled code; None if there is none, so that each start compiles again.

    The first usable one of `beside`, the user's cache folder, and a private temporary folder. Its contents are
    executed, so it is never a folder that another user owns or can write to.
    """
    wanted = [beside, user_cache_folder() / "compiled"]
    with contextlib.suppress(OSError, AttributeError):  # no such folder; no user ids on Windows
        wanted.append(Path(tempfile.gettempdir(), f"tinycopilot-{os.geteuid()}", "compiled"))
    return next(filter(is_private_and_writable, wanted), None)


def is_private_and_writable(folder: Path) -> bool:
    """Create `folder` if necessary; return whether this user can write to it, and no other user but root.

    The group is assumed to be the user's own. On Windows, only writing is checked.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name == "posix":
            here, above, user = folder.stat(), folder.parent.stat(), os.geteuid()
            # Unless a sticky bit prevents that.
            can_be_replaced = above.st_uid not in (user, 0) or above.st_mode & 0o1002 == 0o002
            if here.st_uid != user or here.st_mode & 0o002 or can_be_replaced:
                return False
        with tempfile.TemporaryFile(prefix="x" * MAX_CACHED_NAME_CHARS, dir=folder):
            return True
    except OSError:
        return False


def user_folders() -> dict[str, tuple[Path, str]]:
    """Return the folders that the server writes to, by kind, with the purpose of each."""
    return {
        "data": (user_data_folder(), "what it learns, counts and trains"),
        "cache": (_memory_folder(), "what it has indexed"),
        "log": (log_path().parent, "its log"),
    }


def statistics_path() -> Path:
    """Return the file of the acceptance statistics."""
    return user_data_folder() / "statistics.json"


def _given(model_path: str | None, tokenizer_path: str | None) -> ModelPaths | None:
    """Return both paths; if only one is given, the other is next to it; None if neither is."""
    if not model_path and not tokenizer_path:
        return None
    model = user_path(model_path) if model_path else _model_beside(user_path(tokenizer_path or ""))
    tokenizer = user_path(tokenizer_path) if tokenizer_path else _tokenizer_beside(model)
    if os.path.abspath(model) == os.path.abspath(tokenizer):  # noqa: PTH100 (neither needs to exist)
        raise UserError(f"{model}: model and tokenizer must be different files")
    return ModelPaths(model, tokenizer)


def user_path(word: str) -> Path:
    """Return a path with `~` expanded. Raises UserError if it is empty, or if there is no such home."""
    if not word:
        raise UserError("empty path; use a file or a folder, or . for the current folder")
    try:
        return Path(word).expanduser()
    except RuntimeError as error:
        raise UserError(f"{word}: {error}") from None


def real_path(word: str) -> Path:
    """Return the same, absolute and without links. (`Path.resolve` would raise RuntimeError for a loop of links.)"""
    return Path(os.path.realpath(user_path(word)))


def _tokenizer_beside(model: Path) -> Path:
    """Return tokenizer.pth for tiny_gpt.pth, tokenizer.1.pth for tiny_gpt.1.pth, a.tokenizer.pth for a.pth."""
    if not model.name:
        raise UserError(f"{model}: is a folder; use the model file in it")
    if model.name.startswith("tiny_gpt."):
        return model.with_name(model.name.replace("tiny_gpt.", "tokenizer.", 1))
    return model.with_name(f"{model.stem}.tokenizer{model.suffix}")


def _model_beside(tokenizer: Path) -> Path:
    """Return the inverse of `_tokenizer_beside`."""
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
    """Return the model to use: see `find_model`."""
    return find_model(model_path, tokenizer_path, workspace=workspace)[0]


def find_model(
    model_path: str | None = None, tokenizer_path: str | None = None, *, workspace: str | None = None
) -> tuple[ModelPaths, Origin]:
    """Return the model to use, and why, by the same rule for every command and the server.

    The one given, else the one adapted to `workspace`, else the user's own, else the bundled one. `workspace` is the
    folder that the command indexes, or that is open in the editor; commands without one use no adapted model. The
    working folder does not matter: an editor starts the server in the folder that is open, which may be anybody's.
    """
    if given := _given(model_path, tokenizer_path):
        return given, Origin.GIVEN
    own = [(workspace_model(workspace), Origin.WORKSPACE)] if workspace else []
    found = (pair for pair in (*own, (user_model(), Origin.USER)) if pair[0].exist())
    return next(found, (bundled_model(), Origin.SHIPPED))


def describe_model(paths: ModelPaths, origin: Origin) -> str:
    """Return the first line that commands print: `model: /.../tiny_gpt.pth (your own)`."""
    return f"model: {paths.model} ({origin.value})"


def model_to_save(model_path: str | None = None, tokenizer_path: str | None = None) -> ModelPaths:
    """Return where training saves: the given paths, else the user's own model."""
    return _given(model_path, tokenizer_path) or user_model()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def unused_paths(paths: ModelPaths) -> ModelPaths:
    """Return the first numbered pair next to `paths` that does not exist: tiny_gpt.1.pth and tokenizer.1.pth.

    Each name follows from the other, if so in `paths`.
    """
    is_usual = paths.tokenizer == _tokenizer_beside(paths.model)

    def numbered_pair(n: int) -> ModelPaths:
        model = _numbered(paths.model, n)
        return ModelPaths(model, _tokenizer_beside(model) if is_usual else _numbered(paths.tokenizer, n))

    numbered = map(numbered_pair, itertools.count(1))
    return next(pair for pair in numbered if not any(map(os.path.lexists, (pair.model, pair.tokenizer))))


def folder_to_index(workspace: str | None) -> Path | None:
    """Return the folder that --workspace names; None if it was not given. Raises UserError if it is not a folder."""
    folder = real_path(workspace) if workspace is not None else None
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder}: not a folder; --workspace expects the folder to index")
    return folder


def shell_command(*words: str) -> str:
    """Return a command as the user's shell takes it; on Windows, that is cmd or PowerShell."""
    if sys.platform != "win32":
        return shlex.join(words)
    return " ".join(word if re.fullmatch(r"[\w./\\:=+~-]+", word) else f'"{word}"' for word in words)


def move_command(*moves: tuple[ModelPaths, ModelPaths]) -> str:
    """Return the shell command that moves the existing files of each first pair to the second."""
    files = [move for now, then in moves for move in ((now.model, then.model), (now.tokenizer, then.tokenizer))]
    move = ["cmd", "/c", "move", "/y"] if sys.platform == "win32" else ["mv"]
    return " && ".join(shell_command(*move, str(now), str(then)) for now, then in files if now.exists())


def back_up(paths: ModelPaths) -> ModelPaths | None:
    """Keep a model that is about to be replaced, as hard links with the first free number.

    tiny_gpt.pth stays in place and is also tiny_gpt.1.pth, so there is a model at any time. Returns the numbered pair,
    or None if there is no model. On OSError, nothing has changed.
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
    """Create a hard link, or a copy if that fails. Saving replaces the name, not the content."""
    try:
        os.link(now, then)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(now, then)
