"""What zpaq -m5 spends on a text after another that it has read: the difference of two archives' sizes.

zpaq (Mahoney, version 7.15) at -m5 mixes, bit by bit, what some twenty models of the last bytes and words predict. Its
usual format is made for backups, and distorts such a difference: what looks like an earlier fragment of some 64 kB is
replaced by its number, each fragment costs about thirty bytes in tables, and which models are taken is decided by the
text's statistics, so that a little more text may change them. Hence its streaming format: one file is one block, whose
bytes are modelled in their order, and nothing is left out. The model is the one that -m5 takes for text, its tables as
large; `plain_model` is what -m5 itself chooses, to compare. What is added to the coded text has a fixed length (but
for the text's length, in digits).

Sizes are whole bytes. With the places where they are cut evenly distributed, a difference has a standard error of
8 / sqrt(6) = 3.3 bits, and is at most 8 bits wrong.
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
"""How each begins, by the ZPAQ standard: a tag, zPQ, level and type. The model's length follows, and the model."""
_TABLE = re.compile(rb"jDC\d{14}[chi]\d{10}")
"""How the usual format calls blocks that hold no data."""


class Cost(NamedTuple):
    """What a text costs after another, and the model that read both, as zpaq writes it down (ZPAQL)."""

    n_bits: int
    model: bytes


def need_zpaq() -> None:
    """Raise UserError where it is not installed."""
    if shutil.which("zpaq") is None:
        raise UserError("zpaq is not installed; on Debian and Ubuntu: apt-get install zpaq (else mattmahoney.net/zpaq)")


def cost_after(before: bytes, text: bytes) -> Cost:
    """What `text` costs after `before`. Raises UserError where the two archives cannot be compared."""
    whole = before + text
    method = f"s{_log2_megabytes(len(whole))}.{_TEXT_MODEL}"
    shorter, longer = archive(before, method), archive(whole, method)
    models = models_in(longer)
    if len(models) != 1 or models_in(shorter) != models:
        raise UserError(f"zpaq took {len(models)} blocks for {len(whole):,} bytes; their sizes cannot be compared")
    return Cost(8 * (len(longer) - len(shorter)), models[0])


def plain_model(text: bytes) -> bytes:
    """The model that `zpaq -m5` itself takes for `text`, in its first block."""
    return models_in(archive(text, "5"))[0]


def archive(text: bytes, method: str) -> bytes:
    """The archive of one file, of this text. Raises UserError where zpaq fails."""
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
        name = archive[end + 1 : archive.index(0, end + 1)]  # of the block's first segment, behind a 1
        if not _TABLE.fullmatch(name):
            models.append(archive[start:end])
    return models


def _log2_megabytes(n_bytes: int) -> int:
    """By how much -m5 makes its tables larger for a text of this size (libzpaq: lg(n + 4095) - 20)."""
    return max((n_bytes + 4095).bit_length() - 20, 0)
