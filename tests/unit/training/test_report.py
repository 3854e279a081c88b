import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from outline import Outline

from tinycopilot.page.chart import high_axis, short, wide_axis
from tinycopilot.page.words import visible
from tinycopilot.page_file import write_page
from tinycopilot.training.log import Evaluation, HardCharacter, LogInterval, TrainLog
from tinycopilot.training.report.curves import N_POINTS, bits_axis, chars_per_second, smoothed, thinned
from tinycopilot.training.report.page import page

CHARS_PER_STEP = 4096


def a_run(n_blocks: int = 130, n_evals: int = 5) -> TrainLog:
    """Like a real run: from 6.6 to 1.3 bits, the last evaluation slightly worse than the one before."""
    intervals = []
    for i in range(1, n_blocks + 1):
        step = 20 * i
        bits = 1.3 + 5.3 * math.exp(-40 * i / n_blocks) + 0.6 * (1 - i / n_blocks)
        intervals.append(LogInterval(step, CHARS_PER_STEP * step, 0.9 * i, bits, min(1.0, 2 * (1 - i / n_blocks))))
    evaluations = []
    for i in range(1, n_evals + 1):
        interval = intervals[n_blocks * i // n_evals - 1]
        bits = 1.5 + 0.5 * (1 - i / n_evals) if i < n_evals or n_evals == 1 else 1.65
        evaluations.append(
            Evaluation(interval.step, interval.chars, interval.seconds, bits, f"def f{i}():\n    return {i}\n")
        )
    best = min(evaluations, key=lambda evaluation: evaluation.bits)
    end = intervals[-1]
    hardest = [HardCharacter("e", 10, 1.0), HardCharacter(" ", 5, 6.0)]
    return TrainLog(intervals, evaluations, [], hardest, best.step, end.step, end.chars, end.seconds, best.bits)


def written(log: TrainLog, **words: Any) -> str:
    return page(log, **{"title": "corpus.txt", "command": "tinycopilot train", "facts": [("device", "CPU")]} | words)


def paths(html: str) -> list[str]:
    return [attributes["d"] or "" for tag, attributes in Outline(html).elements if tag == "path"]


def test_page_is_self_contained(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_page(path, page(a_run(), title="corpus.txt", command="tinycopilot train", facts=[("device", "CPU")]))
    html = path.read_text("utf-8")
    outline = Outline(html)
    assert "default-src 'none'; style-src 'unsafe-inline'\">" in html
    assert not {"script", "link", "img", "iframe", "object", "a"} & {tag for tag, _ in outline.elements}
    assert not {"src", "href", "xlink:href", "srcset"} & {
        name for _, attributes in outline.elements for name in attributes
    }
    assert not re.search(r"https?://|url\(|@import", html)
    assert [path.name for path in path.parent.iterdir()] == ["report.html"]


def test_page_content() -> None:
    log = dataclasses.replace(a_run(), events=["step 40: went back to step 20"])
    command = 'tinycopilot train --corpus "my code" --seed 3'
    html = written(log, command=command, facts=[("device", "the CPU"), ("parameters", "812,416")])
    outline = Outline(html)
    assert outline.words["h1"] == ["corpus.txt"]
    assert outline.words["dd"] == ["1.600", "1 min 57 s", "10.6 M", "91 k"]
    assert outline.words["pre"] == ["\n" + evaluation.sample.rstrip() for evaluation in log.evaluations] + [command]
    assert "step 40: went back to step 20" in outline.words["ul"][0]
    assert outline.words["td"][-2:] == ["the CPU", "812,416"]
    assert f"Perplexity per character: <b>{2**1.6:.1f}</b>" in html


def test_charts_have_title_and_description() -> None:
    html = written(a_run())
    assert html.count('<svg class="chart" role="img"><title>') == html.count("<desc>") == 3
    assert "1.600 bits on held-out text after step 2,080" in html


def test_curve_points_match_the_figures() -> None:
    """The last point of the held-out curve, and its dot, calculated from the axis."""
    log = a_run()
    train = [interval.bits for interval in log.intervals]
    y = bits_axis(train, smoothed(train), [evaluation.bits for evaluation in log.evaluations])
    place = 100 * (y.high - 1.65) / (y.high - y.low)
    html = written(log)
    assert paths(html)[2].endswith(f"L100.00 {place:.2f}")
    assert html.count(f'<circle cx="100.00%" cy="{place:.2f}%"') == 1
    best = Outline(html).of_class("best")
    assert len(best) == 1
    assert "best: 1.600" in html


def test_first_steps_do_not_flatten_the_curve() -> None:
    log = a_run()
    train = [interval.bits for interval in log.intervals]
    y = bits_axis(train, train, [evaluation.bits for evaluation in log.evaluations])
    assert y.low <= 1.3 < 1.9 <= y.high < 2.5 < log.intervals[0].bits
    assert f"from {log.intervals[0].bits:.2f} bits down" in written(log)


def test_diverged_run_is_clipped() -> None:
    axis = bits_axis([7.0, 1.75, 1.8], [2.5, 2.0, 1.9], [2.0, 1.9, 900.0])
    assert axis.low <= 1.75
    assert axis.high < 10


def test_long_run_is_thinned() -> None:
    log = a_run(n_blocks=10_001)
    few = thinned(log.intervals)
    assert len(few) <= N_POINTS
    assert few[-1].step == log.intervals[-1].step
    assert few[3].bits == pytest.approx(sum(interval.bits for interval in log.intervals[78:104]) / 26)
    html = written(log)
    assert all(len(re.findall("[ML]", path)) <= N_POINTS for path in paths(html))
    assert len(html) < 400_000


def test_thinning_skips_nan() -> None:
    intervals = [LogInterval(i, i, float(i), bits, 1.0) for i, bits in enumerate([math.nan, 2.0, math.inf, math.nan])]
    assert [interval.bits for interval in thinned(intervals, 2)] == [2.0, pytest.approx(math.nan, nan_ok=True)]


def test_smoothing_has_no_lag() -> None:
    fall = [100 / (i + 1) for i in range(100)]
    assert smoothed(fall) == fall
    spike = [*fall[:50], 900.0, math.nan, *fall[52:]]
    assert all(4 * value < 100 for value in smoothed(spike)[25:])


def test_throughput_is_per_interval() -> None:
    intervals = [
        LogInterval(1, 100, 2.0, 1.0, 1.0),
        LogInterval(2, 400, 3.0, 1.0, 1.0),
        LogInterval(3, 500, 3.0, 1.0, 1.0),
    ]
    assert chars_per_second(intervals) == [50.0, 300.0, pytest.approx(math.nan, nan_ok=True)]


def test_hover_strips_cover_the_chart_once() -> None:
    first = written(a_run()).split("</svg>\n</svg>")[0].split("</svg>")[1]
    widths = [float(width) for width in re.findall(r'<rect x="[\d.]+%" width="([\d.]+)%"', first)]
    assert len(widths) == 130
    assert sum(widths) == pytest.approx(100, abs=1)


BROKEN = [
    LogInterval(20, 100, 1.0, math.nan, math.nan),
    LogInterval(40, 200, 1.0, math.inf, -math.inf),
    LogInterval(60, 300, 2.0, 3, 1),
]
EVALUATION = Evaluation(60, 300, 2.0, 2.5, "def ")


@pytest.mark.parametrize(
    "log",
    [
        TrainLog(),
        TrainLog(BROKEN[:1]),
        TrainLog(BROKEN, [EVALUATION._replace(bits=math.nan), EVALUATION]),
        TrainLog(BROKEN, [EVALUATION._replace(bits=math.inf)], held_out_bits=math.inf),
        TrainLog([], [EVALUATION], best_step=60, held_out_bits=2.5),
        TrainLog([LogInterval(0, 0, 0.0, 0.0, 0.0)], [EVALUATION._replace(chars=0, bits=0.0)]),
        TrainLog([], [], [], [HardCharacter("a", 0, math.nan), HardCharacter("b", 2, math.inf)], seconds=math.nan),
    ],
)
def test_extreme_values_do_not_break_the_page(log: TrainLog) -> None:
    html = written(log)
    Outline(html)
    drawn = " ".join(value or "" for _, attributes in Outline(html).elements for value in attributes.values())
    assert not re.search(r"\b(nan|inf)", drawn)
    assert ("No measurements" in html) == (not log.intervals and not log.evaluations)


def test_gap_in_a_curve_is_not_drawn() -> None:
    bits = [3.0, math.nan, 2.0, 1.9]
    log = TrainLog([LogInterval(i, 100 * i, float(i), value, 1.0) for i, value in enumerate(bits, 1)])
    assert re.sub(r"[\d. ]", "", paths(written(log))[0]) == "MhMhL"


def test_external_text_is_escaped() -> None:
    nasty = "<script>alert(1)</script>\x00\x1b[31m\u202egnp\ud800&amp;"
    log = dataclasses.replace(
        a_run(), events=[nasty], hardest=[HardCharacter("<", 1, 1.0), HardCharacter("\x07", 1, 2.0)]
    )
    log.evaluations[0] = log.evaluations[0]._replace(sample=nasty)
    html = written(log, title=nasty, command=nasty, facts=[(nasty, nasty)])
    html.encode("utf-8")
    outline = Outline(html)
    assert "script" not in outline.words
    shown = "<script>alert(1)</script>\u2400\u241b[31m\ufffdgnp\ufffd&amp;"
    assert outline.words["h1"] == [shown]
    assert outline.words["pre"][0] == "\n" + shown
    assert outline.words["pre"][-1] == shown
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", html)
    assert outline.words["kbd"] == ["<"]
    assert "U+0007" in html


def test_line_ends_and_tabs_are_kept() -> None:
    assert visible("a\n\tb\r\n", keep="\n\t") == "a\n\tb\u240d\n"


def test_hardest_characters_are_sorted_by_cost() -> None:
    hardest = [HardCharacter(*row) for row in [("e", 10, 1.0), (" ", 5, 6.0), ("\n", 1, 5.0), ("\ufffd", 1, 5.0)]]
    outline = Outline(written(dataclasses.replace(a_run(), hardest=hardest), facts=[]))
    assert outline.words["th"][4:] == ["space", "e", "newline", "any other"]
    assert [word for word in outline.words["td"] if "%" in word] == ["60.0 %", "20.0 %", "10.0 %", "10.0 %"]
    assert outline.words["td"][1:3] == ["6.00", "5"]
    assert all(attributes.get("scope") for tag, attributes in outline.elements if tag == "th")


def test_only_a_few_samples_are_shown() -> None:
    log = dataclasses.replace(a_run(n_evals=40), best_step=a_run(n_evals=40).evaluations[22].step)
    shown = Outline(written(log)).words["li"]
    assert 8 <= len(shown) <= 9
    assert "def f1()" in shown[0]
    assert "def f40()" in shown[-1]
    assert [word for word in shown if "best, used" in word] == [word for word in shown if "def f23()" in word] != []


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.integers(2, 10))
def test_axis_has_round_numbers_and_covers_the_data(low: float, width: float, n: int) -> None:
    axis = high_axis("", low, low + width, n)
    assert axis.low == axis.ticks[0] < axis.ticks[-1] == axis.high
    slack = 1e-6 * (axis.high - axis.low)
    assert axis.low <= low + slack
    assert low + width <= axis.high + slack
    assert 2 <= len(axis.ticks) <= n + 2
    assert axis.percent(low) >= -1e-3
    assert axis.percent(low + width) <= 100 + 1e-3


@given(st.integers(0, 10**12))
def test_wide_axis_ends_with_the_run(high: int) -> None:
    axis = wide_axis("", high)
    assume(high > 0)
    assert axis.high == high
    assert axis.ticks[0] == 0
    assert axis.ticks[-1] <= high


def test_short_numbers() -> None:
    numbers = [0, 0.25, 17, 999.6, 98_213, 12_345_678, 999_999_999, 3e12]
    assert [short(n) for n in numbers] == ["0", "0.25", "17", "1 k", "98.2 k", "12.3 M", "1 G", "3 T"]
