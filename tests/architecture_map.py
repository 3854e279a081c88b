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
"""The node of the modules right below tinycopilot/, except cli.py."""
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
    SHARED: "modules directly in tinycopilot/: which files are read, secrets, paths",
}
FOLDERS = {
    "tinycopilot": "*.py",
    **{
        f"tinycopilot/{name}": "**/*.py"
        for name in ("completion", "model", "training", "evaluation", "explain", "page", "tui", "http", "client")
    },
    "server/tinycopilot_server": "**/*.py",
    "editors/vscode/src": "*.ts",
    "editors/nvim/lua/tinycopilot": "*.lua",
}
"""Folders with a table in the index, and the files in it."""
HEADING = "### ["
"""The first characters of each section of the index."""
PUBLIC = {
    ".ts": r"^export (?:async )?(?:function|class) (\w+)",
    ".lua": r"^function M\.(\w+)",
}
"""Public functions and classes, by suffix."""
Edge = tuple[str, str]


def node_of(module: str) -> str:
    """The node of a module of this project; "" if it has none."""
    top, _, rest = module.partition(".")
    if top == "tinycopilot_server":
        return "server"
    first = rest.partition(".")[0]
    if top != "tinycopilot" or first in ("UserError", "__version__", ""):
        return ""
    return first if first in DESCRIPTIONS else SHARED


def edges() -> set[Edge]:
    """All imports between nodes, at the top of a file or in functions."""
    found = set[Edge]()
    for top, folder in SOURCES.items():
        for path in folder.rglob("*.py"):
            if path.name == "__main__.py":  # an entry point, which nothing imports
                continue
            here = node_of(".".join((top, *path.relative_to(folder).with_suffix("").parts)))
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                prefix = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                found |= {(here, node_of(prefix + name)) for name in names}
    return {(here, there) for here, there in found if here and there and here != there}


def transitive_reduction(found: set[Edge]) -> set[Edge]:
    """Drop the edges of an acyclic graph that a longer path implies."""
    order = TopologicalSorter({here: {b for a, b in found if a == here} for here, _ in found}).static_order()
    below, kept = dict[str, set[str]](), set[Edge]()
    for here in order:  # after all that it imports
        targets = {b for a, b in found if a == here}
        below[here] = targets.union(*(below[one] for one in targets))
        kept |= {(here, one) for one in targets if not any(one in below[other] for other in targets)}
    return kept


def diagram() -> str:
    """The packages and their imports (transitive reduction) as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    lines += [f'    {name}["<b>{name}</b><br>{text}"]' for name, text in DESCRIPTIONS.items()]
    lines += [f"    {here} --> {there}" for here, there in sorted(transitive_reduction(edges()))]
    return "\n".join(lines)


def first_sentence(text: str) -> str:
    """The first sentence of a docstring, as the text of a cell: on one line, without `Name: ` at its start."""
    sentence = re.split(r"\.(?:\s|$)", " ".join(text.partition("\n\n")[0].split()))[0]
    sentence = re.sub(r"^\w+: ", "", sentence).replace("|", r"\|")
    return sentence[:1].upper() + sentence[1:]


def listed(names: Iterable[str]) -> str:
    """`a`, `b`."""
    return ", ".join(f"`{name}`" for name in names)


def public_functions(body: list[ast.stmt]) -> list[str]:
    """The names of the public functions, methods or properties, in order."""
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def contents(module: ast.Module) -> str:
    """The public functions and classes of a module, in order, as Markdown; classes with their methods."""
    found = list[str]()
    for node in module.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = public_functions(node.body)
            found.append(f"`{node.name}`" + (f" ({listed(methods)})" if methods else ""))
        else:
            found += [f"`{name}`" for name in public_functions([node])]
    return ", ".join(dict.fromkeys(found))


def described(path: Path) -> tuple[str, str]:
    """What a source file does, and its public names."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        module = ast.parse(text)
        return first_sentence(ast.get_docstring(module) or ""), contents(module)
    comment = re.match(r"(?:(?://|--) .*\n)*", text)
    what = re.sub(r"^(//|--) ", "", comment[0] if comment else "", flags=re.M)
    return first_sentence(what), listed(re.findall(PUBLIC[path.suffix], text, re.M))


def section(folder: str, pattern: str) -> Iterator[str]:
    """The lines of the index for the files in a folder. Files without public names are left out."""
    package = ROOT / folder
    files = sorted(package.glob(pattern), key=lambda path: (path.parent, path.name))
    yield f"{HEADING}{folder}/](../{folder})\n"
    init = package / "__init__.py"
    if init in files and not described(init)[1]:  # otherwise it has a row
        yield f"{described(init)[0]}.\n"
    yield "| Module | What it does | Functions and classes |\n|---|---|---|"
    for path in files:
        what, names = described(path)
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
