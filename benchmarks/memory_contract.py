"""The workspace memory's contract, measured: what 10 MB of code take to index and to hold, what a prediction takes.

    python benchmarks/memory_contract.py [--megabytes 10] [--edits 100000]

The workspace is Python's standard library as training reads it, and as much of PyTorch's own code as is missing. All is
measured in this one process, which has imported and compiled what it needs before the first figure. Times are CPU times
of its one thread that works: on an idle machine those that a user waits, on a shared one without what others take.

- index: each document is held, and the memory settles; resident memory added by it, at the end and at the highest.
- predict: after contexts from all over the workspace, once it has settled.
- edits: the session of edit_session.py. When another document is turned to, the memory settles if it says that it
  is untidy; and after each tenth of the edits, when what it takes is measured.
- equal: after all that, predictions equal those of a memory that was never edited.
- edit: typing in the middle of a document, key by key: from the document as it is then to a prediction that knows it.
  The first key in a document that was settled is apart from the others.

The contract is for 10 MB and 100,000 edits. Prints a table and one JSON line. Reads /proc: for Linux.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from corpus_memory import status_bytes
from edit_session import Session

from tinycopilot import UserError
from tinycopilot.completion.alphabet import Alphabet
from tinycopilot.completion.contexts import DEPTH
from tinycopilot.completion.memory import Document, WorkspaceMemory, context_of
from tinycopilot.files import LeftOut
from tinycopilot.insight.score import percentile
from tinycopilot.model.tokenizer import BASIC_CHARACTERS
from tinycopilot.training.sources import documents

INDEX_S, RESIDENT_MB, PREDICT_US = 10.0, 200.0, 60.0
"""The contract: at most so much."""
INDEX_GROWTH, RESIDENT_GROWTH = 1.02, 1.05
"""No growth: for each character held, the indexes take at most so many times what they took after a tenth of the edits;
resident memory, at the highest look of the second half, so many times what it was at that of the first."""
N_CONTEXTS, N_UNSETTLED = 2_000, 200
"""So many places are predicted, and so many edits made before the last of them, without settling."""
TYPED = "zq = [vx for vx in wq9(zq, 7) if vx]  # qz\n"
"""What is typed to measure an edit: it stands nowhere else."""
EDITED_CHARS = (5_000, 50_000, 500_000)
CLEAR_REFS = Path("/proc/self/clear_refs")
N_LOOKS = 10
LEFT_CHARS = 500
"""A workspace is full when so little is left that hardly a file fits."""


def workspace(n_bytes: int) -> dict[str, str]:
    """Texts by name: each that still fits into `n_bytes`, in a fixed order. Raises UserError if there are too few."""
    texts, left = dict[str, str](), n_bytes
    for name, text in read_in_order(("stdlib", "package:torch")):
        size = len(text.encode("utf-8", "surrogatepass"))
        if size <= left:
            texts[name] = text
            left -= size
        if left < LEFT_CHARS:
            return texts
    raise UserError(f"there are only {n_bytes - left:,} bytes of Python here; give fewer --megabytes")


def read_in_order(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The documents of several sources."""
    for source in names:
        for name, text in documents(source, (".py",), LeftOut()):
            yield f"{source}/{name}", text


