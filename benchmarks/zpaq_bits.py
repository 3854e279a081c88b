"""Cost of a text by zpaq -m5 after another text: the difference of two archives' sizes.

zpaq (Mahoney, version 7.15) at -m5 mixes, bit by bit, the predictions of some twenty models of the last bytes and
words. Its usual format is made for backups, and distorts such a difference: fragments of some 64 kB that look like
earlier ones are replaced by numbers, each fragment costs about thirty bytes in tables, and the models are selected by
the text's statistics, so that a little more text may change them. Hence the streaming format: one file is one block,
whose bytes are modelled in order, and nothing is left out. The model is the one that -m5 selects for text, with tables
of the same size; `plain_model` is what -m5 itself selects, for comparison. The overhead around the coded text has a
fixed length, except for the digits of the text's length.

Sizes are whole bytes. With uniformly distributed rounding, a difference has a standard error of 8 / sqrt(6) = 3.3 bits,
and is at most 8 bits wrong.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from tinycopilot import UserError

STANDARD_ERROR_BITS = 8 / 6**0.5
_TEXT_MODEL = "0w2c0.1010.255i1c256ci1.1.1.1.1.1.2ac0.2.0.255i1c0.3.0.0.255i1c0.4.0.0.0.255i1mm16ts19t0"
"""libzpaq's `compressBlock`, level 5, text without columns of fixed width."""
_BLOCK = re.compile(re.escape(bytes.fromhex("376b5374a03183d38cb228b0d3")) + b"zPQ..", re.DOTALL)
"""The start of each block, by the ZPAQ standard: a tag, zPQ, level and type. The model's length and the model follow.
"""
_TABLE = re.compile(rb"jDC\d{14}[chi]\d{10}")
"""Names of blocks without data in the usual format."""


class Cost(NamedTuple):
    """Cost of a text after another one, and the model that read both, in zpaq's notation (ZPAQL)."""

    n_bits: int
    model: bytes


def need_zpaq() -> None:
    """Raise UserError if zpaq is not installed."""
    if shutil.which("zpaq") is None:
        raise UserError("zpaq is not installed; on Debian and Ubuntu: apt-get install zpaq (else mattmahoney.net/zpaq)")


def cost_after(before: bytes, text: bytes) -> Cost:
    """Cost of `text` after `before`. Raises UserError if the two archives cannot be compared."""
    whole = before + text
    method = f"s{_log2_megabytes(len(whole))}.{_TEXT_MODEL}"
    shorter, longer = archive(before, method), archive(whole, method)
    models = models_in(longer)
    if len(models) != 1 or models_in(shorter) != models:
        raise UserError(f"zpaq used {len(models)} blocks for {len(whole):,} bytes; sizes are not comparable")
    return Cost(8 * (len(longer) - len(shorter)), models[0])


def plain_model(text: bytes) -> bytes:
    """The model that `zpaq -m5` itself selects for `text`, in its first block."""
    return models_in(archive(text, "5"))[0]


def archive(text: bytes, method: str) -> bytes:
    """Archive a file with this text. Raises UserError if zpaq fails."""
    with tempfile.TemporaryDirectory(prefix="tinycopilot-zpaq-") as folder:
        Path(folder, "text").write_bytes(text)
        command = ["zpaq", "add", "archive.zpaq", "text", "-method", method, "-threads", "1"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f"zpaq failed with exit code {done.returncode}: {done.stderr.strip()[-200:]}")
        return Path(folder, "archive.zpaq").read_bytes()


def models_in(archive: bytes) -> list[bytes]:
    """The model of each block of data."""
    models = []
    for block in _BLOCK.finditer(archive):
        start = block.end() + 2
        end = start + int.from_bytes(archive[block.end() : start], "little")
        name = archive[end + 1 : archive.index(0, end + 1)]  # of the block's first segment, after a 1
        if not _TABLE.fullmatch(name):
            models.append(archive[start:end])
    return models


def _log2_megabytes(n_bytes: int) -> int:
    """Factor by which -m5 enlarges its tables for a text of this size, as log2 (libzpaq: lg(n + 4095) - 20)."""
    return max((n_bytes + 4095).bit_length() - 20, 0)
