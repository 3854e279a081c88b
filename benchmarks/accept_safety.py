"""Share of suggestions that break the code when they are accepted, with the closers that editors insert.

    python benchmarks/accept_safety.py [--packages FOLDER] [--suggestions N] [--seed N] [--json FILE]

Cursors are sampled from files of the packages in heldout.json (fetched once by pip, never trained on). At each, the
rest of the line is removed, and replaced by what an editor would have closed automatically: every combination of the
closers of the innermost strings and brackets that the line has opened. Brackets from lines above are closed below. The
engine decodes once per cursor, without the text below; the suggestion is truncated for each combination. Each
suggestion is accepted whole, in part by line, and in part by word, and the statement is read by Python's `tokenize`: a
fault counts if it was not there before the suggestion. After a word the rest stays visible, so whatever the part has
opened may be open. Other cursors are in the middle of a line: a few characters are removed there, and what follows
stays. Prints a table and one JSON line.
"""

import argparse
import ast
import io
import itertools
import json
import platform
import random
import re
import sys
import time
import tokenize
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from heldout_bits import LISTING, PACKAGES, fetch

from tinycopilot.completion.decoding import never
from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.truncation import is_at_line_end, is_worth_showing, postprocess, truncate
from tinycopilot.paths import model_to_load

MAX_PAIRS = 3
"""Number of innermost frames whose closers are combined: at most eight combinations."""
MAX_JUMP_CHARS = 12
MAX_GAP_CHARS = 12
SHARE_WITHOUT_PAIRS = 0.2
"""Sampling rate of cursors whose line has nothing open before them."""
N_WORD_CHECKS = 4
"""Accepting by word is checked for one in this many suggestions."""
WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
CLOSERS = {"(": ")", "[": "]", "{": "}"}
FAULTS = ("unterminated string", "unmatched closer", "stray backslash", "broken f-string", "left open")


class Cursor(NamedTuple):
    """A cursor, with the surrounding text as in an editor."""

    before: str
    statement: str
    """The end of `before`, from its statement on, below headers that make its indentation valid."""
    closers: tuple[str, ...]
    """Closers of the innermost frames that the line has opened, the innermost first."""
    below: str
    """Closers of the other frames, on separate lines."""


class Frame(NamedTuple):
    """An open bracket, string or replacement field."""

    closer: str
    line: int
    is_bracket: bool = False


def faults(code: str) -> Counter[str]:
    """Faults of `code` by Python's tokenizer; "left open" if a bracket or a line is."""
    found, brackets = Counter[str](), list[str]()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.ERRORTOKEN and token.string[0] in "\\'\"":
                found["stray backslash" if token.string[0] == "\\" else "unterminated string"] += 1
            elif token.type == tokenize.OP and token.string in CLOSERS:
                brackets.append(CLOSERS[token.string])
            elif token.type == tokenize.OP and token.string in CLOSERS.values():
                if brackets and brackets[-1] == token.string:
                    brackets.pop()
                else:
                    found["unmatched closer"] += 1
            elif token.type == tokenize.STRING and "f" in token.string[:2].lower() and not _parses(token.string):
                found["broken f-string"] += 1
    except tokenize.TokenError as error:
        found.update([_kind(error.args[0])])
    except IndentationError:
        pass
    except SyntaxError as error:  # since Python 3.12
        found.update([_kind(str(error))])
    if brackets and not found:
        found["left open"] += 1
    return found


def _kind(message: str) -> str:
    if "f-string" in message or "t-string" in message:
        return "broken f-string"
    if "string" in message:
        return "unterminated string"
    if "continuation" in message:
        return "stray backslash"
    return "unmatched closer" if "unmatched" in message or "does not match" in message else "left open"


def _parses(string: str) -> bool:
    try:
        ast.parse(string, mode="eval")
    except (SyntaxError, ValueError) as error:
        return "invalid syntax" in str(error) or "unicode error" in str(error)  # not a program; its fields are complete
    return True


