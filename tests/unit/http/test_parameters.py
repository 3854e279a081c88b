"""Prompts in the fill-in-the-middle formats of other models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.http.parameters import MARKERS, sides_of

TEXTS = st.text(alphabet="ab<|fim_suffix>\n", max_size=20)


@given(before=TEXTS, after=TEXTS, markers=st.sampled_from(MARKERS))
def test_both_sides_are_found(before: str, after: str, markers: tuple[str, str, str]) -> None:
    prefix, suffix, middle = markers
    found = sides_of(prefix + before + suffix + after + middle)
    assert found == (before, after) or suffix in before + after


@pytest.mark.parametrize("markers", MARKERS)
def test_anything_else_is_code(markers: tuple[str, str, str]) -> None:
    prefix, suffix, middle = markers
    for prompt in (
        "", "a = 1", prefix, f"{prefix}a{suffix}b", f"a{prefix}b{suffix}c{middle}", f"{prefix}a{middle}",
        f"{prefix}a{suffix}b{suffix}c{middle}", f"{prefix}a{suffix}b{middle}\n",
    ):  # fmt: skip
        assert sides_of(prompt) is None
