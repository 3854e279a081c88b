"""The panels of the page: what each one explains, and the functions that compute it."""

from typing import Final

from tinycopilot.completion.decoding import decode_steps, generate
from tinycopilot.completion.distribution import count, interpolate, mix
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.forward import attend, forward
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.truncation import Prefixes, infill, postprocess, truncate
from tinycopilot.explain import instrumented
from tinycopilot.explain.panels import promoted
from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.page.render import Panel

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
