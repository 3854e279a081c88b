"""The data of the page's panels, in JSON types; large arrays go to `Arrays`."""

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.decoding import log_softmax
from tinycopilot.completion.distribution import interpolate
from tinycopilot.completion.network import Network
from tinycopilot.completion.ngram import DISCOUNT_ROW, DISCOUNTS
from tinycopilot.completion.predictor import KINDS
from tinycopilot.completion.suffix_array import ORDERS
from tinycopilot.explain.decision import completion_note, in_words
from tinycopilot.explain.instrumented import Pass
from tinycopilot.explain.trace import Decision, Trace, TracedPrediction, likeliest
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.page.arrays import Arrays, as_shares, significant
from tinycopilot.page.words import name_of, visible

N_NEAREST: Final = 6
"""Number of characters with the most similar embeddings, for each character."""
MAX_BYTES: Final = 1_200_000
"""Maximum size of all attention weights, queries and keys, uncompressed: a larger network shows fewer positions."""
N_LENS: Final = 5
"""Number of most probable characters after each block."""
N_NEURONS: Final = 4
"""Number of most active neurons of a layer, at each position."""
N_PROMOTED: Final = 3
"""Number of characters whose probability a neuron raises most."""
N_LIKELIEST, N_FOLLOWERS = 6, 3
"""Number of characters listed for each prediction of the mixture, and after each context."""
N_AROUND: Final = 40
"""Number of characters shown before, and after, the place where a context was seen."""


def tokens(trace: Trace, arrays: Arrays) -> dict[str, Any]:
    """The vocabulary by id, the ids of the text, and for each id in it the nearest ids with their similarity."""
    tokenizer, ids = trace.engine.tokenizer, trace.engine.tokenizer.encode(trace.text)
    embedding = trace.engine.network.weights().embedding  # (V, C)
    arrays.add("embedding", embedding, "float16")
    directions = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    nearest = {}
    for i in sorted(set(ids)):
        similarity = directions @ directions[i]
        order = [int(j) for j in np.argsort(-similarity, kind="stable") if j != i][:N_NEAREST]
        nearest[i] = [[j, significant(float(similarity[j]))] for j in order]
    names = [name_of(character) for character in tokenizer.alphabet]
    return {"vocabulary": [*names, "unknown"], "ids": ids, "nearest": nearest}


def n_positions(n: int, n_heads: int, d_head: int) -> int:
    """Return how many of the last `n` positions fit into MAX_BYTES; `n_heads`: heads of all layers together."""
    # n_heads (2 m^2 + 4 d_head m) <= MAX_BYTES
    m = math.sqrt(d_head**2 + MAX_BYTES / (2 * n_heads)) - d_head
    return max(1, min(n, int(m)))


def attention(trace: Trace, passed: Pass, arrays: Arrays) -> dict[str, Any]:
    """The number of shown positions, M; adds weights, (L, H, M, M), q and k, (L, H, M, D), to `arrays`."""
    config, layers = trace.engine.network.config, passed.blocks
    m = n_positions(len(trace.text), config.n_layers * config.n_heads, config.d_head)
    weights = np.stack([layer.weights[:, -m:, -m:] for layer in layers])  # (L, H, M, M)
    arrays.add("attention", as_shares(weights), "uint16")
    arrays.add("earlier", as_shares(1 - weights.sum(-1)), "uint16")  # (L, H, M)
    arrays.add("q", np.stack([layer.q[:, -m:] for layer in layers]), "float16")
    arrays.add("k", np.stack([layer.k[:, -m:] for layer in layers]), "float16")
    distance = np.arange(m)[:, None] - np.arange(m)
    mean = (weights * np.maximum(distance, 0)).sum(-1) / np.maximum(weights.sum(-1), 1e-9)  # (L, H, M)
    return {
        "shown": m,
        "window": config.window,
        "distance": [[significant(float(x)) for x in layer] for layer in mean.mean(-1)],
        "rates": [significant(float(rate)) for rate in trace.engine.network.weights().rates],
    }


def blocks(trace: Trace, passed: Pass, arrays: Arrays) -> dict[str, Any]:
    """The most probable ids after each block (logit lens), and p of the next character; adds the rest to `arrays`."""
    streams = np.stack([passed.embedded, *(block.stream for block in passed.blocks)])  # (L + 1, N, C)
    scale = np.maximum(np.abs(streams).max(-1), 1e-9)  # (L + 1, N)
    arrays.add("stream", np.rint(streams / scale[..., None] * 127), "int8")
    arrays.add("stream_norm", np.linalg.norm(streams, axis=-1), "float32")
    added = [
        [np.linalg.norm(block.attended, axis=-1), np.linalg.norm(block.fed_forward, axis=-1)] for block in passed.blocks
    ]
    arrays.add("added", added, "float32")  # (L, 2, N)
    hidden = np.stack([block.hidden for block in passed.blocks])  # (L, N, F)
    active = np.argsort(-hidden, axis=-1)[..., :N_NEURONS]  # (L, N, 4)
    arrays.add("neurons", active, "uint16")
    arrays.add("activations", np.take_along_axis(hidden, active, -1), "float16")
    arrays.add("promoted", promoted(trace.engine.network), "uint16")  # (L, F, 3)
    p = np.exp(log_softmax(passed.lens))  # (L + 1, N, V)
    order = np.argsort(-p, axis=-1)[..., :N_LENS]  # (L + 1, N, 5)
    arrays.add("lens_ids", order, "uint16")
    arrays.add("lens_p", np.take_along_axis(p, order, -1), "float32")
    next_ids = [
        *trace.engine.tokenizer.encode(trace.text[1:]),
        int(order[-1, -1, 0]),
    ]  # at the cursor, the most probable
    arrays.add("lens_next", p[:, np.arange(len(next_ids)), next_ids], "float32")  # (L + 1, N)
    arrays.add("logits", passed.lens[-1], "float32")  # (N, V)
    entropy = -(p[-1] * np.log2(np.maximum(p[-1], 1e-30))).sum(-1)  # (N,), in bits
    return {"next": next_ids, "entropy": [significant(float(x)) for x in entropy]}


