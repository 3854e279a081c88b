"""Latency of the HTTP endpoint compared with the language server, for the same keystrokes.

    python benchmarks/http_latency.py [FOLDER] [--keys 300]

Starts both with the same model, and types code of FOLDER, or of the package that `tinycopilot bench` types. After each
keystroke, the language server and the endpoint get a request, in random order, so that noise affects both alike. There
are three endpoints: one on a kept connection with the whole text; one on a new connection for each request, as with
curl; and one with the last 12,000 characters only, as minuet-ai.nvim sends them: that text starts at a different
position with each keystroke. Latency is from writing the request to having read the response; for the language server,
from writing the edit. Prints a table, the share of equal suggestions (the language server learns from keystrokes, the
endpoint does not), and one JSON line.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_load import Typist, options
from stdio_client import StdioClient

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.evaluation.scenarios import Step, load_typing_texts, typing_on
from tinycopilot.evaluation.score import percentile

N_WARM_UP = 20
FIRST_CHARS = 14_000
"""Typing begins here, if the text is long enough: beyond the window."""
WINDOW_CHARS = 12_000
LIMIT_S = 600.0
SHARES = (10, 50, 95)
LSP, KEPT, NEW, WINDOW = "LSP", "HTTP", "HTTP, new connection", "HTTP, last 12,000 characters"


@dataclass
class Endpoint:
    """An HTTP endpoint, its token, and how requests are sent to it."""

    token: str
    connection: http.client.HTTPConnection
    is_kept: bool
    window_chars: int

    def ask(self, step: Step) -> tuple[float, str]:
        """Milliseconds, and the suggestion."""
        document = f"/tmp/typed/{step.document}"
        body = {
            "model": "tinycopilot",
            "prompt": step.before[-self.window_chars :],
            "suffix": step.after,
            "document": document,
        }
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        since_s = time.perf_counter()
        self.connection.request("POST", "/v1/completions", json.dumps(body), headers)
        answer = json.loads(self.connection.getresponse().read())
        ms = 1e3 * (time.perf_counter() - since_s)
        if not self.is_kept:
            self.connection.close()  # the next request connects again
        return ms, str(answer["choices"][0]["text"])


@contextlib.contextmanager
def endpoint(folder: Path, *, is_kept: bool = True, window_chars: int = sys.maxsize) -> Iterator[Endpoint]:
    """An endpoint as a process, with its token in `folder`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "tinycopilot", "serve", "--http", str(port)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        try:
            last = next(line for line in process.stderr if line.startswith("listening"))
            token = Path(last.rstrip().rpartition(" the token is in ")[2]).read_text().strip()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            yield Endpoint(token, connection, is_kept, window_chars)
            connection.close()
        finally:
            process.terminate()


async def ask_server(typist: Typist, step: Step) -> tuple[float, str]:
    """The same for the language server."""
    since_s = time.perf_counter()
    answer = await typist.ask(step)
    items = answer.result["items"]
    return 1e3 * (answer.read_s - since_s), items[0]["insertText"] if items else ""


async def measure(endpoints: dict[str, Endpoint], texts: dict[str, str], n_keys: int) -> dict[str, Any]:
    """Type in both; return milliseconds for each way, and the share of equal suggestions."""
    client = await StdioClient.start()
    given = options()["initializationOptions"] | {"eagerness": CompleterSettings.eagerness}  # the endpoint's
    await client.initialize("utf-32", initializationOptions=given)
    await asyncio.wait_for(client.state("ready"), LIMIT_S)
    typist, dice = Typist(client, random.Random(0), is_fast=True), random.Random(0)
    ms: dict[str, list[float]] = {LSP: [], **{way: [] for way in endpoints}}
    name, text = max(texts.items(), key=lambda item: len(item[1]))
    first = min(FIRST_CHARS, len(text) // 2)
    n_equal = 0
    for i, step in enumerate(typing_on(name, text, first, n_keys + N_WARM_UP)):
        found = dict[str, tuple[float, str]]()
        for way in dice.sample(list(ms), len(ms)):
            found[way] = await ask_server(typist, step) if way == LSP else endpoints[way].ask(step)
        if i >= N_WARM_UP:
            for way, (took, _) in found.items():
                ms[way].append(took)
            n_equal += found[LSP][1] == found[KEPT][1]
    await client.end()
    return {"ms": ms, "equal": n_equal / len(ms[LSP]), "n_chars": first}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--keys", type=int, default=300)
    arguments = parser.parse_args()
    texts = load_typing_texts(arguments.folder)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        endpoints = {
            KEPT: stack.enter_context(endpoint(folder)),
            NEW: stack.enter_context(endpoint(folder, is_kept=False)),
            WINDOW: stack.enter_context(endpoint(folder, window_chars=WINDOW_CHARS)),
        }
        found = asyncio.run(measure(endpoints, texts, arguments.keys))
    shares = {
        way: {f"p{share}": percentile(ms, share / 100) or 0.0 for share in SHARES} for way, ms in found["ms"].items()
    }
    print(f"{arguments.keys} keys after {found['n_chars']:,} characters; suggestions equal: {found['equal']:.1%}")
    print("| | " + " | ".join(f"p{share}" for share in SHARES) + " | p10 and p50, relative to LSP |")
    print("|---|" + "---|" * (len(SHARES) + 1))
    for way, figures in shares.items():
        fast, usual = (figures[share] / shares[LSP][share] for share in ("p10", "p50"))
        print(f"| {way} | " + " | ".join(f"{ms:.1f} ms" for ms in figures.values()) + f" | {fast:.2f}, {usual:.2f} |")
    rounded = {way: {name: round(ms, 2) for name, ms in figures.items()} for way, figures in shares.items()}
    print(json.dumps({"keys": arguments.keys, "equal": round(found["equal"], 4), "ms": rounded}))


if __name__ == "__main__":
    main()
