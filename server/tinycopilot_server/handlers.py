"""LSP handlers, one for each method: parse, call, convert back. The only file that names LSP's methods."""

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from tinycopilot_server import commands
from tinycopilot_server.documents import Document, Notebook, document_name, opened_as, split_lines, to_offset, to_units
from tinycopilot_server.server import TinyCopilotServer
from tinycopilot_server.settings import SECTION, pushed_settings

MAX_WORD_CHARS = 200
PULL_S = 1.0
"""Time limit for the client's settings; after it, the model is loaded without them, and they count as a change."""
DID_SHOW, DID_ACCEPT_PARTLY = "textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"
"""Not in the LSP specification, but several clients send them, with `{"item": ..., "acceptedLength": ...}`."""

log = logging.getLogger(__name__)


def initialize(server: TinyCopilotServer, params: types.InitializeParams) -> None:
    """Answer at once: the model is loaded later."""
    server.session.has_folders = params.workspace_folders is not None
    server.session.has_ghost_text = get_capability(params.capabilities, "text_document.inline_completion") is not None
    server.stop_with_client(params.process_id)
    server.session.initial_settings = params.initialization_options
    server.apply_settings(None)


async def initialized(server: TinyCopilotServer, _: types.InitializedParams) -> None:
    """Pull the client's settings, load the model, and index the workspace."""
    server.session.is_initialized = True
    server.stop_at_sigterm()
    server.update_folders()
    await asyncio.wait({asyncio.ensure_future(server.pull_settings())}, timeout=PULL_S)
    await asyncio.gather(server.models.start(), _register(server))


async def _register(server: TinyCopilotServer) -> None:
    """Ask the client to report changed settings and files, if it can.

    All files are watched, because a client reports the deletion of a folder as one event.
    """
    able, registrations = server.client_capabilities, list[types.Registration]()
    if get_capability(able, "workspace.did_change_configuration.dynamic_registration"):
        section = types.DidChangeConfigurationRegistrationOptions(section=SECTION)
        registrations.append(types.Registration("configuration", types.WORKSPACE_DID_CHANGE_CONFIGURATION, section))
    if can_watch := bool(get_capability(able, "workspace.did_change_watched_files.dynamic_registration")):
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*")])
        registrations.append(types.Registration("files", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options))
    if not registrations:
        return
    try:
        await server.client_register_capability_async(types.RegistrationParams(registrations))
        server.session.watches_files = can_watch
    except JsonRpcException as error:
        log.warning("the client refused to report changes: %s", error)


async def did_change_configuration(server: TinyCopilotServer, params: types.DidChangeConfigurationParams) -> None:
    """Apply the settings that the client pushes; without any, pull them."""
    pushed = pushed_settings(params.settings)
    if pushed is not None:
        server.apply_settings(pushed)
    else:
        await server.pull_settings()


def shutdown(server: TinyCopilotServer, _: None) -> None:
    """Stop computing."""
    server.stop()


def did_open(server: TinyCopilotServer, params: types.DidOpenTextDocumentParams) -> None:
    """Add an opened document, whose text is now the client's."""
    opened = params.text_document
    if not server.session.documents.is_cell(opened.uri):
        server.index.open(opened.uri, _document(server, opened, opened.uri))


def _document(server: TinyCopilotServer, opened: types.TextDocumentItem, file_uri: str) -> Document:
    """The document of a file or, with the names of its notebook's file, of a cell."""
    names = document_name(file_uri), opened.language_id, opened_as(file_uri), server.session.folders.tops
    return Document(opened.text, opened.version, server.encoding, *names)


