"""Days: what was counted on each, how that adds up, in words, and in a file. Nothing but numbers, and no code."""

import itertools
import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

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
KEPT_S = 30.0
"""After so long it is looked whether what was accepted is still there."""
BUCKETS_MS = tuple(round(1.25**i, 3) for i in range(-3, 42))
"""Upper bounds of the latencies that are counted together: from half a millisecond to nine seconds, by 25 %."""
MAX_DAYS = 400
MAX_BYTES = 1_000_000

Day = dict[str, Any]
"""The counts, and `latency`, a list with one more number than there are buckets."""

log = logging.getLogger(__name__)


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
    in_part = f", {total['partly_accepted']:,} in part" if total["partly_accepted"] else ""  # many editors never say so
    lines.append(f"{answered:,} suggestions, {accepted:,} accepted{share}{in_part}.")
    if total["shown"]:
        lines.append(f"{total['shown']:,} were shown, as the editor says.")
    lines.append(f"{total['listed']:,} entries in menus, {total['chosen']:,} chosen.")
    kept, judged = total["kept_chars"], total["judged_chars"]
    still = f"; {kept / judged:.0%} of them still stood there {KEPT_S:.0f} s later" if judged else ""
    lines.append(f"{total['accepted_chars']:,} characters accepted{still}.")
    p50, p95 = (percentile_ms(total["latency"], percent) for percent in (50, 95))
    if p50 is not None and p95 is not None:
        lines.append(f"An answer took {_in_ms(p50)} (median), {_in_ms(p95)} (95 in 100), within a quarter.")
    return "\n".join(lines)


def _in_ms(time_ms: float) -> str:
    return f"{time_ms:,.0f} ms" if time_ms >= 10 else f"{time_ms:.2g} ms"


def read(path: Path) -> dict[str, Day]:
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


def write(path: Path, days: dict[str, Day]) -> None:
    """Raises OSError."""
    with replacing(path) as file:
        file.write(json.dumps({"kind": KIND, "version": VERSION, "days": days}).encode())
