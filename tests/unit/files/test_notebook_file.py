"""Jupyter files: only the source of code cells is read, whatever the file contains."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.files.left_out import LeftOut, Reason
from tinycopilot.files.masking import MASK
from tinycopilot.files.notebook_file import MAX_NOTEBOOK_BYTES, SEPARATOR, code_cells
from tinycopilot.files.reading import NotTextError, read_pieces, read_source, read_written
from tinycopilot.files.walking import source_files

OUTPUT = {"output_type": "stream", "name": "stdout", "text": ["printed_by_the_cell\n"]}
PASSWORD = "hunter2-" + "9fK3qLz8"  # split, so that this file itself contains no secret


def code(source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "metadata": {}, "execution_count": 3, "outputs": [OUTPUT], **more}


def markdown(source: Any) -> dict[str, Any]:
    return {"cell_type": "markdown", "source": source, "metadata": {}, "attachments": {"a.png": {"image/png": "AAAA"}}}


def notebook(*cells: Any, **more: Any) -> str:
    return json.dumps({"nbformat": 4, "metadata": {"title": "in_metadata"}, "cells": cells, **more})


def test_only_code_cells_are_read() -> None:
    text = notebook(markdown("# Title"), code("import os\nx = 1"), {"cell_type": "raw", "source": "raw"}, code("y = 2"))
    assert code_cells(text) == ["import os\nx = 1", "y = 2"]


def test_source_may_be_a_list_of_lines() -> None:
    assert code_cells(notebook(code(["a = 1\n", "b = 2"]), code([]))) == ["a = 1\nb = 2", ""]


def test_line_ends_and_lone_surrogates() -> None:
    assert code_cells(notebook(code("a\r\nb\rc \ud83d"))) == ["a\nb\nc \N{REPLACEMENT CHARACTER}"]
    assert code_cells(notebook(code("\U0001f40d"))) == ["\U0001f40d"]


@pytest.mark.parametrize(
    "cell", [None, 3, "code", [], {}, {"cell_type": "code"}, code(None), code(3), code(["a", 3]), code({}), code("\0")]
)
def test_other_cells_than_code_are_skipped(cell: Any) -> None:
    assert code_cells(notebook(code("a"), cell, code("b"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "no list of cells"),
        ("3", "no list of cells"),
        ("{}", "no list of cells"),
        ('{"cells": {}}', "no list of cells"),
        ("1" * 5_000, "not valid JSON"),
        ('{"cells": ' + "[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_damaged_notebooks_are_named(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        code_cells(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["cells", "cell_type", "source"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_gives_strings_or_a_message(value: Any) -> None:
    try:
        assert all(isinstance(cell, str) for cell in code_cells(json.dumps(value)))
    except ValueError as error:
        assert "cells" in str(error)


@given(st.lists(st.tuples(st.booleans(), st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])))))
def test_code_cells_come_in_their_order(cells: list[tuple[bool, str]]) -> None:
    lines = [(is_code, text.splitlines(keepends=True) if len(text) % 2 else text) for is_code, text in cells]
    written = notebook(*(code(text) if is_code else markdown(text) for is_code, text in lines))
    assert code_cells(written) == [text for is_code, text in cells if is_code]


def saved(folder: Path, text: str, name: str = "a.ipynb") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_a_notebook_is_read_as_one_document(tmp_path: Path) -> None:
    path = saved(tmp_path, notebook(code("a = 1"), markdown("text"), code(" \n"), code("b = a\n")))
    assert read_source(path) == f"a = 1{SEPARATOR}b = a\n"
    assert read_source(path, as_it_is=True) == path.read_text()
    assert "printed_by_the_cell" in path.read_text()
    assert list(read_pieces(saved(tmp_path, notebook(markdown("text"))))) == []


def test_a_cell_of_data_is_left_out(tmp_path: Path) -> None:
    path = saved(tmp_path, notebook(code("a = 1"), code(f"picture = '{'A' * 3_000}'"), code("b = 2")))
    assert read_source(path) == f"a = 1{SEPARATOR}b = 2"


def test_secrets_are_masked_in_the_source(tmp_path: Path) -> None:
    path, left_out = saved(tmp_path, notebook(code(['password = "' + PASSWORD + '"\n', "b = 2"]))), LeftOut()
    [(name, text)] = read_written([path], tmp_path, left_out)
    assert (name, text) == ("a.ipynb", f'password = "{MASK * len(PASSWORD)}"\nb = 2')
    assert left_out.lines() == ("left out: 1 secret masked in a file that is otherwise read (a.ipynb)",)


def test_source_of_a_large_notebook_is_read(tmp_path: Path) -> None:
    picture = {"output_type": "display_data", "data": {"image/png": "A" * 5_000_000}}
    path = saved(tmp_path, notebook(code("a = 1", outputs=[picture])))
    saved(tmp_path, notebook(code("b = 1", outputs=[picture] * 2)), "larger.ipynb")
    left_out = LeftOut()
    found = list(read_written(source_files(tmp_path, (".ipynb",), left_out), tmp_path, left_out))
    assert found == [("a.ipynb", "a = 1")]
    assert left_out.lines() == ("left out: 1 file over 1 MB (larger.ipynb)",)
    with pytest.raises(NotTextError, match="over 10 MB"):
        read_source(tmp_path / "larger.ipynb")
    assert path.stat().st_size < MAX_NOTEBOOK_BYTES


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": ' + "[" * 1_000_000])
def test_a_damaged_notebook_is_left_out(tmp_path: Path, text: str) -> None:
    path, left_out = saved(tmp_path, text), LeftOut()
    assert list(read_written([path], tmp_path, left_out)) == []
    assert left_out.lines() == ("left out: 1 invalid notebook (a.ipynb)",)
    with pytest.raises(NotTextError, match=r"a\.ipynb: not a notebook: .*; save it again") as caught:
        read_source(path)
    assert caught.value.reason is Reason.NOT_A_NOTEBOOK


def test_checkpoints_of_jupyter_are_not_read(tmp_path: Path) -> None:
    (tmp_path / ".ipynb_checkpoints").mkdir()
    saved(tmp_path / ".ipynb_checkpoints", notebook(code("a")))
    saved(tmp_path, notebook(code("b")), "passwords.ipynb")
    assert list(source_files(tmp_path, (".ipynb",))) == []
