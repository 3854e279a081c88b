"""Draw the tour's pictures from the bundled model and the recorded training runs: `make tour`.

Each function below returns one picture. What it shows is chosen by rule, not by hand, so that the pictures can be drawn
again for another model.
"""

import itertools
import math
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from runs import NAMES, run
from svg import Plot, Svg, visible

from tinycopilot.api import CompleterSettings, Engine, Request
from tinycopilot.explain.instrumented import Pass, read, rotate, softmax
from tinycopilot.explain.trace import Trace, likeliest
from tinycopilot.explain.trace import trace as trace_of
from tinycopilot.paths import bundled_model

HERE = Path(__file__).resolve().parent
EXAMPLE = "\ndef area(width, height):\n    return wid"
"""The tour's example: the next character is the `t` of `width`. It starts as every document does for the network."""
UTIL = "def load_kestrel(path):\n    return path.read_text().splitlines()\n"
MAIN = """\
import util


def show(path):
    print(util.load_kestrel(path))


def count(path):
    return len(util.load_ke"""
"""The example of chapters 8 to 10: the name in the workspace is not what the network expects."""
KINDS = {"a": "lowercase", "b": "uppercase", "c": "digits", "d": "brackets", "e": "symbols"}


@cache
def engine() -> Engine:
    """The bundled model, with another file in its workspace."""
    loaded = Engine.load(bundled_model(), CompleterSettings())
    loaded.hold("util.py", UTIL)
    return loaded


@cache
def example() -> Pass:
    """The forward pass over the example."""
    ids = engine().tokenizer.encode(EXAMPLE)
    return read(engine().network, ids, len(ids))


@cache
def trace() -> Trace:
    """How the completion of MAIN comes about."""
    return trace_of(engine(), Request(MAIN, "", "main.py"))


def characters() -> Svg:
    """Chapter 1: a line of code, and the ids of its characters."""
    text = "def area(width):\n"
    ids, width = engine().tokenizer.encode(text), 38
    svg = Svg(20 + width * len(text), 96, f"The characters of {text.strip()!r} and their ids: {ids}")
    for i, (character, number) in enumerate(zip(text, ids, strict=True)):
        svg.rect(10 + i * width, 10, width - 4, 30, "box")
        svg.text(10 + i * width + (width - 4) / 2, 30, visible(character), "code middle")
        svg.text(10 + i * width + (width - 4) / 2, 66, str(number), "small middle")
    svg.text(10, 88, "characters above, ids below; ⏎ is the line break, · a space", "small dim")
    return svg


def kind_of(character: str) -> str:
    """The color of a character on the map."""
    if character.isalpha():
        return "b" if character.isupper() else "a"
    return "c" if character.isdigit() else "d" if character in "()[]{}" else "e"


def embeddings() -> Svg:
    """Chapter 2: the characters' embeddings, projected to the plane in which they differ most."""
    alphabet = engine().tokenizer.alphabet
    rows = engine().network.weights().embedding[: len(alphabet)]  # (A, C)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centered = rows - rows.mean(0)
    axes = np.linalg.svd(centered, full_matrices=False)[2][:2]  # (2, C), the principal components
    points = centered @ axes.T  # (A, 2)
    points *= np.sign(points[np.abs(points).argmax(0), [0, 1]])  # the sign of a component is arbitrary
    svg = Svg(640, 470, "A map of the characters: similar embeddings are close to each other")
    low, high = points.min(0), points.max(0)
    plot = Plot(svg, (20, 36, 600, 410), (low[0], high[0]), (low[1], high[1]))
    for character, (x, y) in zip(alphabet, points, strict=True):
        if character != "\t":
            svg.text(*plot.at(x, y), visible(character), f"code middle {kind_of(character)}")
    for i, (css_class, name) in enumerate(KINDS.items()):
        svg.dot(16 + i * 90, 14, 5, css_class)
        svg.text(26 + i * 90, 18, name, "small")
    return svg


def positions() -> Svg:
    """Chapter 2: the dot product of two rotated vectors depends on their distance only."""
    rates = engine().network.weights().rates  # (D/2,)
    n = 65
    ones = np.ones((1, n, 2 * len(rates)), np.float32)
    rotated = rotate(ones, rates)[0]  # (n, D)
    svg = Svg(640, 250, "Dot product of two copies of a vector, divided by D, at positions 0 to 64 characters apart")
    products = rotated @ rotated[0] / ones.shape[-1]
    plot = Plot(svg, (50, 30, 570, 170), (0, n - 1), (-0.5, 1))
    ticks = [(value, f"{value:g}") for value in (-0.5, 0, 0.5, 1)]
    plot.axes([(i, str(i)) for i in range(0, n, 8)], ticks, "distance in characters", "dot product / D")
    plot.curve(enumerate(products.tolist()), "a")
    return svg


