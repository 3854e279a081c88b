"""The user's folders if the home is missing or invalid, and the folder of compiled code."""

import contextlib
import os
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.completion import compiled
from tinycopilot.paths import (
    MAX_CACHED_NAME_CHARS,
    NO_HOME,
    Origin,
    compiled_code_folder,
    find_model,
    index_path,
    is_private_and_writable,
    log_path,
    mixture_weights_path,
    model_to_save,
    require_home,
    saved_state_paths,
    statistics_path,
    user_folders,
    user_model,
    workspace_model,
)

VARIABLES = ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")


@pytest.fixture(params=[None, "~", "relative", "~nobody-here"])
def homeless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The working folder of a user without a passwd entry, and with missing or invalid folders."""
    import pwd

    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        if request.param is not None:
            monkeypatch.setenv(name, request.param)

    def unknown(user: object) -> None:
        raise KeyError(user)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(os.name != "posix", reason="Windows always has a profile")
def test_without_a_home_nothing_is_read_or_written(homeless: Path) -> None:
    folders = [folder for folder, _ in user_folders().values()]
    of_files = [user_model().model, statistics_path(), mixture_weights_path("/a", "1"), log_path()]
    for path in (*folders, *of_files, index_path(["/a"], "1"), workspace_model("/a").model):
        assert NO_HOME in path.parents
        assert not path.exists()
        with pytest.raises(OSError, match=os.devnull):
            path.mkdir(parents=True)
    assert list(saved_state_paths(["/a"])) == []
    assert find_model()[1] is Origin.SHIPPED
    assert find_model(workspace="/a")[1] is Origin.SHIPPED
    assert list(homeless.iterdir()) == []


@pytest.mark.usefixtures("homeless")
@pytest.mark.skipif(os.name != "posix", reason="Windows always has a profile")
def test_without_a_home_saving_a_model_is_one_line() -> None:
    with pytest.raises(UserError, match="HOME"):
        require_home(model_to_save().model, "name it")
    require_home(model_to_save("here.pth").model)


@pytest.mark.usefixtures("temporary_home")
def test_home_is_used() -> None:
    require_home(model_to_save().model)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX file owners")
@pytest.mark.parametrize(("mode", "is_private"), [(0o700, True), (0o775, True), (0o777, False), (0o1777, False)])
def test_world_writable_folder_is_not_private(tmp_path: Path, mode: int, is_private: bool) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    folder.chmod(mode)
    assert is_private_and_writable(folder) is is_private
    # A folder that everybody may replace is not private either, unless its parent is sticky.
    assert is_private_and_writable(folder / "new") is (mode != 0o777)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX file owners")
def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_private_and_writable(tmp_path / "a")
    monkeypatch.setattr("tinycopilot.paths.os.geteuid", lambda: os.getuid() + 1)
    assert not is_private_and_writable(tmp_path / "a")


def test_compiled_code_uses_the_first_writable_folder(
    tmp_path: Path, temporary_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("where a folder should be")
    monkeypatch.setattr("tinycopilot.paths.tempfile.tempdir", str(tmp_path))
    assert compiled_code_folder(tmp_path / "beside") == tmp_path / "beside"
    assert compiled_code_folder(in_the_way) == temporary_home / "cache" / "tinycopilot" / "compiled"
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_the_way))
    temporary = tmp_path / f"tinycopilot-{os.geteuid()}" / "compiled"
    assert compiled_code_folder(in_the_way) == temporary
    temporary.parent.chmod(0o777)  # owned by another user
    assert compiled_code_folder(in_the_way) is None


def test_folder_whose_files_would_have_too_long_paths_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, with at most 259 characters: in packages of Python from the Microsoft Store, for example."""

    def create(*, prefix: str, dir: Path) -> contextlib.nullcontext[None]:
        if len(str(dir)) + len(prefix) > len(str(tmp_path)) + 190:
            raise FileNotFoundError(dir)
        return contextlib.nullcontext()

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryFile", create)
    assert compiled_code_folder(tmp_path / ("d" * 100)) == tmp_path / "tinycopilot" / "compiled"
    names = [path.name for path in Path(compiled.__file__).parent.rglob("*.compiled")]
    assert max(map(len, names), default=0) + len("..12345678.part") <= MAX_CACHED_NAME_CHARS


def test_unusable_temporary_folder_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tinycopilot.paths.tempfile.gettempdir", none)
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_the_way))
    assert compiled_code_folder(in_the_way) is None
