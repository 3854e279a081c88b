"""Print a trace: the text colored by probability, the next character's distribution, its sources, the decision."""

import bisect
import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tinycopilot.explain.decision import completion_note, in_words
from tinycopilot.explain.trace import Trace, likeliest
from tinycopilot.page.words import name_of, quoted, visible

EDGES_P: Final = (0.01, 0.1, 0.5)
"""Probabilities at which one level of color ends and the next begins."""
STYLES: Final = ("black on #f4a3a3", "black on #f7cf9a", "black on #f3ecb0", "")
"""Style of each level, the least probable first."""
N_LIKELIEST: Final = 8
N_SURPRISING: Final = 3
N_SEEN: Final = 6
N_CUTS: Final = 12
MAX_LINE_CHARS: Final = 60
MAX_CUT_CHARS: Final = 16


def show(trace: Trace) -> None:
    """Print a trace on the terminal, or on a pipe, without colors."""
    out = Console(highlight=False, emoji=False, markup=False)
    for part in (*_text(trace), "", *_distribution(trace), "", *_seen(trace), "", *_decision(trace)):
        out.print(part)


def _text(trace: Trace) -> Iterator[Text | str]:
    n, alphabet = len(trace.typed), trace.alphabet
    before = trace.place.before
    typed = before[len(before) - n :]
    p = [math.exp(traced.prediction.log_p(c, alphabet)) for c, traced in zip(typed, trace.typed, strict=True)]
    yield Text("Text", style="bold")
    text = Text("… " if n < len(before) else "")
    for character, p_typed in zip(typed, p, strict=True):
        style = STYLES[bisect.bisect_right(EDGES_P, p_typed)]
        if character == "\n":
            text.append("⏎" if style else "", style=style)
            text.append("\n")
        else:
            text.append(visible(character), style=style)
    if trace.suggestion:
        text.append("\n".join(map(visible, trace.suggestion.text.split("\n"))), style="dim italic underline")
    else:
        text.append("▏", style="dim")
    yield text
    if not n:
        yield Text("There is no text before the cursor.", style="dim")
        return
    legend = Text("probability of each character: ", style="dim")
    bounds = ("<1 %", "<10 %", "<50 %", "≥50 %")
    for style, bound in zip(STYLES, bounds, strict=True):
        legend.append(f" {bound} ", style=style or "not dim").append(" ")
    yield legend
    rare = sorted(range(n), key=lambda i: p[i])[:N_SURPRISING]
    words = ", ".join(f"{name_of(typed[i])} after {_end_of(before, i - n)} {_percent(p[i])}" for i in rare)
    bits = -sum(map(math.log2, p)) / n
    yield f"{bits:.2f} bits per character; least expected: {words}"


def _end_of(before: str, at: int) -> str:
    """The last characters before offset `at`, quoted."""
    return quoted(before[:at][-10:]) if before[:at] else "the start"


def _distribution(trace: Trace) -> Iterator[Table | Text | str]:
    prediction = trace.ahead[0].prediction
    columns = [likeliest(row, trace.alphabet, N_LIKELIEST) for row in (*prediction.rows, prediction.log_probs)]
    table = Table(title="Next character", title_justify="left", title_style="bold", box=None, pad_edge=False)
    weights = trace.engine.mixture.weights(prediction)
    names = ("network\n", "n-grams\nworkspace", "n-grams\nfile")
    for name, weight in zip(names, weights, strict=True):
        table.add_column(f"{name}\nweight {weight:.2f}", no_wrap=True, min_width=18)
    table.add_column("mixture\n\n", style="bold", no_wrap=True)
    for row in zip(*columns, strict=True):
        table.add_row(*(Text(f"{name_of(character):<9}{_percent(p):>8}") for character, p in row))
    yield table
    if not prediction.n_seen:
        yield "No context of 3 or more characters was seen before: the prediction is the network's alone."
    if note := completion_note(trace, prediction):
        yield note


def _seen(trace: Trace) -> Iterator[Text | str]:
    yield Text("Seen before", style="bold")
    if not trace.context:
        yield "nothing"
        return
    times = "once" if trace.n_occurrences == 1 else f"{trace.n_occurrences:,} times"
    yield f"the longest context seen before, {quoted(trace.context)} ({len(trace.context)} characters), {times}:"
    for seen in trace.seen[:N_SEEN]:
        before = seen.before[-(MAX_LINE_CHARS // 2) :]
        document = visible(PurePath(seen.document).as_posix()) if seen.document else "this text"
        text = Text(f"  {document}:{seen.line}  ")
        text.append(visible(before)).append(visible(seen.after[:1]), "reverse")
        text.append(visible(seen.after[1 : MAX_LINE_CHARS - len(before)]))
        yield text
    if trace.n_occurrences > N_SEEN:
        yield f"  and {trace.n_occurrences - N_SEEN:,} more"


def _decision(trace: Trace) -> Iterator[Table | Text | str]:
    decision = trace.decision
    table = Table(title="Decision", title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("cut after", no_wrap=True, min_width=MAX_CUT_CHARS)
    table.add_column("confidence", justify="right", no_wrap=True, min_width=10)
    table.add_column("expected gain", justify="right", no_wrap=True, min_width=26)
    table.add_column("", no_wrap=True)
    best = decision.truncated.text if decision.truncated else None
    shown = [cut for cut in decision.cuts if cut.prefix.text]
    skipped = max(0, len(shown) - N_CUTS)
    kept = sorted(shown, key=lambda cut: (cut.prefix.text != best, cut.obstacle is not None, -cut.prefix.gain))[:N_CUTS]
    for cut in sorted(kept, key=lambda cut: len(cut.prefix.text)):
        prefix = cut.prefix
        note = "◀ best" if prefix.text == best else cut.obstacle.value if cut.obstacle else ""
        saved, gain = prefix.saved_keys, prefix.gain
        figures = f"{saved:.2f} - {prefix.reading_keys:.2f} - {prefix.waiting_keys:.2f} = {gain:5.2f}"
        style = "bold" if prefix.text == best else "dim" if cut.obstacle else ""
        text = visible(prefix.text)
        text = text if len(text) <= MAX_CUT_CHARS else f"…{text[1 - MAX_CUT_CHARS :]}"
        table.add_row(Text(text), _percent(prefix.confidence), figures, note, style=style)
    yield table
    if skipped:
        yield f"and {skipped} more cuts of lower gain"
    yield Text("expected gain = keystrokes saved - cost of reading - cost of waiting", style="dim")
    yield Text(in_words(trace, decision))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.0005 else "<0.1 %"
