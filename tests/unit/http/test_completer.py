"""The text that is stitched from windows starts at the same position while the user types."""

from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.http import completer as completer_module
from tinycopilot.http.completer import HEAD_CHARS, MIN_BEFORE_CHARS, TextBefore, stitched

CODE = "".join(f"def area_{i}(width, height):\n    return width * height + {i * i}\n\n\n" for i in range(2_000))


def test_text_starts_at_the_same_place_while_the_user_types() -> None:
    text_before, start, n_chars = TextBefore(), 50_000, 1_000
    for end in range(start, start + n_chars):
        found = text_before.of("a", CODE[end - 12_000 : end])
        assert found == CODE[start - 12_000 : end]


def test_after_a_backspace_and_a_jump_the_text_is_right() -> None:
    text_before = TextBefore()
    for end in (50_000, 50_001, 50_000, 49_999, 50_000, 60_000, 20_000, 20_001):
        found = text_before.of("a", CODE[end - 12_000 : end])
        assert CODE[:end].endswith(found)
        assert len(found) >= 12_000


def test_length_is_limited_and_cuts_are_rare() -> None:
    text_before, starts = TextBefore(), set[int]()
    for end in range(30_000, 110_000, 100):
        found = text_before.of("a", CODE[:end])
        assert len(found) < 2 * MIN_BEFORE_CHARS
        assert CODE[:end].endswith(found)
        starts.add(end - len(found))
    assert len(starts) <= 80_000 // MIN_BEFORE_CHARS + 1


def test_other_documents_and_ambiguous_heads_are_left_alone() -> None:
    text_before = TextBefore()
    for document in ("a", "b", "a"):
        assert text_before.of(document, CODE[:20_000]) == CODE[:20_000]
        assert text_before.of(document, CODE[9_000:20_001]) == CODE[:20_001]
    assert text_before.of("b", CODE[9_000:20_001]) == CODE[9_000:20_001]
    assert stitched(CODE[:20_000], "x = 1\n" * 900) == "x = 1\n" * 900
    assert stitched("x = 1\n" * 900, "x = 1\n" * 800) == "x = 1\n" * 800
    assert stitched("", CODE) == CODE
    short = CODE[100 : 99 + HEAD_CHARS]
    assert stitched(CODE, short) == short  # a short text is a whole one


@given(last=st.text(alphabet="ab\n", max_size=40), window=st.text(alphabet="ab\n", max_size=20))
def test_result_ends_with_the_window_and_begins_as_the_last_text(last: str, window: str) -> None:
    head = completer_module.HEAD_CHARS
    completer_module.HEAD_CHARS = 4  # type: ignore[misc]
    try:
        found = stitched(last, window)
    finally:
        completer_module.HEAD_CHARS = head  # type: ignore[misc]
    assert found.endswith(window)
    assert found == window or (last + "\0").startswith(found[: len(found) - len(window)])
