import os
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.paths import (
    ModelPaths,
    Origin,
    back_up,
    bundled_model,
    describe_model,
    find_model,
    mixture_weights_path,
    model_to_load,
    model_to_save,
    move_command,
    shell_command,
    unused_paths,
    user_model,
    workspace_model,
)


def make(folder: Path) -> ModelPaths:
    folder.mkdir(parents=True)
    pair = ModelPaths(folder / "tiny_gpt.pth", folder / "tokenizer.pth")
    pair.model.write_text("m")
    pair.tokenizer.write_text("t")
    return pair


@pytest.mark.usefixtures("in_folder")
def test_search_order_and_origin() -> None:
    shipped = bundled_model()
    assert find_model() == (shipped, Origin.SHIPPED)
    assert shipped.model.is_file()
    assert shipped.tokenizer.is_file()
    users = make(user_model().model.parent)
    assert find_model() == (users, Origin.USER)
    make(Path("paras"))  # of the working folder, which may be a stranger's
    assert find_model() == (users, Origin.USER)
    given = find_model("x/m.pth", "y/t.pth")
    assert given == (ModelPaths(Path("x/m.pth"), Path("y/t.pth")), Origin.GIVEN)
    assert describe_model(*given) == f"model: {Path('x/m.pth')} (named by you)"
    assert describe_model(*find_model()) == f"model: {users.model} (your own)"


@pytest.mark.usefixtures("in_folder")
def test_save_destination() -> None:
    assert model_to_save() == user_model()
    Path("paras").mkdir()
    assert model_to_save() == user_model()
    assert model_to_save("m.pth").tokenizer == Path("m.tokenizer.pth")
    assert model_to_save(None, "a/t.pth").model == Path("a/tiny_gpt.pth")


def test_half_a_model_is_an_error() -> None:
    pair = make(user_model().model.parent)
    pair.tokenizer.unlink()
    assert model_to_load() == pair


def test_first_number_free_for_both_files(tmp_path: Path) -> None:
    pair = make(tmp_path / "p")
    (tmp_path / "p" / "tokenizer.1.pth").symlink_to("nothing")
    (tmp_path / "p" / "tiny_gpt.2.pth").write_text("x")
    free = unused_paths(pair)
    assert (free.model.name, free.tokenizer.name) == ("tiny_gpt.3.pth", "tokenizer.3.pth")
    swap = move_command((pair, free), (ModelPaths(tmp_path / "no", tmp_path / "none"), pair))
    assert swap == f"mv {pair.model} {free.model} && mv {pair.tokenizer} {free.tokenizer}"


def test_printed_commands_on_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cmd does not remove single quotation marks."""
    pair, other = make(tmp_path / "a b"), make(tmp_path / "p")
    monkeypatch.setattr("sys.platform", "win32")
    assert (
        shell_command("adapt", r"C:\Users\me", r"C:\my code", "(x)", "") == r'adapt C:\Users\me "C:\my code" "(x)" ""'
    )
    assert move_command((pair, other)).startswith(f'cmd /c move /y "{pair.model}" {other.model} && cmd /c move')


def test_old_models_are_kept_numbered(tmp_path: Path) -> None:
    pair = make(tmp_path / "p")
    for number in (1, 2, 3):
        pair.model.unlink()
        pair.model.write_text(f"model {number}")
        kept = back_up(pair)
        assert kept is not None
        assert kept.model.name == f"tiny_gpt.{number}.pth"
        assert kept.model.read_text() == f"model {number}"
        assert kept.tokenizer.name == f"tokenizer.{number}.pth"
        assert pair.model.exists()
    assert back_up(ModelPaths(tmp_path / "no", tmp_path / "none")) is None


def test_old_models_are_kept_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    kept = back_up(make(tmp_path / "p"))
    assert kept is not None
    assert kept.model.read_text() == "m"


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ("d/tiny_gpt.pth", "d/tokenizer.pth"),
        ("d/tiny_gpt.3.pth", "d/tokenizer.3.pth"),
        ("d/alpha.pth", "d/alpha.tokenizer.pth"),
        ("model", "model.tokenizer"),
    ],
)
def test_each_model_has_its_own_tokenizer(model: str, tokenizer: str) -> None:
    pair = ModelPaths(Path(model), Path(tokenizer))
    assert model_to_save(model) == model_to_load(model) == pair
    if "." in model:
        assert model_to_save(None, tokenizer) == pair


@pytest.mark.parametrize("words", [("a.pth", "a.pth"), ("x/../a.pth", "a.pth"), (".", None), ("~nobody-here/m", None)])
def test_invalid_paths(words: tuple[str | None, str | None]) -> None:
    with pytest.raises(UserError):
        model_to_save(*words)


def test_name_without_suffix_is_kept_each_time(tmp_path: Path) -> None:
    pair = ModelPaths(tmp_path / "model", tmp_path / "model.tokenizer")
    for number in range(1, 4):
        pair.model.unlink(missing_ok=True)
        pair.model.write_text(f"{number}")
        back_up(pair)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.1", "model.2", "model.3"]
    assert [(tmp_path / f"model.{n}").read_text() for n in (1, 2, 3)] == ["1", "2", "3"]


def test_weights_path_is_per_workspace_and_tokenizer(temporary_home: Path) -> None:
    paths = {mixture_weights_path(folder, digest) for folder in ("/a", "/b", "\ud800") for digest in ("1", "2")}
    assert len(paths) == 6
    assert all(temporary_home in path.parents and path.suffix == ".json" for path in paths)
    assert mixture_weights_path("/a", "1") in paths


@pytest.mark.usefixtures("in_folder")
def test_workspace_model_precedes_the_users_and_follows_the_given_one(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    own = workspace_model(str(folder))
    users = make(user_model().model.parent)
    assert model_to_load(workspace=str(folder)) == users
    make(own.model.parent)
    assert model_to_load(workspace=str(folder)) == own
    assert model_to_load("m.pth", workspace=str(folder)).model == Path("m.pth")
    assert model_to_load(workspace=str(tmp_path)) == model_to_load() == users
    (tmp_path / "link").symlink_to(folder)
    assert workspace_model(str(tmp_path / "link")) == own
    assert workspace_model(str(folder / ".." / "project")) == own


def test_model_in_an_unreadable_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `sudo tinycopilot train`; skipping it would use another model without saying so."""

    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(UserError, match=r"tiny_gpt\.pth: cannot be read \(Permission denied\); check the permissions"):
        user_model().exist()
