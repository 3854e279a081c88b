"""Amount of code that runs for a keystroke, from the server's handlers to the network and back.

    python benchmarks/keystroke_path.py [--root FOLDER] [--list]

Starts the language server of the checkout at --root (default: this one) with a profile hook, types a function into a
document of a small workspace, requesting inline completion after each key, and records each function of tinycopilot
that runs, after a second of typing that is not counted. Compiled functions count with all functions that they call,
found by name in their modules. A function's lines are those of its syntax tree as `ast.unparse` writes it: without
blanks, comments and docstrings; nested functions count once. Prints one JSON line.
"""

import argparse
import ast
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

OPENED = '"""Average the readings of a thermometer."""\n\nimport sys\nfrom pathlib import Path\n\n\n'
TYPED = """\
def main(path):
    days = {}
    for line in path:
        day, celsius = line.split()
        days[day] = float(celsius)
"""
N_UNCOUNTED = 20
"""Keys before counting starts, for work done only at the first requests."""


def traced(mark: Path, root: Path) -> str:
    """A program that runs the server with a profile hook; files next to `mark` start and stop the counting."""
    return f"""
import os, sys, threading
sys.path[:0] = [{str(root)!r}, {str(root / "server")!r}]
counting, is_done, seen, n = False, False, set(), 0
def note(frame, event, argument):
    global counting, n
    if event != "call":
        return
    n += 1
    if n % 50 == 0 and not counting and not is_done and os.path.exists({str(mark)!r} + ".begin"):
        counting = True
    if counting:
        code = frame.f_code
        seen.add((code.co_filename, code.co_firstlineno, code.co_name))
def write():
    with open({str(mark)!r}, "w") as file:
        file.writelines(f"{{name}}\\t{{line}}\\t{{function}}\\n" for name, line, function in list(seen))
threading.setprofile(note)
sys.setprofile(note)
try:
    from tinycopilot_server import serve as module
except ImportError:  # a checkout before 0.2
    from tinycopilot_server import app as module
class Stops(module.TinyCopilotServer):
    def stop(self):
        global counting, is_done
        if counting:
            counting, is_done = False, True
            write()
        super().stop()
module.TinyCopilotServer = Stops
from tinycopilot_server.__main__ import main
sys.argv = ["tinycopilot-server"]
sys.exit(main())
"""


async def drive(command: list[str], mark: Path, folder: Path) -> int:
    """Type TYPED with a request after each key; return the number of suggestions."""
    from lsprotocol import types  # noqa: PLC0415
    from pygls.lsp.client import LanguageClient  # noqa: PLC0415

    client, ready = LanguageClient("path", "1"), asyncio.Event()
    client.feature("tinycopilot/status")(lambda params: ready.set() if params.state == "ready" else None)
    await client.start_io(*command)
    folders = [types.WorkspaceFolder(folder.as_uri(), "workspace")]
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities(), workspace_folders=folders))
    client.initialized(types.InitializedParams())
    await ready.wait()
    uri, line, character, n_shown = (folder / "typed.py").as_uri(), OPENED.count("\n"), 0, 0
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 1, OPENED)))
    await asyncio.sleep(2)  # the workspace is indexed
    for i, key in enumerate(TYPED):
        if i == N_UNCOUNTED:
            mark.with_name(mark.name + ".begin").touch()
        here = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(range=types.Range(here, here), text=key)
        identifier = types.VersionedTextDocumentIdentifier(uri=uri, version=i + 2)
        client.text_document_did_change(types.DidChangeTextDocumentParams(identifier, [change]))
        line, character = (line + 1, 0) if key == "\n" else (line, character + 1)
        answer = await client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
                text_document=types.TextDocumentIdentifier(uri),
                position=types.Position(line, character),
            )
        )
        n_shown += len(answer.items if isinstance(answer, types.InlineCompletionList) else answer or [])
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()
    return n_shown


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def lines_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function as `ast.unparse` writes it, without its docstring and nested functions."""
    copy = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(copy, ast.FunctionDef | ast.AsyncFunctionDef)
    for inner in ast.walk(copy):
        body = getattr(inner, "body", None)
        if isinstance(body, list):
            is_function = isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
            if is_function and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                body[:1] = [] if len(body) > 1 else [ast.Pass()]
            if inner is copy or not is_function:
                body[:] = [n for n in body if not isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)] or [ast.Pass()]
    return len(ast.unparse(copy).split("\n"))


def is_compiled(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether one of its decorators compiles it."""
    return any("compiled" in ast.unparse(decorator) for decorator in node.decorator_list)


def called_compiled(trees: dict[Path, ast.Module], ran: set[tuple[Path, int]]) -> set[tuple[Path, int]]:
    """The compiled functions that these functions call, directly or indirectly, by name."""
    compiled = {
        node.name: (path, node) for path, tree in trees.items() for node in functions_of(tree) if is_compiled(node)
    }
    waiting = [node for path, tree in trees.items() for node in functions_of(tree) if (path, first_line(node)) in ran]
    found = set[tuple[Path, int]]()
    while waiting:
        for name in {part.id for part in ast.walk(waiting.pop()) if isinstance(part, ast.Name)}:
            if name in compiled and (compiled[name][0], first_line(compiled[name][1])) not in found:
                path, node = compiled[name]
                found.add((path, first_line(node)))
                waiting.append(node)
    return found


def first_line(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Like `co_firstlineno`: the line of the first decorator, if there is one."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def main() -> None:
    """Trace, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--list", action="store_true", help="print each function, with its lines")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        places = {"XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state"}
        os.environ.update({"HOME": temporary} | {name: str(home / place) for name, place in places.items()})
        folder, mark = home / "workspace", home / "functions"
        folder.mkdir()
        (folder / "other.py").write_text(Path(asyncio.__file__).with_name("locks.py").read_text("utf-8"))
        n_shown = asyncio.run(drive([sys.executable, "-c", traced(mark, root)], mark, folder))
        rows = [row.split("\t") for row in mark.read_text().splitlines()]
    sources = [path for top in ("tinycopilot", "server/tinycopilot_server") for path in (root / top).rglob("*.py")]
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sources}
    ran = {(Path(name), int(line)) for name, line, _ in rows if Path(name) in trees}
    ran |= called_compiled(trees, ran)
    counted = {
        (path, node.name, first_line(node)): lines_of(node)
        for path, tree in trees.items()
        for node in functions_of(tree)
        if (path, first_line(node)) in ran
    }
    if arguments.list:
        for (path, name, line), n_lines in sorted(counted.items()):
            print(f"{n_lines:5} {path.relative_to(root)}:{line} {name}")
    figures = {
        "functions": len(counted), "files": len({path for path, *_ in counted}), "lines": sum(counted.values()),
        "suggestions": n_shown, "keys": len(TYPED),
    }  # fmt: skip
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
