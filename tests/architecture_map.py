"""The diagram in docs/architecture.md, generated from the imports (`make map`)."""

import ast
import re
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
    "http": "completions over HTTP, with a token",
    "tui": "play: ghost text in the terminal",
    "explain": "why a suggestion is shown, or not",
    "evaluation": "eval, bench, adapt",
    "training": "how the network learns",
    "completion": "engine, compiled network, n-gram model",
    "model": "the network in PyTorch; without it, tokenizer and model file",
    "page": "frame, styles and script of HTML pages",
    SHARED: "modules directly in tinycopilot/: readable files, secrets, paths",
}
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


def page_with(text: str) -> str:
    """The page with its diagram replaced."""
    return re.sub(r"(?<=^```mermaid\n).*?(?=\n```$)", lambda _: text, PAGE.read_text("utf-8"), flags=re.M | re.S)


if __name__ == "__main__":
    PAGE.write_text(page_with(diagram()), "utf-8")
