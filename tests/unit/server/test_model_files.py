"""Detection of changed model files, by checks at intervals."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tinycopilot_server import models
from tinycopilot_server.models import to_use
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.session import Status
from tinycopilot_server.settings import Settings

from tinycopilot.paths import ModelPaths, bundled_path, workspace_model


def replace(path: Path, content: str) -> None:
    new = path.with_name("new")
    new.write_text(content)
    new.replace(path)


@pytest.fixture
def paths(tmp_path: Path) -> ModelPaths:
    paths = ModelPaths(tmp_path / "tiny_gpt.pth", tmp_path / "tokenizer.pth")
    paths.model.write_text("model")
    paths.tokenizer.write_text("tokenizer")
    return paths


class Following:
    """A server without a client, whose model is never loaded, and the number of reloads that it begins."""

    def __init__(self, paths: ModelPaths) -> None:
        self.server = TinyCopilotServer()
        self.server.session.settings = Settings(model_path=str(paths.model), tokenizer_path=str(paths.tokenizer))
        self.n_reloads = 0
        self.server.models.reload = lambda: None  # type: ignore[method-assign, assignment, return-value]
        self.server.models.soon = self._count  # type: ignore[method-assign]
        self.server.models._stamp = self.server.models._stamp_now()
        self.server.session.model_status = Status("ready")

    def _count(self, _: object) -> None:
        self.n_reloads += 1

    def reloads(self) -> int:
        """Check the files; return the number of reloads since the last call."""
        before = self.n_reloads
        self.server.models.follow()
        return self.n_reloads - before


@pytest.fixture
def following(paths: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    monkeypatch.setattr(models, "CHECK_S", 0)
    following = Following(paths)
    yield following
    following.server.shutdown()


def test_replaced_file_is_reloaded_once(following: Following, paths: ModelPaths) -> None:
    assert not following.reloads()
    replace(paths.model, "other")
    assert [following.reloads() for _ in range(2)] == [1, 0]
    paths.tokenizer.unlink()
    assert [following.reloads() for _ in range(2)] == [1, 0]


def test_nothing_is_reloaded_while_the_first_model_is_loaded(following: Following, paths: ModelPaths) -> None:
    following.server.session.model_status = Status("loading")
    replace(paths.model, "other")
    assert not following.reloads()


def test_files_are_checked_at_most_every_check_s(
    following: Following, paths: ModelPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not following.reloads()
    replace(paths.model, "other")
    with monkeypatch.context() as patch:
        patch.setattr(models, "CHECK_S", 3_600)
        assert not following.reloads()
    assert following.reloads()


def test_other_paths_are_a_change(following: Following, tmp_path: Path) -> None:
    folder = str(tmp_path / "project")
    session = following.server.session
    session.settings, session.folders.roots = Settings(), (folder,)
    assert following.reloads()
    own = workspace_model(folder)
    own.model.parent.mkdir(parents=True)
    own.model.write_text("model")
    assert following.reloads()
    assert to_use(Settings(), folder)[0] == own
    assert to_use(Settings(model_path="/m.pth"), folder)[0].model == Path("/m.pth")
    assert to_use(Settings(), None)[0].model == bundled_path("paras") / "tiny_gpt.pth"


def test_invalid_path_is_a_change_once(following: Following) -> None:
    following.server.session.settings = Settings(tokenizer_path="/no/tokenizer.pth")
    assert [following.reloads() for _ in range(2)] == [1, 0]
