"""Detection of changed model files, by checks at intervals."""

from pathlib import Path

import pytest
from tinycopilot_server.models import CHECK_S, ModelFiles, to_use
from tinycopilot_server.settings import Settings

from tinycopilot import UserError
from tinycopilot.paths import ModelPaths, bundled_path, workspace_model


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        self.now_s += CHECK_S
        return self.now_s


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


def test_replaced_file_is_reported_once(paths: ModelPaths) -> None:
    files = ModelFiles(lambda: paths, Clock())
    assert not files.have_changed()  # nothing was loaded yet
    files.note()
    assert not files.have_changed()
    replace(paths.model, "other")
    assert files.have_changed()
    assert not files.have_changed()
    paths.tokenizer.unlink()
    assert files.have_changed()
    assert not files.have_changed()


def test_files_are_checked_at_most_every_check_s(paths: ModelPaths) -> None:
    clock, looks = Clock(), list[str]()

    def find() -> ModelPaths:
        looks.append("look")
        return paths

    files = ModelFiles(find, lambda: clock.now_s)
    files.note()
    replace(paths.model, "other")
    for _ in range(100):
        assert not files.have_changed()
    assert len(looks) == 1
    clock.now_s += CHECK_S
    assert files.have_changed()


def test_other_paths_are_a_change(tmp_path: Path) -> None:
    folder = str(tmp_path / "project")
    files = ModelFiles(lambda: to_use(Settings(), folder)[0], Clock())
    files.note()
    own = workspace_model(folder)
    own.model.parent.mkdir(parents=True)
    own.model.write_text("model")
    assert files.have_changed()
    assert to_use(Settings(), folder)[0] == own
    assert to_use(Settings(model_path="/m.pth"), folder)[0].model == Path("/m.pth")
    assert to_use(Settings(), None)[0].model == bundled_path("paras") / "tiny_gpt.pth"


def test_invalid_path_is_not_a_change_by_itself() -> None:
    def find() -> ModelPaths:
        raise UserError("no")

    files = ModelFiles(find, Clock())
    files.note()
    assert not files.have_changed()
