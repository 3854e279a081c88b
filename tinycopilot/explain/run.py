"""The command `explain`."""

from collections.abc import Callable

from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.truncation import CompleterSettings
from tinycopilot.explain.source import MAX_WORKSPACE_CHARS, read_target
from tinycopilot.explain.terminal import console, show
from tinycopilot.paths import describe_model, find_model

MAX_CHARS = 200
"""The last characters before the cursor that are explained; the model reads all that it can."""

def run_explain(
    target: str | None,
    *,
    workspace: str | None,
    eagerness: float,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
) -> None:
    """The whole command. Raises UserError."""
    source = read_target(target, workspace)
    folder = str(source.folder) if source.folder else None
    paths, origin = find_model(model_path, tokenizer_path, workspace=folder)
    engine = Engine.load(paths, CompleterSettings(eagerness=eagerness))
    say(describe_model(paths, origin))
    if n := source.index(engine):
        say(f"{n:,} files are not indexed: the limit is {MAX_WORKSPACE_CHARS // 1_000_000} MB")
    trace = engine.trace(Request(source.before, source.after, source.document), MAX_CHARS)
    if len(source.before) > MAX_CHARS:
        say(f"explained: the last {MAX_CHARS} of {len(source.before):,} characters before the cursor")
    show(console(), trace)
