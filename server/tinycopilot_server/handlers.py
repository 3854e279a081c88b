"""What the client can ask, one handler a method: parse, ask, convert back. The only file that names LSP's methods."""

import logging
import re
from dataclasses import dataclass

from lsprotocol import types
from pygls.capabilities import get_capability
from pygls.exceptions import JsonRpcException

from tinycopilot.completion.stopping import Suggestion
from tinycopilot_server import status
from tinycopilot_server.app import TinyCopilotServer
from tinycopilot_server.documents import Document
from tinycopilot_server.folders import document_name
from tinycopilot_server.positions import to_units
from tinycopilot_server.settings import parse_settings

MAX_WORD_CHARS = 200

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
    feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)(did_change_watched_files)
    feature(types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(did_change_workspace_folders)
    feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(inline_completion)
    feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["."]))(completion)


def initialize(server: TinyCopilotServer, params: types.InitializeParams) -> None:
    """Answered at once: the model is loaded afterwards."""
    server.settings, problems = parse_settings(params.initialization_options)
    status.warn(server, problems)


async def initialized(server: TinyCopilotServer, _: types.InitializedParams) -> None:
    """Now that the client can be told how it goes: load the model, and then index the workspace."""
    server.update_folders()
    await server.load_model()
    server.worker.look(None)
    await _watch_files(server)


async def _watch_files(server: TinyCopilotServer) -> None:
    """Ask the client to say what changes on disk, if it can; all of it, for a folder that is deleted is said as one."""
    able = get_capability(server.client_capabilities, "workspace.did_change_watched_files.dynamic_registration")
    if able:
        options = types.DidChangeWatchedFilesRegistrationOptions([types.FileSystemWatcher("**/*")])
        method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
        registration = types.Registration("watched-files", method, options)
        try:
            await server.client_register_capability_async(types.RegistrationParams([registration]))
            server.watches_files = True
        except JsonRpcException as error:
            log.warning("the client does not watch files: %s", error)


def shutdown(server: TinyCopilotServer, _: None) -> None:
    """Stop computing."""
    server.training.close()
    server.worker.close()


def did_open(server: TinyCopilotServer, params: types.DidOpenTextDocumentParams) -> None:
    """A document's text, from here on the client's."""
    opened = params.text_document
    document = Document(opened.text, opened.version, server.encoding, document_name(opened.uri))
    server.documents[opened.uri] = document
    server.take_in(document, opened.text)


def did_change(server: TinyCopilotServer, params: types.DidChangeTextDocumentParams) -> None:
    """Edits, in their order."""
    if document := server.documents.get(params.text_document.uri):
        document.apply(params.content_changes, params.text_document.version)
        server.follow_model()


def did_close(server: TinyCopilotServer, params: types.DidCloseTextDocumentParams) -> None:
    """The document is the file system's again."""
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
    """Ghost text: the suggestion, inserted at the cursor and over nothing; and others, if the user asked for them."""
    is_invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    answer = await _ask(server, params, with_others=is_invoked)
    if answer is None:
        return types.InlineCompletionList(items=[])
    here = types.Range(answer.cursor, answer.cursor)
    texts = [some.text.replace("\n", answer.document.line_end) for some in (answer.suggestion, *answer.others)]
    return types.InlineCompletionList(
        items=[types.InlineCompletionItem(insert_text=text, range=here) for text in texts]
    )


async def completion(server: TinyCopilotServer, params: types.CompletionParams) -> types.CompletionList:
    """The popup's entry: the rest of the line, as a continuation of the word at the cursor, below all others."""
    answer = await _ask(server, params)
    rest = answer.suggestion.text.split("\n")[0] if answer else ""
    if answer is None or not rest.strip():
        return types.CompletionList(is_incomplete=True, items=[])
    word = re.split(r"\W", answer.before[-MAX_WORD_CHARS:])[-1]
    start = answer.cursor.character - to_units(word, len(word), server.encoding)
    where = types.Range(types.Position(answer.cursor.line, start), answer.cursor)
    item = types.CompletionItem(
        label=word + rest,
        kind=types.CompletionItemKind.Text,
        detail="tinycopilot",
        sort_text="\U0010ffff",
        filter_text=word + rest,
        text_edit=types.TextEdit(where, word + rest),
    )
    return types.CompletionList(is_incomplete=True, items=[item])


@dataclass(frozen=True)
class Answer:
    """A suggestion, and where it belongs."""

    document: Document
    cursor: types.Position
    before: str
    suggestion: Suggestion
    others: list[Suggestion]


async def _ask(
    server: TinyCopilotServer,
    params: types.InlineCompletionParams | types.CompletionParams,
    *,
    with_others: bool = False,
) -> Answer | None:
    """The suggestion at the cursor; None if there is none, or none is wanted, or the text has changed meanwhile."""
    uri = params.text_document.uri
    document = server.documents.get(uri)
    if document is None or server.is_paused:
        return None
    version = document.version
    before, after = document.split(params.position)
    name = server.name_to_hold(document, before + after)
    if name is None and document.is_secret(before + after):
        return None
    server.show_others(document)
    key = (document, version, len(before))
    suggestion = await server.worker.suggest(key, name, before, after)
    others = await server.worker.others(key) if suggestion is not None and with_others else []
    if suggestion is None or server.documents.get(uri) is not document or document.version != version:
        return None
    return Answer(document, document.clamp(params.position), before, suggestion, others)
