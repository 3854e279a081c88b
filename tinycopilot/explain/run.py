"""The `explain` command: load the model, index the project, and print the trace or write the page."""

from collections.abc import Callable

from tinycopilot.completion.engine import Engine, Request
from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.explain.source import read_target
from tinycopilot.explain.subject import MAX_CHARS, subject
from tinycopilot.explain.terminal import console, show
from tinycopilot.explain.trace import trace
from tinycopilot.page_file import check_page, write_page
from tinycopilot.paths import describe_model, find_model, real_path


def run_explain(
    target: str | None,
    *,
    workspace: str | None,
    html: str | None,
    eagerness: float,
    model_path: str | None,
    tokenizer_path: str | None,
    say: Callable[[str], None],
) -> None:
    """Run the command. Raises UserError."""
    page = real_path(html) if html is not None else None
    if page:
        check_page(page, "--html")
    source = read_target(target, workspace)
    folder = source.project.folder
    paths, origin = find_model(model_path, tokenizer_path, workspace=str(folder) if folder else None)
    engine = Engine.load(paths, CompleterSettings(eagerness=eagerness))
    say(describe_model(paths, origin))
    notes = list[str]()
    if n := source.project.index(lambda function: function(engine.ngrams)):
        notes.append(f"{n:,} files are not indexed: the limit is {MAX_WORKSPACE_CHARS // 1_000_000} MB")
    if len(source.before) > MAX_CHARS:
        notes.append(f"explained: the last {MAX_CHARS} of {len(source.before):,} characters before the cursor")
    for line in notes:
        say(line)
    request = Request(source.before, source.after, source.project.document)
    if page:
        from tinycopilot.explain.page import render  # noqa: PLC0415 (the terminal does without Jinja2)

        model = f"{paths.model.name} ({origin.value})"
        write_page(page, render(subject(engine, request, MAX_CHARS), page, model=model, notes=notes), "page")
        say(f"page: {page}")
    else:
        show(console(), trace(engine, request, MAX_CHARS))
