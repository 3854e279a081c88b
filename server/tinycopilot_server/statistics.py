"""Statistics: what is suggested, accepted and kept, by day, counted on this machine alone. No code is kept.

All that is in the file are numbers: COUNTS, and how long answers took, in buckets. Texts of suggestions are remembered
while they may still be accepted or judged, in memory.
"""

import asyncio
import contextlib
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

from tinycopilot.private import replacing

KIND, VERSION = "tinycopilot statistics", 1
COUNTS = (
    "answered",  # requests for ghost text that were answered with something new; a client may not have shown each
    "shown",  # ghost texts that the client says it has shown; most never say so
    "accepted",  # ghost texts of which all was accepted
    "partly_accepted",  # ghost texts of which a part was accepted
    "listed",  # entries in menus of completions
    "chosen",  # those that were chosen
    "accepted_chars",  # characters that were accepted, in all of these ways
    "judged_chars",  # of those, the ones that were looked for later
    "kept_chars",  # and those that were still there
)
BUCKETS_MS = tuple(round(1.25**i, 3) for i in range(-3, 42))
"""Upper bounds of the latencies that are counted together: from half a millisecond to nine seconds, by 25 %."""
MAX_DAYS = 400
MAX_BYTES = 1_000_000
SAVE_S = 60.0
KEPT_S = 30.0
"""After so long it is looked whether what was accepted is still there."""
ANCHOR_CHARS = 20
MAX_OFFERS = 1_000
LOCK_S = 1.0

Day = dict[str, Any]
"""The counts, and `latency`, a list with one more number than there are buckets."""

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


def empty_day() -> Day:
    """Nothing yet."""
    return {**dict.fromkeys(COUNTS, 0), "latency": [0] * (len(BUCKETS_MS) + 1)}


def added(days: dict[str, Day], more: dict[str, Day]) -> dict[str, Day]:
    """Both together, the last MAX_DAYS of them."""
    total = {}
    for name in sorted(days.keys() | more.keys())[-MAX_DAYS:]:
        one, other = days.get(name) or empty_day(), more.get(name) or empty_day()
        total[name] = {count: one[count] + other[count] for count in COUNTS}
        total[name]["latency"] = [a + b for a, b in zip(one["latency"], other["latency"], strict=True)]
    return total


def percentile_ms(latency: list[int], percent: float) -> float | None:
    """Within a quarter: the upper bound of the bucket in which so many in a hundred are passed; None of none."""
    if not (n := sum(latency)):
        return None
    passed = itertools.accumulate(latency)
    bucket = next(i for i, n_passed in enumerate(passed) if n_passed >= n * percent / 100)
    return BUCKETS_MS[min(bucket, len(BUCKETS_MS) - 1)]


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
                _write(self._path, added(_read(self._path), new))
        except (OSError, Timeout) as error:
            log.warning("%s: statistics could not be kept: %s", self._path, error)
            with self._lock:
                self._new = added(self._new, new)

    def days(self) -> dict[str, Day]:
        """All that is known, by day; those of other servers as they were written last."""
        with self._lock:
            new = added(self._new, {})
        return added(_read(self._path), new)

    def forget(self) -> None:
        """Delete the file, and what is not in it yet."""
        with self._lock:
            self._new = {}
        self._offers.clear()
        self._accepted.clear()
        with contextlib.suppress(FileNotFoundError), self._locked():
            self._path.unlink()

    def _locked(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._path.with_suffix(".lock"), timeout=LOCK_S)


def in_words(days: dict[str, Day]) -> str:
    """What it comes to, for its user."""
    if not days:
        return "Nothing has been counted yet."
    total = empty_day()
    for day in days.values():
        [total] = added({"": total}, {"": day}).values()
    lines = [f"Since {min(days)}, on this machine:"]
    accepted, answered = total["accepted"], total["answered"]
    share = f" ({accepted / answered:.0%})" if answered else ""
    lines.append(f"{answered:,} suggestions, {accepted:,} accepted{share}, {total['partly_accepted']:,} in part.")
    if total["shown"]:
        lines.append(f"{total['shown']:,} were shown, as the editor says.")
    lines.append(f"{total['listed']:,} entries in menus, {total['chosen']:,} chosen.")
    kept, judged = total["kept_chars"], total["judged_chars"]
    still = f"; {kept / judged:.0%} of them still stood there {KEPT_S:.0f} s later" if judged else ""
    lines.append(f"{total['accepted_chars']:,} characters accepted{still}.")
    p50, p95 = (percentile_ms(total["latency"], percent) for percent in (50, 95))
    if p50 is not None:
        lines.append(f"An answer took {p50:.2g} ms (median), {p95:.2g} ms (95 in 100), within a quarter.")
    return "\n".join(lines)


def _read(path: Path) -> dict[str, Day]:
    """The days in the file; none where it is not there, or damaged."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError("it is too large")
        return _checked(json.loads(content))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        log.warning("%s: not used, statistics begin anew: %s", path, error)
        return {}


def _checked(data: Any) -> dict[str, Day]:
    """The days in it. Raises ValueError."""
    if not isinstance(data, dict) or data.get("kind") != KIND or data.get("version") != VERSION:
        raise ValueError("it is something else, or of another version")
    days = data.get("days")
    if not isinstance(days, dict) or len(days) > MAX_DAYS or not all(map(_is_day, days.items())):
        raise ValueError("its days are none")
    return days


def _is_day(entry: tuple[str, Any]) -> bool:
    name, day = entry
    try:
        date.fromisoformat(name)
    except ValueError:
        return False
    if not isinstance(day, dict) or day.keys() != empty_day().keys() or not isinstance(day["latency"], list):
        return False
    numbers = [*(day[count] for count in COUNTS), *day["latency"]]
    is_whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers)
    return is_whole and len(day["latency"]) == len(BUCKETS_MS) + 1


def _write(path: Path, days: dict[str, Day]) -> None:
    """Raises OSError."""
    with replacing(path) as file:
        file.write(json.dumps({"kind": KIND, "version": VERSION, "days": days}).encode())
