"""The panels of the page: what each one explains, and the functions that compute it."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tinycopilot.completion.decoding import decode
from tinycopilot.completion.distribution import count, interpolate, mix
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.forward import attend, forward
from tinycopilot.completion.generation import generate
from tinycopilot.completion.infill import infill
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.postprocess import postprocess
from tinycopilot.completion.truncation import Prefixes, truncate
from tinycopilot.explain import instrumented
from tinycopilot.explain.panels.blocks import promoted
from tinycopilot.model.tokenizer import SimpleTokenizer


class Panel(NamedTuple):
    """A section of the page."""

    name: str
    """Its id, which page.js fills."""
    title: str
    about: str
    """Two sentences."""
    symbols: tuple[Callable[..., Any], ...]
    """What computes it."""


PANELS: Final = (
    Panel(
        "tokenizer",
        "Tokenizer",
        "Each character is a token with a number, its id, and the network looks up one vector for each id, "
        "its embedding. Training has moved characters that are used alike close to each other.",
        (SimpleTokenizer, forward),
    ),
    Panel(
        "attention",
        "Attention",
        "In each head, the chosen character's query q is compared with the key k of every character before "
        "it; softmax turns the scores into weights. The head then passes on the weighted average of their "
        "values, and different heads look for different things.",
        (attend, instrumented.attend, instrumented.rotate),
    ),
    Panel(
        "blocks",
        "Blocks",
        "Each block adds to the residual stream what its attention gathers and what its feed-forward layer "
        "makes of it. The head can be applied after any block (the logit lens), which shows how the "
        "prediction takes shape.",
        (forward, instrumented.read, promoted),
    ),
    Panel(
        "sampling",
        "Sampling",
        "The network's output is one logit for each character, and softmax turns them into probabilities. A "
        "temperature below 1 favours the likeliest characters, and top-k leaves out all but the k likeliest; "
        "suggestions take the likeliest, text from tinycopilot generate is drawn.",
        (generate,),
    ),
    Panel(
        "generation",
        "Generation",
        "The n-gram models draft several characters, and the network reads them all in one forward pass, "
        "which keeps the keys and values of everything before in a cache. Drafted characters that the mixture"
        " would have chosen are accepted, so the text is the same as without drafts.",
        (decode,),
    ),
    Panel(
        "mixture",
        "N-grams and mixture",
        "Two n-gram models count what has followed the last 3 to 28 characters, in the workspace and in this "
        "file; longer contexts say more, and a discount leaves some probability to the shorter ones. The "
        "mixture multiplies the three predictions, each raised to its weight, and the weights are learned "
        "while you type.",
        (NGramModel, count, interpolate, mix),
    ),
    Panel(
        "decision",
        "Decision",
        "The suggestion is cut where the expected number of saved keystrokes, minus the cost of reading and "
        "of typing along, is highest. If that is nowhere positive, or the suggestion is too unlikely, nothing"
        " is shown; eagerness moves both thresholds.",
        (truncate, Prefixes, infill, postprocess, Engine),
    ),
)