def did_change(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Apply edits, and compute the suggestion for the expected next request ahead."""
    uri = params.text_document.uri
    if (document := server.session.documents.get(uri)) and not server.session.documents.is_cell(uri):
        document.apply(params.content_changes, params.text_document.version)
        server.models.follow()
        server.completer.changed(uri, document, params.content_changes)
    server.statistics.update()


def did_close(server: TinyCopilotServer, params: types.DidCloseTextDocumentParams) -> None:
    """Remove a closed document, whose text is that on disk again."""
    uri = params.text_document.uri
    if server.session.documents.is_cell(uri):
        return
    server.statistics.check_kept(uri)
    server.index.close_document(uri)


def did_open_notebook(server: TinyCopilotServer, params: types.DidOpenNotebookDocumentParams) -> None:
    """Add an opened notebook with its cells, whose texts are now the client's."""
    uri, cells = params.notebook_document.uri, params.notebook_document.cells
    notebook = Notebook(document_name(uri), opened_as(uri))
    notebook.open(cells, {item.uri: _document(server, item, uri) for item in params.cell_text_documents})
    server.index.open_notebook(uri, notebook)


def did_change_notebook(server: TinyCopilotServer, params: types.DidChangeNotebookDocumentParams) -> None:
    """Apply changes of cells; after an edit, compute the suggestion for the expected next request ahead."""
    documents, change = server.session.documents, params.change.cells
    notebook = documents.notebooks.get(params.notebook_document.uri)
    if notebook is None or change is None:
        return
    for closed in (change.structure.did_close or ()) if change.structure else ():
        server.statistics.check_kept(closed.uri)
    notebook.apply(change, lambda item: _document(server, item, params.notebook_document.uri))
    if change.structure:
        documents.take_cells(notebook)
    edits = change.text_content or ()
    if len(edits) == 1 and (document := documents.get(edits[0].document.uri)):
        server.models.follow()
        server.completer.changed(edits[0].document.uri, document, edits[0].changes)
    server.statistics.update()


def did_close_notebook(server: TinyCopilotServer, params: types.DidCloseNotebookDocumentParams) -> None:
    """Remove a closed notebook, whose text is that on disk again."""
    for cell in params.cell_text_documents:
        server.statistics.check_kept(cell.uri)
    server.index.close_notebook(params.notebook_document.uri)


def did_save(server: TinyCopilotServer, _: types.DidSaveTextDocumentParams) -> None:
    """Scan for changes of other files, if the client does not report them."""
    if not server.session.watches_files:
        server.index.scan(None)


def did_change_watched_files(server: TinyCopilotServer, params: types.DidChangeWatchedFilesParams) -> None:
    """Scan files and folders that were created, changed or deleted."""
    server.session.watches_files = True
    server.index.scan([change.uri for change in params.changes])


def did_change_workspace_folders(server: TinyCopilotServer, _: types.DidChangeWorkspaceFoldersParams) -> None:
    """Apply added and removed workspace folders."""
    server.update_folders()
    server.index.scan(None)


async def inline_completion(
    server: TinyCopilotServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Ghost text: the suggestion, and alternatives if the user invoked it.

    It is inserted at the cursor and replaces nothing: closing brackets after the cursor stay (insertion.py). If a
    menu entry is selected, the item replaces that entry's range with the entry and its continuation.
    """
    is_invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    settings, completer = server.session.settings, server.completer
    if not settings.inline or not (is_invoked or await completer.debounce.is_quiet(settings.debounce_ms)):
        return types.InlineCompletionList(items=[])
    uri, selected, completer.is_used = params.text_document.uri, params.context.selected_completion_info, True
    if settings.inline == "onDemand" and not (is_invoked or completer.is_typed_along(uri, params.position)):
        return types.InlineCompletionList(items=[])
    answer = await completer.complete(uri, params.position, with_alternatives=is_invoked, selected=selected)
    if is_invoked:
        completer.invoked = answer
    if answer is None:
        return types.InlineCompletionList(items=[])
    where, already = (selected.range, selected.text) if selected else (types.Range(answer.cursor, answer.cursor), "")
    shown = [(text, 0) for text in answer.texts]
    if settings.multiline == "firstLine":
        shown = server.folding.fold(uri, answer.before, answer.texts)
    names = [server.statistics.answered(uri, answer.before, shown[0][0], answer.latency_ms)]
    names += [server.statistics.alternative(uri, answer.before, text) for text, _ in shown[1:]]
    return types.InlineCompletionList(
        items=[
            types.InlineCompletionItem(insert_text=already + text, range=where, command=_accepting(name, n_hidden))
            for (text, n_hidden), name in zip(shown, names, strict=True)
        ]
    )


def _accepting(name: str, n_hidden: int = 0) -> types.Command | None:
    """The command that the client runs when a suggestion is accepted: with its name, and the number of hidden lines."""
    if not name and not n_hidden:
        return None
    return types.Command("Count it", commands.ACCEPTED, arguments=[name, n_hidden] if n_hidden else [name])


async def completion(server: TinyCopilotServer, params: types.CompletionParams) -> types.CompletionList:
    """Entries of the completion menu, sorted last: the rest of the line, and that of the word if it is shorter."""
    completer, uri = server.completer, params.text_document.uri
    completer.is_used = True
    answer = await completer.complete(uri, params.position) if server.session.lists_suggestions else None
    rest = split_lines(answer.texts[0])[0].rstrip("\r\n") if answer else ""
    if answer is None or not rest.strip():
        return types.CompletionList(is_incomplete=True, items=[])
    begun = re.split(r"\W", answer.before[-MAX_WORD_CHARS:])[-1]
    start = answer.cursor.character - to_units(begun, len(begun), server.encoding)
    where = types.Range(types.Position(answer.cursor.line, start), answer.cursor)
    word = re.match(r"\w*", rest)
    texts = dict.fromkeys((rest, word[0] if word else ""))
    items = [
        types.CompletionItem(
            label=begun + text,
            kind=types.CompletionItemKind.Text,
            detail="tinycopilot",
            sort_text=f"\U0010ffff{i}",
            filter_text=begun + text,
            text_edit=types.TextEdit(where, begun + text),
            command=_accepting(server.statistics.listed(uri, answer.before, text)),
        )
        for i, text in enumerate(filter(None, texts))
    ]
    return types.CompletionList(is_incomplete=True, items=items)


def did_show(server: TinyCopilotServer, params: object) -> None:
    """Count a suggestion that the client has shown."""
    server.statistics.shown(_name_in(params))


def did_accept_partly(server: TinyCopilotServer, params: object) -> None:
    """Count a partial accept, or a larger part of the same suggestion."""
    name, length = _name_in(params), getattr(params, "acceptedLength", None)
    if isinstance(length, int):
        server.statistics.partly_accepted(name, to_offset(server.statistics.text_of(name), length, server.encoding))


def _name_in(params: object) -> str:
    """The name of the suggestion in a client's notification, which contains the original item; "" if it is missing."""
    arguments = getattr(getattr(getattr(params, "item", None), "command", None), "arguments", None)
    return str(arguments[0]) if isinstance(arguments, list) and arguments else ""


HANDLERS: dict[str, Callable[..., Any]] = {
    types.INITIALIZE: initialize,
    types.INITIALIZED: initialized,
    types.SHUTDOWN: shutdown,
    types.TEXT_DOCUMENT_DID_OPEN: did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: did_close,
    types.TEXT_DOCUMENT_DID_SAVE: did_save,
    types.NOTEBOOK_DOCUMENT_DID_OPEN: did_open_notebook,
    types.NOTEBOOK_DOCUMENT_DID_CHANGE: did_change_notebook,
    types.NOTEBOOK_DOCUMENT_DID_CLOSE: did_close_notebook,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WATCHED_FILES: did_change_watched_files,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: did_change_workspace_folders,
    types.TEXT_DOCUMENT_INLINE_COMPLETION: inline_completion,
    types.TEXT_DOCUMENT_COMPLETION: completion,
    DID_SHOW: did_show,
    DID_ACCEPT_PARTLY: did_accept_partly,
}
OPTIONS = {
    types.TEXT_DOCUMENT_INLINE_COMPLETION: types.InlineCompletionOptions(),
    types.TEXT_DOCUMENT_COMPLETION: types.CompletionOptions(trigger_characters=["."]),
}


def register(server: TinyCopilotServer) -> None:
    """Register the handlers, and remove pygls's own copies of documents (see documents.py)."""
    for method, handler in HANDLERS.items():
        if method.startswith(("textDocument/did", "notebookDocument/did")):
            server.protocol.fm.builtin_features.pop(method, None)
        server.feature(method, OPTIONS.get(method))(handler)
