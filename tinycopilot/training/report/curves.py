"""The charts of a run: bits per character, learning rate and throughput, plotted against characters read."""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup

from tinycopilot.page.chart import Axis, Curve, Dot, Points, Reading, chart, high_axis, short, wide_axis
from tinycopilot.training.log import Evaluation, LogInterval, TrainLog

CURVES_CSS: Final = Path(__file__).with_suffix(".css")
N_POINTS = 400
"""The resolution of the page; more points would not be visible."""


def curves(log: TrainLog) -> Markup:
    """Return the charts, with a common x axis, as HTML."""
    intervals = thinned(log.intervals)
    if not intervals and not log.evaluations:
        return Markup("<p>No measurements: the run was too short.</p>")
    ends = [interval.chars for interval in intervals] + [evaluation.chars for evaluation in log.evaluations]
    x = wide_axis("characters read", max(ends))
    charts = [_bits_chart(intervals, log, x)]
    if intervals:
        rates = [interval.lr_multiplier for interval in intervals]
        charts.append(_small_chart("learning rate, share of its peak", "rate", intervals, rates, x))
        charts.append(_small_chart("characters per second", "speed", intervals, chars_per_second(intervals), x))
    return Markup("\n".join(charts))


def thinned(intervals: Sequence[LogInterval], n: int = N_POINTS) -> list[LogInterval]:
    """Return at most `n` intervals: neighbors are merged, with the mean of their finite bits."""
    size = max(1, math.ceil(len(intervals) / n))
    bins = [intervals[i : i + size] for i in range(0, len(intervals), size)]
    return [
        LogInterval(b[-1].step, b[-1].chars, b[-1].seconds, _mean(interval.bits for interval in b), b[-1].lr_multiplier)
        for b in bins
    ]


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the running median; a mean would blur steep falls. The window is symmetric, so shorter at the ends."""
    reach = len(values) // 25
    reaches = (min(reach, i, len(values) - 1 - i) for i in range(len(values)))
    around = (_numbers(values[i - near : i + near + 1]) for i, near in enumerate(reaches))
    return [statistics.median(near) if near else math.nan for near in around]


def chars_per_second(intervals: Sequence[LogInterval]) -> list[float]:
    """Return the throughput of each interval; NaN if it took no time."""
    start = LogInterval(0, 0, 0.0, math.nan, math.nan)
    return [
        (b.chars - a.chars) / (b.seconds - a.seconds) if b.seconds > a.seconds else math.nan
        for a, b in itertools.pairwise([start, *intervals])
    ]


def bits_axis(raw: Sequence[float], smooth: Sequence[float], held_out: Sequence[float]) -> Axis:
    """Return an axis from the minimum to the maximum after the first 10 % of the run, which would compress the rest.

    A run that diverged is cut off at three times the median.
    """
    figures = _numbers([*smooth[len(smooth) // 10 :], *held_out]) or [0.0]
    lowest = min(_numbers(raw) + figures)
    return high_axis("bits per character", lowest, min(max(figures), 3 * statistics.median(figures)))


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(numbers) if (numbers := _numbers(values)) else math.nan


def _numbers(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _bits_chart(intervals: Sequence[LogInterval], log: TrainLog, x: Axis) -> str:
    raw = [interval.bits for interval in intervals]
    smooth = smoothed(raw)
    y = bits_axis(raw, smooth, [evaluation.bits for evaluation in log.evaluations])
    lines = [
        Curve("raw", _over_chars(intervals, raw)),
        Curve("train", _over_chars(intervals, smooth)),
        Curve("held-out", [(evaluation.chars, evaluation.bits) for evaluation in log.evaluations]),
    ]
    dots = [_evaluation_dot(evaluation, best=evaluation.step == log.best_step) for evaluation in log.evaluations]
    readings = [_reading(interval, f"{interval.bits:.3f} bits") for interval in intervals]
    words = "; ".join(
        f"{evaluation.bits:.3f} bits on held-out text after step {evaluation.step:,}" for evaluation in log.evaluations
    )
    begin = log.intervals[0].bits if log.intervals else math.nan
    note = f'<p class="note">Not shown: the first steps, from {begin:.2f} bits down.</p>' if begin > y.high else ""
    return (
        '<p class="legend"><span class="train">training text</span><span class="held-out">held-out text</span></p>'
        f'<div class="tall">{chart("Bits per character", words, x, y, lines, dots, readings)}</div>{note}'
    )


def _evaluation_dot(evaluation: Evaluation, *, best: bool) -> Dot:
    label = f"best: {evaluation.bits:.3f}" if best else ""
    reading = f"step {evaluation.step:,}: {evaluation.bits:.3f} bits, held out"
    return Dot("look best" if best else "look", evaluation.chars, evaluation.bits, label, reading)


def _small_chart(title: str, css_class: str, intervals: Sequence[LogInterval], values: Sequence[float], x: Axis) -> str:
    y = high_axis(title, 0.0, max(_numbers(values), default=1.0), n_ticks=3)
    line = Curve(css_class, _over_chars(intervals, values))
    readings = [_reading(interval, short(value)) for interval, value in zip(intervals, values, strict=True)]
    words = f"From {short(values[0])} to {short(values[-1])}"
    return f'<div class="low">{chart(title, words, x, y, [line], (), readings)}</div>'


def _over_chars(intervals: Sequence[LogInterval], values: Sequence[float]) -> Points:
    return [(interval.chars, value) for interval, value in zip(intervals, values, strict=True)]


def _reading(interval: LogInterval, words: str) -> Reading:
    return Reading(interval.chars, f"step {interval.step:,}: {words}")
