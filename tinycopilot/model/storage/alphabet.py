"""Read a tokenizer's alphabet from its file. Imports no PyTorch."""

from pathlib import Path

from tinycopilot.model.config import MAX_VOCAB
from tinycopilot.model.storage import ModelFileError, load_data

MAX_FILE_BYTES = 1_000_000


def read_alphabet(path: Path) -> str:
    """Return the alphabet, each character once. Raises ModelFileError."""
    alphabet: str = load_data(path, "tokenizer", {"alphabet": str}, max_bytes=MAX_FILE_BYTES)["alphabet"]
    if len(alphabet) >= MAX_VOCAB:
        raise ModelFileError(
            f"{path}: the tokenizer claims {len(alphabet)} characters, at most {MAX_VOCAB - 1} are allowed"
        )
    if len(set(alphabet)) != len(alphabet) or not alphabet:
        raise ModelFileError(f"{path}: not a tokenizer: an alphabet has at least one character, and each only once")
    return alphabet
