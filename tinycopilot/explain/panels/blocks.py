"""The blocks panel: the residual stream, the feed-forward layer, and what would be predicted after each block."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.decoding import log_softmax
from tinycopilot.explain.subject import Subject
from tinycopilot.page.arrays import Arrays, significant

N_LIKELIEST: Final = 5
N_NEURONS: Final = 4
"""The most active ones of a layer, at each position."""
N_PROMOTED: Final = 3
"""The characters that a neuron makes likelier."""


def blocks(subject: Subject, arrays: Arrays) -> dict[str, Any]:
    """By position and block: the likeliest ids (logit lens), and p of the next character; the rest is in `arrays`."""
    passed = subject.passed
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
    arrays.add("promoted", promoted(subject), "uint16")  # (L, F, 3)
    p = np.exp(log_softmax(passed.lens))  # (L + 1, N, V)
    order = np.argsort(-p, axis=-1)[..., :N_LIKELIEST]  # (L + 1, N, 5)
    arrays.add("lens_ids", order, "uint16")
    arrays.add("lens_p", np.take_along_axis(p, order, -1), "float32")
    next_ids = [*subject.tokenizer.encode(subject.text[1:]), int(order[-1, -1, 0])]  # at the cursor, the likeliest
    arrays.add("lens_next", p[:, np.arange(len(next_ids)), next_ids], "float32")  # (L + 1, N)
    arrays.add("logits", passed.logits, "float32")  # (N, V)
    return {"next": next_ids, "entropy": [significant(x) for x in entropy_bits(p[-1])]}


def promoted(subject: Subject) -> NDArray[np.int64]:
    """Of each neuron of each layer, the ids that its output makes likelier, (L, F, 3) (Geva et al. 2021)."""
    weights = subject.network.weights()
    known = weights.head[:-1] * weights.last_norm[0]  # never the unknown id
    effect = np.stack([known @ down for down in weights.down])  # (L, V - 1, F)
    return np.argsort(-effect, axis=1)[:, :N_PROMOTED].transpose(0, 2, 1)


def entropy_bits(p: NDArray[np.float64]) -> list[float]:
    """Of each row."""
    return [float(-(row * np.log2(np.maximum(row, 1e-30))).sum()) for row in p]
