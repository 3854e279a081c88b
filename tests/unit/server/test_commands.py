"""The summary of the command `tinycopilot.knowledge`."""

import pytest
from tinycopilot_server.commands import knowledge_in_words

KNOWN = {
    "folders": ["/work"], "files": 1, "open": 0, "suffixes": [".py"], "characters": 1234, "maxCharacters": 5000,
    "leftOut": [], "model": "model: /m.pth", "memoryBytes": None, "lastAnswerMs": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("n_files", "n_open", "words"),
    [(1, 0, "1 file on disk and 0 open documents, 1,234"), (2000, 1, "2,000 files on disk and 1 open document, 1,234")],
)
def test_files_are_counted(n_files: int, n_open: int, words: str) -> None:
    assert f"Indexed: {words} characters of at most 5,000" in knowledge_in_words(
        {**KNOWN, "files": n_files, "open": n_open}
    )
