"""The `bench` command: latency in several scenarios, decoding speed, memory and start time on this machine."""

import dataclasses
import json
import platform
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from tinycopilot.completion.engine import Engine, Request, Why
from tinycopilot.completion.ngram import NGramModel
from tinycopilot.evaluation.scenarios import (
    Step,
    edits_above,
    index_stdlib,
    load_typing_texts,
    load_widened,
    long_text,
    random_places,
    typing_on,
)
from tinycopilot.evaluation.score import percentiles
from tinycopilot.evaluation.speed import measure_footprint, measure_speed
from tinycopilot.paths import ModelPaths, describe_model, find_model, real_path

WORKSPACE_CHARS = 10_000_000
N_PLACES = 40
"""Positions at which decoding speed is measured."""
N_FILES, N_KEYS = 6, 100
"""Files, and keys typed in each."""
N_JUMPS = 60
"""Number of requests in each of the scenarios first key, cursor jump, and edit above the cursor."""
PREPARED_CHARS = 50_000
"""A document of this size is indexed when it is opened, as the server does."""


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
    """Run the command; `say` prints progress, `answer` the result. Raises UserError."""
    texts = load_typing_texts(real_path(folder) if folder is not None else None)
    paths, origin = find_model(model_path, tokenizer_path)
    say(describe_model(paths, origin))
    measured = measure(paths, size, texts, say)
    answer(json.dumps(measured) if as_json else table(measured))


def measure(
    paths: ModelPaths, size: str | None, texts: Mapping[str, str], say: Callable[[str], None]
) -> dict[str, Any]:
    """Return all measurements. Raises UserError."""
    network, tokenizer = load_widened(paths, size)
    engine = Engine(network, tokenizer)
    engine.warm_up()
    say("indexing 10 MB")
    index_stdlib(engine.ngrams, WORKSPACE_CHARS)
    dice = random.Random(0)
    say(f"decoding at {N_PLACES} positions")
    speed = measure_speed(engine, network, list(_places(texts, dice)))
    measured: dict[str, Any] = {"parameters": network.config.n_parameters, **speed}
    latencies = _suggestions(engine, texts, dice, say)
    in_all = percentiles([ms for some in latencies.values() for ms in some.ms])
    measured["suggestion_ms"] = {"all": in_all} | {name: percentiles(some.ms) for name, some in latencies.items()}
    typing = latencies["typing_on"]
    measured["cpu_s_per_1000_keys"] = round(1000 * typing.cpu_s / (len(typing.ms) + len(typing.typed_through_ms)), 2)
    say("start time and memory")
    measured |= measure_footprint(paths, WORKSPACE_CHARS, size)
    return measured | {"machine": platform.processor() or platform.machine()}


