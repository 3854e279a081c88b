"""Common prefixes and suffixes against a comparison by character; typing through a suggestion."""

import hypothesis.strategies as st
from hypothesis import given

from tinycopilot.completion.request import common_prefix_len, common_suffix_len, typed_through

TEXT = st.text(alphabet="ab\n", max_size=12)


def plain_prefix_len(some: str, other: str) -> int:
    n = 0
    while n < min(len(some), len(other)) and some[n] == other[n]:
        n += 1
    return n


@given(TEXT, TEXT, TEXT)
def test_length_equals_plain_comparison(same: str, some: str, other: str) -> None:
    assert common_prefix_len(same + some, same + other) == plain_prefix_len(same + some, same + other)
    reversed_len = plain_prefix_len((some + same)[::-1], (other + same)[::-1])
    assert common_suffix_len(some + same, other + same) == reversed_len


@given(TEXT, TEXT, TEXT)
def test_rest_follows_the_typed_characters(suggestion: str, before: str, typed: str) -> None:
    rest = typed_through(suggestion, before, before + typed)
    is_typed_through = suggestion.startswith(typed) and suggestion != typed
    assert rest == (suggestion[len(typed) :] if is_typed_through else None)


def test_other_edits_leave_no_rest() -> None:
    assert typed_through("abc", "x = ", "x =") is None
    assert typed_through("abc", "x = ", "y = a") is None
    assert typed_through("abc", "x = ", "x = ") == "abc"
