"""What the client can ask, one handler a method: parse, ask, convert back. The only file that names LSP's methods."""

import asyncio
import logging
import re

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from tinycopilot_server import commands, configuration
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.asking import ask, ask_ahead
from tinycopilot_server.documents import Document, to_offset, to_units
from tinycopilot_server.folders import document_name, opened_as

MAX_WORD_CHARS = 200
DID_SHOW, DID_ACCEPT_PARTLY = "textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"
"""Of no specification, but sent by clients to several servers, with `{"item": ..., "acceptedLength": ...}`."""

log = logging.getLogger(__name__)


def register(server: TinyCopilotServer) -> None:
    """Tell pygls of every handler below, and to keep no documents of its own (documents.py says why)."""
    for method in (types.TEXT_DOCUMENT_DID_OPEN, types.TEXT_DOCUMENT_DID_CHANGE, types.TEXT_DOCUMENT_DID_CLOSE):
        server.protocol.fm.builtin_features.pop(method)
    feature = server.feature
    feature(types.INITIALIZE)(initialize)
    feature(types.INITIALIZED)(initialized)
    feature(types.SHUTDOWN)(shutdown)
    feature(types.TEXT_DOCUMENT_DID_OPEN)(did_open)
    feature(types.TEXT_DOCUMENT_DID_CHANGE)(did_change)
    feature(types.TEXT_DOCUMENT_DID_CLOSE)(did_close)
    feature(types.TEXT_DOCUMENT_DID_SAVE)(did_save)
    feature(types.WORKSPACE_DID_CHANGE_CONFIGURATION)(did_change_configuration)
    feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_watched_files)
    feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)
    feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    feature(DID_SHOW)(did_show)
    feature(DID_ACCEPT_PARTLY)(did_accept_partly)
    feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["."]))(completion)


def initialize(server: TinyCopilotServer, params: types.InitializeParams) -> None:
    """Answered at once: the model is loaded afterwards."""
    server.knows_folders = params.workspace_folders is not None
    server.stop_with_client(params.process_id)
    configuration.begin(server, params.initialization_options)


async def initialized(server: TinyCopilotServer, _: types.InitializedParams) -> None:
    """Now that the client can be told how it goes: ask for its settings, load the model, and index the workspace."""
    server.is_initialized = True
    server.stop_at_sigterm()
    server.update_folders()
    await configuration.first_pull(server)
    await asyncio.gather(server.model.start(), _register(server))


async def _register(server: TinyCopilotServer) -> None:
    """Ask the client to say what changes, if it can: of its settings, and on disk.

    On disk all of it, for a folder that is deleted is said as one.
    """
    able = server.client_capabilities
    if get_capability(able, "workspace.did_change_configuration.dynamic_registration"):
        section = types.DidChangeConfigurationRegistrationOptions(section=configuration.SECTION)
        await _register_one(server, "configuration", types.WORKSPACE_DID_CHANGE_CONFIGURATION, section)
    if get_capability(able, "workspace.did_change_watched_files.dynamic_registration"):
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*")])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        server.watches_files = await _register_one(server, "watched-files", method, options)


async def _register_one(server: TinyCopilotServer, name: str, method: str, options: object) -> bool:
    try:
        registration = types.Registration(name, method, options)
        await server.client_register_capability_async(types.RegistrationParams([registration]))
    except JsonRpcException as error:
        log.warning("the client will not say what changes (%s): %s", name, error)
        return False
    return True


async def did_change_configuration(server: TinyCopilotServer, params: types.DidChangeConfigurationParams) -> None:
    """The user has set something."""
    await configuration.changed(server, params.settings)


def shutdown(server: TinyCopilotServer, _: None) -> None:
    """Stop computing."""
    server.stop()


def did_open(server: TinyCopilotServer, params: types.DidOpenTextDocumentParams) -> None:
    """A document's text, from here on the client's."""
    opened = params.text_document
    uri, encoding = opened.uri, server.encoding
    names = document_name(uri), opened.language_id, opened_as(uri)
    server.documents.open(uri, Document(opened.text, opened.version, encoding, *names))


