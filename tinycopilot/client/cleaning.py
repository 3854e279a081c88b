"""The `clean` command: delete what tinycopilot has written on this machine; models only with `--all`."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from tinycopilot import UserError
from tinycopilot.paths import NO_HOME, http_token_path, user_cache_folder, user_data_folder, user_log_folder


@dataclass(frozen=True)
class Stored:
    """A file or folder to delete, and a description of its contents."""

    path: Path
    what: str

    @property
    def n_bytes(self) -> int:
        """Size in bytes; a link counts as itself."""
        if self.path.is_symlink() or self.path.is_file():
            return self.path.lstat().st_size
        files = (Path(folder, name) for folder, _, names in os.walk(self.path) for name in names)
        return sum(file.lstat().st_size for file in files)

    def delete(self) -> None:
        """Delete it. Of a link, only the link is deleted, not its target. Raises OSError."""
        if self.path.is_symlink() or not self.path.is_dir():
            self.path.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.path)


def stored(*, with_models: bool) -> list[Stored]:
    """Return existing data: index, compiled code, log, token, weights, statistics; and models if `with_models`."""
    return [one for one in _candidates(with_models) if os.path.lexists(one.path) and NO_HOME not in one.path.parents]


def _candidates(with_models: bool) -> Iterator[Stored]:
    data = user_data_folder()
    yield Stored(user_cache_folder(), "the index, which contains text from your files")
    yield Stored(user_log_folder(), "the log")
    yield Stored(http_token_path(), "the token of `serve --http`")
    if with_models:
        yield Stored(data, "all models that you trained, mixing weights, statistics")
    else:
        yield Stored(data / "weights", "mixing weights")
        yield from (Stored(path, "statistics") for path in sorted(data.glob("statistics.*")))
    yield from (Stored(path, "compiled code") for path in _compiled_code())


def _compiled_code() -> Iterable[Path]:
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
    found = stored(with_models=with_models)
    if not found:
        return say("nothing to delete")
    for line in _listed(found):
        say(line)
    if not with_models and any(
        name.exists() for name in (user_data_folder() / "paras", user_data_folder() / "workspaces")
    ):
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
    for one in found:
        try:
            one.delete()
        except FileNotFoundError:
            continue  # on Windows, the data folder contains the others
        except OSError as error:
            problems.append(f"{one.path}: {error.strerror}")
    if problems:
        raise UserError(f"not deleted: {'; '.join(problems)}; close your editors and try again")
    return say("deleted")


def _listed(found: list[Stored]) -> Iterator[str]:
    """Yield a line for each folder, and one for all compiled code."""
    compiled = [one for one in found if one.what == "compiled code"]
    for one in found:
        if one.what != "compiled code":
            yield f"{one.n_bytes / 1e6:8.1f} MB  {one.path}  ({one.what})"
    if compiled:
        yield f"{sum(one.n_bytes for one in compiled) / 1e6:8.1f} MB  {compiled[0].path.parent}  (compiled code)"
