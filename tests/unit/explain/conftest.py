from collections.abc import Callable
from pathlib import Path

import pytest
from explain_page import Page

from tinycopilot.cli import main
from tinycopilot.paths import ModelPaths


@pytest.fixture
def make_page(pair: ModelPaths, in_folder: Path, capsys) -> Callable[..., Page]:
    """Run `tinycopilot explain --html`."""

    def make(*words: str, model: ModelPaths = pair) -> Page:
        assert main(["explain", "--model_path", str(model.model), "--html", "page.html", *words]) == 0
        said = capsys.readouterr()
        assert said.out == ""
        return Page((in_folder / "page.html").read_text("utf-8"), said.err)

    return make
