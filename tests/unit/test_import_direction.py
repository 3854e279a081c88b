"""Import rules: a layer imports only layers above it, and heavy packages are limited to certain layers."""

import ast
import functools
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from tinycopilot.paths import ModelPaths

ROOT = Path(__file__).resolve().parents[2]

# From top to bottom: a layer, and what it may import besides the standard library and itself (CONTRIBUTING.md).
HOUSE = {
    "tinycopilot.__init__": set(),
    "tinycopilot.paths": {"tinycopilot.__init__", "platformdirs"},
    "tinycopilot.atomic": set(),
    "tinycopilot.files": {"tinycopilot.__init__", "tinycopilot.paths", "tinycopilot.atomic"},
    "tinycopilot.page_file": {"tinycopilot.__init__", "tinycopilot.atomic"},
    "tinycopilot.page": {"tinycopilot.__init__", "numpy", "jinja2", "markupsafe"},
    "tinycopilot.process": {"tinycopilot.__init__"},
    "tinycopilot.extras": {"tinycopilot.__init__", "tinycopilot.process"},
    "tinycopilot.model": {"tinycopilot.__init__", "tinycopilot.atomic", "torch", "numpy"},
    "tinycopilot.training": {
        *(
            "tinycopilot.atomic",
            "tinycopilot.page_file",
            "tinycopilot.page",
            "tinycopilot.atomic",
            "tinycopilot.__init__",
            "tinycopilot.files",
            "tinycopilot.paths",
            "tinycopilot.model",
            "tinycopilot.process",
        ),
        *("torch", "numpy", "rich", "filelock", "markupsafe"),
    },
    "tinycopilot.completion": {
        *("tinycopilot.__init__", "tinycopilot.files", "tinycopilot.paths", "tinycopilot.atomic", "tinycopilot.model"),
        *("numpy", "numba", "llvmlite"),
    },
    "tinycopilot.evaluation": {
        *("tinycopilot.page", "tinycopilot.page_file", "markupsafe"),
        *("tinycopilot.__init__", "tinycopilot.files", "tinycopilot.paths", "tinycopilot.training"),
        *("tinycopilot.process", "tinycopilot.extras"),
        *("tinycopilot.completion", "tinycopilot.model", "numpy"),
        "torch",  # doctor asks it which devices can train
    },
    "tinycopilot.tui": {
        *("tinycopilot.__init__", "tinycopilot.files", "tinycopilot.paths", "tinycopilot.completion"),
        *("tinycopilot.atomic", "prompt_toolkit"),
    },
    "tinycopilot.explain": {
        *("tinycopilot.__init__", "tinycopilot.files", "tinycopilot.paths", "tinycopilot.completion"),
        *("tinycopilot.model", "tinycopilot.page_file"),
        *("tinycopilot.page", "numpy", "rich"),
    },
    "tinycopilot.client": {
        *("tinycopilot.__init__", "tinycopilot.paths", "tinycopilot.process", "tinycopilot.extras"),
        *("tinycopilot.completion", "pygls", "lsprotocol", "rich", "filelock"),
        "tinycopilot_server",  # the names of its settings and notifications
    },
    "tinycopilot.http": {
        *("tinycopilot.__init__", "tinycopilot.paths", "tinycopilot.atomic", "tinycopilot.files"),
        *("tinycopilot.completion", "uvicorn", "starlette"),
        "tinycopilot_server",  # its indexer
    },
    "tinycopilot.cli": {
        *("tinycopilot.__init__", "tinycopilot.paths", "tinycopilot.model", "tinycopilot.training"),
        *(
            "tinycopilot.evaluation",
            "tinycopilot.tui",
            "tinycopilot.explain",
            "tinycopilot.client",
            "tinycopilot.http",
            "tinycopilot.completion",
            "tinycopilot.extras",
            "tinycopilot.process",
        ),
        *("tinycopilot_server", "torch", "numpy"),  # inside the commands that need them
    },
    "tinycopilot.api": {
        *("tinycopilot.completion", "tinycopilot.paths", "tinycopilot.extras"),
        "tinycopilot.training",  # inside `train`
    },
    "tinycopilot.__main__": {"tinycopilot.cli"},
    "tinycopilot_server": {
        *("tinycopilot.__init__", "tinycopilot.files", "tinycopilot.paths", "tinycopilot.atomic"),
        *("tinycopilot.process", "tinycopilot.completion"),
        *("tinycopilot.extras", "tinycopilot.explain", "tinycopilot.page", "tinycopilot.page_file"),
        *("pygls", "lsprotocol", "cattrs", "filelock"),
    },
    "tinycopilot_server.__main__": {"tinycopilot.cli"},
}
ROOTS = {"tinycopilot", "tinycopilot_server"}