def open_frames(code: str, first_line: int = 0) -> list[Frame]:
    """Frames open at the end of `code`, which starts with a statement; a plain scan by character."""
    frames, i, line = list[Frame](), 0, first_line
    prefix = re.compile(r"(?<!\w)(?:[fF][rR]?|[rR][fF])\Z")
    fields = list[bool]()  # for each frame, whether it is a string with replacement fields
    while i < len(code):
        character, in_string = code[i], bool(frames) and frames[-1].closer[0] in "'\""
        line += character == "\n"
        if in_string and character == "\\":
            line += code[i + 1 : i + 2] == "\n"
            i += 2
            continue
        if in_string and code.startswith(frames[-1].closer, i):
            i += len(frames.pop().closer) - 1
            fields.pop()
        elif in_string and character in "{}" and fields[-1]:
            if code[i + 1 : i + 2] == character:
                i += 1
            elif character == "{":
                frames.append(Frame("}", line))
                fields.append(False)
        elif in_string and character == "\n" and len(frames[-1].closer) == 1:
            frames.pop()
            fields.pop()
        elif not in_string and character in "'\"":
            quotes = code[i : i + 3] if code[i : i + 3] == 3 * character else character
            frames.append(Frame(quotes, line))
            fields.append(prefix.search(code[max(0, i - 3) : i]) is not None)
            i += len(quotes) - 1
        elif not in_string and character == "#":
            end = code.find("\n", i)
            i = (len(code) if end < 0 else end) - 1
        elif not in_string and character in CLOSERS:
            frames.append(Frame(CLOSERS[character], line, is_bracket=True))
            fields.append(False)
        elif not in_string and character in ")]}" and frames:
            frames.pop()
            fields.pop()
        i += 1
    return frames


def statements(text: str) -> list[tuple[int, int]]:
    """The start and the indentation depth of each logical line of a program. Raises SyntaxError, TokenError."""
    starts, found, depth, is_first = [0], list[tuple[int, int]](), 0, True
    for row in io.StringIO(text):
        starts.append(starts[-1] + len(row))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            depth += 1 if token.type == tokenize.INDENT else -1
        elif token.type not in (tokenize.NL, tokenize.COMMENT) and is_first:
            found.append((starts[token.start[0] - 1], depth))
            is_first = False
        is_first = is_first or token.type == tokenize.NEWLINE
    return found


def cursors(text: str, dice: random.Random, max_jump_chars: int = MAX_JUMP_CHARS) -> Iterator[Cursor]:
    """Yield cursors of a program, at most `max_jump_chars` apart."""
    starts = statements(text)
    for (start, depth), (end, _) in itertools.pairwise([*starts, (len(text), 0)]):
        at, headers = start + dice.randint(0, max_jump_chars), headers_of(text[start:end], depth)
        while at < end:
            begun = text[start:at]
            frames = open_frames(begun)
            row = begun.count("\n")
            here = [frame for frame in frames if frame.line == row][-MAX_PAIRS:]
            above = frames[: len(frames) - len(here)]
            is_drawn = here or dice.random() < SHARE_WITHOUT_PAIRS
            if is_drawn and not (above and above[-1].closer[0] in "'\"") and (begun.strip() or depth == 0):
                below = "".join("\n" + frame.closer for frame in reversed(above)) + "\n"
                yield Cursor(text[:at], headers + begun, tuple(frame.closer for frame in reversed(here)), below)
            at += dice.randint(1, max_jump_chars)


def cursors_in_lines(text: str, dice: random.Random) -> Iterator[tuple[Cursor, str]]:
    """Yield cursors in the middle of lines of a program, and the text after them; at most MAX_GAP_CHARS are missing."""
    for (start, depth), (end, _) in itertools.pairwise([*statements(text), (len(text), 0)]):
        at, headers = start + dice.randint(0, MAX_JUMP_CHARS), headers_of(text[start:end], depth)
        while at < end:
            rest = at + dice.choice((0, dice.randint(0, MAX_GAP_CHARS)))
            is_in_line = text[start:at].strip() and "\n" not in text[at:rest] and rest < end
            if is_in_line and not is_at_line_end(text[rest:]):
                yield Cursor(text[:at], headers + text[start:at], (), text[rest:end]), text[rest:]
            at += dice.randint(1, MAX_JUMP_CHARS)


def headers_of(statement: str, depth: int) -> str:
    """Lines before a statement that make its indentation valid."""
    indentation = len(statement) - len(statement.lstrip(" "))
    return "".join(f"{' ' * (indentation * level // max(1, depth))}if 1:\n" for level in range(depth))


