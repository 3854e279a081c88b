"""The real server with the bundled model, from outside: start time, latency, memory and CPU time.

    python benchmarks/server_load.py [FOLDER] [--fast] [--idle_s 60] [--keys 300] [--megabytes 10]

Starts it as an editor does, over stdio, and types code of FOLDER, or of the package that `tinycopilot bench` types,
with a key every 60 to 200 ms (`--fast`: as soon as the last request is answered). Latency is from writing the request
to reading the response; `a trivial request`, about a document that is not open, is answered without the engine, which
shows the share of the pipe, pygls and this client. Memory and CPU time are Linux's. Prints a table with targets, then
one JSON line. The exit code does not depend on the targets.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from live_workspace import INDEXED, fill
from other_process import cpu_ms, proportional_mb, resident_mb
from stdio_client import Answer, StdioClient

from tinycopilot.evaluation.scenarios import Step, edits_above, load_typing_texts, random_places, typing_on
from tinycopilot.evaluation.score import percentile
from tinycopilot.evaluation.speed import FIRST_TEXT
from tinycopilot.paths import model_to_load

PAUSE_S = (0.06, 0.2)
N_STARTS = 3
N_FILES = 4
"""Number of documents that are typed into."""
N_APART = 30
"""Number of first keys, jumps, and edits above."""
TRIVIAL_EVERY = 5
MAX_ROUNDS = 4
"""Maximum number of times the ten megabytes are indexed until there are enough keys."""
QUIET_S = 0.3
SAVING_S = 2.0
"""After indexing, the index is saved within this time."""
PATIENCE_S = 120.0
SHARES = (50, 95, 99)
NOWHERE = "file:///nowhere/not_open.py"

WANTED: dict[str, float] = {
    "start_ms.to_answer": 300, "start_ms.to_first_suggestion": 900,
    "ms.typing.p50": 10, "ms.typing.p95": 15, "ms.four_documents.p95": 50, "ms.while_indexing.p99": 100,
    "idle_cpu_ms_per_minute": 20, "resident_mb.while_indexing.indexed": 240, "second_window_mb": 130,
}  # fmt: skip
"""Targets: upper limits."""


def place(uri: str, text: str, offset: int) -> dict[str, Any]:
    """Position parameters; characters count as in utf-32, and lines end with \\n only."""
    line_start = text.rfind("\n", 0, offset) + 1
    return {
        "textDocument": {"uri": uri},
        "position": {"line": text.count("\n", 0, offset), "character": offset - line_start},
    }


def edit(old: str, new: str) -> tuple[int, int, str]:
    """The range where `old` differs from `new`, and the new text there."""
    most = min(len(old), len(new))
    start = next((i for i in range(most) if old[i] != new[i]), most) if old[:most] != new[:most] else most
    left = most - start
    end = next((i for i in range(left) if old[-1 - i] != new[-1 - i]), left)
    return start, len(old) - end, new[start : len(new) - end]


@dataclass
class Typist:
    """Applies document states to a server as an editor does: opens, edits, requests."""

    client: StdioClient
    dice: random.Random
    is_fast: bool
    texts: dict[str, str] = field(default_factory=dict)
    version: int = 1
    trivial_ms: list[float] = field(default_factory=list)

    async def time_requests(self, looks: Iterable[Step]) -> list[float]:
        """Milliseconds of each timed request."""
        ms = list[float]()
        for i, look in enumerate(looks):
            if not self.is_fast:
                await asyncio.sleep(self.dice.uniform(*PAUSE_S))
            answer = await self.ask(look)
            if look.is_timed:
                ms.append(answer.ms)
            if i % TRIVIAL_EVERY == 0:
                self.trivial_ms.append((await self.inline(place(NOWHERE, "", 0))).ms)
        return ms

    async def ask(self, look: Step) -> Answer:
        """Bring the document to this state, and request a completion at the cursor."""
        text, uri = look.before + look.after, self.uri(look.document)
        self.bring_to(uri, text)
        return await self.inline(place(uri, text, len(look.before)))

    def uri(self, name: str) -> str:
        """The URI of a document."""
        return Path("/tmp/typed", name).as_uri()

    def bring_to(self, uri: str, text: str) -> None:
        """Open a document, or edit it in one place."""
        if (old := self.texts.get(uri)) is None:
            item = {"uri": uri, "languageId": "python", "version": 1, "text": text}
            self.client.notify("textDocument/didOpen", {"textDocument": item})
        elif old != text:
            self.version += 1
            start, end, new = edit(old, text)
            where = {"start": place(uri, old, start)["position"], "end": place(uri, old, end)["position"]}
            document = {"uri": uri, "version": self.version}
            changes = [{"range": where, "text": new}]
            self.client.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})
        self.texts[uri] = text

    async def inline(self, where: dict[str, Any]) -> Answer:
        """Request inline completion."""
        params = where | {"context": {"triggerKind": 2}}
        return await asyncio.wait_for(self.client.request("textDocument/inlineCompletion", params), PATIENCE_S)


async def start_server() -> StdioClient:
    """Start a server, without sending anything yet."""
    return await StdioClient.start()


def options() -> dict[str, Any]:
    """The model that `tinycopilot bench` uses, with high eagerness, so that there is a suggestion to wait for."""
    paths = model_to_load()
    files = {"modelPath": str(paths.model), "tokenizerPath": str(paths.tokenizer)}
    return {"initializationOptions": files | {"eagerness": 1}}


async def measure_start() -> dict[str, float]:
    """Measure a server that is sent requests as soon as its process exists."""
    client = await start_server()
    answer = await client.initialize("utf-32", **options())
    figures = {"to_answer": 1e3 * (answer.read_s - client.started_s), "cpu_to_answer": cpu_ms(client.pid)}
    await asyncio.wait_for(client.state("ready"), PATIENCE_S)
    figures["to_ready"] = 1e3 * (time.perf_counter() - client.started_s)
    typist = Typist(client, random.Random(0), is_fast=True)
    first = await typist.ask(Step("first.py", FIRST_TEXT, ""))
    while not first.result["items"] and time.perf_counter() - client.started_s < PATIENCE_S:
        first = await typist.ask(Step("first.py", FIRST_TEXT, ""))
    figures["to_first_suggestion"] = 1e3 * (first.read_s - client.started_s)
    figures["cpu_to_first_suggestion"] = cpu_ms(client.pid)
    await client.end()
    return figures


async def measure_reading() -> float:
    """Time of `initialize` in an idle server: from writing it, which is when it is read."""
    client = await start_server()
    used_ms = -1.0
    while used_ms != (used_ms := cpu_ms(client.pid)) or used_ms < QUIET_S:
        await asyncio.sleep(QUIET_S)
    answer = await client.initialize("utf-32", **options())
    await client.state("ready")
    await client.end()
    return answer.ms


async def start_in(folder: Path | None) -> tuple[StdioClient, asyncio.Event]:
    """A ready server, and an event that is set whenever it reports the end of indexing."""
    client, indexed = await start_server(), asyncio.Event()
    client.on_line = lambda line: indexed.set() if INDEXED.search(line) else None
    await client.initialize("utf-32", **options(), workspaceFolders=[as_folder(folder)] if folder else [])
    await asyncio.wait_for(client.state("ready"), PATIENCE_S)
    return client, indexed


def as_folder(folder: Path) -> dict[str, str]:
    """A workspace folder in LSP's form."""
    return {"uri": folder.resolve().as_uri(), "name": folder.name}