def modules() -> dict[str, Path]:
    found = {}
    for top in (ROOT / "tinycopilot", ROOT / "server" / "tinycopilot_server"):
        for path in top.rglob("*.py"):
            found[".".join(path.relative_to(top.parent).with_suffix("").parts)] = path
    return found


@functools.cache
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imports(source: str) -> list[tuple[str, bool]]:
    """Yield each imported module, and whether the import is at the top level and not for types only."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            found.append((node.module or "", at_once))
            # `from tinycopilot import files` imports a module, too
            found.extend(
                (f"{node.module}.{alias.name}", at_once) for alias in node.names if node.module == "tinycopilot"
            )
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        lazily = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not lazily)

    visit(parsed(source), True)
    return found


def wing(module: str) -> str:
    """The layer of one of our modules: the longest name in HOUSE that is its prefix."""
    if module in ("tinycopilot", "tinycopilot.UserError", "tinycopilot.__version__"):
        return "tinycopilot.__init__"
    fitting = [name for name in HOUSE if module == name or module.startswith(name + ".")]
    assert fitting, f"{module} has no place in the house: add it to HOUSE"
    return max(fitting, key=len)


def wrong_arrows(name: str, source: str) -> list[str]:
    here = wing(name)
    wrong = []
    for imported, _ in imports(source):
        package = imported.split(".")[0]
        there = wing(imported) if package in ROOTS else package
        if there != here and package not in sys.stdlib_module_names and there not in HOUSE[here]:
            wrong.append(f"{name} -> {imported}")
    return wrong


def test_imports_follow_the_layers() -> None:
    assert [arrow for name, path in modules().items() for arrow in wrong_arrows(name, path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("tinycopilot.model.gpt", "from tinycopilot.training.corpus import Corpus"),
        ("tinycopilot.model.gpt", "def f():\n    import tinycopilot.completion.decoding"),
        ("tinycopilot.paths", "import torch"),
        ("tinycopilot.completion.engine", "from lsprotocol import types"),
        ("tinycopilot.completion.decoding", "from tinycopilot.training.batches import join_documents"),
        ("tinycopilot.tui.engine", "def f():\n    import torch"),
        ("tinycopilot_server.completion", "def f():\n    import torch"),
        ("tinycopilot_server.models", "from tinycopilot.model.gpt import TinyGPT"),
    ],
)
def test_wrong_import_is_found(name: str, source: str) -> None:
    assert wrong_arrows(name, source)


def graph(sources: dict[str, str]) -> dict[str, set[str]]:
    """Module -> those of our modules that it imports anywhere, including imports for types only."""
    return {
        name: {target(*found, sources.keys()) for found in from_imports(source)} - {name, ""}
        for name, source in sources.items()
    }


def from_imports(source: str) -> list[tuple[str, str]]:
    """Each import of a module, as ("module", ""), or of a name from one, as ("module", "name")."""
    found = list[tuple[str, str]]()
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


def target(module: str, name: str, ours: Collection[str]) -> str:
    """The one of our modules that an import refers to; "" if it is not one of ours."""
    candidates = (f"{module}.{name}", module, f"{module}.__init__")
    return next((candidate for candidate in candidates if candidate in ours), "")


def cycles(edges: dict[str, set[str]]) -> list[set[str]]:
    """The groups of modules that import each other, directly or indirectly."""
    reached = {name: set(targets) for name, targets in edges.items()}
    for through in edges:
        for name in edges:
            if through in reached[name]:
                reached[name] |= reached[through]
    groups = {
        frozenset(other for other in edges if name in reached[other] and other in reached[name]) for name in edges
    }
    return [set(group) for group in groups if group]


def test_no_import_cycles() -> None:
    edges = graph({name: path.read_text("utf-8") for name, path in modules().items()})
    assert "tinycopilot_server.serve" in edges["tinycopilot.cli"]
    assert cycles(edges) == []


@pytest.mark.parametrize(
    "line",
    [
        "import a.c",
        "from a import c",
        "from a.c import x",
        "def f():\n    from a.c import x",
        "if TYPE_CHECKING:\n    from a.c import x",
    ],
)
def test_import_cycle_is_found(line: str) -> None:
    edges = graph({"a.__init__": "", "a.b": line, "a.c": "import a.d", "a.d": "from a.b import y", "a.e": "import a.b"})
    assert cycles(edges) == [{"a.b", "a.c", "a.d"}]
    assert cycles(graph({"a.b": "", "a.c": "import a.b", "a.d": "import a.b, a.c"})) == []


def server_sources() -> dict[str, str]:
    return {n: p.read_text("utf-8") for n, p in modules().items() if n.startswith("tinycopilot_server")}


def test_engine_methods_and_utf16_are_each_known_to_few_files() -> None:
    sources = server_sources()
    names_the_engine = {f"tinycopilot_server.{name}" for name in ("commands", "index", "models")}
    uses_its_thread = {f"tinycopilot_server.{name}" for name in ("completion", "index", "models", "server")}
    assert {n for n, s in sources.items() if "completion.engine" in s} == names_the_engine
    assert {n for n, s in sources.items() if "completion.scheduler" in s} == uses_its_thread
    assert {n for n, s in sources.items() if "Utf16" in s} == {"tinycopilot_server.documents"}
    names_methods = {
        n for n, s in sources.items() if re.search(r"types\.(TEXT_DOCUMENT|WORKSPACE|INITIALIZE|SHUTDOWN)", s)
    }
    assert names_methods == {"tinycopilot_server.handlers"}


def test_ghost_text_logic_needs_no_terminal() -> None:
    imports_it = {n for n, p in modules().items() if re.search(r"(from|import) prompt_toolkit", p.read_text("utf-8"))}
    assert imports_it == {"tinycopilot.tui.terminal"}


LIGHT = (
    "tinycopilot", "tinycopilot.api", "tinycopilot.cli", "tinycopilot.model.storage.weights",
    "tinycopilot.completion.decoding", "tinycopilot.tui.run", "tinycopilot.explain.run", "tinycopilot.explain.page",
    "tinycopilot_server.handlers",
)  # fmt: skip


@pytest.mark.slow
def test_light_imports_stay_light() -> None:
    heavy = {"torch", "uvicorn", "starlette", "tinycopilot.http"}
    code = (
        f"import sys\nfor name in {LIGHT}:\n    __import__(name)\n    assert not {heavy} & set(sys.modules), name\n"
        "print('light')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout == "light\n", result.stderr


@pytest.mark.slow
def test_generate_on_cpu_without_torch(pair: ModelPaths) -> None:
    words = ["generate", "a = ", "--model_path", str(pair.model), "--seed", "1", "--max_new_chars", "5"]
    code = f"import sys; from tinycopilot.cli import main; print(main({words!r}), 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("0 False\n")


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']; from tinycopilot.cli import main\n"
        "try: main()\nexcept SystemExit: print('torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip().endswith("False")
    assert "examples:" in result.stdout