def draw_attention(svg: Svg, weights: np.ndarray, left: float, top: float, size: float, title: str) -> None:
    """A head's weights on the example, (T, T), with the characters at the sides."""
    svg.text(left, top - 22, title, "small")
    letters = "code small" if size > 10 else "code tiny"
    for i, character in enumerate(EXAMPLE):
        svg.text(left + (i + 0.5) * size, top - 5, visible(character), f"{letters} middle")
        svg.text(left - 4, top + (i + 0.9) * size, visible(character), f"{letters} end")
    svg.rect(left, top, size * len(EXAMPLE), size * len(EXAMPLE), "box")
    svg.cells(left, top, size, weights.tolist())


def repeating_head() -> tuple[int, int]:
    """Layer and head that look most, from the last character, at what followed the same three characters before."""
    last = len(EXAMPLE)
    follows = EXAMPLE.index(EXAMPLE[last - 3 :]) + 3
    heads = itertools.product(range(len(example().blocks)), range(engine().network.config.n_heads))
    return max(heads, key=lambda head: example().blocks[head[0]].weights[head[1], -1, follows])


def attention() -> Svg:
    """Chapter 3: where each character of the example looks, in one head."""
    layer, head = repeating_head()
    svg = Svg(560, 580, f"Attention weights of layer {layer + 1}, head {head + 1}")
    title = f"layer {layer + 1}, head {head + 1}: each row is a character that looks, each column one that it looks at"
    draw_attention(svg, example().blocks[layer].weights[head], 30, 44, 13, title)
    return svg


