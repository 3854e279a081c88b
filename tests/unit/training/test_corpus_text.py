"""corpus.txt, the shipped training text: valid Python, without repetition, and none of it copied."""

import ast
import builtins
import sysconfig
from pathlib import Path

import pytest

from tinycopilot.paths import bundled_path
from tinycopilot.training.sources import BLOCK_SEPARATOR, split_blocks

RUN_CHARS = 100


@pytest.fixture(scope="module")
def text() -> str:
    return bundled_path("corpus.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def blocks(text: str) -> list[str]:
    return list(split_blocks(text.splitlines(keepends=True)))


def test_size_and_separator(text: str, blocks: list[str]) -> None:
    assert 100_000 <= len(text.encode()) <= 150_000
    names = [line[len(BLOCK_SEPARATOR) :] for line in text.splitlines() if line.startswith(BLOCK_SEPARATOR)]
    assert len(names) == len(set(names)) == len(blocks) >= 40


def test_each_block_compiles(blocks: list[str]) -> None:
    for block in blocks:
        compile(block, "<block>", "exec")


def repeated_runs(blocks: list[str]) -> tuple[list[str], set[str]]:
    """Passages of RUN_CHARS characters that occur twice, and all passages."""
    runs: set[str] = set()
    repeated = []
    for block in blocks:
        for i in range(len(block) - RUN_CHARS + 1):
            run = block[i : i + RUN_CHARS]
            if run in runs:
                repeated.append(run)
            runs.add(run)
    return repeated, runs


def test_no_long_passage_is_repeated(blocks: list[str]) -> None:
    assert repeated_runs(blocks)[0] == []
    assert repeated_runs([*blocks, "x" + blocks[0][500:700]])[0]  # the check itself can fail


@pytest.mark.slow
def test_no_long_passage_is_from_the_standard_library(blocks: list[str]) -> None:
    runs = repeated_runs(blocks)[1]
    anchors = {run[:20] for run in runs}
    found = []
    for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"):
        if "site-packages" in path.parts:
            continue
        source = path.read_text("utf-8", "replace")
        # A passage of 100 contains 20 characters at one of every 80 offsets: check only those first.
        for i in range(0, len(source) - 20, 80):
            if source[i : i + 20] in anchors:
                near = range(max(0, i - RUN_CHARS + 20), i + 1)
                found += [source[j : j + RUN_CHARS] for j in near if source[j : j + RUN_CHARS] in runs]
    assert found == []


def shape(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A function with its own names (variables, arguments, attributes of self) numbered, and no docstring or types."""
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        return name if hasattr(builtins, name) else numbers.setdefault(name, f"name{len(numbers)}")

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            node.id = number(node.id)
            return node

        def visit_arg(self, node: ast.arg) -> ast.arg:
            node.arg, node.annotation = number(node.arg), None
            return node

        def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            self.generic_visit(node)
            node.attr = number(node.attr) if own else node.attr
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
            node.name, node.returns = number(node.name), None
            if ast.get_docstring(node):
                node.body = node.body[1:]
            self.generic_visit(node)
            return node

        visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    return ast.dump(Rename().visit(function))


def equal_functions(blocks: list[str]) -> list[str]:
    shapes: dict[str, str] = {}
    equal = []
    for block in blocks:
        functions = [n for n in ast.walk(ast.parse(block)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        for function in functions:
            name, key = function.name, shape(function)
            if key in shapes:
                equal.append(f"{name} = {shapes[key]}")
            shapes.setdefault(key, name)
    return equal


def test_no_two_functions_are_equal_after_renaming(blocks: list[str]) -> None:
    assert equal_functions(blocks) == []
    twins = ["def f(a, b):\n    return a + b\n", "def g(x, y):\n    '''Add.'''\n    return x + y\n"]
    assert equal_functions(twins) == ["g = f"]
