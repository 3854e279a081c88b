"""A minimal LSP client that starts the installed server over stdio, and a document to type into."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsprotocol import types
from pygls.lsp.client import LanguageClient
from tinycopilot_server.session import STATUS

from tinycopilot import UserError, __version__

START_LIMIT_S = 120.0
"""Time limit for the first start after an installation, which compiles the network."""
END_LIMIT_S = 10.0
SERVER = (sys.executable, "-P", "-m", "tinycopilot_server")
"""-P: otherwise a server planted in the working folder would be imported."""


@dataclass
class Server:
    """A running server that is ready to answer."""

    client: LanguageClient
    pid: int
    start_s: float
    """Seconds from the start of the process until it reported that it is ready."""


class Editor:
    """One document in an editor, with the cursor at its end."""

    def __init__(self, client: LanguageClient, name: str | Path, text: str) -> None:
        """Open the document. The file need not exist, nor, if `name` is no absolute path, its folder."""
        self.client, self.text, self.version = client, text, 1
        self.uri = Path(os.path.abspath(os.sep), "tinycopilot", name).as_uri()  # noqa: PTH100
        self.answer_ms: list[float] = []
        """Round-trip time of each inline completion request."""
        client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(self.uri, "python", self.version, text))
        )

    def _cursor(self) -> types.Position:
        lines = self.text.split("\n")
        return types.Position(len(lines) - 1, len(lines[-1]))  # the text is ASCII

    def type(self, characters: str) -> None:
        """Insert text at the cursor, which is at the end."""
        here = self._cursor()
        self.version += 1
        self.text += characters
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version=self.version, uri=self.uri),
                [types.TextDocumentContentChangePartial(range=types.Range(here, here), text=characters)],
            )
        )

    async def suggestion(self) -> str:
        """Request inline completion at the cursor; "" if there is none."""
        params = types.InlineCompletionParams(
            context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
            text_document=types.TextDocumentIdentifier(self.uri),
            position=self._cursor(),
        )
        asked = time.perf_counter()
        # Shielded from Ctrl-C: pygls would print a traceback when the response to a cancelled request arrives.
        answer = await asyncio.shield(self.client.text_document_inline_completion_async(params))
        self.answer_ms.append(1000 * (time.perf_counter() - asked))
        items = answer.items if isinstance(answer, types.InlineCompletionList) else answer or []
        return str(items[0].insert_text) if items else ""


@contextlib.asynccontextmanager
async def running_server(model_path: str | None, tokenizer_path: str | None) -> AsyncIterator[Server]:
    """Start a server with this model, wait until it is ready, and shut it down when the block ends.

    Raises UserError, one line, if it has no model, does not start, or exits before the block ends.
    """
    client = LanguageClient("tinycopilot", __version__)
    # Null means not set. What a simulated user types isn't counted in the user's statistics.
    options = {"modelPath": model_path, "tokenizerPath": tokenizer_path, "statistics": False}
    state: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_status(params: Any) -> None:  # (pygls would take `object` for the client's own type)
        if not state.done() and (name := getattr(params, "state", "")) != "loading":
            state.set_result(getattr(params, "message", "") if name == "error" else "")

    client.feature(STATUS)(on_status)
    client.feature(types.WINDOW_SHOW_MESSAGE)(lambda _: None)  # repeats the status
    began = time.perf_counter()
    await client.start_io(*SERVER)
    process = client._server
    assert process is not None
    last_line = asyncio.ensure_future(_last_line(process.stderr))
    try:
        try:
            async with asyncio.timeout(START_LIMIT_S):
                params = types.InitializeParams(types.ClientCapabilities(), initialization_options=options)
                await asyncio.shield(client.initialize_async(params))  # as in Editor.suggestion
                client.initialized(types.InitializedParams())
                gone = asyncio.ensure_future(process.wait())
                either: set[asyncio.Future[Any]] = {state, gone}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                gone.cancel()
            if not state.done():
                raise RuntimeError("it has exited")
            if problem := state.result():
                raise UserError(problem)
            yield Server(client, process.pid, time.perf_counter() - began)
        finally:
            await _end(client, process)
            await last_line
    except (TimeoutError, RuntimeError, ConnectionError) as error:  # pygls raises RuntimeError if the server has exited
        why = last_line.result() or str(error) or "no response in time"
        raise UserError(
            f"the language server did not respond ({why}); run `tinycopilot serve` to see why, or reinstall tinycopilot"
        ) from None


async def _last_line(stream: asyncio.StreamReader | None) -> str:
    """Drain a stream to its end, so that the program never blocks on a full pipe; return its last line."""
    last = ""
    while stream is not None and (piece := await stream.read(65_536)):
        lines = (last + piece.decode("utf-8", "replace")).strip().splitlines()
        last = lines[-1] if lines else ""
    return last.strip()


async def _end(client: LanguageClient, process: asyncio.subprocess.Process) -> None:
    """Shut the server down as an editor does; kill it if it does not respond within END_LIMIT_S."""
    try:
        async with asyncio.timeout(END_LIMIT_S):
            if process.returncode is None:
                await client.shutdown_async(None)
                client.exit(None)
            await client.stop()
    except (TimeoutError, RuntimeError, ConnectionError):
        if process.returncode is None:
            process.kill()
        await client.stop()