def _places(texts: Mapping[str, str], dice: random.Random) -> Iterator[Step]:
    for _ in range(N_PLACES):
        name = dice.choice(list(texts))
        at = dice.randrange(len(texts[name]) // 2, len(texts[name]))
        yield Step(name, texts[name][:at], texts[name][at:])


def _suggestions(
    engine: Engine, texts: Mapping[str, str], dice: random.Random, say: Callable[[str], None]
) -> dict[str, "Latencies"]:
    names = dice.sample(list(texts), min(len(texts), N_JUMPS))
    typed = [(name, texts[name], dice.randrange(len(texts[name]) - N_KEYS)) for name in names[:N_FILES]]
    name, text, _ = max(typed, key=lambda typed: len(typed[1]))
    long = long_text(list(texts.values()))
    scenarios: dict[str, Iterable[Step]] = {
        "first_key": random_places([(name, texts[name]) for name in names], dice),
        "typing_on": chain.from_iterable(typing_on(*some, N_KEYS) for some in typed),
        "cursor_jump": random_places([(name, text)] * N_JUMPS, dice),
        "edit_above": edits_above(name, text, N_JUMPS, dice),
        "beyond_window": typing_on("long", long, len(long) - N_KEYS, N_KEYS),
    }
    latencies = {}
    for scenario, steps in scenarios.items():
        say(scenario.replace("_", " "))
        latencies[scenario] = time_requests(engine, steps)
    say("after accepting")
    latencies["accepted"] = time_requests(engine, accepting(engine, random_places([(name, text)] * N_JUMPS, dice)))
    say("while indexing")
    with while_compacting(engine.ngrams):
        latencies["while_indexing"] = time_requests(
            engine, chain.from_iterable(typing_on(*some, N_KEYS) for some in typed)
        )
    return latencies | {"typing_along": Latencies([ms for some in latencies.values() for ms in some.typed_through_ms])}


@dataclass
class Latencies:
    """Latencies of a scenario, for its timed steps."""

    ms: list[float] = field(default_factory=list)
    """From request to result, for all other requests."""
    typed_through_ms: list[float] = field(default_factory=list)
    """Latencies of keystrokes that match the last suggestion; the engine returns the rest of it."""
    cpu_s: float = 0.0
    """CPU time of all timed requests."""


def time_requests(engine: Engine, steps: Iterable[Step]) -> Latencies:
    """Request a suggestion at each step."""
    latencies, expected = Latencies(), ""
    for step in steps:
        if step.document not in engine.ngrams and len(step.before + step.after) >= PREPARED_CHARS:
            engine.prepare(step.document, step.before + step.after)()
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        suggestion = engine.complete(_request(step)).suggestion
        if step.is_timed:
            is_along = suggestion is not None and suggestion.text == expected
            (latencies.typed_through_ms if is_along else latencies.ms).append(1e3 * (time.perf_counter() - wall_s))
            latencies.cpu_s += time.process_time() - cpu_s
        expected = suggestion.text[1:] if suggestion else ""
        if engine.ngrams.needs_compaction:
            engine.ngrams.compact()  # the server does this in the background
    return latencies


def accepting(engine: Engine, steps: Iterable[Step]) -> Iterator[Step]:
    """Request a suggestion at each step; yield the place after accepting it."""
    for step in steps:
        if suggestion := engine.complete(_request(step)).suggestion:
            yield dataclasses.replace(step, before=step.before + suggestion.text)


def _request(step: Step) -> Request:
    return Request(step.before, step.after, step.document, Why.REPLAYED)


@contextmanager
def while_compacting(ngrams: NGramModel) -> Iterator[None]:
    """Compact the whole index in another thread, again and again, within the context."""
    is_over = threading.Event()

    def sort() -> None:
        while not is_over.is_set():
            compaction.sort(everything=True)

    compaction = ngrams.begin_compaction()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(sort)
        try:
            yield
        finally:
            is_over.set()


def table(measured: Mapping[str, Any]) -> str:
    """Return the measurements as text."""
    speeds, share = measured["chars_per_second"], measured["accepted_drafts"]
    accepted = "nothing" if share is None else f"{100 * share:.0f} %"
    lines = [
        f"{measured['parameters'] / 1e6:.1f} M parameters on {measured['machine']}",
        "",
        f"{'':16}{'characters/s':>20}",
        *(f"{way:16}{per_second:20,.0f}" for way, per_second in speeds.items()),
        f"drafted: {speeds['drafted'] / speeds['cached']:.2f} times as fast as cached; "
        f"{accepted} of drafted characters accepted",
        f"outputs that differ: {measured['unequal_texts']}",
        "",
        f"{'latency, ms':16}{'p50':>8}{'p95':>8}{'p99':>8}",
    ]
    for scenario, shares in measured["suggestion_ms"].items():
        figures = "".join("       -" if ms is None else f"{ms:8.1f}" for ms in shares.values())
        lines.append(f"{scenario.replace('_', ' '):16}{figures}")
    lines.append(f"{measured['cpu_s_per_1000_keys']:.1f} s of CPU time per 1000 keystrokes")
    if rss := measured["rss_mb"]:
        lines.append(f"{rss['engine']:.0f} MB of memory, plus {rss['workspace']:.0f} MB for 10 MB of code")
    lines.append(f"{measured['start_s']:.1f} s from process start to the first suggestion")
    return "\n".join(lines)
