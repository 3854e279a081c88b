"""A workspace index in use, as in the product: indexed, queried, typed into, and edited for long."""

import gc
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from edit_session import Session
from resident import Resident

from tinycopilot.completion.indexing import IncrementalIndexing
from tinycopilot.completion.ngram import Document, NGramModel, context_of
from tinycopilot.completion.segments import Alphabet
from tinycopilot.completion.suffix_array import DEPTH
from tinycopilot.model.tokenizer import BASIC_CHARACTERS

TYPED = "zq = [vx for vx in wq9(zq, 7) if vx]  # qz\n"
"""Text typed to measure a key: it occurs nowhere else."""
N_LOOKS = 10


def new_memory() -> NGramModel:
    """Create an empty n-gram model."""
    return NGramModel(Alphabet(BASIC_CHARACTERS))


def compile_all() -> None:
    """Use everything twice, so that compilation and imports are part of no figure."""
    memory = new_memory()
    for _ in range(2):
        index(memory, {name: f"import os  # {name}\n" * 99 for name in "abc"})
        type_into(memory, "import os\n" * 99)
        memory.hold("a", "import os\n", "import re\n")
        memory.drop("b")
        prediction_us(memory, ["import os\nimport "])


def index(memory: NGramModel, texts: Mapping[str, str]) -> float:
    """Index these texts as the server's indexer does; return the CPU time in seconds."""
    since = time.thread_time()
    indexing = IncrementalIndexing(lambda function: function(memory))
    for name, text in texts.items():
        indexing.put(name, text, last_used_s=0)
    indexing.finish()
    return time.thread_time() - since


def contexts(texts: Sequence[str], n: int, seed: int = 0) -> list[str]:
    """Contexts before `n` random positions: each character is equally likely to be the next."""
    dice, found = random.Random(seed), []
    for text in dice.choices(texts, [len(text) for text in texts], k=n):
        at = dice.randrange(len(text))
        found.append(text[max(0, at - DEPTH) : at])
    return found


def prediction_us(memory: NGramModel, befores: Sequence[str]) -> list[float]:
    """Time of each prediction, in microseconds."""
    microseconds = []
    for context in [context_of(memory.alphabet, before) for before in befores]:
        since = time.thread_time_ns()
        memory.predict(context, memory.possible())
        microseconds.append((time.thread_time_ns() - since) / 1e3)
    return microseconds


@dataclass(frozen=True)
class Typing:
    """Cost of typing TYPED."""

    prepare_ms: float
    """Before the first key, in any thread."""
    key_ms: list[float]
    """For each key: from the document's text to an updated prediction."""
    n_unknown: int
    """Number of keys that the prediction did not contain."""


def type_into(memory: NGramModel, text: str) -> Typing:
    """Type in the middle of a document, which is opened first, as the server opens a long one."""
    name, middle, key_ms, n_unknown = "typed into", len(text) // 2, list[float](), 0
    index(memory, {name: text})
    since = time.thread_time_ns()
    page = memory.prepare(name, text)
    prepare_ms = (time.thread_time_ns() - since) / 1e6
    memory.offer(name, text, page)
    for n in range(len(TYPED)):
        before, key = text[:middle] + TYPED[:n], TYPED[n]
        then = likelihood(memory, before, key)
        since = time.thread_time_ns()
        memory.hold(name, before + key, text[middle:])
        now = likelihood(memory, before, key)
        key_ms.append((time.thread_time_ns() - since) / 1e6)
        n_unknown += now <= then
    memory.drop(name)
    return Typing(prepare_ms, key_ms, n_unknown)


def likelihood(memory: NGramModel, before: str, character: str) -> float:
    """Probability of `character` after `before`."""
    p, _ = memory.predict(context_of(memory.alphabet, before), memory.possible())
    return float(p[memory.alphabet.symbol_of(character) - 1])


@dataclass
class Live:
    """An n-gram model during a session of edits."""

    memory: NGramModel
    session: Session
    resident: Resident
    edit_ms: list[float] = field(default_factory=list)
    """Time of each edit, up to an updated prediction, without compaction."""
    settle_s: list[float] = field(default_factory=list)
    """Time of each compaction."""
    looks: list[dict[str, Any]] = field(default_factory=list)

    def run(self, n_edits: int) -> None:
        """Apply all edits, and measure memory N_LOOKS times."""
        for look in range(1, N_LOOKS + 1):
            done, until = (n_edits * i // N_LOOKS for i in (look - 1, look))
            self.edit(until - done)
            self._look(until, is_last=look == N_LOOKS)

    def edit(self, n_edits: int) -> None:
        """Apply some edits; compact when due."""
        for name, document in self.session.edits(n_edits):
            since = time.thread_time_ns()
            if document is None:
                self.memory.drop(name)
            else:
                self.memory.hold(name, *document)
                self.memory.predict(context_of(self.memory.alphabet, document[0]), self.memory.possible())
            self.edit_ms.append((time.thread_time_ns() - since) / 1e6)
            if self.memory.needs_compaction:
                self.settle_s.append(self._settle())

    def _settle(self) -> float:
        since = time.thread_time()
        self.memory.compact()
        return time.thread_time() - since

    def _look(self, n_done: int, *, is_last: bool) -> None:
        """Measure after compaction, so that measurements compare. Memory in use is measured last, since it changes
        later figures.
        """
        self._settle()
        gc.collect()
        n_chars = sum(len(piece) for document in self.session.documents.values() for piece in document)
        memory = {
            "bytes": sum(segment.n_bytes for segment, _ in self.memory.segments()),
            "resident_mb": self.resident.mb,
        }
        in_use = {"in_use_mb": self.resident.in_use_mb()} if is_last else {}
        self.looks.append({"edits": n_done, "settled": len(self.settle_s), "chars": n_chars, **memory, **in_use})


def n_unequal(memory: NGramModel, held: Mapping[str, Document], n_contexts: int) -> int:
    """Number of sampled positions where predictions differ from an index that was never edited."""
    fresh = NGramModel(memory.alphabet)
    for name, document in held.items():
        fresh.hold(name, *document)
    fresh.compact()
    n = 0
    for before in contexts(["".join(document) for document in held.values()], n_contexts, seed=1):
        context = context_of(memory.alphabet, before)
        (p, order), (wanted, wanted_order) = (m.predict(context, m.possible()) for m in (memory, fresh))
        n += order != wanted_order or not np.array_equal(p, wanted)
    return n
