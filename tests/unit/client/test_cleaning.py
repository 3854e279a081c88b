"""`tinycopilot clean` lists the stored files, asks for confirmation, and deletes only these files."""

from pathlib import Path

import pytest
from filelock import FileLock

from tinycopilot import UserError
from tinycopilot.client import cleaning
from tinycopilot.client.cleaning import run_cleaning
from tinycopilot.paths import http_token_path, log_path, user_cache_folder, user_data_folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a file in every folder, next to files of another program."""
    for kind in ("DATA", "CACHE", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))
    monkeypatch.setattr(cleaning, "_compiled_code", lambda: sorted((tmp_path / "compiled").glob("*")))
    for path in (
        user_cache_folder() / "memory" / "a.memory",
        log_path(),
        http_token_path(),
        user_data_folder() / "weights" / "a",
        user_data_folder() / "statistics.json",
        user_data_folder() / "paras" / "tiny_gpt.pth",
        user_data_folder() / "workspaces" / "a" / "tiny_gpt.pth",
        tmp_path / "compiled" / "tinycopilot.f.compiled",
        user_data_folder().parent / "other" / "file",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * 1_000_000)
    return tmp_path


def files(home: Path) -> set[str]:
    return {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}


MODELS = {"data/tinycopilot/paras/tiny_gpt.pth", "data/tinycopilot/workspaces/a/tiny_gpt.pth"}
OTHER = {"data/other/file"}


def test_trained_models_are_kept_without_all(home: Path) -> None:
    said: list[str] = []
    run_cleaning(with_models=False, is_sure=True, ask=None, say=said.append)
    assert files(home) == MODELS | OTHER
    assert any("`tinycopilot clean --all`" in line for line in said)
    run_cleaning(with_models=True, is_sure=True, ask=None, say=said.append)
    assert files(home) == OTHER
    run_cleaning(with_models=True, is_sure=True, ask=None, say=said.append)
    assert said[-1] == "nothing to delete"


@pytest.mark.parametrize("answer", ["", "n", "what?"])
def test_everything_is_listed_before_it_asks_and_no_is_the_default(home: Path, answer: str) -> None:
    said: list[str] = []

    def ask(question: str) -> str:
        said.append(question)
        return answer

    before = files(home)
    run_cleaning(with_models=True, is_sure=False, ask=ask, say=said.append)
    assert files(home) == before
    listed = "\n".join(said[:-2])
    for place in (user_cache_folder(), log_path().parent, http_token_path(), user_data_folder(), home / "compiled"):
        assert str(place) in listed
    assert "     1.0 MB" in listed
    assert "Delete all of this?" in said[-2]
    assert said[-1] == "nothing was deleted"


def test_yes_deletes(home: Path) -> None:
    run_cleaning(with_models=True, is_sure=False, ask=lambda _: "Y ", say=lambda _: None)
    assert files(home) == OTHER


def test_without_a_terminal_nothing_is_deleted_without_yes(home: Path) -> None:
    before = files(home)
    with pytest.raises(UserError, match="use --yes"):
        run_cleaning(with_models=True, is_sure=False, ask=None, say=lambda _: None)
    assert files(home) == before


def test_end_of_input_is_no(home: Path) -> None:
    """Ctrl-D at the question."""

    def ask(_question: str) -> str:
        raise EOFError

    before, said = files(home), list[str]()
    run_cleaning(with_models=True, is_sure=False, ask=ask, say=said.append)
    assert said[-2:] == ["", "nothing was deleted"]
    assert files(home) == before


@pytest.mark.parametrize("place", ["paras", "workspaces/a"])
def test_active_run_is_not_deleted(place: str, home: Path) -> None:
    folder = user_data_folder() / place / ".tiny_gpt.pth.run"
    folder.mkdir()
    with FileLock(folder / "lock"):
        before = files(home)
        with pytest.raises(UserError, match=r"a training run is active in \S+\.run"):
            run_cleaning(with_models=True, is_sure=True, ask=None, say=lambda _: None)
        assert files(home) == before
    run_cleaning(with_models=True, is_sure=True, ask=None, say=lambda _: None)
    assert files(home) == OTHER


def test_link_is_deleted_but_not_its_target(home: Path) -> None:
    elsewhere = home / "elsewhere"
    user_cache_folder().rename(elsewhere)
    user_cache_folder().symlink_to(elsewhere)
    run_cleaning(with_models=False, is_sure=True, ask=None, say=lambda _: None)
    assert (elsewhere / "memory" / "a.memory").exists()
    assert not user_cache_folder().is_symlink()
