"""The generated parts of docs/architecture.md (`make map`): the diagram of the imports, and the index of all modules.

The index has a row for each source file: the first sentence of its docstring or first comment, and its public names.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
SOURCES = {"tinycopilot": ROOT / "tinycopilot", "tinycopilot_server": ROOT / "server" / "tinycopilot_server"}
SHARED = "files"
"""The node for the package of this name and the modules directly in tinycopilot/, except cli.py and api.py."""
DESCRIPTIONS = {
    "server": "the language server",
    "cli": "tinycopilot/cli.py: parse, call, print",
    "api": "tinycopilot/api.py: load, train",
    "client": "doctor, demo, clean",
    "http": "completions over HTTP",
    "tui": "play: ghost text in the terminal",
    "explain": "why a suggestion is or isn't shown",
    "evaluation": "eval, bench, adapt",
    "training": "how the network learns",
    "completion": "engine, compiled network, n-gram model",
    "model": "the network in PyTorch; tokenizer and model files, which need no PyTorch",
    "page": "template, styles and script of HTML pages",
    SHARED: "which files are read, secrets; modules directly in tinycopilot/: paths, processes",
}
PACKAGES = sorted(init.parent.name for init in SOURCES["tinycopilot"].glob("*/__init__.py"))
FOLDERS = {
    "tinycopilot": "*.py",
    **{f"tinycopilot/{name}": "**/*.py" for name in PACKAGES},
    "server/tinycopilot_server": "**/*.py",
    "editors/vscode/src": "*.ts",
    "editors/nvim/lua/tinycopilot": "*.lua",
}
"""Folders with a table in the index, and the pattern of their files."""
HEADING = "### ["
"""The start of each section heading of the index."""
PUBLIC = {
    ".ts": r"^export (?:async )?(?:function|class) (\w+)",
    ".lua": r"^function M\.(\w+)",
}
"""Pattern of public functions and classes, by file suffix."""
Edge = tuple[str, str]


def node_of(module: str) -> str:
    """Return the diagram's node for a module; "" if it has none."""
    top, _, rest = module.partition(".")
    if top == "tinycopilot_server":
        return "server"
    first = rest.partition(".")[0]
    if top != "tinycopilot" or first in ("UserError", "__version__", ""):
        return ""
    return first if first in DESCRIPTIONS else SHARED


def edges() -> set[Edge]:
    """Return all imports between nodes, both at the top of a file and in functions."""
    found = set[Edge]()
    for top, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            if path.name == "__main__.py":  # entry points, which no module imports
                continue
            here = node_of(".".join((top, *path.relative_to(folder).with_suffix("").parts)))
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                found |= {(here, node_of(prefix + name)) for name in names}
    return {(here, there) for here, there in found if here and there and here != there}


def transitive_reduction(found: set[Edge]) -> set[Edge]:
    """Remove the edges of an acyclic graph that longer paths imply."""
    order = TopologicalSorter({here: {b for a, b in found if a == here} for here, _ in found}).static_order()
    below, kept = dict[str, set[str]](), set[Edge]()
    for here in order:  # each node comes after those that it imports
        targets = {b for a, b in found if a == here}
        below[here] = targets.union(*(below[target] for target in targets))
        kept |= {(here, target) for target in targets if not any(target in below[other] for other in targets)}
    return kept


def diagram() -> str:
    """The packages and their imports (transitive reduction) as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    lines += [f'    {name}["<b>{name}</b><br>{text}"]' for name, text in DESCRIPTIONS.items()]
    lines += [f"    {here} --> {there}" for here, there in sorted(transitive_reduction(edges()))]
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    """Return the first sentence of a docstring for a table cell: on one line, without `Name: ` at its start."""
    sentence = re.split(r"\.(?:\s|$)", " ".join(text.partition("\n\n")[0].split()))[0]
    sentence = re.sub(r"^\w+: ", "", sentence).replace("|", r"\|")
    return sentence[:1].upper() + sentence[1:]


def code_list(names: Iterable[str]) -> str:
    """Format names as `a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)


def public_functions(body: list[ast.stmt]) -> list[str]:
    """Return the names of the public functions, methods or properties, in order."""
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def contents(module: ast.Module) -> str:
    """Return the public functions and classes of a module, in order, as Markdown; classes with their methods."""
    found = list[str]()
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = public_functions(node.body)
            found.append(f"`{node.name}`" + (f" ({code_list(methods)})" if methods else ""))
        else:
            found += [f"`{name}`" for name in public_functions([node])]
    return ", ".join(dict.fromkeys(found))


def describe(path: Path) -> tuple[str, str]:
    """Return what a source file does, and its public names."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        module = ast.parse(text)
        return first_sentence(ast.get_docstring(module) or ""), contents(module)
    comment = re.match(r"(?:(?://|--) .*\n)*", text)
    what = re.sub(r"^(//|--) ", "", comment[0] if comment else "", flags=re.M)
    return first_sentence(what), code_list(re.findall(PUBLIC[path.suffix], text, re.M))


def section(folder: str, pattern: str) -> Iterator[str]:
    """Yield the index's lines for the files in a folder. Files without public names are omitted."""
    package = ROOT / folder
    files = sorted(package.glob(pattern), key=lambda path: (path.parent, path.name))
    yield f"{HEADING}{folder}/](../{folder})\n"
    init = package / "__init__.py"
    if init in files and not describe(init)[1]:  # with public names, it has a row of the table
        yield f"{describe(init)[0]}.\n"
    yield "| Module | What it does | Functions and classes |\n|---|---|---|"
    for path in files:
        what, names = describe(path)
        assert what, f"{path}: no docstring or first comment"
        if names:
            yield f"| `{path.relative_to(package).as_posix()}` | {what} | {names} |"
    yield ""


def index() -> str:
    """The tables of all modules, as Markdown."""
    return "\n".join("\n".join(section(folder, pattern)) for folder, pattern in FOLDERS.items())


def page() -> str:
    """The page with its generated parts replaced: the diagram, and the tables at its end."""
    text, _, _ = PAGE.read_text("utf-8").partition(f"\n{HEADING}")
    text = re.sub(r"(?<=^```mermaid\n).*?(?=\n```$)", lambda _: diagram(), text, flags=re.M | re.S)
    return f"{text}\n{index()}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
