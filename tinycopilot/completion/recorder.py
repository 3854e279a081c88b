"""Recorder: keep the steps of speculative decoding, for `explain` and `bench`."""

import time
from dataclasses import dataclass, field

from tinycopilot.completion.decoding import Decoded, Speculator
from tinycopilot.completion.network import Floats


@dataclass(frozen=True)
class Step:
    """One round of speculative decoding: draft, read, verify."""

    drafted: str
    accepted: list[Decoded]
    """The accepted characters of the draft, and one more from the network."""
    draft_ms: float
    read_ms: float
    """Time of the forward pass over the draft and, in the first step, over all text that was not cached."""
    verify_ms: float


@dataclass
class Recorder:
    """Wraps a Speculator, and records each step."""

    speculator: Speculator
    steps: list[Step] = field(default_factory=list)
    logits: list[Floats] = field(default_factory=list)
    """Logits for each accepted character."""
    _drafted: str = ""
    _times_s: tuple[float, float] = (0.0, 0.0)

    def draft(self, max_chars: int) -> str:
        """Call `Speculator.draft`, and record its result and time."""
        since_s = time.perf_counter()
        self._drafted = self.speculator.draft(max_chars)
        self._times_s = (since_s, time.perf_counter())
        return self._drafted

    def verify(self, logits: Floats) -> list[Decoded]:
        """Call `Speculator.verify`, and record its result and time."""
        read_s = time.perf_counter()
        accepted = self.speculator.verify(logits)
        verified_s, (since_s, drafted_s) = time.perf_counter(), self._times_s
        ms = (1e3 * (drafted_s - since_s), 1e3 * (read_s - drafted_s), 1e3 * (verified_s - read_s))
        self.steps.append(Step(self._drafted, accepted, *ms))
        self.logits += list(logits[: len(accepted)])
        return accepted
