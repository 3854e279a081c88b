"""Truncation of suggestions by the text before and after the cursor."""

import time

import pytest

from tinycopilot.completion.insertion import Insertion
from tinycopilot.completion.syntaxes import language_of
from tinycopilot.completion.truncation import postprocess


@pytest.mark.parametrize(
    ("before", "after", "text", "expected"),
    [
        ('greet("', '")', r"the \"red\" door, please", r"the \"red\" door, please"),
        ('greet("', '")', "the \\", "the"),  # the quote is not escaped
        ('greet("', '")', r"line\nmore", "line"),  # nor if `line\` is accepted as two words
        ('greet("a\\', '")', "n b", "n b"),  # the backslash was there
        ("note(", ")", '"list 1) apples 2) pears")', '"list 1) apples 2) pears"'),
        ("note(", ")", '"list 1', ""),
        ('note("', ")", 'list 1) a")', 'list 1) a"'),  # the string was open and is closed; the bracket exists
        ('f"{', '}"', 'x + y}"', "x + y"),
        ('f"', '"', '{x} is {y!r:>{w}}" + z', "{x} is {y!r:>{w}}"),
        ('f"', '"', "is {x", "is"),
        ('f"', '"', "a } b", "a"),
        ('f"', '"', "a {} b", "a"),
        ('f"{no', '}"', "de!r", "de"),  # by word, `{node!}` would be invalid
        ('f"{self.nam', '}"', "e = name", "e"),  # only `}`, `!r` or `:spec` may follow `{x =`
        ('f"{', '}"', "a == b", "a == b"),
        ('f"{', '"', "x=!r}", "x=!r}"),
        ('f"{', '}"', "f(key=1)", "f(key=1)"),
        ("foo(", ")", "bar(", "bar"),
        ("foo(", ")", "bar[", "bar"),
        ("foo(", ")", "x  # all", "x"),  # the bracket is not commented out
        ("foo(", ")", "x) + bar(y", "x"),  # accepted by word, it would precede an unmatched `)`
        ("foo([", "])", "1, 2], x", "1, 2"),
        ("foo(\n    ", "\n)\n", "bar(x, y)\n    baz(x", "bar(x, y)\n    baz"),
        ("foo(\n    bar(", "\n)\n", "x, y)", "x, y)"),  # one of two is closed below
        ("a = [", "\n]\n", "1, 2]", "1, 2"),
        ("x = foo", "\ny = 1\n", "(a))", "(a)"),
        ("x = foo(", "\ny = bar(z)\n", "a)", "a)"),  # the text after the cursor closes nothing
        ('x = "', '"', "a\\\\", "a\\\\"),
        ("x = a + ", "", "\\\n    b", ""),
        ("", "", 'x = """Doc\nmore"""\ny = 1', "x ="),  # accepted by line, it would open a string
        ('def f():\n    """', '"""', 'Return it."""', "Return it."),
        ('def f():\n    """', '\n    """\n    x\n\ndef g():\n    """Say."""', 'Return it."""', "Return it."),
        ('def f():\n    """', '\n    x\n\ndef g():\n    """Say."""', 'Return it."""', 'Return it."""'),
        ('def f():\n    """', '"""', 'Say "so" again.', "Say"),  # by word, `Say "` would make four quotes
        ("# foo(", ")", "bar) baz", "bar"),
        ('x = "a', "", "b\ny = 1", "b"),
    ],
)
def test_python(before: str, after: str, text: str, expected: str) -> None:
    assert postprocess(text, before, after) == expected


