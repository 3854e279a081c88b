"""Cost of the live workspace index: a key in long documents, and suggestions while 10 MB are being indexed.

    python benchmarks/live_workspace.py [--megabytes 10]

The workspace is a copy of Python's standard library, up to that size. The first part calls the Engine in this process
after each key typed in the middle of a document, without typing through suggestions. The second starts the real server
twice, without the folder and with it, and types into a document, a key every 30 ms, during indexing. Prints one JSON
line.
"""

import argparse
import asyncio
import json
import re
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from lsprotocol import types
from other_process import resident_mb
from pygls.lsp.client import LanguageClient
from tinycopilot_server.session import STATUS

from tinycopilot.client.demo import OPENED, TYPED
from tinycopilot.client.stdio import Editor
from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.evaluation.score import percentile
from tinycopilot.paths import model_to_load

SIZES_CHARS = (5_000, 50_000, 500_000)
KEY_MS = 30
INDEXED = re.compile(r"indexed [\d,]+ files, [\d,]+ characters, in [\d.]+ s")
KEYS = "    def read_days(self, path):\n        for line in path:\n            self.days.append(line)\n"


def library() -> list[Path]:
    """The files of the standard library that a workspace would index."""
    top = Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in top.rglob("*.py") if "site-packages" not in path.parts and path.stat().st_size < 1e6)


def percentiles_ms(seconds: list[float]) -> dict[str, float | None]:
    """Percentiles of some times, in milliseconds."""
    ms = [1e3 * s for s in seconds]
    return {name: percentile(ms, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("highest", 1.0))}


def keys_in(code: str) -> dict[str, Any]:
    """Type KEYS in the middle of a document."""
    engine = Engine.load(model_to_load(), CompleterSettings())
    engine.warm_up()
    middle = code.index("\n", len(code) // 2) + 1
    before, after = code[:middle], "\n" + code[middle:]
    since = time.perf_counter()
    engine.complete(Request(before, after, "x"))
    first_s, memory_s, suggest_s = time.perf_counter() - since, list[float](), list[float]()
    for key in KEYS:
        before += key
        engine.configure(CompleterSettings(max_chars=120 + len(before) % 2))  # so that no suggestion is typed through
        since = time.perf_counter()
        engine.ngrams.hold("x", before, after)
        memory_s.append(time.perf_counter() - since)
        engine.complete(Request(before, after, "x"))
        suggest_s.append(time.perf_counter() - since)
    return {
        "first_ms": round(1e3 * first_s, 1),
        "memory_ms": percentiles_ms(memory_s),
        "suggest_ms": percentiles_ms(suggest_s),
    }


def fill(folder: Path, n_bytes: int) -> int:
    """Copy files of the library up to that size; return the size."""
    n_copied = 0
    for i, path in enumerate(library()):
        data = path.read_bytes()
        if n_copied + len(data) <= n_bytes:
            (folder / f"{i:04}_{path.name}").write_bytes(data)
            n_copied += len(data)
    return n_copied


async def session(folder: Path, holds_it: bool, most_s: float) -> dict[str, Any]:
    """Type until the server has indexed, or for `most_s` seconds, and then as long again."""
    client, indexed = LanguageClient("live", "1"), asyncio.Event()
    ready, said = asyncio.Event(), list[str]()
    client.feature(STATUS)(lambda params: ready.set() if params.state == "ready" else None)
    await client.start_io(sys.executable, "-m", "tinycopilot_server")
    server = client._server
    assert server is not None
    stderr = server.stderr
    assert stderr is not None

    async def listen() -> None:
        while line := await stderr.readline():
            if found := INDEXED.search(line.decode("utf-8", "replace")):
                said.append(found[0])
                indexed.set()

    listening = asyncio.ensure_future(listen())
    folders = [types.WorkspaceFolder(folder.as_uri(), "workspace")] if holds_it else []
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities(), workspace_folders=folders))
    client.initialized(types.InitializedParams())
    await ready.wait()
    before_mb = resident_mb(server.pid)
    editor = Editor(client, folder / "thermometer.py", OPENED)
    await editor.suggestion()
    while_s, after_s = list[float](), list[float]()
    since = time.perf_counter()
    while time.perf_counter() - since < most_s and not (holds_it and indexed.is_set()):
        await type_key(editor, while_s)
    until = time.perf_counter() + most_s / 2
    while time.perf_counter() < until:
        await type_key(editor, after_s)
    figures = {
        "indexed": said[:1],
        "while_indexing_ms": percentiles_ms(while_s),
        "after_ms": percentiles_ms(after_s),
        "keys": [len(while_s), len(after_s)],
        "resident_mb": [before_mb, resident_mb(server.pid), resident_mb(server.pid, "VmHWM")],
    }
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    listening.cancel()
    return figures


async def type_key(editor: Editor, seconds: list[float]) -> None:
    """Type the next character of the demo's program, repeatedly; return the response time."""
    n_typed = len(editor.text) - len(OPENED)
    editor.type(TYPED[n_typed % len(TYPED)])
    await editor.suggestion()
    seconds.append(editor.answer_ms[-1] / 1e3)
    await asyncio.sleep(KEY_MS / 1e3)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=10)
    arguments = parser.parse_args()
    code = "".join(path.read_text("utf-8", "replace") for path in library())
    keys = {}
    for n_chars in SIZES_CHARS:
        keys[n_chars] = keys_in(code[:n_chars])
        print(f"{n_chars:9,} characters: {keys[n_chars]}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_bytes = fill(folder, round(1e6 * arguments.megabytes))
        print(f"a workspace of {n_bytes:,} bytes in {len(list(folder.iterdir())):,} files", flush=True)
        alone = asyncio.run(session(folder, holds_it=False, most_s=10))
        print(f"without the workspace: {alone}", flush=True)
        live = asyncio.run(session(folder, holds_it=True, most_s=60))
        print(f"with the workspace: {live}", flush=True)
    print(json.dumps({"keys": keys, "bytes": n_bytes, "without": alone, "with": live}))


if __name__ == "__main__":
    main()
