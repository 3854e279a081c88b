"""What is drawn of a run: bits per character, learning rate and throughput, over the characters that were read."""

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence

from tinycopilot.training.log import Block, Look, TrainLog
from tinycopilot.training.report.chart import Axis, Curve, Dot, Points, Reading, chart, high_axis, short, wide_axis

N_POINTS = 400
"""More would not be seen on a page of this width."""


def curves(log: TrainLog) -> str:
    """The charts, one under the other, as HTML; they have the same x axis."""
    blocks = thinned(log.blocks)
    if not blocks and not log.looks:
        return "<p>Nothing was measured: the run ended too soon.</p>"
    ends = [block.chars for block in blocks] + [look.chars for look in log.looks]
    x = wide_axis("characters read", max(ends))
    charts = [_bits_chart(blocks, log, x)]
    if blocks:
        rates = [block.rate for block in blocks]
        charts.append(_small_chart("learning rate, share of its peak", "rate", blocks, rates, x))
        charts.append(_small_chart("characters per second", "speed", blocks, chars_per_second(blocks), x))
    return "\n".join(charts)


def thinned(blocks: Sequence[Block], n: int = N_POINTS) -> list[Block]:
    """At most `n` blocks: neighbours become one, with the mean of their bits (of those that are numbers)."""
    size = max(1, math.ceil(len(blocks) / n))
    bins = [blocks[i : i + size] for i in range(0, len(blocks), size)]
    return [Block(b[-1].step, b[-1].chars, b[-1].seconds, _mean(block.bits for block in b), b[-1].rate) for b in bins]


def smoothed(values: Sequence[float]) -> list[float]:
    """The middle one of each value and its neighbours, as many on either side: a mean would show a steep fall late."""
    reach = len(values) // 25
    reaches = (min(reach, i, len(values) - 1 - i) for i in range(len(values)))
    around = (_numbers(values[i - near : i + near + 1]) for i, near in enumerate(reaches))
    return [statistics.median(near) if near else math.nan for near in around]


def chars_per_second(blocks: Sequence[Block]) -> list[float]:
    """Throughput of each block; NaN where no time went by."""
    start = Block(0, 0, 0.0, math.nan, math.nan)
    return [
        (b.chars - a.chars) / (b.seconds - a.seconds) if b.seconds > a.seconds else math.nan
        for a, b in itertools.pairwise([start, *blocks])
    ]


def bits_axis(raw: Sequence[float], smooth: Sequence[float], held_out: Sequence[float]) -> Axis:
    """From the lowest figure to what the run looked like after its first tenth, from which it falls too far to show.

    A run that went astray is cut off, too, at three times the middle figure.
    """
    figures = _numbers([*smooth[len(smooth) // 10 :], *held_out]) or [0.0]
    lowest = min(_numbers(raw) + figures)
    return high_axis("bits per character", lowest, min(max(figures), 3 * statistics.median(figures)))


def _mean(values: Iterable[float]) -> float:
    return statistics.fmean(numbers) if (numbers := _numbers(values)) else math.nan


def _numbers(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _bits_chart(blocks: Sequence[Block], log: TrainLog, x: Axis) -> str:
    raw = [block.bits for block in blocks]
    smooth = smoothed(raw)
    y = bits_axis(raw, smooth, [look.bits for look in log.looks])
    lines = [
        Curve("raw", _over_chars(blocks, raw)),
        Curve("train", _over_chars(blocks, smooth)),
        Curve("held-out", [(look.chars, look.bits) for look in log.looks]),
    ]
    dots = [_look_dot(look, best=look.step == log.best_step) for look in log.looks]
    readings = [_reading(block, f"{block.bits:.3f} bits") for block in blocks]
    words = "; ".join(f"{look.bits:.3f} bits on held-out text after step {look.step:,}" for look in log.looks)
    begin = log.blocks[0].bits if log.blocks else math.nan
    note = (
        f'<p class="note">Above the picture: the first steps, from {begin:.2f} bits on.</p>' if begin > y.high else ""
    )
    return (
        '<p class="legend"><span class="train">training text</span><span class="held-out">held-out text</span></p>'
        f'<div class="tall">{chart("Bits per character", words, x, y, lines, dots, readings)}</div>{note}'
    )


def _look_dot(look: Look, *, best: bool) -> Dot:
    label = f"best: {look.bits:.3f}" if best else ""
    reading = f"step {look.step:,}: {look.bits:.3f} bits, held out"
    return Dot("look best" if best else "look", look.chars, look.bits, label, reading)


def _small_chart(title: str, css_class: str, blocks: Sequence[Block], values: Sequence[float], x: Axis) -> str:
    y = high_axis(title, 0.0, max(_numbers(values), default=1.0), n_ticks=3)
    line = Curve(css_class, _over_chars(blocks, values))
    readings = [_reading(block, short(value)) for block, value in zip(blocks, values, strict=True)]
    words = f"From {short(values[0])} to {short(values[-1])}"
    return f'<div class="low">{chart(title, words, x, y, [line], (), readings)}</div>'


def _over_chars(blocks: Sequence[Block], values: Sequence[float]) -> Points:
    return [(block.chars, value) for block, value in zip(blocks, values, strict=True)]


def _reading(block: Block, words: str) -> Reading:
    return Reading(block.chars, f"step {block.step:,}: {words}")