class Pairs(NamedTuple):
    """The text after the cursor in its line."""

    text: str
    is_full: bool
    """The closers of all frames that the line has opened."""
    n_unfinished: int
    """Number of innermost frames that are not closed."""


NO_PAIRS = Pairs("", is_full=True, n_unfinished=0)
"""In the middle of a line, where the text itself closes what it closes."""


def combinations(closers: Sequence[str]) -> Iterator[Pairs]:
    """Each combination of closers after the cursor."""
    for is_there in itertools.product((True, False), repeat=len(closers)):
        n_unfinished = is_there.index(True) if any(is_there) else len(closers)
        yield Pairs("".join(itertools.compress(closers, is_there)), all(is_there), n_unfinished)


def introduced(cursor: Cursor, text: str, pairs: Pairs, how: str) -> set[str]:
    """Faults after accepting `text` whole, or a part by "line" or "word", that were not there before.

    Frames that are unfinished before the cursor, and closed by nothing after it, are closed first: an unfinished string
    is no fault. So are frames that a word has opened, since the rest of the suggestion is visible.
    """
    was, now = open_frames(cursor.statement), open_frames(cursor.statement + text)
    n_closed, is_word = len(was) - pairs.n_unfinished, how == "word"
    n_same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(was, now, strict=False)))
    if how != "whole" and len(now) > n_closed and text[-1:] in ("\\", "'", '"'):
        return set()  # in a string that nothing closes yet
    counts_open = how == "whole" and pairs.is_full and bool(pairs.text or cursor.below.strip())
    own = [frame for i, frame in enumerate(now) if is_word or i < n_same or frame.is_bracket]
    closed_now = "" if counts_open else "".join(frame.closer for frame in reversed(own[n_closed:]))
    if closed_now and all(frame.is_bracket for frame in now):
        closed_now = "\n" + closed_now  # there may be a comment
    closed = "".join(frame.closer for frame in reversed(was[n_closed:]))
    after = pairs.text + cursor.below
    base, found = faults(cursor.statement + closed + after), faults(cursor.statement + text + closed_now + after)
    if any(kind != "left open" for kind in base):
        return set()  # it had faults before, such as a missing closer in the middle
    has_field = is_word and any(frame.closer == "}" and not frame.is_bracket for frame in now[min(n_same, n_closed) :])
    ignored = ["left open"] * (not counts_open or "left open" in base) + ["broken f-string"] * has_field
    return {f"{how}: {kind}" for kind in found if kind not in ignored}


def parts_by_line(text: str) -> list[str]:
    """The prefixes from accepting line by line, except the whole."""
    return [text[: found.start()] for found in re.finditer("\n", text)]


def parts_by_word(text: str) -> list[str]:
    """The prefixes from accepting word by word, except the whole."""
    ends, at = list[int](), 0
    while (found := WORD.match(text, at)) and found.end() < len(text):
        ends.append(at := found.end())
    return [text[:end] for end in ends]


def judge(cursor: Cursor, text: str, pairs: Pairs, *, by_word: bool) -> set[str]:
    """The faults of accepting `text` whole, by line and by word, as "how: which"."""
    parts = [("whole", text), *(("line", part) for part in parts_by_line(text))]
    parts += [("word", part) for part in parts_by_word(text) if by_word]
    return set[str]().union(*(introduced(cursor, part, pairs, how) for how, part in parts))


def suggestions(engine: Engine, name: str, cursor: Cursor) -> Iterator[tuple[Pairs, str]]:
    """The pairs after the cursor, and the suggestion if there is one."""
    here = engine._place(Request(cursor.before, "", name), cursor.before, "")
    stream = engine._decode(engine._new_predictions(here), here, never)
    decoded = list[tuple[str, float]]()

    def again() -> Iterator[tuple[str, float]]:
        yield from decoded
        for one in stream:
            decoded.append(one)
            yield one

    for pairs in combinations(cursor.closers):
        after = pairs.text + cursor.below
        if is_at_line_end(after) and (found := truncate(again(), engine.settings, cursor.before, after)):
            text = postprocess(found.text, cursor.before, after)
            if is_worth_showing(text):
                yield pairs, text


