"""What the client can ask, one handler a method: parse, ask, convert back. The only file that names LSP's methods."""

import asyncio
import logging
import re
import time
from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from tinycopilot.completion.stopping import Suggestion
from tinycopilot.completion.where_in_code import where_in_code
from tinycopilot_server import commands, configuration
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.cursor import cursor_after
from tinycopilot_server.documents import Document
from tinycopilot_server.folders import document_name
from tinycopilot_server.positions import to_offset, to_units

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
    configuration.begin(server, params.initialization_options)


async def initialized(server: TinyCopilotServer, _: types.InitializedParams) -> None:
    """Now that the client can be told how it goes: ask for its settings, load the model, and index the workspace."""
    server.is_initialized = True
    server.update_folders()
    await configuration.first_pull(server)
    await asyncio.gather(server.start(), _register(server))


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
    document = Document(opened.text, opened.version, server.encoding, document_name(opened.uri), opened.language_id)
    server.documents[opened.uri] = document
    server.opened.add(document.name)
    server.take_in(document, opened.text)


def did_change(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Edits, in their order."""
    if document := server.documents.get(params.text_document.uri):
        document.apply(params.content_changes, params.text_document.version)
        server.debounce.changed()
        server.follow_model()
        _ask_ahead(server, params)
    server.count_what_is_due()


def _ask_ahead(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Look for what will be asked next: most clients ask some milliseconds after the change, and then it is there."""
    cursor, wanted = cursor_after(params.content_changes, server.encoding), server.settings
    is_wanted = server.is_asked and (wanted.inline or wanted.popup) and not wanted.debounce_ms
    if cursor is not None and is_wanted:
        asked = types.CompletionParams(types.TextDocumentIdentifier(params.text_document.uri), cursor)
        server.ahead = asyncio.ensure_future(_ask(server, asked))
        server.ahead.add_done_callback(_is_of_no_account)


def _is_of_no_account(asked: "asyncio.Future[Answer | None]") -> None:
    """What went wrong will go wrong again for who asks."""
    if not asked.cancelled():
        asked.exception()


def did_close(server: TinyCopilotServer, params: types.DidCloseTextDocumentParams) -> None:
    """The document is the file system's again."""
    server.judge_accepted(params.text_document.uri)
    if document := server.documents.pop(params.text_document.uri, None):
        server.worker.drop(document.name)
        server.worker.look([params.text_document.uri])


def did_save(server: TinyCopilotServer, _: types.DidSaveTextDocumentParams) -> None:
    """Other files may have changed with it; if nobody says so, look."""
    if not server.watches_files:
        server.worker.look(None)


def did_change_watched_files(server: TinyCopilotServer, params: types.DidChangeWatchedFilesParams) -> None:
    """Files and folders were created, changed or deleted."""
    server.watches_files = True
    server.worker.look([change.uri for change in params.changes])


def did_change_workspace_folders(server: TinyCopilotServer, _: types.DidChangeWorkspaceFoldersParams) -> None:
    """Folders came or went."""
    server.update_folders()
    server.worker.look(None)


async def inline_completion(
    server: TinyCopilotServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    """Ghost text: the suggestion; and others, if the user asked for them.

    It is inserted at the cursor and over nothing, also before closing brackets, for it ends before them (tidy.py).
    Where an entry of a menu is selected, it is that entry, in its place, and what would follow.
    """
    is_invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    if not server.settings.inline or not (is_invoked or await server.debounce.is_quiet(server.settings.debounce_ms)):
        return types.InlineCompletionList(items=[])
    selected, server.is_asked = params.context.selected_completion_info, True
    answer = await _ask(server, params, with_others=is_invoked, selected=selected)
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
    answer = await _ask(server, params) if server.settings.popup else None
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


@dataclass(frozen=True)
class Answer:
    """A suggestion, and where it belongs."""

    uri: str
    document: Document
    cursor: types.Position
    before: str
    """What stands before the suggestion, or would."""
    suggestion: Suggestion
    others: list[Suggestion]
    latency_ms: float

    @property
    def texts(self) -> list[str]:
        """All of them, with the document's line ends."""
        return [some.text.replace("\n", self.document.line_end) for some in (self.suggestion, *self.others)]


async def _ask(
    server: TinyCopilotServer,
    params: types.InlineCompletionParams | types.CompletionParams,
    *,
    with_others: bool = False,
    selected: types.SelectedCompletionInfo | None = None,
) -> Answer | None:
    """The suggestion at the cursor; None if there is none, or none is wanted, or the text has changed meanwhile."""
    uri, since = params.text_document.uri, time.perf_counter()
    document = server.documents.get(uri)
    if document is None or server.is_silent or not server.wants(document):
        return None
    version = document.version
    before, after = document.split(params.position)
    if not _is_wanted_here(server, document, before):
        return None
    name = server.name_to_hold(document, before + after)
    if name is None and document.is_secret(before + after):
        return None
    server.show_others(document)
    as_if = _with_selected(document, selected)
    key = (document, version, len(before), as_if)
    suggestion = await server.worker.suggest(key, name, before, after, as_if)
    latency_ms = 1000 * (time.perf_counter() - since)
    others = await server.worker.others(key) if suggestion is not None and with_others and as_if is None else []
    if suggestion is None or server.documents.get(uri) is not document or document.version != version:
        return None
    stands_before = as_if[0] if as_if else before
    return Answer(uri, document, document.clamp(params.position), stands_before, suggestion, others, latency_ms)


def _with_selected(document: Document, selected: types.SelectedCompletionInfo | None) -> tuple[str, str] | None:
    """The texts on both sides of the cursor as they would be if the menu's selected entry were accepted."""
    if selected is None:
        return None
    before, _ = document.split(selected.range.start)
    _, after = document.split(selected.range.end)
    return before + selected.text, after


def _is_wanted_here(server: TinyCopilotServer, document: Document, before: str) -> bool:
    """Whether the settings let it be suggested after `before`."""
    wanted = server.settings
    if wanted.in_comments and wanted.in_strings:
        return True
    where = where_in_code(before, document.language)
    return {"code": True, "comment": wanted.in_comments, "string": wanted.in_strings}[where]
