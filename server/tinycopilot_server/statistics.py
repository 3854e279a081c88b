"""Statistics: how many suggestions were shown, accepted and kept, by day; stored on this machine only.

The file contains numbers only, no code. Texts of suggestions stay in memory while they may still be accepted, and
accepted texts until they are checked.
"""

import asyncio
import functools
import itertools
import json
import logging
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tinycopilot.atomic import atomic_write, open_owned
from tinycopilot.completion.request import common_prefix_len, typed_through

KIND, VERSION = "tinycopilot statistics", 1
COUNTS = (
    "answered",  # requests answered with new ghost text; a client may not have shown all of it
    "shown",  # ghost texts that the client reported as shown; most never do
    "accepted",  # ghost texts accepted in full
    "partly_accepted",  # ghost texts accepted in part
    "listed",  # entries in completion menus
    "chosen",  # entries that were accepted
    "accepted_chars",  # characters accepted in any of these ways
    "judged_chars",  # of those, the ones checked later
    "kept_chars",  # of the checked ones, those still present
)
KEPT_S = 30.0
"""Seconds after an accept until the text is checked."""
BUCKETS_MS = tuple(round(1.25**i, 3) for i in range(-3, 42))
"""Upper bounds of the latency histogram's buckets: from 0.5 ms to 9 s, in steps of 25 %."""
MAX_DAYS = 400
MAX_BYTES = 1_000_000
MAX_COUNT = 2**53
"""A file with larger numbers is damaged; their quotients may be too large for a float."""

Day = dict[str, Any]
"""COUNTS, and `latency`: the histogram, with a last bucket for everything slower."""

SAVE_S = 60.0
"""Minimum time between two writes of the file."""
ANCHOR_CHARS = 20
"""Length of the text before an accepted text by which it is found again."""
MAX_OFFERS = 1_000
LOCK_S = 1.0

log = logging.getLogger(__name__)


@dataclass
class Offer:
    """A suggestion that the user may accept, or an accepted text until it is checked."""

    document: str
    anchor: str
    """The end of the text before it."""
    text: str
    is_listed: bool = False
    """Whether it is an entry of the completion menu."""
    n_accepted_chars: int = 0
    accepted_s: float = 0.0
    """When the text was accepted."""


def kept_chars(text: str, anchor: str, accepted: str) -> int:
    """Length of the longest prefix of `accepted` that still follows `anchor` somewhere in `text`.

    0 if a character of the anchor has changed. An empty anchor is the start of the text.
    """
    if not anchor:
        return common_prefix_len(text[: len(accepted)], accepted)
    # If a prefix follows the anchor, so does each shorter one. Going from one anchor to the next would take seconds in
    # a text with long runs of one character.
    return bisect_left(range(1, len(accepted) + 1), x=True, key=lambda n: anchor + accepted[:n] not in text)


