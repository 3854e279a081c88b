import os
import shutil
from pathlib import Path

import pytest

from tinycopilot import UserError
from tinycopilot.model.gpt import TinyGPT, load_pair
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths
from tinycopilot.training import saving
from tinycopilot.training.saving import check_writable, save_pair


def refuse_model(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    save = TinyGPT.save

    def full_disk(self: TinyGPT, path: Path, *rest: object) -> None:
        if Path(path).parent == folder:
            raise OSError(28, "No space left on device")
        save(self, path, *rest)

    monkeypatch.setattr(TinyGPT, "save", full_disk)


def refuse_keeping(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def full_disk(now: Path, then: Path) -> None:
        if then.name.startswith("tokenizer") and then.parent == folder:
            raise OSError(28, "No space left on device")
        shutil.copy(now, then)

    monkeypatch.setattr(os, "link", full_disk)
    monkeypatch.setattr(shutil, "copy2", full_disk)


@pytest.mark.parametrize("refuse", [refuse_model, refuse_keeping])
@pytest.mark.parametrize("missing", [None, "tiny_gpt.pth", "tokenizer.pth"])
def test_failed_save_changes_nothing(
    refuse, missing: str | None, pair: ModelPaths, tokenizer: SimpleTokenizer, tmp_path: Path, monkeypatch
) -> None:
    model = load_pair(pair.model, pair.tokenizer)[0]
    if missing:
        (tmp_path / missing).unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rescue = tmp_path.parent / f"{tmp_path.name}-rescue"
    rescue.mkdir()
    monkeypatch.setattr(saving.tempfile, "mkdtemp", lambda **_: str(rescue))
    refuse(monkeypatch, tmp_path)
    if refuse is refuse_keeping and missing == "tokenizer.pth":
        return  # there is no tokenizer to keep
    with pytest.raises(UserError, match=r"No space left on device.*unchanged.*the new model is in"):
        save_pair(pair, model, tokenizer, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    load_pair(rescue / "tiny_gpt.pth", rescue / "tokenizer.pth")


def test_unwritable_destination_is_reported_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for model in (tmp_path / "file" / "m.pth", tmp_path):
        with pytest.raises(UserError, match="cannot save a model there"):
            check_writable(ModelPaths(model, tmp_path / "t.pth"))
    check_writable(ModelPaths(tmp_path / "new" / "folder" / "m.pth", tmp_path / "t.pth"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]  # nothing is created for a run that may still fail
