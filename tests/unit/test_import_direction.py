"""The house of design: a wing imports only wings above it, a heavy package only where it is at home."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# From top to bottom; a module may import from its own wing and from those above it.
WINGS = [
    ("tinycopilot.__init__",),
    ("tinycopilot.files", "tinycopilot.places"),
    ("tinycopilot.model",),
    ("tinycopilot.training",),
    ("tinycopilot.completion",),
    ("tinycopilot.insight",),
    ("tinycopilot.play",),
    ("tinycopilot.cli", "tinycopilot.__main__"),
    ("tinycopilot_server",),
]
# Third-party packages, and the wings that may import them at all.
AT_HOME = {
    "torch": {"tinycopilot.model", "tinycopilot.training", "tinycopilot.completion", "tinycopilot.insight"},
    "pygls": {"tinycopilot_server"},
    "lsprotocol": {"tinycopilot_server"},
    "rich": {"tinycopilot.training", "tinycopilot.insight", "tinycopilot_server"},
    "platformdirs": {"tinycopilot.files", "tinycopilot.places"},
    "pathspec": {"tinycopilot.files", "tinycopilot.places"},
}
# What lies across, on purpose: (importing module, imported module).
DOORS = {
    ("tinycopilot.cli", "tinycopilot_server.app"),  # the command `serve`
    ("tinycopilot.cli", "tinycopilot_server.demo"),  # the command `demo`
    ("tinycopilot.cli", "torch"),  # the command `generate`
    ("tinycopilot.model.storage", "tinycopilot"),
}


def modules() -> dict[str, Path]:
    found = {}
    for top in (ROOT / "tinycopilot", ROOT / "server" / "tinycopilot_server"):
        for path in top.rglob("*.py"):
            found[".".join(path.relative_to(top.parent).with_suffix("").parts)] = path
    return found


def imports(source: str) -> list[tuple[str, bool]]:
    """Each imported module, and whether it is imported when the file is (not inside a function or for types alone)."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            found.append((node.module or "", at_once))
            # `from tinycopilot import places` imports a module, too
            found.extend(
                (f"{node.module}.{alias.name}", at_once) for alias in node.names if node.module == "tinycopilot"
            )
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        lazily = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not lazily)

    visit(ast.parse(source), True)
    return found


def wing(module: str) -> tuple[int, str] | None:
    """Level and name of the wing that a module belongs to."""
    if module in ("tinycopilot", "tinycopilot.UserError", "tinycopilot.__version__"):
        return 0, "tinycopilot.__init__"
    for level, names in enumerate(WINGS):
        for name in names:
            if module == name or module.startswith(name + "."):
                return level, name
    return None


def wrong_arrows(name: str, source: str) -> list[str]:
    here = wing(name)
    assert here is not None, f"{name} has no place in the house: add it to WINGS"
    wrong = []
    for imported, _ in imports(source):
        if (name, imported) in DOORS:
            continue
        there = wing(imported)
        if there is not None and there[0] > here[0]:
            wrong.append(f"{name} -> {imported}")
        package = imported.split(".")[0]
        if package in AT_HOME and here[1] not in AT_HOME[package]:
            wrong.append(f"{name} -> {imported}")
    return wrong


def test_every_arrow_points_up() -> None:
    assert [arrow for name, path in modules().items() for arrow in wrong_arrows(name, path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tinycopilot.model.gpt", "from tinycopilot.training.corpus import Corpus"),
        ("tinycopilot.model.gpt", "def f():\n    import tinycopilot.completion.decode"),
        ("tinycopilot.places", "import torch"),
        ("tinycopilot.completion.completer", "from lsprotocol import types"),
        ("tinycopilot_server.worker", "def f():\n    import torch"),
    ],
)
def test_a_wrong_arrow_is_seen(name: str, source: str) -> None:
    assert wrong_arrows(name, source)


def server_sources() -> dict[str, str]:
    return {n: p.read_text("utf-8") for n, p in modules().items() if n.startswith("tinycopilot_server")}


def test_one_file_each_knows_completers_methods_and_utf16() -> None:
    sources = server_sources()
    assert {n for n, s in sources.items() if "completion.completer" in s} == {"tinycopilot_server.worker"}
    assert {n for n, s in sources.items() if "Utf16" in s} == {"tinycopilot_server.positions"}
    registers = {n for n, s in sources.items() if "server.feature" in s}
    assert registers == {"tinycopilot_server.handlers"}


@pytest.mark.parametrize(
    "statement", ["import tinycopilot", "import tinycopilot.cli", "import tinycopilot_server.handlers"]
)
def test_light_imports_stay_light(statement: str) -> None:
    code = f"{statement}; import sys; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']; from tinycopilot.cli import main\n"
        "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("False")
    assert "examples:" in result.stdout
