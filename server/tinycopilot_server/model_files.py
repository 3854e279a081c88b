"""The files that the model in use was loaded from: which they are, and whether they have changed since."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tinycopilot import UserError, places
from tinycopilot.places import ModelPaths
from tinycopilot_server.settings import Settings

EVERY_S = 2.0
"""They are looked at once in so long, at most, and only when something happens: nothing runs by the clock."""

Stamp = tuple[object, ...]


def to_use(settings: Settings, folder: str | None) -> ModelPaths:
    """The model that the settings name, else the workspace's own, the user's, the one that ships. Raises UserError."""
    return places.to_load(settings.model_path, settings.tokenizer_path, workspace=folder)


def origin_of(paths: ModelPaths, settings: Settings, folder: str | None) -> places.Origin:
    """Why it is `paths` that is used, for the workspace `folder` or, where its own is not sound, without it."""
    found = (places.found(settings.model_path, settings.tokenizer_path, workspace=place) for place in (folder, None))
    return next((origin for pair, origin in found if pair == paths), places.Origin.GIVEN)


def forget_own(folder: str) -> None:
    """Delete the model that was adapted to the workspace `folder`, if there is one."""
    shutil.rmtree(places.workspace_model(folder).model.parent, ignore_errors=True)


class ModelFiles:
    """Notices when others are to be used, or when those that are have been replaced."""

    def __init__(self, find: Callable[[], ModelPaths], clock: Callable[[], float] = time.monotonic) -> None:
        """`find` says which are to be used; it may raise UserError. `clock` counts seconds."""
        self._find, self._clock = find, clock
        self._stamp: Stamp | None = None
        self._looked_s = 0.0

    def note(self) -> None:
        """They are about to be read: what changes from now on is news."""
        self._stamp, self._looked_s = self._look(), self._clock()

    def have_changed(self) -> bool:
        """Whether they have, since they were noted; then they are noted."""
        if self._stamp is None or self._clock() - self._looked_s < EVERY_S:
            return False
        before = self._stamp
        self.note()
        return self._stamp != before

    def _look(self) -> Stamp:
        try:
            paths = self._find()
        except UserError as error:
            return (str(error),)
        return (paths, *map(stamp_of, (paths.model, paths.tokenizer)))


def stamp_of(path: Path) -> Stamp | None:
    """Which file this is, and when it was changed; None: there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
