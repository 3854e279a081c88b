"""Suggestions that cannot be right in their place."""

import pytest

from tinycopilot.completion.plausibility import Plausibility

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
        # the head of a method in a call
        (METHOD + "    def size(self, other):\n        return other.area", "(self", False),
        (METHOD + "    def size(self, other):\n        return other.visit", "(self", True),
        (METHOD + "    def size(self, other):\n        return A.area", "(self", True),
        # after return
        (METHOD[:-1] + "        ", "return", False),
        (METHOD + "        ", "return", False),
        (METHOD[:-1] + "    ", "def size", True),
        (METHOD[:-1] + "        r", "eturn", True),
        ("def f():\n    return g(\n    ", "x)", True),
        ("def f():\n    return \\\n    ", "x", True),
        ("def f():\n    returned = 1\n    ", "return", True),
        ("", "import os", True),
        # indentation
        ("for x in y:\n    ", "    if x", False),
        ("for x in y:\n    ", "if x", True),
        ("for x in y:\n  ", "  if x", True),  # begun by hand
        ("for x in y:\n", "    if x", True),
        ("    x = 1\n    ", "    y = 1", False),
        ("f(\n    ", "    y", True),
        # the colon of a block
        ("def f(a: int) -> argp", "arse\nimport", False),
        ("def f(a: int) -> argp", "arse", True),
        ("def f(a: int) -> argp", "arse:\n    return", True),
        ("if a[1", ":]\n    b", False),
        ("if a: ", "return\nb", True),
        ("def f(", "\n    a", True),
        ("x = [y\n    for y in z\n    if ", "y\n]", True),
        ("if a and ", "\\\n    b", True),
        ("match = a", "b\nc", True),
    ],
)
def test_python(before: str, text: str, is_plausible: bool) -> None:
    assert Plausibility(before, "").is_plausible(text) is is_plausible


@pytest.mark.parametrize(
    ("language", "before", "text", "is_plausible"),
    [
        ("typescript", "export const a = 1;\nex", "cept", False),
        ("typescript", "export const a = 1;\nex", "port", True),
        ("go", "package a\n\nt", "ry:", False),
        ("go", "package a\n\nf", "rom", False),
        ("go", "package a\n\n// f", "rom", True),
        ("csharp", "var a =\nfrom b in c\nselect b;\nf", "rom", True),  # the file has it
        ("groovy", "def a = 1\nd", "ef b", True),
        ("ruby", "d", "ef a", True),
        ("markdown", "f", "rom here", True),
        ("typescript", "import { a } from 'b';\n\n\n\n\nimp", "ort { a } from 'b", False),
        ("typescript", "import { a } from 'b';\n\n\n\n\nimp", "ort { a } from 'c", True),
        ("c", "#include <stdio.h>\n#inc", "lude <stdio.h", False),
        ("c", "a();\nb();\nc();\nd();\na", "()", True),
    ],
)
def test_other_languages(language: str, before: str, text: str, is_plausible: bool) -> None:
    assert Plausibility(before, "", language).is_plausible(text) is is_plausible


def test_a_module_name_that_continues_is_another_one() -> None:
    here = Plausibility("from http import client\nfrom ", "")
    assert not here.is_plausible("http")
    assert here.is_plausible("http", "i")
    assert here.is_plausible("http", ".")


def test_only_what_is_below_the_cursor_counts_too() -> None:
    assert not Plausibility("i", "\nimport os\n").is_plausible("mport os")
    assert Plausibility("def f():\n    return\n    ", "x = 1\n").is_plausible("if y:")
