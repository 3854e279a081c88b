"""Accepted suggestions keep code valid: random cursors in real files, auto-closed pairs, checked with `tokenize`."""

import random
import sys
import sysconfig
from pathlib import Path

import pytest
from accept_safety import NO_PAIRS, Cursor, combinations, cursors, cursors_in_lines, faults, judge

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.truncation import Prefix, infill_obstacle, is_at_line_end, postprocess, truncate

STDLIB = Path(sysconfig.get_paths()["stdlib"])
FILES = ("argparse.py", "ast.py", "cgi.py", "configparser.py", "dataclasses.py", "json/decoder.py", "pprint.py",
         "re/_parser.py", "shlex.py", "string.py", "textwrap.py", "turtle.py")  # fmt: skip
SHORT_FILES = ("dataclasses.py", "json/decoder.py", "pprint.py", "shlex.py", "string.py", "textwrap.py")
N_CURSORS = 25
"""Cursors per file, for each combination of pairs, with two texts at each (benchmarks/accept_safety.py tries 100,000).
"""
JUMP_CHARS = 40
"""Maximum distance of the cursors that these are drawn from."""
SCRAPS = ('"', "'", '"""', "\\", "\\n", "{", "}", "(", ")", "[", "]", "# ", 'f"{x', "{x}", "}}", "\\\n", "x", ", ")


def texts(cursor: Cursor, text: str, dice: random.Random) -> list[str]:
    """Yield texts that a model may decode here: the file's continuation, and other text with inserted fragments."""
    there = dice.randrange(len(text))
    parts = [text[there : there + dice.randint(1, 15)] for _ in range(2)]
    mixed = parts[0] + dice.choice(SCRAPS) + parts[1] + dice.choice(SCRAPS) + dice.choice(SCRAPS)
    at = len(cursor.before)
    return [text[at : at + dice.randint(4, 80)], mixed]


@pytest.mark.parametrize("name", FILES)
def test_accepted_suggestion_keeps_the_code_valid(name: str) -> None:
    path, dice = STDLIB / name, random.Random(name)
    if not path.is_file():
        pytest.skip("not available in this Python version")
    text = path.read_text("utf-8")
    drawn = [cursor for cursor in cursors(text, dice, JUMP_CHARS) if cursor.closers or dice.random() < 0.3]
    n_shown = 0
    for cursor in dice.sample(drawn, min(N_CURSORS, len(drawn))):
        for pairs in combinations(cursor.closers):
            after = pairs.text + cursor.below
            for decoded, is_code in zip(
                texts(cursor, text, dice) if is_at_line_end(after) else (), (True, False), strict=False
            ):
                shown = postprocess(decoded, cursor.before, after)
                found = judge(cursor, shown, pairs, by_word=True)
                if not is_code:  # `tokenize` then sees no expression in a replacement field
                    found -= {f"{how}: broken f-string" for how in ("whole", "line", "word")}
                assert not found, (cursor.statement, shown, after, found)
                n_shown += bool(shown)
    assert n_shown > 10


@pytest.mark.parametrize("name", SHORT_FILES)
def test_text_accepted_in_the_middle_of_a_line_keeps_the_code_valid(name: str) -> None:
    path, dice = STDLIB / name, random.Random(name)
    if not path.is_file():
        pytest.skip("not available in this Python version")
    text, n_accepted = path.read_text("utf-8"), 0
    for cursor, after in dice.sample(list(cursors_in_lines(text, dice)), 2 * N_CURSORS):
        begun = cursor.before.rpartition("\n")[2]
        for decoded, is_code in zip(texts(cursor, text, dice), (True, False), strict=True):
            inserted = decoded.partition("\n")[0][: dice.randint(2, 20)]
            if (
                infill_obstacle(Prefix(inserted, 1.0, 1.0, 0.0, 0.0), CompleterSettings(), cursor.before, after)
                is not None
            ):
                continue
            n_accepted += 1
            found = judge(cursor, inserted, NO_PAIRS, by_word=True)
            if not is_code:
                found -= {f"{how}: broken f-string" for how in ("whole", "line", "word")}
            assert not found, (begun, inserted, after[:40], found)
    assert n_accepted > 10


@pytest.mark.parametrize("name", FILES[:3])
def test_truncation_is_idempotent(name: str) -> None:
    """A text that was truncated for the text after the cursor is valid as a whole."""
    path, dice = STDLIB / name, random.Random(name)
    if not path.is_file():
        pytest.skip("not available in this Python version")
    text = path.read_text("utf-8")
    for cursor in dice.sample(list(cursors(text, dice, JUMP_CHARS)), 100):
        for pairs in combinations(cursor.closers):
            at = len(cursor.before)
            stream = [(character, -0.001) for character in text[at : at + 100]]
            found = truncate(stream, CompleterSettings(), cursor.before, pairs.text + cursor.below)
            assert not found or not judge(cursor, found.text, pairs, by_word=True), (cursor.statement, found, pairs)


ONE_TOKEN = pytest.mark.skipif(sys.version_info >= (3, 12), reason="an f-string is no longer one token")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ('x = "a\n', "unterminated string"),
        ("x)\n", "unmatched closer"),
        ("(x]\n", "unmatched closer"),
        ("a \\ b\n", "stray backslash"),
        pytest.param("f'{}'\n", "broken f-string", marks=ONE_TOKEN),
        ("f(\n", "left open"),
    ],
)
def test_judge_detects_each_fault(code: str, kind: str) -> None:
    assert faults(code)[kind]
