"""The `clean` command: delete what tinycopilot has written on this machine; models only with `--all`."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tinycopilot import UserError
from tinycopilot.paths import NO_HOME, http_token_path, log_path, user_cache_folder, user_data_folder


def _n_bytes(path: Path) -> int:
    """Size in bytes; a link counts as itself."""
    if path.is_symlink() or path.is_file():
        return path.lstat().st_size
    files = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    return sum(file.lstat().st_size for file in files)


def _delete(path: Path) -> None:
    """Delete a file or folder. Of a link, only the link is deleted, not its target. Raises OSError."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path)


def stored(*, with_models: bool) -> Iterator[tuple[Path, str, list[Path]]]:
    """Yield existing data: index, log, token, weights, statistics, compiled code; and models if `with_models`.

    A place to show to the user, a description of the contents, and the files and folders to delete.
    """
    data = user_data_folder()
    places = [
        (user_cache_folder(), "the index and the last page of `explain`, which contain text from your files"),
        (log_path().parent, "the log"),
        (http_token_path(), "the token of `serve --http`"),
    ]
    if with_models:
        places += [(data, "all models that you trained, mixing weights, statistics")]
    else:
        places += [(data / "weights", "mixing weights")]
        places += [(path, "statistics") for path in sorted(data.glob("statistics.*"))]
    for path, what in places:
        if os.path.lexists(path) and NO_HOME not in path.parents:
            yield path, what, [path]
    if compiled := _compiled_code():
        yield compiled[0].parent, "compiled code", compiled


def _compiled_code() -> list[Path]:
    from tinycopilot.completion.compiled import CACHE  # noqa: PLC0415 (brings Numba)

    return [] if CACHE is None else sorted([*CACHE.glob("tinycopilot.*.compiled"), *CACHE.glob("*.all")])


def _active_runs() -> Iterator[Path]:
    """Yield the folders of training runs whose lock is held."""
    for lock in user_data_folder().glob("**/.*.run/lock"):
        try:
            FileLock(lock, timeout=0).acquire().lock.release()
        except Timeout:
            yield lock.parent


def run_cleaning(
    *, with_models: bool, is_sure: bool, ask: Callable[[str], str] | None, say: Callable[[str], None]
) -> None:
    """List what would be deleted, ask for confirmation, and delete it. `ask`: None without a terminal.

    Raises UserError.
    """
    found = list(stored(with_models=with_models))
    if not found:
        return say("nothing to delete")
    for place, what, paths in found:
        say(f"{sum(map(_n_bytes, paths)) / 1e6:8.1f} MB  {place}  ({what})")
    if not with_models and any((user_data_folder() / name).exists() for name in ("paras", "workspaces")):
        say("the models that you trained are kept; `tinycopilot clean --all` deletes them, too")
    if not is_sure:
        if ask is None:
            raise UserError(
                "nothing was deleted: without a terminal, you can't confirm; use --yes to delete what is listed"
            )
        try:
            answer = ask("Delete all of this? Close your editors first. [y/N] ")
        except EOFError:  # Ctrl-D, which does not end the line
            answer = ""
            say(answer)
        if answer.strip().lower() not in ("y", "yes"):
            return say("nothing was deleted")
    if with_models and (active := next(_active_runs(), None)):
        raise UserError(f"nothing was deleted: a training run is active in {active}; wait for it, or stop it")
    problems = []
    for path in (path for _, _, paths in found for path in paths):
        try:
            _delete(path)
        except FileNotFoundError:
            continue  # on Windows, the data folder contains the others
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
    if problems:
        raise UserError(f"not deleted: {'; '.join(problems)}; close your editors and try again")
    return say("deleted")