@pytest.mark.parametrize(
    ("name", "before", "after", "text", "expected"),
    [
        ("a.js", "call(", ")", "`${a}) b`)", "`${a}) b`"),
        ("a.js", "call(`", "`)", "${a", ""),
        ("a.js", "call(", ")", "x // y", "x"),
        ("a.ts", "x = /[", "]/", "a-z]", "a-z"),
        ("a.rs", "fn f<'a>(", ")", "x: &'a str, c: char) -> T", "x: &'a str, c: char"),
        ("a.rs", "f(", ")", "'(', x)", "'(', x"),
        ("a.lua", "f(", ")", "x -- y", "x"),
        ("a.c", "", "\nint y;\n", "/* The length", ""),  # it would comment out the code below
        ("a.c", "", "\nint y;\n", "/* The length */ int", "/* The length */ int"),
        ("a.c", "/* ", "\nint y;\n", "The length", "The length"),
        ("a.html", "", "\n<p>\n", "<!-- more", ""),
        ("a.sh", 'echo "', '"', "$(ls) it's", "$(ls) it's"),
        ("a.sh", "case x in\n  ", "\n", "a) echo", "a) echo"),
        ("a.rb", 'puts "', '"', "#{x} y", "#{x} y"),
        ("a.c", "f(", ")", '"a)", b)', '"a)", b'),
        ("a.html", "<p>it's (", ")", "a) b", "a"),
        ("a.md", "it's (", ")", "a) b", "a"),
        ("a.go", "f(", ")", "`a\\`, b)", "`a\\`, b"),
        ("a.java", "f(", ")", "'(', x)", "'(', x"),
        ("a.kt", "f(", ")", '"${g(")")}", x)', '"${g(")")}", x'),
        ("a.ml", "f (", ")", "x : 'abc) (* y", "x : 'abc"),
        ("a.clj", "(f ", ")", "'(a b)) c", "'(a b)"),
        ("a.vue", '<a :b="[', ']">', "1, 2], 3", "1, 2"),
        ("a.svelte", "{#if (", ")}", "it's) {/if}", "it's"),
        ("a.php", "<p>it's\n<?php f(", ") ?>", "$x) ?>", "$x"),
        ("a.tex", "\\frac{", "}", "a}{b}", "a"),
        ("Makefile", "x = $(", ")", "y) z", "y"),
    ],
)
def test_other_languages(name: str, before: str, after: str, text: str, expected: str) -> None:
    assert postprocess(text, before, after, language_of(name)) == expected


@pytest.mark.parametrize("n", [5, 2_000, 20_000])
@pytest.mark.parametrize(
    ("before", "piece", "end", "text", "expected"),
    [
        ('x = "', "a ", '"\n', 'foo" + b', "foo"),
        ('x = f("', "a ", '")\n', 'foo") + b', "foo"),
        ('x = [f("a", ', '"a", ', "])\n", "b], c", "b"),
        ("x = [", "1, ", "]\n", "2], [3", "2"),
    ],
)
def test_long_rest_of_the_line(before: str, piece: str, end: str, text: str, expected: str, n: int) -> None:
    assert postprocess(text, before, n * piece + end) == expected


@pytest.mark.parametrize("line", ["x = f('a', b)  # c\n", "((((", '"""a', "f'{a", "x = 1, "])
def test_key_in_a_document_of_a_megabyte_is_cheap(line: str) -> None:
    before, best_s = line * (1_000_000 // len(line)), 1.0
    Insertion(before, ")\n" + before)
    for key in "abcdefgh":
        before += key
        since = time.thread_time()
        Insertion(before, ")\n" + before).push("x")
        best_s = min(best_s, time.thread_time() - since)
    assert best_s < 0.02  # of processor time: about 1 ms


@pytest.mark.parametrize(
    ("before", "after", "language"),
    [
        ("f(", "a[b], {c: 'd'}, " * 20_000, "javascript"),  # as in minified code
        ("f([" * 150, ")}" * 5_000, "javascript"),  # what closes the brackets does not match
        ("f(" + "{" * 3_000, "}" * 3_000, "python"),
    ],
)
def test_key_in_a_long_line_is_cheap(before: str, after: str, language: str) -> None:
    since = time.thread_time()
    insertion, n_ends = Insertion(before, after, language), 0
    for character in "foo(bar) + baz[1]":
        insertion.push(character)
        n_ends += insertion.may_end
    assert time.thread_time() - since < 2  # of processor time: about 0.1 s, not 10 s
    assert language == "python" or n_ends > 0
