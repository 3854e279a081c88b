"""What the client can ask, one handler a method: parse, ask, convert back. The only file that names LSP's methods."""

import re

from lsprotocol import types

from tinycopilot.completion.stopping import Suggestion
from tinycopilot_server import status
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.documents import Document
from tinycopilot_server.positions import to_units
from tinycopilot_server.settings import parse_settings

WORD_BEFORE_CURSOR = re.compile(r"\w*\Z")


def register(server: TinyCopilotServer) -> None:
    """Tell pygls of every handler below."""
    feature = server.feature
    feature(types.INITIALIZE)(initialize)
    feature(types.INITIALIZED)(initialized)
    feature(types.SHUTDOWN)(shutdown)
    feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["."]))(completion)


def initialize(server: TinyCopilotServer, params: types.InitializeParams) -> None:
    """Answered at once: the model is loaded afterwards."""
    server.settings, problems = parse_settings(params.initialization_options)
    status.warn(server, problems)


async def initialized(server: TinyCopilotServer, _: types.InitializedParams) -> None:
    """Now that the client can be told how it goes: load the model."""
    await server.load_model()


def shutdown(server: TinyCopilotServer, _: None) -> None:
    """Stop computing."""
    server.worker.close()


def did_open(server: TinyCopilotServer, params: types.DidOpenTextDocumentParams) -> None:
    """A document's text, from here on the client's."""
    document = params.text_document
    server.documents[document.uri] = Document(document.text, document.version, server.encoding)


def did_change(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Edits, in their order."""
    if document := server.documents.get(params.text_document.uri):
        document.apply(params.content_changes, params.text_document.version)


def did_close(server: TinyCopilotServer, params: types.DidCloseTextDocumentParams) -> None:
    """The document is the file system's again."""
    server.documents.pop(params.text_document.uri, None)


async def inline_completion(
    server: TinyCopilotServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Ghost text: the suggestion, inserted at the cursor and over nothing."""
    document, _, suggestion = await _ask(server, params)
    if document is None or suggestion is None:
        return types.InlineCompletionList(items=[])
    text = suggestion.text.replace("\n", document.line_end)
    here = types.Range(params.position, params.position)
    return types.InlineCompletionList(items=[types.InlineCompletionItem(insert_text=text, range=here)])


async def completion(server: TinyCopilotServer, params: types.CompletionParams) -> types.CompletionList:
    """The popup's entry: the rest of the line, as a continuation of the word at the cursor, below all others."""
    _, before, suggestion = await _ask(server, params)
    rest = suggestion.text.split("\n")[0] if suggestion else ""
    if not rest.strip():
        return types.CompletionList(is_incomplete=True, items=[])
    word = WORD_BEFORE_CURSOR.search(before[-200:])[0]  # type: ignore[index]  # (it matches the empty word, too)
    start = params.position.character - to_units(word, len(word), server.encoding)
    where = types.Range(types.Position(params.position.line, start), params.position)
    item = types.CompletionItem(
        label=word + rest,
        kind=types.CompletionItemKind.Text,
        detail="tinycopilot",
        sort_text="\U0010ffff",
        filter_text=word + rest,
        text_edit=types.TextEdit(where, word + rest),
    )
    return types.CompletionList(is_incomplete=True, items=[item])


async def _ask(
    server: TinyCopilotServer, params: types.InlineCompletionParams | types.CompletionParams
) -> tuple[Document | None, str, Suggestion | None]:
    """The document, the text before the cursor, and the suggestion there: None if the text changed meanwhile."""
    uri = params.text_document.uri
    document = server.documents.get(uri)
    if document is None:
        return None, "", None
    version = document.version
    before, after = document.split(params.position)
    suggestion = await server.worker.suggest((uri, version, len(before)), before, after)
    current = server.documents.get(uri) is document and document.version == version
    return document, before, suggestion if current else None
