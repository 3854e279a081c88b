"""Trace: how one request was answered, step by step, for explaining it. `Engine.trace` makes one."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.decoding import Decoded, Speculator
from tinycopilot.completion.network import Floats
from tinycopilot.completion.predictor import Mixture, Place, Prediction
from tinycopilot.completion.truncation import CompleterSettings, Obstacle, Prefix, Stop, Suggestion

EAGERNESS: Final = tuple(i / 20 for i in range(21))
"""The values of that setting for which a Trace has the suggestion."""

MAX_SEEN: Final = 20
"""Number of places of the longest context that a Trace names."""


class TracedPrediction(NamedTuple):
    """The prediction of one character, and its inputs."""

    prediction: Prediction
    logits: Floats
    """The network's, (V,)."""
    workspace: NDArray[np.int64]
    """How often each symbol followed the context in the workspace, (n_orders, A + 1), from BREAK on."""
    file: NDArray[np.int64]
    """The same in the current file, (n_orders, A + 1)."""


class Seen(NamedTuple):
    """A line of a document in which a context was seen."""

    document: str
    line: int
    """From 1."""
    text: str
    column: int
    """Offset in `text` of the character that follows the context."""

    @classmethod
    def at(cls, document: str, text: str, offset: int) -> "Seen":
        """The line of `text` with the character at `offset`."""
        start = text.rfind("\n", 0, offset) + 1
        end = text.find("\n", offset)
        return cls(document, text.count("\n", 0, offset) + 1, text[start : end if end >= 0 else None], offset - start)


@dataclass(frozen=True)
class Step:
    """One round of speculative decoding: draft, read, verify."""

    drafted: str
    accepted: list[Decoded]
    """The drafted characters that are right, and one more."""
    draft_ms: float
    read_ms: float
    """The network's forward pass over the draft and, in the first step, all of the text that it had not read."""
    verify_ms: float


class Cut(NamedTuple):
    """A place where the suggestion could end."""

    prefix: Prefix
    obstacle: Obstacle | None
    """Why it may not end there."""


@dataclass(frozen=True)
class Decision:
    """Where the decoded text is cut by some settings."""

    settings: CompleterSettings
    cuts: list[Cut]
    stop: Stop | None
    """Why there is no longer cut; None in the middle of a line."""
    truncated: Suggestion | None
    """The best cut, before post-processing."""
    suggestion: Suggestion | None
    """The suggestion that is shown; None if nothing is."""


@dataclass(frozen=True)
class Trace:
    """How a request was answered."""

    place: Place
    """The text on both sides of the cursor, with secrets masked."""
    typed: list[TracedPrediction]
    """Predictions of the last characters before the cursor."""
    steps: list[Step]
    decoded: list[Decoded]
    """Decoded characters, as many as the highest eagerness needs."""
    ahead: list[TracedPrediction]
    """Predictions of the decoded characters."""
    by_eagerness: "dict[float, Decision]"
    """At each of EAGERNESS, and the engine's own."""
    settings: CompleterSettings
    """The engine's."""
    is_at_line_end: bool
    """Whether nothing follows the cursor on its line but brackets and the like; otherwise, infill.py decides."""
    context: str
    """The longest context before the cursor that was seen in the workspace; empty if there is none."""
    n_occurrences: int
    """Number of its occurrences."""
    seen: "list[Seen]"
    """Its occurrences, up to MAX_SEEN."""
    n_ngram_chars: int
    """Number of characters that the n-gram model holds."""
    mixture: Mixture
    """The weights."""
    alphabet: Alphabet
    """The characters of a prediction's entries: entry i is symbol i + 1."""

    @property
    def decision(self) -> Decision:
        """By the engine's own settings."""
        return self.by_eagerness[self.settings.eagerness]

    @property
    def suggestion(self) -> Suggestion | None:
        """The suggestion that is shown; None if nothing is."""
        return self.decision.suggestion


@dataclass
class Recorder:
    """A Speculator that drafts and verifies as another one, and records what it does."""

    speculator: Speculator
    steps: list[Step] = field(default_factory=list)
    logits: list[Floats] = field(default_factory=list)
    """Logits for each accepted character."""
    _drafted: str = ""
    _times_s: tuple[float, float] = (0.0, 0.0)

    def draft(self, max_chars: int) -> str:
        """As `Speculator.draft`."""
        since_s = time.perf_counter()
        self._drafted = self.speculator.draft(max_chars)
        self._times_s = (since_s, time.perf_counter())
        return self._drafted

    def verify(self, logits: Floats) -> list[Decoded]:
        """As `Speculator.verify`."""
        read_s = time.perf_counter()
        accepted = self.speculator.verify(logits)
        verified_s, (since_s, drafted_s) = time.perf_counter(), self._times_s
        ms = (1e3 * (drafted_s - since_s), 1e3 * (read_s - drafted_s), 1e3 * (verified_s - read_s))
        self.steps.append(Step(self._drafted, accepted, *ms))
        self.logits += list(logits[: len(accepted)])
        return accepted


def recorded(known: list[Decoded], source: Iterable[Decoded]) -> Iterator[Decoded]:
    """Yield `known`, then the rest of `source`, which is appended to `known`."""
    yield from tuple(known)
    for decoded in source:
        known.append(decoded)
        yield decoded