def did_change(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Edits, in their order."""
    if document := server.documents.get(params.text_document.uri):
        document.apply(params.content_changes, params.text_document.version)
        server.debounce.changed()
        server.model.follow()
        ask_ahead(server, params.text_document.uri, params.content_changes)
    server.count_what_is_due()


def did_close(server: TinyCopilotServer, params: types.DidCloseTextDocumentParams) -> None:
    """The document is the file system's again."""
    uri = params.text_document.uri
    server.statistics.judge(server.documents.text_of, document=uri, at_once=True)
    server.documents.close(uri)


def did_save(server: TinyCopilotServer, _: types.DidSaveTextDocumentParams) -> None:
    """Other files may have changed with it; if nobody says so, look."""
    if not server.watches_files:
        server.memory.look(None)


def did_change_watched_files(server: TinyCopilotServer, params: types.DidChangeWatchedFilesParams) -> None:
    """Files and folders were created, changed or deleted."""
    server.watches_files = True
    server.memory.look([change.uri for change in params.changes])


def did_change_workspace_folders(server: TinyCopilotServer, _: types.DidChangeWorkspaceFoldersParams) -> None:
    """Folders came or went."""
    server.update_folders()
    server.memory.look(None)


async def inline_completion(
    server: TinyCopilotServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Ghost text: the suggestion; and others, if the user asked for them.

    It is inserted at the cursor and replaces nothing: what closes after the cursor still does (insertion.py).
    Where an entry of a menu is selected, it is that entry, in its place, and what would follow.
    """
    is_invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    if not server.settings.inline or not (is_invoked or await server.debounce.is_quiet(server.settings.debounce_ms)):
        return types.InlineCompletionList(items=[])
    selected, server.is_asked = params.context.selected_completion_info, True
    answer = await ask(server, params.text_document.uri, params.position, with_others=is_invoked, selected=selected)
    if answer is None:
        return types.InlineCompletionList(items=[])
    where, already = (selected.range, selected.text) if selected else (types.Range(answer.cursor, answer.cursor), "")
    names = [server.statistics.answered(answer.uri, answer.before, answer.texts[0], answer.latency_ms)]
    names += [server.statistics.alternative(answer.uri, answer.before, text) for text in answer.texts[1:]]
    return types.InlineCompletionList(
        items=[
            types.InlineCompletionItem(insert_text=already + text, range=where, command=_accepting(name))
            for text, name in zip(answer.texts, names, strict=True)
        ]
    )


def _accepting(name: str) -> types.Command | None:
    """What the client is to do when a suggestion is accepted: to tell us which."""
    return types.Command("Count it", commands.ACCEPTED, arguments=[name]) if name else None


async def completion(server: TinyCopilotServer, params: types.CompletionParams) -> types.CompletionList:
    """The menu's entries, below all others: the rest of the line, and of the word at the cursor if that is less."""
    server.is_asked = True
    answer = await ask(server, params.text_document.uri, params.position) if server.settings.popup else None
    rest = answer.suggestion.text.split("\n")[0] if answer else ""
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
            command=_accepting(server.statistics.listed(answer.uri, answer.before, text)),
        )
        for i, text in enumerate(filter(None, texts))
    ]
    return types.CompletionList(is_incomplete=True, items=items)


def did_show(server: TinyCopilotServer, params: object) -> None:
    """The client has shown a suggestion."""
    server.statistics.shown(_name_in(params))


def did_accept_partly(server: TinyCopilotServer, params: object) -> None:
    """A part of a suggestion was accepted, or more of it."""
    name, length = _name_in(params), getattr(params, "acceptedLength", None)
    if isinstance(length, int):
        server.statistics.partly_accepted(name, to_offset(server.statistics.text_of(name), length, server.encoding))


def _name_in(params: object) -> str:
    """Which suggestion a client's own notification is about: it holds the item as it was sent. Empty if it does not."""
    arguments = getattr(getattr(getattr(params, "item", None), "command", None), "arguments", None)
    return str(arguments[0]) if isinstance(arguments, list) and arguments else ""
