"""Which changes count as typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.predictor import Place
from tinycopilot.completion.session_state import KeystrokeTracker

Look = tuple[str, str, str]  # document, before, after


def typed(*looks: Look | str) -> str:
    """Return the typed positions; a plain text stands for a cursor at the end of document "x"."""
    keys = KeystrokeTracker()
    return "".join(keys.typed(Place("x", look, "") if isinstance(look, str) else Place(*look)) for look in looks)


@pytest.mark.parametrize(
    ("looks", "counts"),
    [
        (("", "a", "ab", "abc"), "abc"),
        (("ab", "ab", "abc", "abc"), "c"),  # requested twice
        (("a",), ""),  # opened
        (("a", "abcd", "abcde"), "e"),  # pasted, or a suggestion accepted
        (("ab", "a", "", "a", "ab", "abc"), "c"),  # deleted and typed again
        (("ab", "abc", "ab", "abX", "abXY"), "cY"),  # another character typed
        (("abc", "a", "axyz", "axyzw"), "w"),  # a word replaced by a suggestion
        (("abc", "a", "axy", "axyz", "axyzw"), "zw"),
        ((("x", "a", "b"), ("x", "ac", "b"), ("x", "acd", ")b"), ("x", "acde", ")b")), "ce"),  # a closing bracket
        ((("x", "a", "b"), ("x", "", "ab"), ("x", "c", "ab")), "c"),  # cursor moved elsewhere
        ((("x", "a", ""), ("y", "ab", ""), ("x", "ab", ""), ("x", "abc", "")), "c"),  # another document
        ((("x", "ab", ""), ("x", "a", "b"), ("x", "ab", "")), ""),  # only the cursor moved
        (("ab", "Xab", "Xabc"), "c"),  # an edit above
    ],
)
def test_typed_positions(looks: tuple[Look | str, ...], counts: str) -> None:
    assert typed(*looks) == counts


@given(st.lists(st.sampled_from(["key", "back", "paste"]), max_size=60))
def test_no_position_counts_twice(steps: list[str]) -> None:
    """For any typing, deleting and pasting in one place."""
    keys, text, n_counted = KeystrokeTracker(), "abc", 0
    longest = len(text)
    keys.typed(Place("x", text, ""))
    for step in steps:
        text = {"key": text + "k", "back": text[:-1], "paste": text + "pasted"}[step]
        if keys.typed(Place("x", text, "")):
            assert step == "key"
            assert len(text) > longest
            n_counted += 1
        longest = max(longest, len(text))
    assert n_counted <= longest - 3