def heads() -> Svg:
    """Chapter 4: four heads that do different things on the same text."""
    n, size = len(EXAMPLE), 8
    distances = np.arange(n)[:, None] - np.arange(n)
    is_same = np.array([[EXAMPLE[s] == EXAMPLE[t] and s < t for s in range(n)] for t in range(n)])
    follows_same = np.roll(is_same, 1, axis=1) & (distances > 0)
    rules: dict[str, Callable[[np.ndarray], float]] = {
        "itself": lambda w: float(np.diagonal(w).mean()),
        "the characters just before": lambda w: float((w * ((distances > 0) & (distances < 4))).sum(1).mean()),
        "what followed the same characters": lambda w: float((w[1:] * follows_same[1:])[-3:].sum()),
        "far back": lambda w: float((w * distances).sum(1).mean()),
    }
    left_over = {
        (layer, head): weights
        for layer, block in enumerate(example().blocks)
        for head, weights in enumerate(block.weights)
    }
    svg = Svg(2 * (n * size + 50), 2 * (n * size + 60), "Attention weights of four heads on the same text")
    for i, (name, rule) in enumerate(rules.items()):
        layer, head = max(left_over, key=lambda key: rule(left_over[key]))
        weights = left_over.pop((layer, head))
        left, top = 30 + (i % 2) * (n * size + 40), 44 + (i // 2) * (n * size + 56)
        draw_attention(svg, weights, left, top, size, f"layer {layer + 1}, head {head + 1}: {name}")
    return svg


def blocks() -> Svg:
    """Chapter 5: what the network would predict after each block (logit lens)."""
    first, tokenizer = len(EXAMPLE) - 13, engine().tokenizer
    p = softmax(example().lens[:, first:])  # (L + 1, n, V)
    width, height = 40, 34
    svg = Svg(120 + width * p.shape[1], 76 + height * len(p), "The likeliest next character after each block")
    svg.text(10, 24, "after", "small dim")
    for i in range(p.shape[1]):
        svg.text(110 + (i + 0.5) * width, 24, visible(EXAMPLE[first + i]), "code middle")
    for row, layer in enumerate(p):
        y = 34 + row * height
        svg.text(10, y + 21, f"block {row}" if row else "embedding", "small")
        for i, probabilities in enumerate(layer):
            best = int(probabilities[:-1].argmax())
            svg.rect(110 + i * width, y, width - 2, height - 2, "box")
            svg.rect(110 + i * width, y, width - 2, height - 2, "a", round(float(probabilities[best]) * 0.6, 2))
            svg.text(110 + (i + 0.5) * width, y + 21, visible(tokenizer.decode([best])), "code middle")
    y = 34 + len(p) * height
    svg.text(10, y + 18, "correct", "small dim")
    for i, character in enumerate((EXAMPLE + "t")[first + 1 :]):
        svg.text(110 + (i + 0.5) * width, y + 18, visible(character), "code middle")
    svg.text(10, y + 36, "the stronger the color, the more probable", "small dim")
    return svg


def smoothed(points: Sequence[Sequence[float]], n: int = 60) -> list[tuple[float, float]]:
    """About `n` points, each the mean of several."""
    group = max(1, len(points) // n)
    chunks = [points[i : i + group] for i in range(0, len(points), group)]
    return [(chunk[-1][0], sum(point[1] for point in chunk) / len(chunk)) for chunk in chunks]


def loss_plot(svg: Svg, curves: dict[str, tuple[Sequence[Sequence[float]], str]], top_bits: float) -> None:
    """Loss curves with their names at the right."""
    most = max(points[-1][0] for points, _ in curves.values())
    plot = Plot(svg, (44, 34, 430, 250), (0, most), (0, top_bits))
    step = 10 ** math.floor(math.log10(most / 2))
    step *= 2 if most / step > 10 else 1
    ticks = [(value, f"{value // 1000} k") for value in range(0, int(most) + 1, int(step))]
    bits = [(value, str(value)) for value in range(int(top_bits) + 1)]
    plot.axes(ticks, bits, "characters read", "bits per character")
    ends = sorted((plot.at(*points[-1])[1], name) for name, (points, _) in curves.items())
    y = -math.inf
    for end, name in ends:
        y = max(end + 4, y + 15)
        points, css_class = curves[name]
        plot.curve(points, css_class)
        svg.text(482, y, f"{name}: {points[-1][1]:.2f}", f"small {css_class}")


def overfitting() -> Svg:
    """Chapter 6: a run that reads a small text again and again."""
    recorded = run("overfitting")
    svg = Svg(660, 330, "Training loss falls throughout; the loss on held-out text rises after some time")
    curves = {
        "held-out text": (recorded["held_out"], "b"),
        "training text": (smoothed(recorded["training"]), "a"),
    }
    loss_plot(svg, curves, 6)
    return svg


def sampling() -> Svg:
    """Chapter 7: the distribution after a prompt, at three temperatures."""
    network, tokenizer = engine().network, engine().tokenizer
    logits = network.forward(tokenizer.encode("\nimport "), network.new_cache(), n_last=1)[0]  # (V,)
    svg = Svg(640, 300, "Probabilities of the next character at temperatures 0.3, 1 and 2")
    order = np.argsort(-logits[:-1], kind="stable")[:10]
    for column, temperature in enumerate((0.3, 1.0, 2.0)):
        probabilities = softmax(logits[:-1] / temperature)
        left = 20 + column * 206
        svg.text(left + 14, 22, f"temperature {temperature:g}", "small")
        for row, i in enumerate(order):
            y, p = 34 + row * 26, float(probabilities[i])
            svg.text(left + 4, y + 16, visible(tokenizer.decode([int(i)])), "code middle")
            svg.rect(left + 16, y + 3, max(1, 130 * p), 18, "a")
            svg.text(left + 22 + 130 * p, y + 16, f"{p:.2f}", "small dim")
    return svg


def cache_and_drafts() -> Svg:
    """Chapter 8: the positions that the network computes for each step of a completion, in three ways."""
    steps = trace().steps
    n_text = len("\n" + MAIN)
    accepted = [len(step.accepted) for step in steps]
    plain = [n_text + i for i in range(sum(accepted))]
    cached = [n_text] + [1] * (sum(accepted) - 1)
    drafted = [n_text + len(steps[0].drafted), *(1 + len(step.drafted) for step in steps[1:])]
    written = "".join(character for step in steps for character, _ in step.accepted)
    svg = Svg(640, 260, f"Passes and positions to write {written!r} in three ways")
    svg.text(10, 20, f"to write {''.join(map(visible, written))} after {len(MAIN)} characters", "code")
    most = max(*plain, *drafted)
    for row, (name, passes, css_class) in enumerate(
        (("reread everything", plain, "b"), ("with a cache", cached, "a"), ("with drafts", drafted, "c"))
    ):
        top = 40 + row * 72
        svg.text(10, top + 28, name)
        svg.text(10, top + 46, f"{len(passes)} passes, {sum(passes)} positions", "small dim")
        for i, n in enumerate(passes):
            height = max(2, 56 * n / most)
            svg.rect(190 + i * 14, top + 60 - height, 11, height, css_class)
    svg.text(190, 254, "one bar for each forward pass; its height is the number of positions", "small dim")
    return svg


def mixture() -> Svg:
    """Chapter 9: the next character by network, n-grams of the workspace, and their mixture."""
    prediction = trace().ahead[0].prediction
    rows = {
        "network": prediction.rows[0],
        "n-grams of the workspace": prediction.rows[1],
        "mixture": prediction.log_probs,
    }
    svg = Svg(660, 190, "Probabilities of the next character by network, n-grams and mixture")
    svg.text(10, 20, "".join(map(visible, MAIN.splitlines()[-1])) + "?", "code")
    entries = {name: likeliest(log_probs, trace().alphabet, 4) for name, log_probs in rows.items()}
    for column, (name, best) in enumerate(entries.items()):
        left = 20 + column * 214
        svg.text(left, 48, name, "small")
        for row, (character, p) in enumerate(best):
            y = 58 + row * 28
            svg.text(left + 6, y + 16, visible(character) if character else "…", "code middle")
            svg.rect(left + 18, y + 3, max(1, 130 * p), 18, "abc"[column])
            svg.text(left + 24 + 130 * p, y + 16, f"{p:.2f}", "small dim")
    legend = "⏎ is the line break, · a space, → a tab"
    if any(not character for best in entries.values() for character, _ in best):
        legend += ", … all other characters"
    svg.text(10, 184, legend, "small dim")
    return svg


def decision() -> Svg:
    """Chapter 10: confidence and expected gain of each cut of a completion."""
    decided = trace().decision
    cuts = decided.cuts[1:]
    text = "".join(character for character, _ in trace().decoded)[: len(cuts)]
    gains = [cut.prefix.gain for cut in cuts]
    svg = Svg(660, 330, "Confidence and expected gain of each place where the suggestion could end")
    low, high = math.floor(min(gains)), math.ceil(max(gains))
    plot = Plot(svg, (50, 40, 590, 210), (0.5, len(cuts) + 0.5), (low, high))
    step = max(1, (high - low) // 6)
    plot.axes([], [(value, str(value)) for value in range(low, high + 1, step)], "", "expected gain in keystrokes")
    plot.curve(enumerate(gains, 1), "a")
    shown = len(decided.suggestion.text) if decided.suggestion else 0
    for i, (cut, character) in enumerate(zip(cuts, text, strict=True), 1):
        x, y = plot.at(i, cut.prefix.gain)
        svg.dot(x, y, 6 if i == shown else 3, "c" if i == shown else "e" if cut.obstacle else "a")
        svg.text(x, 272, visible(character), "code middle")
        svg.text(x, 288, f"{100 * cut.prefix.confidence:.0f}", "small dim middle")
    svg.text(10, 288, "p in %", "small dim")
    svg.text(
        10, 318, "green: shown; blue: could end here; gray: may not end here (inside a word, for example)", "small dim"
    )
    return svg


def what_breaks() -> Svg:
    """What breaks: the loss on held-out text, without each part."""
    svg = Svg(700, 330, "Loss on held-out text during training, unmodified and without each part")
    classes = dict(zip(NAMES, "abcdefgh", strict=True))
    names = {"nothing": "unmodified", "heads": "a single head", "positions-convolution": "no positions or convolution"}
    curves = {names.get(name, f"no {name}"): (run(name)["held_out"], css_class) for name, css_class in classes.items()}
    loss_plot(svg, curves, 5)
    return svg


PICTURES: dict[str, Callable[[], Svg]] = {
    "01-characters": characters,
    "02-embeddings": embeddings,
    "02-positions": positions,
    "03-attention": attention,
    "04-heads": heads,
    "05-blocks": blocks,
    "06-overfitting": overfitting,
    "07-sampling": sampling,
    "08-cache-and-drafts": cache_and_drafts,
    "09-mixture": mixture,
    "10-decision": decision,
    "what-breaks": what_breaks,
}


def main() -> None:
    """Write all pictures, or those that are named."""
    for name in sys.argv[1:] or PICTURES:
        (HERE / "pictures" / f"{name}.svg").write_text(str(PICTURES[name]()), "utf-8")


if __name__ == "__main__":
    main()
