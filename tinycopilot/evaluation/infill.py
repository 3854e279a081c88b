"""Infilling evaluation: remove part of a line, and compare the engine's suggestion with it.

Positions where nothing was removed are tested as well: there, the correct result is no suggestion. Python only, since
the gaps come from the syntax tree.
"""

import ast
import io
import random
import re
import time
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.truncation import is_at_line_end
from tinycopilot.evaluation.excerpts import Excerpt, in_workspaces
from tinycopilot.evaluation.score import percentiles

KINDS: Final = ("argument", "identifier", "expression", "rest before a comment")
NOTHING: Final = "nothing"
"""Kind of an empty gap: nothing was removed."""
MIN_CHARS, MAX_CHARS = 2, 20
N_PER_KIND = 16
"""Maximum number of gaps of each kind per excerpt."""
N_NOTHING = 40
OUTCOMES: Final = ("exact", "wrong", "silent")


@dataclass(frozen=True)
class Gap:
    """A part of a text to remove: text[start:end]."""

    kind: str
    start: int
    end: int


@dataclass
class InfillScore:
    """Counts of gaps by kind and outcome."""

    n: Counter[tuple[str, str]] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Wrong suggestions, as `before[suggestion]after` with the removed text."""

    def of(self, *kinds: str) -> dict[str, float]:
        """Return the number of gaps of these kinds, and the share of each outcome."""
        n = {outcome: sum(self.n[kind, outcome] for kind in kinds) for outcome in OUTCOMES}
        total = sum(n.values())
        return {"gaps": total, **{outcome: round(n[outcome] / total, 4) if total else 0.0 for outcome in OUTCOMES}}

    def to_json(self) -> dict[str, Any]:
        """Return the metrics by kind; latencies in milliseconds."""
        by_kind = {kind: self.of(kind) for kind in (*KINDS, NOTHING)}
        return {"all": self.of(*KINDS), **by_kind, "latency_ms": percentiles(self.latencies_ms, (50, 95))}


def evaluate_infill(
    engine: Engine, excerpts: Sequence[Excerpt], suffixes: Sequence[str], say: Callable[[str], None]
) -> InfillScore:
    """Remove parts of the excerpts, one at a time, and count how often the suggestion restores them."""
    score = InfillScore()
    for excerpt in in_workspaces(engine.ngrams, excerpts, suffixes, say):
        for gap in gaps(excerpt.text, excerpt.first, excerpt.last, random.Random(excerpt.first)):
            before, after = excerpt.text[: gap.start], excerpt.text[gap.end :]
            missing = excerpt.text[gap.start : gap.end]
            since_s = time.perf_counter()
            found = engine.complete(Request(before, after, excerpt.name, Why.REPLAYED)).suggestion
            score.latencies_ms.append(1000 * (time.perf_counter() - since_s))
            outcome = "silent" if found is None else "exact" if found.text == missing else "wrong"
            score.n[gap.kind, outcome] += 1
            if found is not None and outcome == "wrong":
                line = f"{before.rpartition(chr(10))[2].lstrip()}[{found.text}]{after.partition(chr(10))[0]}"
                score.wrong.append(f"{line}   removed: {missing!r}")
    return score


def gaps(text: str, first: int, last: int, dice: random.Random) -> Iterator[Gap]:
    """Sample gaps in text[first:last] with a word after them on the same line. Invalid Python has none."""
    try:
        found = {**_expressions(text), "rest before a comment": _before_comments(text, dice)}
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):  # MemoryError: nested deeply
        return
    for kind in KINDS:
        fitting = [
            Gap(kind, start, end)
            for start, end in sorted(set(found[kind]))
            if first <= start
            and end <= last
            and MIN_CHARS <= end - start <= MAX_CHARS
            and not is_at_line_end(text[end:])
        ]
        yield from dice.sample(fitting, min(N_PER_KIND, len(fitting)))
    middle = [at for at in range(first + 1, last) if not text[at].isspace() and _is_in_line(text, at)]
    for at in dice.sample(middle, min(N_NOTHING, len(middle))):
        yield Gap(NOTHING, at, at)


def _is_in_line(text: str, at: int) -> bool:
    line_start = text.rfind("\n", 0, at) + 1
    return bool(text[line_start:at].strip()) and not is_at_line_end(text[at:])


def _expressions(text: str) -> dict[str, list[tuple[int, int]]]:
    """Start and end offsets of expressions within a line, by kind."""
    starts = _line_starts(text)

    def span(node: ast.expr) -> tuple[int, int]:
        ends = ((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0))
        start, end = (starts[n - 1] + _n_chars(text[starts[n - 1] :], column) for n, column in ends)
        return start, end

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escape sequences in the user's code
        tree = ast.parse(text)
    found: dict[str, list[tuple[int, int]]] = {kind: [] for kind in KINDS}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found["argument"] += [span(one) for one in (*node.args, *(keyword.value for keyword in node.keywords))]
        if isinstance(node, ast.Name):
            found["identifier"].append(span(node))
        elif isinstance(node, ast.Attribute):
            found["identifier"].append((span(node)[1] - len(node.attr), span(node)[1]))
        elif isinstance(node, ast.expr) and not isinstance(node, ast.Constant):
            found["expression"].append(span(node))
    return {
        kind: [(start, end) for start, end in spans if "\n" not in text[start:end]] for kind, spans in found.items()
    }


def _before_comments(text: str, dice: random.Random) -> list[tuple[int, int]]:
    """Start and end offsets of code before comments, each from a random token of its line."""
    found, starts = list[tuple[int, int]](), _line_starts(text)
    columns = list[int]()  # start columns of the tokens of the line so far, without the first
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        line, column = token.start
        if token.type == tokenize.COMMENT and columns:
            code = token.line[:column].rstrip()
            found.append((starts[line - 1] + dice.choice(columns), starts[line - 1] + len(code)))
        if token.line[:column].strip():
            columns.append(column)
        elif token.type != tokenize.DEDENT:
            columns.clear()
    return found


def _line_starts(text: str) -> list[int]:
    """Return the offsets of the line starts, with line ends as in Python's grammar."""
    return [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", text))]


def _n_chars(text: str, n_bytes: int) -> int:
    """Number of characters of `text` that take `n_bytes` in UTF-8, the unit of ast's columns."""
    return len(text[:n_bytes].encode()[:n_bytes].decode())


def table(score: InfillScore) -> str:
    """Return a table with a row for each kind of gap, and examples of wrong suggestions."""
    lines = [f"{'gaps':>6} {'exact':>7} {'wrong':>7} {'silent':>7}  removed"]
    for name, row in (("all of these", score.of(*KINDS)), *((kind, score.of(kind)) for kind in (*KINDS, NOTHING))):
        shares = " ".join(f"{100 * row[outcome]:5.1f} %" for outcome in OUTCOMES)
        lines.append(f"{row['gaps']:6,} {shares}  {name}")
    if score.wrong:
        lines += ["", "wrong suggestions (before[suggestion]after)", *(f"  {one}" for one in score.wrong[:5])]
    return "\n".join(lines)
