"""Statistics: what is suggested, accepted and kept, by day, counted on this machine alone. No code is kept.

All that is in the file are numbers (days.py). Texts of suggestions are remembered, in memory, while they may still be
accepted or judged.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from tinycopilot_server.days import BUCKETS_MS, KEPT_S, Day, added, empty_day, read, write

SAVE_S = 60.0
ANCHOR_CHARS = 20
MAX_OFFERS = 1_000
LOCK_S = 1.0

log = logging.getLogger(__name__)


@dataclass
class Offer:
    """One suggestion that somebody may accept."""

    document: str
    n_before: int
    anchor: str
    """What stood before it."""
    text: str
    is_listed: bool
    n_accepted_chars: int = 0


@dataclass(frozen=True)
class Accepted:
    """What was accepted, until it is judged."""

    document: str
    anchor: str
    text: str
    when_s: float


def kept_chars(text: str, anchor: str, accepted: str) -> int:
    """How many characters of `accepted`, from its beginning on, still follow upon `anchor` somewhere in `text`.

    None do if one of the anchor's characters has changed. An empty anchor is the beginning of the text.
    """
    if not anchor:
        return _n_common(text[: len(accepted)], accepted)
    best, found = 0, text.find(anchor)
    while found >= 0 and best < len(accepted):
        end = found + len(anchor)
        best = max(best, _n_common(text[end : end + len(accepted)], accepted))
        found = text.find(anchor, found + 1)
    return best


def _n_common(a: str, b: str) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


class Statistics:
    """Counts for one server. For the event loop; the file is written elsewhere, and may be several servers'."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_on = True
        """If not, nothing is counted; the file stays as it is."""
        self._path, self._clock = path, clock
        self._prefix, self._numbers = uuid.uuid4().hex[:8], itertools.count()
        self._offers: dict[str, Offer] = {}
        self._last: Offer | None = None
        self._accepted: list[Accepted] = []
        self._lock = threading.Lock()
        self._new: dict[str, Day] = {}  # what the file does not have yet
        self._saved_s = clock()

    def answered(self, document: str, before: str, text: str, latency_ms: float) -> str:
        """Ghost text was answered with; its name, by which it may be accepted. What is left of the last is not new."""
        if not self.is_on:
            return ""
        offer = Offer(document, len(before), before[-ANCHOR_CHARS:], text, is_listed=False)
        self._count("answered", int(not self._is_rest(offer)))
        with self._lock:
            self._today()["latency"][bisect_left(BUCKETS_MS, latency_ms)] += 1
        self._last = offer
        return self._remember(offer)

    def alternative(self, document: str, before: str, text: str) -> str:
        """The same for one that stands behind another."""
        return self._remember(Offer(document, len(before), before[-ANCHOR_CHARS:], text, is_listed=False))

    def listed(self, document: str, before: str, text: str) -> str:
        """The same for an entry of a menu."""
        self._count("listed")
        return self._remember(Offer(document, len(before), before[-ANCHOR_CHARS:], text, is_listed=True))

    def _is_rest(self, offer: Offer) -> bool:
        last = self._last
        if last is None or last.document != offer.document:
            return False
        n_typed = offer.n_before - last.n_before
        return 0 <= n_typed < len(last.text) and last.text[n_typed:] == offer.text

    def _remember(self, offer: Offer) -> str:
        if not self.is_on:
            return ""
        name = f"{self._prefix}-{next(self._numbers)}"
        self._offers[name] = offer
        if len(self._offers) > MAX_OFFERS:
            del self._offers[next(iter(self._offers))]
        return name

    def shown(self, name: str) -> None:
        """The client has shown it."""
        if name in self._offers:
            self._count("shown")

    def text_of(self, name: str) -> str:
        """What was suggested; empty if nobody knows any more."""
        return self._offers[name].text if name in self._offers else ""

    def accepted(self, name: str) -> None:
        """All of it was accepted, or all of the rest."""
        if (offer := self._offers.pop(name, None)) is not None:
            self._count("chosen" if offer.is_listed else "accepted")
            self._take(offer, len(offer.text))

    def partly_accepted(self, name: str, n_chars: int) -> None:
        """So many of its characters, from the beginning on, are accepted by now."""
        if (offer := self._offers.get(name)) is not None and offer.n_accepted_chars < n_chars:
            self._count("partly_accepted", int(offer.n_accepted_chars == 0))
            self._take(offer, min(n_chars, len(offer.text)))

    def _take(self, offer: Offer, n_chars: int) -> None:
        more, offer.n_accepted_chars = offer.text[offer.n_accepted_chars : n_chars], n_chars
        before = offer.anchor + offer.text[: n_chars - len(more)]
        self._count("accepted_chars", len(more))
        self._accepted.append(Accepted(offer.document, before[-ANCHOR_CHARS:], more, self._clock()))

    def judge(
        self, text_of: Callable[[str], str | None], *, document: str | None = None, at_once: bool = False
    ) -> None:
        """Look whether what was accepted long enough ago, in `document` or anywhere, is still there.

        With `at_once` it has been long enough. `text_of` says what a document is now; None: nobody knows. It is called
        where something is due, and not else.
        """
        due_s = float("inf") if at_once else self._clock() - KEPT_S
        if not self._accepted or self._accepted[0].when_s > due_s:
            return
        due = [one for one in self._accepted if one.when_s <= due_s and document in (None, one.document)]
        self._accepted = [one for one in self._accepted if one not in due]
        texts = {name: text_of(name) for name in {one.document for one in due}}
        for one in due:
            if (text := texts[one.document]) is not None:
                self._count("judged_chars", len(one.text))
                self._count("kept_chars", kept_chars(text, one.anchor, one.text))

    def _today(self) -> Day:
        return self._new.setdefault(date.today().isoformat(), empty_day())

    def _count(self, what: str, n: int = 1) -> None:
        if self.is_on and n:
            with self._lock:
                self._today()[what] += n

    def save_now_and_then(self) -> None:
        """In a thread of its own, once a minute at most."""
        if self._new and self._clock() - self._saved_s >= SAVE_S:
            self._saved_s = self._clock()
            asyncio.get_running_loop().run_in_executor(None, self.save)

    def save(self) -> None:
        """Add what is new to the file; what cannot be written is kept for the next time. In any thread."""
        with self._lock:
            new, self._new = self._new, {}
        if not new:
            return
        try:
            with self._locked():
                write(self._path, added(read(self._path), new))
        except (OSError, Timeout) as error:
            log.warning("%s: statistics could not be kept: %s", self._path, error)
            with self._lock:
                self._new = added(self._new, new)

    def days(self) -> dict[str, Day]:
        """All that is known, by day; those of other servers as they were written last."""
        with self._lock:
            new = added(self._new, {})
        return added(read(self._path), new)

    def forget(self) -> None:
        """Delete the file, and what is not in it yet. Raises OSError, or Timeout while another server writes."""
        with self._lock:
            self._new = {}
        self._offers.clear()
        self._accepted.clear()
        if os.path.lexists(self._path):
            with contextlib.suppress(FileNotFoundError), self._locked():
                self._path.unlink()

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._path.with_suffix(".lock"), timeout=LOCK_S)
