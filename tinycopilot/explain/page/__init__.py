"""The `explain --html` page: one self-contained file, with panels that link to the functions that compute them."""

import inspect
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import numpy as np

import tinycopilot
from tinycopilot.completion.decoding import decode_steps, generate
from tinycopilot.completion.distribution import count, interpolate, mix
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.forward import attend, forward
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.truncation import Prefixes, infill, postprocess, truncate
from tinycopilot.explain import instrumented
from tinycopilot.explain.decision import in_words
from tinycopilot.explain.panels import attention, blocks, decisions, generation, mixture, promoted, tokens
from tinycopilot.explain.trace import Trace
from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer
from tinycopilot.page.arrays import Arrays, significant
from tinycopilot.page.render import Panel
from tinycopilot.page.render import render as render_page
from tinycopilot.page.words import visible

FOLDER: Final = Path(__file__).parent
ROOT: Final = Path(tinycopilot.__file__).resolve().parents[1]
"""The folder of the package `tinycopilot`, or of the repository."""
PANELS: Final = (
    Panel(
        "tokenizer",
        "Tokenizer",
        "Each character is a token with a number, its id. For each id, the network looks up a vector, its "
        "embedding. Training has moved characters that are used in similar ways close to each other.",
        (SimpleTokenizer, forward),
    ),
    Panel(
        "attention",
        "Attention",
        "In each head, the query q of the selected character is compared with the keys k of that character and "
        "those before it, and softmax turns the scores into weights. The head outputs the weighted average of "
        "their values. Different heads attend to different things.",
        (attend, instrumented.attend, instrumented.rotate),
    ),
    Panel(
        "blocks",
        "Blocks",
        "Each block adds the outputs of its attention and its feed-forward layer to the residual stream. The "
        "output layer can be applied after any block (the logit lens), which shows how the prediction takes shape.",
        (forward, instrumented.read, promoted),
    ),
    Panel(
        "sampling",
        "Sampling",
        "The network outputs one logit for each character, and softmax turns the logits into probabilities. A "
        "temperature below 1 favors the most likely characters, and top-k leaves out all but the k most likely. "
        "Suggestions always take the most likely character; the generate command samples.",
        (generate,),
    ),
    Panel(
        "generation",
        "Generation",
        "The n-gram models draft several characters, and the network reads all of them in one forward pass. The "
        "keys and values of the text before them come from a cache. Drafted characters that the mixture would "
        "have chosen are accepted, so the result is the same as without drafts.",
        (decode_steps,),
    ),
    Panel(
        "mixture",
        "N-grams and mixture",
        "Two n-gram models, one for the workspace and one for this file, count what has followed the last 3 to 28 "
        "characters. Longer contexts are more specific; a discount leaves some probability to the shorter ones. "
        "The mixture multiplies the three predictions, each raised to the power of its weight. The weights are "
        "learned while you type.",
        (NGramModel, count, interpolate, mix),
    ),
    Panel(
        "decision",
        "Decision",
        "The suggestion is cut where the expected number of saved keystrokes, minus the costs of reading and of "
        "waiting, is highest. If that is never positive, or the suggestion is too "
        "unlikely, nothing is shown. Eagerness moves both thresholds.",
        (truncate, Prefixes, infill, postprocess, Engine),
    ),
)
"""What each panel explains, and the functions that compute it."""


def render(trace: Trace, path: Path, *, model: str, notes: list[str]) -> str:
    """Return the page as HTML, with links relative to `path`; all text from outside is escaped. `model`: its name."""
    config = trace.engine.network.config
    network_bits, mixture_bits = _bits(trace)
    return render_page(
        FOLDER,
        panels=[panel._asdict() | {"links": [link_to(symbol, path) for symbol in panel.symbols]} for panel in PANELS],
        lead=f"A network of {config.n_parameters:,} parameters and n-gram models of {trace.engine.ngrams.n_chars:,} "
        "characters read the text below and predict each next character. Every number here is computed by the code "
        "that runs in the editor, or checked against it.",
        verdict=in_words(trace, trace.decision),
        figures=[
            ("layers, heads in each", f"{config.n_layers}, {config.n_heads}"),
            ("width", f"{config.d_model}"),
            ("window, characters", f"{config.window}"),
            ("vocabulary", f"{config.vocab_size}"),
            ("network's bits per character", network_bits),
            ("mixture's bits per character", mixture_bits),
        ],
        notes=notes,
        model=model,
        data=page_data(trace),
    )


def _bits(trace: Trace) -> list[str]:
    """The mean bits per typed character, by network and by mixture; dashes if there are none."""
    if not trace.typed:
        return ["-", "-"]
    log_p = np.empty((len(trace.typed), 2))
    for i, (traced, character) in enumerate(zip(trace.typed, trace.text[1:], strict=True)):
        prediction = traced.prediction
        entry = prediction.entry_of(character, trace.alphabet)
        log_p[i] = prediction.rows[0, entry], prediction.log_probs[entry]
    return [f"{bits:.2f}" for bits in -log_p.mean(0) / math.log(2)]


def page_data(trace: Trace) -> dict[str, Any]:
    """Return the data for page.js."""
    arrays, engine = Arrays(), trace.engine
    whole, n = DOCUMENT_START + trace.place.before, len(trace.text)
    start = min(engine.network.config.context_start(len(whole)), len(whole) - n)
    passed = instrumented.read(engine.network, engine.tokenizer.encode(whole[start:]), n)
    log_p = [t.prediction.log_p(c, trace.alphabet) for t, c in zip(trace.typed, trace.text[1:], strict=True)]
    return {
        "text": list(trace.text),
        "visible": {c: visible(c) for c in set(trace.text) if visible(c) != c and c not in "\n\t"},
        "p": [0.0, *(significant(math.exp(one)) for one in log_p)],
        "ghost": visible(trace.suggestion.text, keep="\n") if trace.suggestion else "",
        "tokens": tokens(trace, arrays),
        "attention": attention(trace, passed, arrays),
        "blocks": blocks(trace, passed, arrays),
        "generation": generation(trace),
        "mixture": mixture(trace),
        "decision": decisions(trace),
        "arrays": arrays.as_json(),
    }


class Link(NamedTuple):
    """The place where a symbol is defined."""

    name: str
    """`layer_norm`, `Mixture.mix`."""
    place: str
    """File below the package's folder, and line."""
    href: str
    """Path relative to the page; empty if there is none."""


def link_to(symbol: Callable[..., Any], page: Path) -> Link:
    """The link to a function or class, from a page at `page`."""
    plain = getattr(symbol, "py_func", symbol)  # the Python function, if it is compiled
    file, line = Path(inspect.getsourcefile(plain) or ""), inspect.getsourcelines(plain)[1]
    relative = file.resolve().relative_to(ROOT).as_posix()
    try:
        href = quote(os.fsencode(Path(os.path.relpath(file, page.resolve().parent)).as_posix()))
    except ValueError:  # on another drive
        href = ""
    return Link(plain.__qualname__, f"{relative}:{line}", href)
