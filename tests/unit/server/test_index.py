"""Which open documents are indexed, and when."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from lsprotocol import types
from lsprotocol.types import PositionEncodingKind as Kind
from tinycopilot_server.documents import Document, Notebook, name_of
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.settings import Settings

from tinycopilot.completion.ngram import NGramModel
from tinycopilot.completion.segments import Alphabet


class Engine:
    """Records the calls."""

    def __init__(self, calls: list[tuple[str, ...]]) -> None:
        self._calls = calls
        self.ngrams = self

    def hold(self, name: str, text: str) -> None:
        self._calls.append(("hold", name, text))

    def drop(self, name: str) -> bool:
        self._calls.append(("drop", name))
        return True


class Calls(list[tuple[str, ...]]):
    """Calls to the engine so far."""

    def __init__(self, server: TinyCopilotServer) -> None:
        super().__init__()
        self._server = server

    def now(self) -> list[tuple[str, ...]]:
        """Return the calls after all pending work in the engine's thread."""
        self._server.scheduler.submit(lambda: None).result()
        return list(self)


@pytest.fixture
def server() -> Iterator[tuple[TinyCopilotServer, Calls]]:
    """A server with three open documents."""
    server = TinyCopilotServer()
    calls = Calls(server)
    server.scheduler.submit(lambda: server.scheduler.use(Engine(calls))).result()  # type: ignore[arg-type]
    for name in ("a.py", "b.py", ".env"):
        document = Document(f"in {name}", 1, Kind.Utf16, "/" + name, "python")
        server.session.documents.add("file:///" + name, document)
    yield server, calls
    server.shutdown()


def test_other_documents_are_indexed_once_per_version(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    a, b, _ = server_.session.documents.values()
    server_.index.hold_others(a)
    assert calls.now() == [("hold", "/b.py", "in b.py"), ("drop", "/.env")]
    server_.index.hold_others(a)
    assert len(calls.now()) == 2
    # The engine indexes the current document itself, but not while a suggestion is typed through or before a
    # word. So it must be indexed as soon as the user works in another one.
    server_.index.admit(a)
    server_.index.hold_others(b)
    assert calls.now()[2:] == [("hold", "/a.py", "in a.py")]
    b.version = 2
    server_.index.hold_others(b)
    assert len(calls.now()) == 3
    server_.index.hold_others(a)
    assert calls.now()[3:] == [("hold", "/b.py", "in b.py")]


def test_document_name_in_the_index(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    a, _, env = server_.session.documents.values()
    assert server_.index.admit(a) == "/a.py"
    a.apply([types.TextDocumentContentChangeWholeDocument("x" * 3_000_000)], 2)
    assert server_.index.admit(a) is None
    assert server_.index.admit(env) is None
    assert calls.now() == [("drop", "/a.py"), ("drop", "/.env")]


def test_open_documents(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, _ = server
    assert server_.session.documents.is_open("/a.py")
    assert not server_.session.documents.is_open("/c.py")


def test_disabled_languages_are_not_indexed(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    a, b, _ = server_.session.documents.values()
    b.language = "json"
    server_.index.choose(Settings(exclude=("a.*",)))
    assert server_.index.admit(a) is None
    assert server_.index.admit(b) is None
    assert {("drop", "/a.py"), ("drop", "/b.py")} <= set(calls.now())
    server_.session.settings = Settings(languages=("*",))
    server_.index.choose(server_.session.settings)
    assert server_.index.admit(a) == "/a.py"
    assert server_.index.admit(b) == "/b.py"


def notebook(source: str, cell: str, opened_as: str) -> Notebook:
    """A notebook /n.ipynb with one Python cell."""
    opened = Notebook("/n.ipynb", opened_as)
    document = Document(source, 1, Kind.Utf16, "/n.ipynb", "python", opened_as)
    opened.open([types.NotebookCell(types.NotebookCellKind.Code, cell)], {cell: document})
    return opened


def test_closed_document_that_is_open_by_another_path(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    index, (_, b, _) = server_.index, server_.session.documents.values()
    index.open("file:///link.py", Document("in link", 1, Kind.Utf16, "/a.py", "python", "/link.py"))
    index.hold_others(b)
    del calls[: len(calls.now())]
    index.close_document("file:///a.py")
    index.hold_others(b)
    assert calls.now() == [("hold", "/a.py", "in link")]
    index.close_document("file:///link.py")
    assert calls.now()[1:] == [("drop", "/a.py")]


def test_closed_notebook_that_is_open_by_another_path(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    index, (_, b, _) = server_.index, server_.session.documents.values()
    for path in ("/n.ipynb", "/link.ipynb"):
        index.open_notebook("file://" + path, notebook(f"in {path}", "cell:" + path, path))
    index.hold_others(b)
    del calls[: len(calls.now())]
    index.close_notebook("file:///n.ipynb")
    index.hold_others(b)
    assert calls.now() == [("hold", "/n.ipynb#python", "in /link.ipynb")]
    index.close_notebook("file:///link.ipynb")
    assert calls.now()[1:] == [("drop", "/n.ipynb#python")]


def test_closed_notebook_that_is_open_as_text(server: tuple[TinyCopilotServer, Calls]) -> None:
    server_, calls = server
    index, (_, b, _) = server_.index, server_.session.documents.values()
    server_.session.settings = Settings(languages=("*",))
    index.open("file:///n.ipynb", Document("{}", 1, Kind.Utf16, "/n.ipynb", "json"))
    index.hold_others(b)
    index.open_notebook("file:///n.ipynb", notebook("x", "cell:0", "/n.ipynb"))
    del calls[: len(calls.now())]
    index.close_notebook("file:///n.ipynb")
    index.hold_others(b)
    assert calls.now() == [("drop", "/n.ipynb#python"), ("hold", "/n.ipynb", "{}")]


@pytest.mark.parametrize("limit", [0, 1_000])
def test_raised_limit_reads_all_files_even_if_a_scan_is_queued(tmp_path: Path, limit: int) -> None:
    for name in ("a.py", "deleted.py"):
        (tmp_path / name).write_text("x = 1\n")
    server, busy = TinyCopilotServer(), threading.Event()
    index, ngrams = server.index, NGramModel(Alphabet("\nx =1"), 1_000)
    tokenizer = SimpleNamespace(digest="")
    engine = SimpleNamespace(ngrams=ngrams, tokenizer=tokenizer, configure=print, restore=print)
    server.scheduler.submit(lambda: server.scheduler.use(engine)).result()  # type: ignore[arg-type]
    server.session.folders.set_roots([tmp_path.as_uri()])
    index.scan(None)
    index.indexer.submit(lambda: None).result()
    server.scheduler.submit(lambda: ngrams.limit(limit)).result()
    (tmp_path / "deleted.py").unlink()
    index.indexer.submit(busy.wait)
    index.scan([])  # queued, since the indexer is busy
    index.configure(Settings(max_workspace_chars=2_000))
    server.scheduler.submit(lambda: None).result()
    busy.set()
    for _ in range(2):
        index.indexer.submit(lambda: None).result()
    assert ngrams.documents == {name_of(tmp_path / "a.py")}
    server.shutdown()
