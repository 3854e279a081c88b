"""What counts as typed, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.predictor import Place
from tinycopilot.completion.session import KeystrokeTracker

Look = tuple[str, str, str]  # document, before, after


def typed(*looks: Look | str) -> str:
    """All that counts; a look that is a text alone is at the end of the document "x"."""
    keys = KeystrokeTracker()
    return "".join(keys.typed(Place("x", look, "") if isinstance(look, str) else Place(*look)) for look in looks)


@pytest.mark.parametrize(
    ("looks", "counts"),
    [
        (("", "a", "ab", "abc"), "abc"),
        (("ab", "ab", "abc", "abc"), "c"),  # asked twice
        (("a",), ""),  # opened
        (("a", "abcd", "abcde"), "e"),  # a paste, or a suggestion accepted
        (("ab", "a", "", "a", "ab", "abc"), "c"),  # taken back, and typed again
        (("ab", "abc", "ab", "abX", "abXY"), "cY"),  # typed otherwise
        (("abc", "a", "axyz", "axyzw"), "w"),  # a word replaced by a suggestion
        (("abc", "a", "axy", "axyz", "axyzw"), "zw"),
        ((("x", "a", "b"), ("x", "ac", "b"), ("x", "acd", ")b"), ("x", "acde", ")b")), "ce"),  # a bracket that closes
        ((("x", "a", "b"), ("x", "", "ab"), ("x", "c", "ab")), "c"),  # gone elsewhere
        ((("x", "a", ""), ("y", "ab", ""), ("x", "ab", ""), ("x", "abc", "")), "c"),  # another document
        ((("x", "ab", ""), ("x", "a", "b"), ("x", "ab", "")), ""),  # only the cursor moved
        (("ab", "Xab", "Xabc"), "c"),  # an edit above
    ],
)
def test_typed_positions(looks: tuple[Look | str, ...], counts: str) -> None:
    assert typed(*looks) == counts


@given(st.lists(st.sampled_from(["key", "back", "paste"]), max_size=60))
def test_no_position_counts_twice(steps: list[str]) -> None:
    """Whatever is typed, taken back and pasted in one place."""
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