def parts(texts: dict[str, str], n_keys: int, dice: random.Random) -> list[list[Step]]:
    """N_FILES documents, each with the part that is typed."""
    names = dice.sample(list(texts), min(len(texts), N_FILES))
    firsts = [dice.randrange(max(1, len(texts[name]) - n_keys)) for name in names]
    return [list(typing_on(name, texts[name], first, n_keys)) for name, first in zip(names, firsts, strict=True)]


def in_turn(typed: list[list[Step]]) -> Iterator[Step]:
    """One key in each document, alternating."""
    return (look for looks in zip_longest(*typed) for look in looks if look is not None)


async def measure_typing(
    folder: Path | None, texts: dict[str, str], n_keys: int, dice: random.Random, *, is_fast: bool, idle_s: float
) -> dict[str, Any]:
    """One session in one window, scenario by scenario; then idle; then a second window."""
    client, indexed = await start_in(folder)
    if folder:
        await asyncio.wait_for(indexed.wait(), PATIENCE_S)
    typist, ms, resident = Typist(client, dice, is_fast), dict[str, list[float]](), {"ready": resident_mb(client.pid)}
    name = max(texts, key=lambda name: len(texts[name]))
    names = dice.sample(list(texts), min(len(texts), N_APART))
    n_each = n_keys // N_FILES
    situations: dict[str, Iterable[Step]] = {
        "typing": chain.from_iterable(parts(texts, n_each, dice)),
        "four_documents": in_turn(parts(texts, n_each, dice)),
        "first_key": (Step("new/" + look.document, look.before, look.after)
                      for look in random_places([(name, texts[name]) for name in names], dice)),
        "cursor_jump": random_places([(name, texts[name])] * N_APART, dice),
        "edit_above": edits_above(name, texts[name], N_APART, dice),
    }  # fmt: skip
    for situation, looks in situations.items():
        say(situation)
        ms[situation] = await typist.time_requests(looks)
        resident[situation] = resident_mb(client.pid)
    ms["a_trivial_request"] = typist.trivial_ms
    say("idle")
    await asyncio.sleep(min(2.0, idle_s))
    before_ms = cpu_ms(client.pid)
    await asyncio.sleep(idle_s)
    idle_ms = (cpu_ms(client.pid) - before_ms) * 60 / idle_s
    say("a second window")
    second = await measure_second(client, folder)
    await client.end()
    return {"ms": ms, "resident_mb": resident, "idle_cpu_ms_per_minute": idle_ms, "second_window_mb": second}


