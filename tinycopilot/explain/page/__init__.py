"""The `explain --html` page: one self-contained file with all panels."""

import math
from pathlib import Path
from typing import Any, Final

from tinycopilot.explain.decision import in_words
from tinycopilot.explain.links import link_to
from tinycopilot.explain.page.sections import PANELS
from tinycopilot.explain.panels import attention, blocks, decisions, generation, mixture, tokens
from tinycopilot.explain.subject import Subject
from tinycopilot.page.arrays import Arrays, significant
from tinycopilot.page.render import render as render_page
from tinycopilot.page.words import visible

FOLDER: Final = Path(__file__).parent


def render(subject: Subject, path: Path, *, model: str, notes: list[str]) -> str:
    """Return the page as HTML, with links relative to `path`; all text from outside is escaped. `model`: its name."""
    return render_page(
        FOLDER,
        panels=[panel._asdict() | {"links": [link_to(symbol, path) for symbol in panel.symbols]} for panel in PANELS],
        lead=_lead(subject),
        verdict=in_words(subject.trace, subject.trace.decision),
        figures=_figures(subject),
        notes=notes,
        model=model,
        data=page_data(subject),
    )


def _lead(subject: Subject) -> str:
    return (
        f"A network of {subject.network.config.n_parameters:,} parameters and n-gram models of "
        f"{subject.trace.n_ngram_chars:,} characters read the text below and predict each next character. Every number "
        "here is computed by the code that runs in the editor, or checked against it."
    )


def _figures(subject: Subject) -> list[tuple[str, str]]:
    config = subject.network.config
    return [
        ("layers, heads in each", f"{config.n_layers}, {config.n_heads}"),
        ("width", f"{config.d_model}"),
        ("window, characters", f"{config.window}"),
        ("vocabulary", f"{config.vocab_size}"),
        ("network's bits per character", _bits(subject, 0)),
        ("mixture's bits per character", _bits(subject, 1)),
    ]


def _bits(subject: Subject, which: int) -> str:
    """The mean bits per shown character, by network (0) or mixture (1); a dash if there are none."""
    costs = []
    for traced, character in zip(subject.predictions, subject.next_characters, strict=True):
        if character is not None:
            prediction = traced.prediction
            row = prediction.log_probs if which else prediction.rows[0]
            costs.append(-float(row[prediction.entry_of(character, subject.trace.alphabet)]) / math.log(2))
    return f"{sum(costs) / len(costs):.2f}" if costs else "-"


def page_data(subject: Subject) -> dict[str, Any]:
    """Return the data for page.js."""
    arrays, trace, alphabet = Arrays(), subject.trace, subject.trace.alphabet
    p = [0.0]
    for traced, character in zip(subject.predictions, subject.text[1:], strict=False):
        p.append(significant(math.exp(traced.prediction.log_p(character, alphabet))))
    shown = trace.suggestion.text if trace.suggestion else ""
    return {
        "text": list(subject.text),
        "visible": {c: visible(c) for c in set(subject.text) if visible(c) != c and c not in "\n\t"},
        "p": p,
        "ghost": visible(shown, keep="\n"),
        "tokens": tokens(subject, arrays),
        "attention": attention(subject, arrays),
        "blocks": blocks(subject, arrays),
        "generation": generation(subject),
        "mixture": mixture(subject),
        "decision": {**decisions(subject), "line": visible(trace.place.before.rpartition("\n")[2][-30:])},
        "arrays": arrays.as_json(),
    }
