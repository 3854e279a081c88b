"""The command `bench`: how quick it is on this machine, in each situation that people come into, and what it takes."""

import dataclasses
import json
import platform
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.evaluation.footprint import measure_footprint
from tinycopilot.evaluation.score import percentile
from tinycopilot.evaluation.situations import Look, cursor_jumps, edits_above, first_keys, long_text, typing_on
from tinycopilot.evaluation.speed import measure_speed
from tinycopilot.evaluation.workbench import hold_workspace, load_sized, texts_to_type
from tinycopilot.paths import ModelPaths, describe_model, find_model, user_path

WORKSPACE_CHARS = 10_000_000
N_PLACES = 40
"""So many places are decoded at."""
N_FILES, N_KEYS = 6, 100
"""In so many files so many keys are typed on."""
N_JUMPS = 60
"""So many first keys, jumps, and edits above."""
PREPARED_CHARS = 50_000
"""A document of so many is sorted when it is opened, before its first key, as the server does."""


def run_bench(
    folder: str | None,
    *,
    size: str | None,
    as_json: bool,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
    answer: Callable[[str], None],
) -> None:
    """The whole command. Raises UserError."""
    texts = texts_to_type(user_path(folder).resolve() if folder is not None else None)
    paths, origin = find_model(model_path, tokenizer_path)
    say(describe_model(paths, origin))
    measured = measure(paths, size, texts, say)
    answer(json.dumps(measured) if as_json else table(measured))


def measure(
    paths: ModelPaths, size: str | None, texts: Mapping[str, str], say: Callable[[str], None]
) -> dict[str, Any]:
    """All figures. Raises UserError."""
    network, tokenizer = load_sized(paths, size)
    engine = Engine(network, tokenizer)
    engine.warm_up()
    say("indexing 10 MB")
    hold_workspace(engine.ngrams, WORKSPACE_CHARS)
    dice = random.Random(0)
    say(f"decoding at {N_PLACES} positions")
    speed = measure_speed(engine, network, list(_places(texts, dice)))
    measured: dict[str, Any] = {"parameters": network.config.n_parameters, **speed.to_json()}
    asked = _suggestions(engine, texts, dice, say)
    in_all = Asked([ms for situation in asked.values() for ms in situation.ms])
    measured["suggestion_ms"] = {name: some.percentiles() for name, some in ({"all": in_all} | asked).items()}
    typing = asked["typing_on"]
    measured["cpu_s_per_1000_keys"] = round(1000 * typing.cpu_s / (len(typing.ms) + len(typing.along_ms)), 2)
    say("start time and memory")
    measured |= measure_footprint(paths, WORKSPACE_CHARS, size)
    return measured | {"machine": platform.processor() or platform.machine()}


