"""The real server over stdio, driven by pytest-lsp's client, which validates messages against the specification."""

import dataclasses
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from lsp_editor import Editor, Start
from lsprotocol import types
from networks import EVERYTHING, randomize, sure
from pytest_lsp import ClientServerConfig, LanguageClient
from tinycopilot_server.settings import camel_case

from tinycopilot.completion.request import CompleterSettings
from tinycopilot.model.gpt import GPTConfig, TinyGPT
from tinycopilot.model.tokenizer import BASIC_CHARACTERS, SimpleTokenizer
from tinycopilot.paths import ModelPaths

NOT_SUPPORTED = object()


def new_model(tokenizer: SimpleTokenizer) -> TinyGPT:
    torch.set_num_threads(1)
    return randomize(TinyGPT(GPTConfig(tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=32, window=16)))


def save(model: TinyGPT, tokenizer: SimpleTokenizer, folder: Path) -> ModelPaths:
    paths = ModelPaths(folder / "tiny_gpt.pth", folder / "tokenizer.pth")
    tokenizer.save(paths.tokenizer)
    model.save(paths.model, tokenizer)
    return paths


@pytest.fixture(scope="session")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> ModelPaths:
    """A random network with nearly uniform predictions, so that the n-gram model decides."""
    tokenizer = SimpleTokenizer(BASIC_CHARACTERS)
    model = new_model(tokenizer)
    model.head.weight *= 1e-3
    return save(model, tokenizer, tmp_path_factory.mktemp("unsure"))


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> ModelPaths:
    """A random network over printable ASCII that never generates a space or tab: blank suggestions are not shown."""
    tokenizer = SimpleTokenizer(BASIC_CHARACTERS)
    model = new_model(tokenizer)
    model.embedding.weight *= 8  # so that predictions depend on the text, not only on the biases
    model.ln.weight[:], model.ln.bias[:] = 1, 0
    model.ln.weight[0], model.ln.bias[0], model.head.weight[:, 0] = 0, 1, 0  # one feature is always 1. It ...
    model.head.weight[tokenizer.encode(" \t"), 0] = -99  # ... suppresses whitespace ...
    model.head.weight[tokenizer.encode("\n"), 0] = 7  # ... and makes line ends more likely
    return save(sure(model), tokenizer, tmp_path_factory.mktemp("model"))


@pytest.fixture
async def start(saved: ModelPaths, python: Sequence[str]) -> AsyncIterator[Start]:
    """Start servers; at the end, shut each down and require exit code 0."""
    editors: list[Editor] = []

    async def start_one(
        *,
        encoding: types.PositionEncodingKind | None = types.PositionEncodingKind.Utf16,
        settings: CompleterSettings = EVERYTHING,
        options: dict[str, Any] | None = None,
        wait: bool = True,
        folders: Sequence[Path] = (),
        root: Path | None = None,
        watches: bool = False,
        configuration: Any = NOT_SUPPORTED,
        shows_progress: bool = False,
        program: Sequence[str] = ("-m", "tinycopilot_server"),
        imports: bool = False,
        has_ghost_text: bool = False,
        notebooks: bool = False,
    ) -> Editor:
        """`imports`: import all modules in the new process, so that it takes a while to be ready. `has_ghost_text`:
        announce inline completion. `notebooks`: announce notebook synchronization.
        """
        client = await ClientServerConfig([*([sys.executable] if imports else python), *program]).start()
        assert isinstance(client, LanguageClient)
        editor = Editor(client)
        client.feature("tinycopilot/status")(lambda params: editor.statuses.append(params))
        client.feature(types.CLIENT_REGISTER_CAPABILITY)(
            lambda params: editor.registrations.extend(params.registrations)
        )
        client.protocol.fm.features.pop(types.WORKSPACE_CONFIGURATION)  # pytest-lsp's own
        client.feature(types.WORKSPACE_CONFIGURATION)(lambda params: editor.answer_configuration(params))
        editor.configuration = None if configuration is NOT_SUPPORTED else configuration
        editors.append(editor)
        encodings = [encoding] if encoding else None
        capabilities = types.ClientCapabilities(
            general=types.GeneralClientCapabilities(position_encodings=encodings),
            workspace=types.WorkspaceClientCapabilities(
                did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=watches),
                configuration=configuration is not NOT_SUPPORTED,
                did_change_configuration=types.DidChangeConfigurationClientCapabilities(
                    dynamic_registration=configuration is not NOT_SUPPORTED
                ),
            ),
            text_document=types.TextDocumentClientCapabilities(
                inline_completion=types.InlineCompletionClientCapabilities() if has_ghost_text else None
            ),
            window=types.WindowClientCapabilities(work_done_progress=shows_progress),
            notebook_document=types.NotebookDocumentClientCapabilities(types.NotebookDocumentSyncClientCapabilities())
            if notebooks
            else None,
        )
        if options is None:
            options = {"modelPath": str(saved.model), "tokenizerPath": str(saved.tokenizer)}
            options |= {camel_case(name): value for name, value in dataclasses.asdict(settings).items()}
        params = types.InitializeParams(
            capabilities=capabilities,
            initialization_options=options,
            root_uri=root and root.as_uri(),
            workspace_folders=[types.WorkspaceFolder(folder.as_uri(), folder.name) for folder in folders] or None,
        )
        editor.capabilities = (await client.initialize_session(params)).capabilities
        if wait:
            await editor.state("ready")
        return editor

    yield start_one
    for editor in editors:
        server = editor.process
        if editor.has_shut_down:
            editor.client.exit(None)
        else:
            await editor.client.shutdown_session()
        assert await server.wait() == 0