def promoted(network: Network) -> NDArray[np.int64]:
    """The ids whose probability each neuron's output raises most, (L, F, 3) (Geva et al. 2021)."""
    weights = network.weights()
    known = weights.head[:-1] * weights.last_norm[0]  # without the unknown id
    effect = np.stack([known @ down for down in weights.down])  # (L, V - 1, F)
    return np.argsort(-effect, axis=1)[:, :N_PROMOTED].transpose(0, 2, 1)


def generation(trace: Trace) -> dict[str, Any]:
    """One entry for each step of speculative decoding."""
    steps, length = list[dict[str, Any]](), len(DOCUMENT_START + trace.place.before)
    for step in trace.steps:
        n_right = len(step.accepted) - 1
        steps.append(
            {
                "right": [name_of(character) for character in step.drafted[:n_right]],
                "wrong": [name_of(character) for character in step.drafted[n_right:]],
                "own": [name_of(step.accepted[-1][0]), significant(step.accepted[-1][1])],
                "read": len(step.drafted) + 1,
                "kept": length + n_right,
                "ms": [significant(1e3 * s) for s in step.times_s],
            }
        )
        length += len(step.accepted)
    config = trace.engine.network.config
    return {
        "steps": steps,
        "window": config.window,
        "floats": 2 * config.n_layers * config.d_model,  # keys and values of one position
    }


def mixture(trace: Trace) -> dict[str, Any]:
    """One entry for each position; and the occurrences of the longest known context before the cursor."""
    pairs = zip(trace.predictions, [*trace.text[1:], None], strict=True)
    seen = [
        [one.document, one.line, *map(visible, (one.before[-N_AROUND:], one.after[:1], one.after[1:N_AROUND]))]
        for one in trace.seen
    ]
    return {
        "positions": [_position(trace, traced, character) for traced, character in pairs],
        "discounts": DISCOUNTS,
        "seen": seen,
        "context": trace.context,
        "n_occurrences": trace.n_occurrences,
    }


def _position(trace: Trace, traced: TracedPrediction, following: str | None) -> dict[str, Any]:
    prediction, alphabet, mixture = traced.prediction, trace.alphabet, trace.engine.mixture
    without = [mixture.mix(prediction, without=row) for row in range(3)]
    log_probs = [*prediction.rows, prediction.log_probs, *without]
    likely = int(prediction.log_probs[:-1].argmax())
    entry = likely if following is None else prediction.entry_of(following, alphabet)
    return {
        "weights": [significant(w) for w in mixture.weights(prediction)],
        "order": ORDERS[prediction.n_seen - 1] if prediction.n_seen else 0,
        "kind": KINDS[prediction.kind],
        "completion": completion_note(trace, prediction),
        "top": [
            [[name_of(character), significant(p)] for character, p in likeliest(row, alphabet, N_LIKELIEST)]
            for row in log_probs
        ],
        "p": [significant(math.exp(row[entry])) for row in log_probs],
        "workspace": _orders(trace, traced, traced.workspace, entry),
        "file": _orders(trace, traced, traced.file, entry),
    }


def _orders(trace: Trace, traced: TracedPrediction, counts: NDArray[np.int64], entry: int) -> list[list[Any]]:
    """For each order seen: its count, number of distinct next characters, the most frequent ones, p(next) so far."""
    rows, alphabet = list[list[Any]](), trace.alphabet
    possible = traced.prediction.log_probs > -math.inf
    p = np.empty(len(possible))
    for row, order in enumerate(ORDERS):
        n = int(counts[row].sum())
        if not n:
            break
        most = [int(symbol) for symbol in np.argsort(-counts[row], kind="stable")[:N_FOLLOWERS] if counts[row, symbol]]
        followers = [[name_of(alphabet.character_of(symbol)), int(counts[row, symbol])] for symbol in most]
        interpolate(counts[: row + 1], possible, DISCOUNT_ROW, p)
        rows.append([order, n, int((counts[row] > 0).sum()), followers, significant(float(p[entry]))])
    return rows


def decisions(trace: Trace) -> dict[str, Any]:
    """The decoded text, and for each eagerness the possible cuts with their gains."""
    return {
        "decoded": [[name_of(character), significant(log_p)] for character, log_p in trace.decoded],
        "text": visible("".join(character for character, _ in trace.decoded)),
        "actual": significant(trace.engine.settings.eagerness),
        "by_eagerness": [
            {"eagerness": eagerness, **_decision(trace, decision)} for eagerness, decision in trace.by_eagerness.items()
        ],
        "line": visible(trace.place.before.rpartition("\n")[2][-30:]),
    }


def _decision(trace: Trace, decision: Decision) -> dict[str, Any]:
    shown = decision.suggestion
    return {
        "cuts": [
            [
                len(cut.prefix.text),
                *map(significant, (cut.prefix.confidence, cut.prefix.saved_keys)),
                *map(significant, (cut.prefix.reading_keys, cut.prefix.waiting_keys, cut.prefix.gain)),
                cut.obstacle.value if cut.obstacle else "",
            ]
            for cut in decision.cuts
        ],
        "best": len(decision.truncated.text) if decision.truncated else 0,
        "shown": visible(shown.text) if shown else "",
        "n_shown": len(shown.text) if shown else 0,
        "least": significant(decision.settings.least_likely(1)),
        "why": in_words(trace, decision),
    }
