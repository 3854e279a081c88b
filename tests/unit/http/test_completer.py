"""The text that is stitched from windows starts at the same position while the user types."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.engine import Engine
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.http import completer as completer_module
from tinycopilot.http.completer import HEAD_CHARS, MIN_BEFORE_CHARS, Completer, extended
from tinycopilot.http.parameters import Parameters
from tinycopilot.paths import ModelPaths

CODE = "".join(f"def area_{i}(width, height):\n    return width * height + {i * i}\n\n\n" for i in range(2_000))


def test_text_starts_at_the_same_place_while_the_user_types() -> None:
    found, start, n_chars = "", 50_000, 1_000
    for end in range(start, start + n_chars):
        found = extended(CODE[end - 12_000 : end], found)
        assert found == CODE[start - 12_000 : end]


def test_after_a_backspace_and_a_jump_the_text_is_right() -> None:
    found = ""
    for end in (50_000, 50_001, 50_000, 49_999, 50_000, 60_000, 20_000, 20_001):
        found = extended(CODE[end - 12_000 : end], found)
        assert CODE[:end].endswith(found)
        assert len(found) >= 12_000


def test_length_is_limited_and_cuts_are_rare() -> None:
    found, starts = "", set[int]()
    for end in range(30_000, 110_000, 100):
        found = extended(CODE[:end], found)
        assert len(found) < 2 * MIN_BEFORE_CHARS
        assert CODE[:end].endswith(found)
        starts.add(end - len(found))
    assert len(starts) <= 80_000 // MIN_BEFORE_CHARS + 1


def test_other_text_and_ambiguous_heads_are_left_alone() -> None:
    assert extended(CODE[9_000:20_001], CODE[:20_000]) == CODE[:20_001]
    assert extended("x = 1\n" * 900, CODE[:20_000]) == "x = 1\n" * 900
    assert extended("x = 1\n" * 800, "x = 1\n" * 900) == "x = 1\n" * 800
    assert extended(CODE[:20_000], "") == CODE[:20_000]
    short = CODE[100 : 99 + HEAD_CHARS]
    assert extended(short, CODE) == short  # a short text is a whole one


async def test_text_of_another_document_is_not_extended(pair: ModelPaths, tmp_path: Path) -> None:
    completer, asked = Completer(lambda: Engine.load(pair, CompleterSettings())), list[str]()
    try:
        for name, before in (
            ("a", CODE[:5_000]),
            ("a", CODE[900:5_001]),
            ("b", CODE[900:5_001]),
            ("", CODE[950:5_001]),
        ):
            document = str(tmp_path / f"{name}.py") if name else ""
            await completer.complete(Parameters(before, max_chars=1, document=document))
            asked.append(completer._before)
    finally:
        completer.close()
    assert asked == [CODE[:5_000], CODE[:5_001], CODE[900:5_001], CODE[950:5_001]]


@given(last=st.text(alphabet="ab\n", max_size=40), window=st.text(alphabet="ab\n", max_size=20))
def test_result_ends_with_the_window_and_begins_as_the_last_text(last: str, window: str) -> None:
    head = completer_module.HEAD_CHARS
    completer_module.HEAD_CHARS = 4  # type: ignore[misc]
    try:
        found = extended(window, last)
    finally:
        completer_module.HEAD_CHARS = head  # type: ignore[misc]
    assert found.endswith(window)
    assert found == window or (last + "\0").startswith(found[: len(found) - len(window)])