class Run:
    """Running counts."""

    def __init__(self, n_wanted: int, seed: int, report: Path | None) -> None:
        self.n_wanted, self.report, self.seed = n_wanted, report, seed
        self.dice = random.Random(seed)
        self.n: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.started_s = time.perf_counter()

    def over(self, paths: list[Path]) -> None:
        """Visit each file once, in random order, until there are enough suggestions."""
        settings = CompleterSettings(eagerness=1)
        engine = Engine.load(model_to_load(None, None), settings)
        self.dice.shuffle(paths)
        for path in paths:
            try:
                text = path.read_text("utf-8")
                drawn = cursors(text, self.dice)
                self._draw(engine, str(path), drawn)
                self._draw_in_lines(engine, str(path), cursors_in_lines(text, self.dice))
            except (SyntaxError, tokenize.TokenError, UnicodeDecodeError):
                continue
            if self.n["suggestions"] >= self.n_wanted:
                break
        self._tell()

    def _draw(self, engine: Engine, name: str, drawn: Iterator[Cursor]) -> None:
        for cursor in drawn:
            if self.n["suggestions"] >= self.n_wanted:
                return
            self.n["cursors"] += 1
            for pairs, text in suggestions(engine, name, cursor):
                self._judge(cursor, text, pairs)
        engine.ngrams.drop(name)

    def _draw_in_lines(self, engine: Engine, name: str, drawn: Iterator[tuple[Cursor, str]]) -> None:
        for cursor, after in drawn:
            if self.n["suggestions"] >= self.n_wanted:
                return
            self.n["cursors"] += 1
            suggestion = engine.complete(Request(cursor.before, after, name, Why.REPLAYED)).suggestion
            if suggestion is not None:
                self.n["in lines"] += 1
                self._judge(cursor, suggestion.text, NO_PAIRS)
        engine.ngrams.drop(name)

    def _judge(self, cursor: Cursor, text: str, pairs: Pairs) -> None:
        self.n["suggestions"] += 1
        self.n["with pairs"] += bool(pairs.text)
        by_word = self.n["suggestions"] % N_WORD_CHECKS == 0
        self.n["by word"] += by_word
        self.n["of several lines"] += "\n" in text
        found = judge(cursor, text, pairs, by_word=by_word)
        self.found.update(found)
        self.n["faulty"] += bool(found)
        for kind in found:
            line = cursor.before.rpartition("\n")[2]
            self.examples.setdefault(kind, []).append(f"{line!r} [{text!r}] {pairs.text + cursor.below!r}")
        if self.report and self.n["suggestions"] % 500 == 0:
            self.report.write_text(json.dumps(self._figures(), indent=1), "utf-8")

    def _figures(self) -> dict[str, object]:
        return {
            **self.n,
            "faults": dict(sorted(self.found.items())),
            "seconds": round(time.perf_counter() - self.started_s, 1),
            "seed": self.seed,
            "python": platform.python_version(),
            "examples": {kind: some[:5] for kind, some in self.examples.items()},
        }

    def _tell(self) -> None:
        print(f"{'fault':40} {'suggestions':>11} {'per 10,000':>10}")
        for how, kind in itertools.product(("whole", "line", "word"), FAULTS):
            n_of = self.n["by word"] if how == "word" else self.n["suggestions"]
            n = self.found[f"{how}: {kind}"]
            print(f"{f'{how}: {kind}':40} {n:11,} {10_000 * n / max(1, n_of):10.2f}")
        figures = self._figures()
        if self.report:
            self.report.write_text(json.dumps(figures, indent=1), "utf-8")
        print(json.dumps({name: value for name, value in figures.items() if name != "examples"}))
        sys.stdout.flush()


def main() -> None:
    """Sample, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=PACKAGES)
    parser.add_argument("--suggestions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the JSON line here as well, every 500 suggestions")
    arguments = parser.parse_args()
    entries = json.loads(LISTING.read_text("utf-8"))
    fetch(entries, arguments.packages)
    packages = sorted({entry["package"] for entry in entries})
    paths = [path for name in packages for path in (arguments.packages / name).rglob("*.py")]
    Run(arguments.suggestions, arguments.seed, arguments.json).over(sorted(paths))


if __name__ == "__main__":
    main()