async def measure_second(first: StdioClient, folder: Path | None) -> float:
    """Memory that a second server adds in total."""
    alone_mb = proportional_mb(first.pid)
    second, indexed = await start_in(folder)
    if folder:
        await asyncio.wait_for(indexed.wait(), PATIENCE_S)
    await Typist(second, random.Random(0), is_fast=True).ask(Step("first.py", FIRST_TEXT, ""))
    added_mb = proportional_mb(first.pid) + proportional_mb(second.pid) - alone_mb
    await second.end()
    return added_mb


async def measure_indexing(
    texts: dict[str, str], n_keys: int, n_bytes: int, dice: random.Random, *, is_fast: bool
) -> tuple[list[float], dict[str, float]]:
    """Type while a folder of that size is indexed: milliseconds, and resident memory."""
    with tempfile.TemporaryDirectory() as name:
        folder, ms = Path(name), list[float]()
        fill(folder, n_bytes)
        client, indexed = await start_in(None)
        typist = Typist(client, dice, is_fast)
        looks = chain.from_iterable(parts(texts, 10 * n_keys, dice))
        await typist.time_requests([next(looks)])
        for _ in range(MAX_ROUNDS):
            indexed.clear()
            change(client, added=folder)
            while not indexed.is_set() and (look := next(looks, None)):
                ms += await typist.time_requests([look])
            await asyncio.wait_for(indexed.wait(), PATIENCE_S)
            await asyncio.sleep(SAVING_S)
            resident = {"indexed": resident_mb(client.pid), "highest": resident_mb(client.pid, "VmHWM")}
            if len(ms) >= n_keys:
                break
            indexed.clear()
            change(client, removed=folder)
            await asyncio.sleep(1.0)
        await client.end()
    return ms, resident


def change(client: StdioClient, added: Path | None = None, removed: Path | None = None) -> None:
    """Add or remove a workspace folder."""
    event = {"added": [as_folder(added)] if added else [], "removed": [as_folder(removed)] if removed else []}
    client.notify("workspace/didChangeWorkspaceFolders", {"event": event})


def percentiles(ms: list[float]) -> dict[str, float | None]:
    """Percentiles of some times."""
    return {f"p{share}": percentile(ms, share / 100) for share in SHARES}


def flat(figures: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Each figure under its joined names."""
    rows = dict[str, Any]()
    for name, value in figures.items():
        rows |= flat(value, f"{above}{name}.") if isinstance(value, dict) else {above + name: value}
    return rows


def table(figures: dict[str, Any]) -> str:
    """Format each figure, with its target if there is one."""
    lines = []
    for name, value in flat(figures).items():
        shown = f"{value:12,.1f}" if isinstance(value, float) else f"{value!s:>12}"
        lines.append(f"{name:44}{shown}{beside(value, WANTED.get(name))}")
    return "\n".join(lines)


def beside(value: Any, wanted: float | None) -> str:
    """Whether a target is met."""
    if wanted is None or value is None:
        return ""
    return f"   at most {wanted:,.0f}" + ("" if value <= wanted else ": MISSED")


def say(what: str) -> None:
    """Print to stderr: the table goes to stdout."""
    print(what.replace("_", " "), file=sys.stderr, flush=True)


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    dice = random.Random(arguments.seed)
    folder = Path(arguments.folder).resolve() if arguments.folder else None
    texts = {re.sub(r"^.*/", "", name): text.replace("\r\n", "\n") for name, text in load_typing_texts(folder).items()}
    say("start")
    starts = [await measure_start() for _ in range(arguments.starts)]
    start: dict[str, Any] = {
        name: statistics.median(some[name] for some in starts)
        for name in ("to_answer", "cpu_to_answer", "to_ready", "to_first_suggestion", "cpu_to_first_suggestion")
    }
    start["answer_to_initialize"] = statistics.median([await measure_reading() for _ in range(arguments.starts)])
    session = await measure_typing(folder, texts, arguments.keys, dice, is_fast=arguments.fast, idle_s=arguments.idle_s)
    say("while indexing")
    n_bytes = round(1e6 * arguments.megabytes)
    indexing_ms, session["resident_mb"]["while_indexing"] = await measure_indexing(
        texts, arguments.keys // 2, n_bytes, dice, is_fast=arguments.fast
    )
    ms = session.pop("ms") | {"while_indexing": indexing_ms}
    told = {name: percentiles(times) | {"n": len(times)} for name, times in ms.items()}
    return {"start_ms": start, "ms": told, **session, "is_fast": arguments.fast, "keys": arguments.keys}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="code to type, also indexed by the server")
    parser.add_argument("--fast", action="store_true", help="type without pauses")
    parser.add_argument("--keys", type=int, default=300, help="number of keys in each scenario")
    parser.add_argument("--starts", type=int, default=N_STARTS)
    parser.add_argument("--idle_s", type=float, default=60.0)
    parser.add_argument("--megabytes", type=float, default=10.0, help="size of the folder indexed meanwhile")
    parser.add_argument("--seed", type=int, default=0)
    figures = asyncio.run(measure(parser.parse_args()))
    print(table(figures))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