class Statistics:
    """Counts for one server. Used on the event loop; several servers may share the file."""

    def __init__(
        self, path: Path, text_of: Callable[[str], str | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`text_of` returns the current text of a document, None if it is not open."""
        self.is_on = True
        """Whether anything is counted; if not, the file stays unchanged."""
        self._path, self._text_of, self._clock = path, text_of, clock
        self._prefix, self._numbers = uuid.uuid4().hex[:8], itertools.count()
        self._offers: dict[str, Offer] = {}
        self._last = ("", "", "")  # the last ghost text: document, text before it, and text
        self._accepted: list[Offer] = []
        self._lock = threading.Lock()
        self._new: dict[str, Day] = {}  # not in the file yet
        self._saved_s = clock()

    def answered(self, document: str, before: str, text: str, latency_ms: float) -> str:
        """Count ghost text, unless it is the rest of the last one; return the name by which it may be accepted."""
        if not self.is_on:
            return ""
        last_document, before_then, last = self._last
        is_rest = document == last_document and typed_through(last, before_then, before) == text
        self._last = (document, before, text)
        with self._lock:
            day = self._today()
            day["answered"] += not is_rest
            day["latency"][bisect_left(BUCKETS_MS, latency_ms)] += 1
        return self.alternative(document, before, text)

    def listed(self, document: str, before: str, text: str) -> str:
        """Count an entry of the completion menu; return its name."""
        self._count("listed")
        return self.alternative(document, before, text, is_listed=True)

    def alternative(self, document: str, before: str, text: str, *, is_listed: bool = False) -> str:
        """Remember a suggestion without counting it; return its name."""
        if not self.is_on:
            return ""
        name = f"{self._prefix}-{next(self._numbers)}"
        self._offers[name] = Offer(document, before[-ANCHOR_CHARS:], text, is_listed)
        if len(self._offers) > MAX_OFFERS:
            del self._offers[next(iter(self._offers))]
        return name

    def shown(self, name: str) -> None:
        """Count the suggestion as shown."""
        if name in self._offers:
            self._count("shown")

    def text_of(self, name: str) -> str:
        """Return the suggestion's text; "" if it has been forgotten."""
        return self._offers[name].text if name in self._offers else ""

    def accepted(self, name: str) -> None:
        """Count a full accept of the suggestion, or of its rest."""
        if (offer := self._offers.pop(name, None)) is not None:
            self._count("chosen" if offer.is_listed else "accepted")
            self._take(offer, len(offer.text))

    def partly_accepted(self, name: str, n_chars: int) -> None:
        """Count a partial accept: the first `n_chars` characters so far."""
        if (offer := self._offers.get(name)) is not None and offer.n_accepted_chars < n_chars:
            self._count("partly_accepted", int(offer.n_accepted_chars == 0))
            self._take(offer, min(n_chars, len(offer.text)))

    def _take(self, offer: Offer, n_chars: int) -> None:
        more, offer.n_accepted_chars = offer.text[offer.n_accepted_chars : n_chars], n_chars
        before = offer.anchor + offer.text[: n_chars - len(more)]
        self._count("accepted_chars", len(more))
        self._accepted.append(Offer(offer.document, before[-ANCHOR_CHARS:], more, accepted_s=self._clock()))

    def check_kept(self, document: str | None = None) -> None:
        """Check whether the texts accepted in `document`, which is being closed, are still there. None: in all."""
        self._check([one for one in self._accepted if document in (None, one.document)])

    def check_due(self) -> None:
        """Check the texts accepted at least KEPT_S ago."""
        self._check([one for one in self._accepted if one.accepted_s <= self._clock() - KEPT_S])

    def _check(self, due: list[Offer]) -> None:
        self._accepted = [one for one in self._accepted if one not in due]
        texts = {name: self._text_of(name) for name in {one.document for one in due}}
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

    def update(self) -> None:
        """Check what is due, and save in another thread, at most every SAVE_S seconds."""
        self.check_due()
        if self._new and self._clock() - self._saved_s >= SAVE_S:
            self._saved_s = self._clock()
            asyncio.get_running_loop().run_in_executor(None, self.save)

    def save(self) -> None:
        """Add the new counts to the file; if it cannot be written, keep them for the next time. Thread-safe."""
        with self._lock:
            new, self._new = self._new, {}
        if not new:
            return
        try:
            with self._locked():
                data = {"kind": KIND, "version": VERSION, "days": added(read(self._path), new)}
                with atomic_write(self._path) as file:
                    file.write(json.dumps(data).encode())
        except (OSError, Timeout) as error:
            log.warning("%s: statistics could not be saved: %s", self._path, error)
            with self._lock:
                self._new = added(self._new, new)

    def days(self) -> dict[str, Day]:
        """Return all counts by day; those of other servers as of their last write."""
        with self._lock:
            new = added(self._new, {})
        try:
            return added(read(self._path), new)
        except OSError as error:
            log.warning("%s: statistics cannot be read: %s", self._path, error)
            return new

    def forget(self) -> None:
        """Delete the file and the counts not in it yet. Raises OSError, or Timeout while another server writes."""
        with self._lock:
            self._new = {}
        self._offers.clear()
        self._accepted.clear()
        if self._path.exists():  # without a home folder, none can be locked
            with self._locked():
                self._path.unlink(missing_ok=True)

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._path.with_suffix(".lock"), timeout=LOCK_S)


def empty_day() -> Day:
    """Return a day with zero counts."""
    return {**dict.fromkeys(COUNTS, 0), "latency": [0] * (len(BUCKETS_MS) + 1)}


def added(days: dict[str, Day], more: dict[str, Day]) -> dict[str, Day]:
    """Return the sum of both, for the last MAX_DAYS days."""
    total = {}
    for name in sorted(days.keys() | more.keys())[-MAX_DAYS:]:
        one, other = days.get(name) or empty_day(), more.get(name) or empty_day()
        total[name] = {count: one[count] + other[count] for count in COUNTS}
        total[name]["latency"] = [a + b for a, b in zip(one["latency"], other["latency"], strict=True)]
    return total


def percentile_ms(latency: list[int], percent: float) -> float | None:
    """Return a percentile of a latency histogram: the upper bound of its bucket, within 25 %. None if it is empty."""
    if not (n := sum(latency)):
        return None
    passed = itertools.accumulate(latency)
    bucket = next(i for i, n_passed in enumerate(passed) if n_passed >= n * percent / 100)
    return BUCKETS_MS[min(bucket, len(BUCKETS_MS) - 1)]


def in_words(days: dict[str, Day]) -> str:
    """Return a summary for the user."""
    if not days:
        return "Nothing has been counted yet."
    [total] = functools.reduce(added, ({"": day} for day in days.values())).values()
    lines = [f"Since {min(days)}, on this machine:"]
    accepted, answered = total["accepted"], total["answered"]
    share = f" ({accepted / answered:.0%})" if answered else ""
    # Many editors do not report partial accepts.
    in_part = f", {total['partly_accepted']:,} in part" if total["partly_accepted"] else ""
    lines.append(f"{answered:,} suggestions, {accepted:,} accepted{share}{in_part}.")
    if total["shown"]:
        lines.append(f"The editor reported {total['shown']:,} of them as shown.")
    lines.append(f"{total['listed']:,} entries in completion menus, {total['chosen']:,} accepted.")
    kept, judged = total["kept_chars"], total["judged_chars"]
    still = f"; {kept / judged:.0%} still present {KEPT_S:.0f} s later" if judged else ""
    lines.append(f"{total['accepted_chars']:,} characters accepted{still}.")
    p50, p95 = (percentile_ms(total["latency"], percent) for percent in (50, 95))
    if p50 is not None and p95 is not None:
        lines.append(f"Latency: {_in_ms(p50)} (p50), {_in_ms(p95)} (p95), rounded up by at most 25 %.")
    return "\n".join(lines)


def _in_ms(time_ms: float) -> str:
    return f"{time_ms:,.0f} ms" if time_ms >= 10 else f"{time_ms:.2g} ms"


def read(path: Path) -> dict[str, Day]:
    """Return the days in the file; an empty dict if it is missing or damaged. Raises OSError."""
    try:
        with open_owned(path) as file:
            data = json.loads(file.read(MAX_BYTES))
        if (data["kind"], data["version"]) != (KIND, VERSION):
            raise ValueError("not a statistics file, or from another version")
        days: dict[str, Day] = data["days"]
        for name, day in days.items():
            date.fromisoformat(name)
            numbers = [*(day[count] for count in COUNTS), *day["latency"]]
            are_valid = all(type(n) is int and 0 <= n < MAX_COUNT for n in numbers)
            if not are_valid or len(day["latency"]) != len(BUCKETS_MS) + 1:
                raise ValueError(f"invalid numbers on {name}")
        return days
    except FileNotFoundError:
        return {}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        log.warning("%s: damaged statistics cannot be read, so counting starts at zero: %s", path, error)
        return {}
