"""How quickly text is decoded: the plain way, with the cache, and with drafts; the same text each time."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from tinycopilot.completion.common_prefix import common_prefix_len
from tinycopilot.completion.decoding import Decoded, Reader, decode, network_log_probs, plain_decode
from tinycopilot.completion.predictor import Workspace
from tinycopilot.insight.situations import Look
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer

N_CHARS = {"plain": 4, "cached": 40, "drafted": 40}
"""So many are decoded at each place; in the plain way each takes as long as a hundred."""


@dataclass
class Speed:
    """What came of it."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(N_CHARS, 0.0))
    chars: dict[str, int] = field(default_factory=lambda: dict.fromkeys(N_CHARS, 0))
    n_drafted: int = 0
    """Characters that were guessed."""
    n_right: int = 0
    """How many of them were what came."""
    n_unequal: int = 0
    """Texts that were not the plain one's, or the cached one's. Rounding may make one of two that are as likely."""

    def to_json(self) -> dict[str, Any]:
        """Ratios of all that."""
        per_second = {way: round(self.chars[way] / seconds, 1) for way, seconds in self.seconds.items()}
        share = round(self.n_right / self.n_drafted, 4) if self.n_drafted else None
        return {"chars_per_second": per_second, "accepted_drafts": share, "unequal_texts": self.n_unequal}


def measure_speed(model: TinyGPT, tokenizer: SimpleTokenizer, workspace: Workspace, looks: Sequence[Look]) -> Speed:
    """Decode at each of `looks`, one way after the other, so that a noisy machine hits all alike."""
    speed, reader = Speed(), Reader(model, tokenizer)
    drafts = list[tuple[int, str]]()  # the length of the text, and the guess

    def draft(text: str) -> str:
        drafts.append((len(text), workspace.draft(text)))
        return drafts[-1][1]

    ways: dict[str, Callable[[str], Iterator[Decoded]]] = {
        "plain": lambda text: plain_decode(network_log_probs(model, tokenizer), workspace.likeliest, text),
        "cached": lambda text: decode(reader, workspace.likeliest, text),
        "drafted": lambda text: decode(reader, workspace.likeliest, text, draft=draft),
    }
    for look in looks:
        texts = {}
        drafts.clear()
        for name, way in ways.items():
            workspace.look_at(look.document, look.before, look.after)
            reader.read(look.before)
            since = time.perf_counter()
            texts[name] = "".join(character for character, _ in islice(way(look.before), N_CHARS[name]))
            speed.seconds[name] += time.perf_counter() - since
            speed.chars[name] += N_CHARS[name]
        speed.n_unequal += texts["cached"] != texts["drafted"] or not texts["cached"].startswith(texts["plain"])
        for n_chars, guess in drafts:
            came = texts["drafted"][n_chars - len(look.before) :]
            speed.n_drafted += min(len(guess), len(came))  # what was not asked for is not known
            speed.n_right += common_prefix_len(guess, came)
    return speed