def _places(texts: Mapping[str, str], dice: random.Random) -> Iterator[Look]:
    for _ in range(N_PLACES):
        name = dice.choice(list(texts))
        at = dice.randrange(len(texts[name]) // 2, len(texts[name]))
        yield Look(name, texts[name][:at], texts[name][at:])


def _suggestions(
    engine: Engine, texts: Mapping[str, str], dice: random.Random, say: Callable[[str], None]
) -> dict[str, "Asked"]:
    """Each situation, and what it came to."""
    names = dice.sample(list(texts), min(len(texts), N_JUMPS))
    typed = [(name, texts[name], dice.randrange(len(texts[name]) - N_KEYS)) for name in names[:N_FILES]]
    name, text, _ = max(typed, key=lambda typed: len(typed[1]))
    long = long_text(list(texts.values()))
    situations: dict[str, Iterable[Look]] = {
        "first_key": first_keys({name: texts[name] for name in names}, dice),
        "typing_on": chain.from_iterable(typing_on(*some, N_KEYS) for some in typed),
        "cursor_jump": cursor_jumps(name, text, N_JUMPS, dice),
        "edit_above": edits_above(name, text, N_JUMPS, dice),
        "beyond_window": typing_on("long", long, len(long) - N_KEYS, N_KEYS),
    }
    asked = {}
    for situation, looks in situations.items():
        say(situation.replace("_", " "))
        asked[situation] = ask_all(engine, looks)
    say("after accepting")
    asked["accepted"] = ask_after_accepting(engine, cursor_jumps(name, text, N_JUMPS, dice))
    say("while indexing")
    with sorting(engine.ngrams):
        asked["while_indexing"] = ask_all(engine, chain.from_iterable(typing_on(*some, N_KEYS) for some in typed))
    return asked | {"typing_along": Asked([ms for some in asked.values() for ms in some.along_ms])}


@dataclass
class Asked:
    """What a situation came to, for each look that is timed."""

    ms: list[float] = field(default_factory=list)
    """From question to answer."""
    along_ms: list[float] = field(default_factory=list)
    """The same, for keys that a suggestion had foretold: the rest of it is the answer."""
    cpu_s: float = 0.0
    """Of both."""

    def percentiles(self) -> dict[str, float | None]:
        """What is told of it."""
        return {f"p{share}": percentile(self.ms, share / 100) for share in (50, 95, 99)}


def ask_all(engine: Engine, looks: Iterable[Look]) -> Asked:
    """Ask for a suggestion at each look."""
    asked, expected = Asked(), ""
    for look in looks:
        if look.document not in engine.ngrams and len(look.before + look.after) >= PREPARED_CHARS:
            engine.prepare(look.document, look.before + look.after)()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        suggestion = engine.complete(_request(look)).suggestion
        if look.is_timed:
            is_along = suggestion is not None and suggestion.text == expected
            (asked.along_ms if is_along else asked.ms).append(1e3 * (time.perf_counter() - wall_s))
            asked.cpu_s += time.process_time() - cpu_s
        expected = suggestion.text[1:] if suggestion else ""
        if engine.ngrams.needs_compaction:
            engine.ngrams.compact()  # as the server does, in the background
    return asked


def ask_after_accepting(engine: Engine, looks: Iterable[Look]) -> Asked:
    """Accept what is suggested at each look, when nobody has waited for a moment, and ask what comes then."""
    asked = Asked()
    for look in looks:
        if suggestion := engine.complete(_request(look)).suggestion:
            ahead = _request(look).after_accepting(suggestion)
            engine.complete(ahead)
            wall_s = time.perf_counter()
            engine.complete(dataclasses.replace(ahead, why=Why.REPLAYED))
            asked.ms.append(1e3 * (time.perf_counter() - wall_s))
    return asked


def _request(look: Look) -> Request:
    return Request(look.before, look.after, look.document, Why.REPLAYED)


@contextmanager
def sorting(memory: NGramModel) -> Iterator[None]:
    """Meanwhile another thread sorts all that is held, again and again."""
    is_over = threading.Event()

    def sort() -> None:
        while not is_over.is_set():
            compaction.sort(everything=True)

    compaction = memory.begin_compaction()
    thread = threading.Thread(target=sort)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def table(measured: Mapping[str, Any]) -> str:
    """All of it, for people."""
    speeds = measured["chars_per_second"]
    lines = [
        f"{measured['parameters'] / 1e6:.1f} M parameters on {measured['machine']}",
        "",
        f"{'':16}{'characters/s':>20}",
        *(f"{way:16}{per_second:20,.0f}" for way, per_second in speeds.items()),
        f"drafted: {speeds['drafted'] / speeds['cached']:.2f} times as fast as cached; "
        f"{_share(measured['accepted_drafts'])} of drafted characters accepted",
        f"outputs that differ: {measured['unequal_texts']}",
        "",
        f"{'latency, ms':16}{'p50':>8}{'p95':>8}{'p99':>8}",
    ]
    for situation, shares in measured["suggestion_ms"].items():
        figures = "".join("       -" if ms is None else f"{ms:8.1f}" for ms in shares.values())
        lines.append(f"{situation.replace('_', ' '):16}{figures}")
    lines.append(f"{measured['cpu_s_per_1000_keys']:.1f} s of CPU time per 1000 keystrokes")
    if rss := measured["rss_mb"]:
        lines.append(f"{rss['engine']:.0f} MB of memory, plus {rss['workspace']:.0f} MB for 10 MB of code")
    lines.append(f"{measured['start_s']:.1f} s from process start to the first suggestion")
    return "\n".join(lines)


def _share(share: float | None) -> str:
    return "nothing" if share is None else f"{100 * share:.0f} %"
