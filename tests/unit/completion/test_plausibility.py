"""Suggestions that are implausible at their position."""

from pathlib import Path

import pytest

import tinycopilot
from tinycopilot.completion.plausibility import Plausibility

PACKAGE = Path(tinycopilot.__file__).parent
METHOD = "class A:\n    def area(self, scale):\n        return scale\n\n"
OUTSIDE = METHOD + "def total(shapes):\n    for shape in shapes:\n        "


@pytest.mark.parametrize(
    ("before", "text", "is_plausible"),
    [
        # imports
        ("import os\nfrom datetime import date\nf", "rom datetime import", False),
        ("import os\nfrom datetime import date\nf", "rom datetime", False),
        ("import os\nfrom datetime import date\nfrom date", "time", False),
        ("from datetime import date\nf", "rom dataclasses import", True),
        ("from a.b import c\nfrom a", ".d import", True),
        ("from a import b\nfrom a import c\nfrom d import e\nf", "rom d import", True),  # a line for each name
        ("import os\ni", "mport os", False),
        ("import os.path\ni", "mport os", True),
        ("import os\nf", "rom os import", True),
        ("def f():\n    from os import path\n\ndef g():\n    f", "rom os import", True),  # another scope
        ('"""\nimport os\nimp', "ort os", True),  # text
        ("from . import a\nf", "rom . import", True),
        ("from queue import Queue\nfrom multiprocessing import ", "Queue", False),
        ("from queue import Queue\nfrom multiprocessing import ", "Queue as Many", True),
        ("from queue import Queue as Many\nfrom multiprocessing import ", "Queue", True),
        ("from contextlib import c", "ontextlib import", False),
        ("from contextlib import c", "ontextmanager", True),
        ("from store import Inventory, I", "nventory", False),
        ("from store import Inventory, I", "nventory as Stock", True),
        ("from store import (Inventory, I", "tem, Inventory", False),
        ("from store import imports, ", "important", True),
        # self
        (OUTSIDE, "self.x", False),
        (OUTSIDE + "s", "elf.x", False),
        (OUTSIDE + "print(s", "elf", False),
        (OUTSIDE + "# of s", "elf", True),
        (OUTSIDE + "print('", "self", True),
        (OUTSIDE + "print(f'{s", "elf.x", False),
        (OUTSIDE + "my", "self.x", True),  # another word
        ("x = s", "elf.x", False),
        (METHOD + "    def size(s", "elf", True),
        (METHOD + "    def size(\n        s", "elf,", True),
        (METHOD + "    def size(\n        self,\n    ):\n        return s", "elf.x", True),
        (METHOD + "    def size(self):\n        def inner():\n            return s", "elf.x", True),
        (METHOD + "    def size(self):\n        if self:\n            pass\n        return s", "elf.x", True),
        ("def test(self):\n    '''\nText\n'''\n    s", "elf.x", True),
        ("f = lambda s", "elf: 1", True),
        (METHOD + "def size(s", "elf)", True),
        ("def __new__(cls):\n    s", "elf = super()", True),
        ("def test(case):\n    s", "elf.x = 1", False),
        # a function again
        (METHOD + "    d", "ef area(self", False),
        (METHOD + "    async def ", "area(self", False),
        (METHOD + "    def size(self):\n", "        pass\n\n    def area(self", False),
        (METHOD + "    def a", "reas(self", True),
        (METHOD + "d", "ef area(shape", True),  # another block
        (METHOD + "class B:\n    d", "ef area(self", True),
        (METHOD + "    @overload\n    d", "ef area(self", True),
        ("@overload\ndef f(x): ...\nd", "ef f(x", True),
        ("if a:\n    def f(): ...\nelse:\n    d", "ef f(", True),
        ("def f(): ...\ndef f", "(x)", True),  # typed by the user
        # after return
        (METHOD[:-1] + "        ", "return", False),
        (METHOD + "        ", "return", False),
        (METHOD[:-1] + "    ", "def size", True),
        (METHOD[:-1] + "        r", "eturn", True),
        ("def f():\n    return g(\n    ", "x)", True),
        ("def f():\n    return \\\n    ", "x", True),
        ("def f():\n    returned = 1\n    ", "return", True),
        (METHOD[:-1] + "        ", "\n\ndef total(shapes):", True),
        (METHOD[:-1] + "        ", "# unreachable", True),
        ("def f():\n    raise NotImplementedError\n    ", "yield", True),
        ("", "import os", True),
        # indentation
        ("for x in y:\n    ", "    if x", False),
        ("for x in y:\n    ", "if x", True),
        ("for x in y:\n  ", "  if x", True),  # begun by hand
        ("for x in y:\n", "    if x", True),
        ("    x = 1\n    ", "    y = 1", False),
        ("f(\n    ", "    y", True),
        ("x = a + \\\n    ", "    b", True),
        # an assignment in an assignment
        ("total = total", " = total", False),
        ("a = b", " = a", False),
        ("a = b", " = c", True),
        ("f(a = a", ", b = b", True),
    ],
)
def test_python(before: str, text: str, is_plausible: bool) -> None:
    assert Plausibility(before, "").is_plausible(text) is is_plausible


def test_python_rules_apply_to_python_only() -> None:
    assert Plausibility("return\n", "", "go").is_plausible("self.x")
    assert not Plausibility("total = total", "", "go").is_plausible(" = total")
    assert Plausibility("// total = total", "", "go").is_plausible(" = total")


def test_lines_below_the_cursor_count() -> None:
    assert not Plausibility("", "\nimport os\n").is_plausible("import os")
    assert Plausibility("", "\nimport sys\n").is_plausible("import os")


def test_code_that_exists_is_plausible() -> None:
    """Yield the rest of each line of this package, from a position that depends on the line."""
    n_lines, silenced = 0, list[str]()
    for path in sorted(PACKAGE.rglob("*.py")):
        text, start = path.read_text("utf-8"), 0
        for line in text.splitlines(keepends=True):
            at, end = start + sum(map(ord, line)) % len(line), start + len(line) - 1
            n_lines += 1
            if not Plausibility(text[:at], text[end:]).is_plausible(text[at:end]):
                silenced.append(line)
            start = end + 1
    assert len(silenced) < n_lines / 1_000, silenced
