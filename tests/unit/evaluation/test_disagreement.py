"""Which passages are shown: the largest differences, without overlap."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replays import a_replay

from tinycopilot.evaluation.report.heat import HeatMap
from tinycopilot.evaluation.report.passages import CONTEXT_LINES, WINDOW_CHARS, Passage, most_different, windows

LINE = "a line of forty characters, end and all\n"
N_LINES = WINDOW_CHARS // len(LINE)


def heat_map(*given: Any, **costs: Any) -> HeatMap:
    return HeatMap(a_replay(*given, **costs))


def spots(text: str, **changed: float) -> HeatMap:
    """Gains at lines, such as `line_7=2.0`, in bits per character."""
    network, mixed = {}, {}
    for word, gain_bits in changed.items():
        start = int(word.removeprefix("line_")) * len(LINE)
        worse = network if gain_bits > 0 else mixed
        worse |= dict.fromkeys(range(start, start + len(LINE)), 0.125 + abs(gain_bits))
    return heat_map(text, network=network, mixed=mixed)


def line_of(passage: Passage) -> int:
    return passage.first // len(LINE)


def test_largest_differences_of_either_sign_come_first() -> None:
    heat = spots(LINE * 100, line_20=3.0, line_50=4.0, line_70=-2.0, line_90=1.0)
    helped, hurt = most_different([heat])
    assert [50 in range(line_of(p), line_of(p) + N_LINES) for p in helped] == [True, False, False]
    assert [p.gain_bits * N_LINES for p in helped] == [4.0, 3.0, 1.0]
    assert [p.gain_bits * N_LINES for p in hurt] == [-2.0]
    assert all(p.last - p.first == N_LINES * len(LINE) for p in helped + hurt)


def test_passages_are_whole_lines() -> None:
    heat = spots(LINE * 100, line_50=4.0)
    [passage] = most_different([heat])[0]
    more = CONTEXT_LINES * len(LINE)
    assert passage.shown == (passage.first - more, passage.last + more)
    at_the_start = next(windows(0, heat))
    assert at_the_start.shown == (0, N_LINES * len(LINE) + more)


def test_at_most_n_passages() -> None:
    heat = spots(LINE * 200, **{f"line_{i}": 1.0 + i for i in range(0, 200, 20)})
    assert [len(some) for some in most_different([heat], 3)] == [3, 0]


def test_short_text_is_one_passage() -> None:
    heat = heat_map("x = 1\ny = 2\n", network={3: 2.125}, first=2, last=9)
    [passage] = most_different([heat])[0]
    assert (passage.first, passage.last, passage.shown, passage.gain_bits) == (2, 9, (0, 12), 2 / 7)


def test_no_passage_without_a_difference() -> None:
    assert most_different([heat_map(LINE * 10)]) == ([], [])


def test_nan_is_skipped() -> None:
    heat = heat_map(LINE * 30, network={5: math.inf, 700: math.nan}, mixed={6: math.inf})
    assert most_different([heat]) == ([], [])


LINES = st.lists(st.integers(0, 90), min_size=1, max_size=40)


@pytest.mark.slow
@given(st.lists(LINES, min_size=1, max_size=3), st.randoms(use_true_random=False), st.integers(1, 4))
def test_each_passage_is_the_largest_remaining_difference(texts: list[list[int]], dice: object, n_each: int) -> None:
    """Compared with brute force over all ranges of whole lines; overlaps include context lines."""
    maps = []
    for lengths in texts:
        text = "".join("x" * n + "\n" for n in lengths)
        costs = [{i: dice.choice([0.125, 0.125, 1.0, 4.0]) for i in range(len(text))} for _ in "nm"]  # type: ignore[attr-defined]
        maps.append(heat_map(text, network=costs[0], mixed=costs[1]))
    candidates = [candidate for number, heat in enumerate(maps) for candidate in brute_windows(number, heat)]
    chosen, left = [], {True: n_each, False: n_each}
    helped, hurt = most_different(maps, n_each)
    for passage in sorted(helped + hurt, key=lambda p: -abs(p.gain_bits)):
        free = [c for c in candidates if left[c[1] > 0] and not any(c[0] == o[0] and c[2] & o[2] for o in chosen)]
        assert abs(passage.gain_bits) == max(abs(c[1]) for c in free)
        itself = [c for c in free if (c[0], c[3]) == (passage.number, (passage.first, passage.last))]
        assert [c[1] for c in itself] == [passage.gain_bits]
        chosen += itself
        left[passage.gain_bits > 0] -= 1
    free = [c for c in candidates if left[c[1] > 0] and not any(c[0] == o[0] and c[2] & o[2] for o in chosen)]
    assert free == []


def brute_windows(number: int, heat: HeatMap) -> list[tuple[int, float, set[int], tuple[int, int]]]:
    """(replay, gain, shown lines, (first, last)) of every possible passage."""
    lines, found = heat.excerpt.text.splitlines(keepends=True), []
    for i in range(len(lines)):
        for j in range(i + 1, len(lines) + 1):
            n_chars = sum(map(len, lines[i:j]))
            if n_chars >= WINDOW_CHARS or (i == 0 and j == len(lines)):
                first = sum(map(len, lines[:i]))
                places = slice(first, first + n_chars)
                gain = (sum(heat.bits["network"][places]) - sum(heat.bits["mixed"][places])) / n_chars
                if gain:
                    found.append(
                        (number, gain, {*range(i - CONTEXT_LINES, j + CONTEXT_LINES)}, (first, first + n_chars))
                    )
                break
    return found
