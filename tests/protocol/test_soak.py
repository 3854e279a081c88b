"""A random editor that follows the protocol: each request is answered once, and the server's text is the editor's.

The suite runs a short version; `make soak` runs a long one:

    python -m pytest -s tests/protocol/test_soak.py --messages 1000000
"""

import asyncio
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_requests import suggest
from networks import EVERYTHING
from other_process import resident_mb
from random_editor import CODECS, Plain, RandomEditor
from stdio_client import Answer, StdioClient
from tinycopilot_server.settings import camel_case

from tinycopilot.completion.engine import Engine
from tinycopilot.paths import ModelPaths

N_MESSAGES = 1_500
"""Number of messages of a short run, over all encodings."""
N_TENTHS = 10
LONG_MESSAGES = 50_000
"""From this many messages in one encoding, memory must be level after the first tenth, which is the warm-up."""
LEVEL = 1.05
WAIT_S = 60.0
MAX_WAITING = 40

# The server with an additional request, which returns its text of a document.
TELLING = """
from tinycopilot_server import handlers
register = handlers.register
def register_all(server):
    register(server)
    server.feature("test/text")(lambda params: server.session.documents[params.uri].text)
handlers.register = register_all
from tinycopilot_server.__main__ import main
main()
"""


@dataclass
class Soak:
    """A running session and its record."""

    client: StdioClient
    editor: RandomEditor
    folders: list[Path]
    oracle: Callable[[str, str], str] | None
    """The engine as oracle; only for a server that indexes the current document alone."""
    open_folders: set[Path] = field(default_factory=set)
    waiting: dict[int, "asyncio.Future[Answer]"] = field(default_factory=dict)
    n_messages: int = 0
    n_requests: int = 0
    n_texts: int = 0
    n_asked_engine: int = 0
    n_suggested: int = 0
    n_cancelled: int = 0

    def notify(self, method: str, params: object) -> None:
        self.client.notify(method, params)
        self.n_messages += 1

    def request(self, method: str, params: object) -> "asyncio.Future[Answer]":
        self.n_requests += 1
        self.n_messages += 1
        self.waiting[self.n_requests] = answer = self.client.request(method, params, self.n_requests + 1_000)
        return answer

    async def answered(self) -> None:
        """Wait for all responses, and check them."""
        answers = await asyncio.wait_for(asyncio.gather(*self.waiting.values()), WAIT_S)
        self.waiting.clear()
        for answer in answers:
            if "error" in answer.message:
                assert answer.message["error"]["code"] == -32800, answer.message  # cancelled, as requested
                self.n_cancelled += 1

    async def step(self) -> None:
        """One random action of an editor."""
        dice, editor = self.editor.dice, self.editor
        if len(editor.documents) < 2 or (len(editor.documents) < 5 and dice.random() < 0.03):
            self.notify(*editor.open())
        kinds: list[tuple[float, Callable[[], Any]]] = [
            (60, lambda: self.notify(*editor.change())),
            (16, self.ask_inline),
            (8, self.ask_popup),
            (5, self.cancel),
            (4, self.check_text),
            (2, self.check_engine),
            (2, lambda: self.notify(*editor.save())),
            (2, lambda: self.notify(*editor.close())),
            (1, self.change_on_disk),
            (0.3, self.change_folders),
            (0.3, lambda: self.notify("workspace/didChangeConfiguration", {"settings": None})),
            (0.3, lambda: self.notify("$/setTrace", {"value": "off"})),
        ]
        [make] = dice.choices([make for _, make in kinds], [weight for weight, _ in kinds])
        if asyncio.iscoroutine(wait := make()):
            await wait
        if len(self.waiting) >= MAX_WAITING or dice.random() < 0.1:
            await self.answered()

    def ask_inline(self) -> None:
        dice, document = self.editor.dice, self.editor.some_document()
        offset = self.editor.some_offset(document.text)
        context: dict[str, Any] = {"triggerKind": dice.choice((1, 2, 2, 2))}
        params = self.editor.place(document, offset)
        if dice.random() < 0.1:
            here = params["position"]
            context["selectedCompletionInfo"] = {"range": {"start": here, "end": here}, "text": "val"}
        self.request("textDocument/inlineCompletion", params | {"context": context})

    def ask_popup(self) -> None:
        document = self.editor.some_document()
        self.request("textDocument/completion", self.editor.place(document, self.editor.some_offset(document.text)))

    def cancel(self) -> None:
        """Cancel a pending request, a finished one, or one that never existed."""
        dice = self.editor.dice
        known = [*self.waiting, dice.randint(1, self.n_requests + 1), -1]
        self.notify("$/cancelRequest", {"id": dice.choice(known) + 1_000})

    async def check_text(self) -> None:
        document = self.editor.some_document()
        answer = await asyncio.wait_for(self.request("test/text", {"uri": document.uri}), WAIT_S)
        assert answer.result == document.text
        self.n_texts += 1

    async def check_engine(self) -> None:
        """Compare with the oracle; nothing else is pending, and no suggestion is being typed through."""
        if self.oracle is None:
            return
        await self.answered()
        other = {"uri": "file:///other.py", "languageId": "python", "version": 1, "text": "x = ["}
        document = self.editor.some_document()
        offset = self.editor.some_offset(document.text)
        self.notify("textDocument/didOpen", {"textDocument": other})
        await self.ghost(self.editor.place(Plain(other["uri"], "x = ["), 5))
        ghost = await self.ghost(self.editor.place(document, offset))
        self.notify("textDocument/didClose", {"textDocument": {"uri": other["uri"]}})
        assert ghost == self.oracle(document.text[:offset], document.text[offset:])
        self.n_asked_engine += 1
        self.n_suggested += bool(ghost)

    async def ghost(self, place: dict[str, Any]) -> str:
        params = place | {"context": {"triggerKind": 2}}
        answer = await asyncio.wait_for(self.request("textDocument/inlineCompletion", params), WAIT_S)
        items = answer.result["items"]
        return str(items[0]["insertText"]).replace("\r\n", "\n").replace("\r", "\n") if items else ""

    def change_on_disk(self) -> None:
        dice = self.editor.dice
        path = dice.choice(self.folders) / f"{dice.randrange(3)}.py"
        if path.exists() and dice.random() < 0.3:
            path.unlink()
        else:
            path.write_text(self.editor.some_text(100), encoding="utf-8", newline="")
        changes = [{"uri": path.as_uri(), "type": dice.choice((1, 2, 3))}]
        self.notify("workspace/didChangeWatchedFiles", {"changes": changes})

    def change_folders(self) -> None:
        folder = self.editor.dice.choice(self.folders)
        named = [{"uri": folder.as_uri(), "name": folder.name}]
        is_open = folder in self.open_folders
        self.open_folders ^= {folder}
        event = {"added": [] if is_open else named, "removed": named if is_open else []}
        self.notify("workspace/didChangeWorkspaceFolders", {"event": event})


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("encoding", "knows_more"), [("utf-8", True), ("utf-16", False), ("utf-32", True)])
async def test_random_editor_session(
    saved: ModelPaths,
    tmp_path: Path,
    python: Sequence[str],
    pytestconfig: pytest.Config,
    encoding: str,
    knows_more: bool,
) -> None:
    n_messages = (pytestconfig.getoption("messages") or N_MESSAGES) // len(CODECS)
    editor = RandomEditor(encoding, pytestconfig.getoption("seed"), tuple(f"file:///project/{i}.py" for i in range(9)))
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    engine = new_oracle(saved)
    is_long = n_messages >= LONG_MESSAGES
    # A forked server is not the process whose memory is measured.
    client = await StdioClient.start((*((sys.executable,) if is_long else python), "-c", TELLING))
    soak = Soak(client, editor, folders, None if knows_more else engine)
    options = {camel_case(name): value for name, value in dataclasses.asdict(EVERYTHING).items()}
    options |= {"modelPath": str(saved.model), "maxWorkspaceChars": 1_000_000 if knows_more else 0}
    await client.initialize(encoding, initializationOptions=options, workspaceFolders=[])
    await asyncio.wait_for(client.state("ready"), WAIT_S)
    resident, since = list[float](), time.perf_counter()
    for tenth in range(1, N_TENTHS + 1):
        while soak.n_messages < n_messages * tenth // N_TENTHS:
            await soak.step()
            await client.drain()
        await soak.answered()
        resident.append(resident_mb(client.pid))
    seconds = time.perf_counter() - since
    assert await client.end() == 0, "\n".join(client.last_lines)
    print(
        f"\n{encoding}: {soak.n_messages:,} messages in {seconds:.0f} s, {soak.n_messages / seconds:,.0f} a second; "
        f"{soak.n_requests:,} requests ({soak.n_cancelled:,} cancelled), {soak.n_texts:,} texts and "
        f"{soak.n_asked_engine:,} suggestions ({soak.n_suggested:,} not empty) compared; MB: {resident}"
    )
    assert max(client.n_answers.values()) == 1
    assert soak.n_texts
    assert knows_more or soak.n_suggested
    if is_long:
        assert max(resident[1:]) <= LEVEL * resident[0]


def new_oracle(saved: ModelPaths) -> Callable[[str, str], str]:
    """Return an oracle that has not seen the text before."""

    def ask(before: str, after: str) -> str:
        suggestion = suggest(Engine.load(saved, EVERYTHING), before, after)
        return suggestion.text if suggestion else ""

    return ask