class Resident:
    """How much memory this process has come to take, beyond what it took at first."""

    def __init__(self) -> None:
        gc.collect()
        self._first = status_bytes("VmRSS")
        self.restart()

    def restart(self) -> None:
        """Forget what was the highest."""
        CLEAR_REFS.write_text("5")

    @property
    def mb(self) -> float:
        """Now."""
        return (status_bytes("VmRSS") - self._first) / 1e6

    @property
    def highest_mb(self) -> float:
        """At the highest, since it was last restarted."""
        return (status_bytes("VmHWM") - self._first) / 1e6

    def without_kept_mb(self) -> float:
        """Now, after the C library has given back what it keeps of what was freed, if it is GNU's."""
        gc.collect()
        with contextlib.suppress(AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        return self.mb


def new_memory() -> WorkspaceMemory:
    """An empty one."""
    return WorkspaceMemory(Alphabet(BASIC_CHARACTERS))


def compile_all() -> None:
    """Use everything, twice: what is compiled, or imported when it is first used, is part of no figure."""
    memory = new_memory()
    for name in ("a", "b", "c"):
        memory.hold(name, f"import os  # {name}\n" * 99)
    for typed in ("", "import", "import sys\n"):
        memory.settle()
        memory.hold("a", "import os\n" + typed, "\nimport re\n" * 9)
        memory.hold("b", "import os\n" + typed)
        memory.predict(context_of(memory.alphabet, "import os\nimport "), memory.possible())
        memory.hold("a", "import os\n" + typed + "x", "\nimport re\n" * 9)
        memory.predict(context_of(memory.alphabet, "import os\nimport "), memory.possible())
    memory.drop("c")
    memory.predict(context_of(memory.alphabet, "import os\nimport "), memory.possible())


def index(memory: WorkspaceMemory, texts: Mapping[str, str], resident: Resident) -> dict[str, float]:
    """Hold them all, and settle."""
    since = time.thread_time()
    for name, text in texts.items():
        memory.hold(name, text)
    held = time.thread_time()
    memory.settle()
    return {
        "hold_s": held - since,
        "settle_s": time.thread_time() - held,
        "resident_mb": resident.mb,
        "highest_mb": resident.highest_mb,
        "index_mb": memory.n_bytes / 1e6,
    }


def contexts(texts: Sequence[str], n: int, seed: int = 0) -> list[str]:
    """What stands right before `n` places anywhere in them: each character is as likely to be the next."""
    dice, found = random.Random(seed), []
    for text in dice.choices(texts, [len(text) for text in texts], k=n):
        at = dice.randrange(len(text))
        found.append(text[max(0, at - DEPTH) : at])
    return found


def prediction_us(memory: WorkspaceMemory, befores: Sequence[str]) -> list[float]:
    """How long each takes."""
    microseconds = []
    for context in [context_of(memory.alphabet, before) for before in befores]:
        since = time.thread_time_ns()
        memory.predict(context, memory.possible())
        microseconds.append((time.thread_time_ns() - since) / 1e3)
    return microseconds


def typing(memory: WorkspaceMemory, text: str) -> tuple[list[float], int]:
    """Type TYPED in the middle of a document: milliseconds for each key, and after how many it was not known."""
    name, middle = "typed in", len(text) // 2
    memory.hold(name, text)
    memory.settle()
    milliseconds, n_unknown = [], 0
    for n in range(len(TYPED)):
        before, key = text[:middle] + TYPED[:n], TYPED[n]
        then = likelihood(memory, before, key)
        since = time.thread_time_ns()
        memory.hold(name, before + key, text[middle:])
        now = likelihood(memory, before, key)
        milliseconds.append((time.thread_time_ns() - since) / 1e6)
        n_unknown += now <= then
    memory.drop(name)
    return milliseconds, n_unknown


def likelihood(memory: WorkspaceMemory, before: str, character: str) -> float:
    """Of `character` after `before`."""
    p, _ = memory.predict(context_of(memory.alphabet, before), memory.possible())
    return float(p[memory.alphabet.symbol_of(character) - 1])


@dataclass
class Live:
    """A memory through a session of edits."""

    memory: WorkspaceMemory
    session: Session
    resident: Resident
    milliseconds: list[float] = field(default_factory=list)
    """What each edit took, without settling."""
    settle_s: list[float] = field(default_factory=list)
    """What it took to settle, each time that it was needed."""
    looks: list[dict[str, float]] = field(default_factory=list)
    _last_edited: str = ""

    def run(self, n_edits: int) -> None:
        """All edits, and N_LOOKS at what it takes meanwhile."""
        self._settle()
        for look in range(N_LOOKS):
            done, until = (n_edits * i // N_LOOKS for i in (look, look + 1))
            self.edit(until - done)
            self._look(until)

    def edit(self, n_edits: int, settles: bool = True) -> None:
        """Some more; where one turns to another document, the memory settles if it is time."""
        for name, document in self.session.edits(n_edits):
            if settles and name != self._last_edited and self.memory.is_untidy:
                self.settle_s.append(self._settle())
            self._last_edited = name
            since = time.thread_time_ns()
            if document is None:
                self.memory.drop(name)
            else:
                self.memory.hold(name, *document)
            self.milliseconds.append((time.thread_time_ns() - since) / 1e6)

    def _settle(self) -> float:
        since = time.thread_time()
        self.memory.settle()
        return time.thread_time() - since

    def _look(self, done: int) -> None:
        self._settle()
        gc.collect()
        n_chars = sum(len(piece) for document in self.session.documents.values() for piece in document)
        resident_mb = round(self.resident.mb, 1)
        look = {"edits": done, "chars": n_chars, "bytes": self.memory.n_bytes, "resident_mb": resident_mb}
        self.looks.append(look)
        say(f"{done:,} edits, {len(self.settle_s)} times settled: {resident_mb} MB")


def n_unequal(memory: WorkspaceMemory, held: Mapping[str, Document]) -> int:
    """In how many of N_CONTEXTS places it predicts otherwise than a memory that has never held anything else."""
    fresh = WorkspaceMemory(memory.alphabet)
    for name, document in held.items():
        fresh.hold(name, *document)
    fresh.settle()
    n = 0
    for before in contexts(["".join(document) for document in held.values()], N_CONTEXTS, seed=1):
        context = context_of(memory.alphabet, before)
        (p, order), (wanted, wanted_order) = (m.predict(context, m.possible()) for m in (memory, fresh))
        n += order != wanted_order or not np.array_equal(p, wanted)
    return n


def measure(n_bytes: int, n_edits: int) -> dict[str, Any]:
    """All of it, in this process. Raises UserError."""
    texts = workspace(n_bytes)
    session = Session(texts)
    compile_all()
    memory, resident = new_memory(), Resident()
    say(f"{len(texts):,} documents; indexing")
    indexed = index(memory, texts, resident)
    predict_us = percentiles(prediction_us(memory, contexts(list(texts.values()), N_CONTEXTS)))
    live = Live(memory, session, resident)
    resident.restart()
    live.run(n_edits)
    highest_mb, without_kept_mb = resident.highest_mb, resident.without_kept_mb()
    live.edit(N_UNSETTLED, settles=False)
    say("comparing with a memory that was never edited")
    unequal = n_unequal(memory, session.documents)
    edit_ms, n_unknown = type_in_each(memory, "".join(texts.values()))
    return {
        "documents": len(texts),
        "chars": sum(map(len, texts.values())),
        "index": {name: round(figure, 2) for name, figure in indexed.items()},
        "predict_us": predict_us,
        "edit_ms": edit_ms,
        "unknown_keys": n_unknown,
        "edits": {
            "by_kind": dict(session.counts),
            "ms": percentiles(live.milliseconds),
            "settled": len(live.settle_s),
            "settle_s": percentiles(live.settle_s),
            "looks": live.looks,
            "highest_mb": round(highest_mb, 1),
            "without_kept_mb": round(without_kept_mb, 1),
        },
        "unequal": unequal,
        "compared": N_CONTEXTS,
    }


def type_in_each(memory: WorkspaceMemory, code: str) -> tuple[dict[int, dict[str, float | None]], int]:
    """`typing` in documents of EDITED_CHARS, as far as there is so much code: each one's milliseconds; unknown keys."""
    edit_ms, n_unknown = {}, 0
    for n_chars in EDITED_CHARS:
        if n_chars <= len(code):
            say(f"typing in a document of {n_chars:,} characters")
            milliseconds, n = typing(memory, code[:n_chars])
            edit_ms[n_chars] = {"first": round(milliseconds[0], 4), **percentiles(milliseconds[1:])}
            n_unknown += n
    return edit_ms, n_unknown


def say(line: str) -> None:
    """What is going on: not part of the result."""
    print(line, file=sys.stderr, flush=True)


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """The median, what 95 in 100 do not exceed, and the highest."""
    return {name: percentile(values, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("highest", 1.0))}


def contract(measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each promise: what was measured, what is wanted, and whether it is met."""
    index, edits = measured["index"], measured["edits"]
    looks = edits["looks"]
    bytes_per_char = [look["bytes"] / look["chars"] for look in looks]
    half = [max(look["resident_mb"] for look in part) for part in (looks[: len(looks) // 2], looks[len(looks) // 2 :])]
    figures = {
        "index_s": (index["hold_s"] + index["settle_s"], INDEX_S),
        "resident_mb": (max(index["highest_mb"], edits["highest_mb"]), RESIDENT_MB),
        "predict_us": (measured["predict_us"]["p95"], PREDICT_US),
        "growth_of_index": (bytes_per_char[-1] / bytes_per_char[0], INDEX_GROWTH),
        "growth_of_resident": (half[1] / half[0], RESIDENT_GROWTH),
        "unknown_keys": (measured["unknown_keys"], 0),
        "unequal": (measured["unequal"], 0),
    }
    return {
        name: {"measured": round(figure, 3), "at_most": most, "met": figure <= most}
        for name, (figure, most) in figures.items()
    }


def table(measured: Mapping[str, Any], promises: Mapping[str, Mapping[str, Any]]) -> str:
    """What was measured, and the contract."""
    index, edits = measured["index"], measured["edits"]
    lines = [
        f"{measured['chars']:,} characters in {measured['documents']:,} documents",
        f"held in {index['hold_s']} s, settled in {index['settle_s']} s; {index['resident_mb']} MB more, of it indexes "
        f"{index['index_mb']} MB; {index['highest_mb']} MB at the highest",
        f"a prediction: {spoken(measured['predict_us'], 'microseconds')}",
        *(f"an edit among {n:,} characters: {spoken(ms, 'ms')}" for n, ms in measured["edit_ms"].items()),
        f"{edits['looks'][-1]['edits']:,} edits: {spoken(edits['ms'], 'ms')}; settled {edits['settled']} times: "
        f"{spoken(edits['settle_s'], 's')}; {edits['highest_mb']} MB at the highest",
        *(
            f"after {look['edits']:,}: {look['resident_mb']} MB, indexes {look['bytes']:,} bytes"
            for look in edits["looks"]
        ),
        f"of it {edits['without_kept_mb']} MB are in use; the C library keeps the rest for later",
        f"predictions unlike those of a memory never edited: {measured['unequal']} of {measured['compared']:,}",
        "",
        f"{'contract':20}{'measured':>12}{'at most':>10}",
    ]
    for name, promise in promises.items():
        met = "met" if promise["met"] else "NOT MET"
        lines.append(f"{name:20}{promise['measured']:12,}{promise['at_most']:10,}  {met}")
    return "\n".join(lines)


def spoken(figures: Mapping[str, float | None], unit: str) -> str:
    """The percentiles on one line."""
    if figures["p50"] is None:
        return "none"
    return ", ".join(f"{name} {figure:,.4g}" for name, figure in figures.items()) + f" {unit}"


def main() -> int:
    """Measure, and print; returns 2 for what the user can put right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10.0, help="of code in the workspace (default: 10)")
    parser.add_argument("--edits", type=int, default=100_000, help="(default: 100000)")
    arguments = parser.parse_args()
    try:
        if not CLEAR_REFS.exists():
            raise UserError("resident memory is read from /proc here; run it on Linux")
        measured = measure(round(1e6 * arguments.megabytes), arguments.edits)
    except UserError as error:
        say(f"memory_contract: {error}")
        return 2
    promises = contract(measured)
    print(table(measured, promises))
    facts = {"processor": platform.processor() or platform.machine()}
    print(json.dumps({"contract": promises, **measured, **facts}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
