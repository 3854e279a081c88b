"""Limits and running time, which cannot be compared with git's."""

import contextlib
import time

import pytest

from tinycopilot.files.gitignore import GLOB_EFFORT, MAX_EFFORT, PatternError, Rules, TooManyError, parse, parse_line

LONG = "a" * 250 + ".py"
DEEP = "b/" * 200 + "d"
MAX_S = 0.05
"""Limit for one pattern and one path. Each takes about 10 us; with backtracking it would not finish."""


def rules(*lines: str) -> Rules:
    return Rules(parse("\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 12 + "*b", LONG),
        ("*a" * 100 + "*b", LONG),
        ("*" + "a" * 120 + "b*c", LONG),
        ("*a" + "?" * 100 + "*b", LONG),
        ("*[!b]" * 60 + "*b", LONG),
        ("**/b/" * 30 + "c", DEEP),
        ("**/*b*/" * 30 + "c", DEEP),
        ("/**" * 50 + "/c", DEEP),
        ("**/" + "b/" * 100 + "c", DEEP),
        ("*/" * 200 + "c", DEEP),
        ("a**/" + "*/**/" * 50 + "c", "a" + DEEP),
    ],
)
def test_no_pattern_takes_long(pattern: str, path: str) -> None:
    tried = rules(pattern)
    tried.check(path.encode(), False)  # compiled
    since = time.thread_time()
    assert tried.check(path.encode(), False) is None
    assert time.thread_time() - since < MAX_S


def test_many_patterns_cost_no_more_than_a_few() -> None:
    tried = rules(*(f"/folder/{i}" for i in range(9_000)), *(f"name{i}" for i in range(9_000)))
    since = time.thread_time()
    for i in range(1_000):
        assert tried.check(b"other/%d" % i, False) is None
    assert time.thread_time() - since < 1
    assert tried.check(b"folder/8999", False)
    assert tried.check(b"deep/name8999", True)


def test_pattern_limit_applies_to_all_files_of_one_path() -> None:
    half = [f"a*{i:03}*b" for i in range(MAX_EFFORT // (GLOB_EFFORT + 7) // 2)]
    above = Rules(parse("\n".join(half).encode()))
    Rules(parse("\n".join(half).encode()), above)
    with pytest.raises(TooManyError):
        Rules(parse("\n".join([*half, "a*b*c", "a*b*d"]).encode()), above)
    with pytest.raises(TooManyError):
        rules(*("a" for _ in range(MAX_EFFORT + 1)))
    with pytest.raises(TooManyError):
        rules(*("*" + "?" * 200 for _ in range(MAX_EFFORT // (GLOB_EFFORT + 201) + 1)))


def test_last_matching_pattern_decides() -> None:
    assert rules("*.py", "!a.py").check(b"x/a.py", False) is False
    assert rules("!a.py", "*.py").check(b"x/a.py", False) is True
    assert rules("a*", "!*.py", "[a]*.p[y]").check(b"a.py", False) is True
    assert rules("[a]*.p[y]", "!*.py").check(b"a.py", False) is False
    assert rules("a", "!a/").check(b"a", False) is True
    assert rules("a", "!a/").check(b"a", True) is False


@pytest.mark.parametrize("line", ["!", "/", "!/", "a\\", "[", "[a", "[[:nope:]]", "[a\\"])
def test_pattern_that_matches_nothing_is_dropped(line: str) -> None:
    with pytest.raises(PatternError):
        parse_line(line.encode())
    assert len(rules(line)) == 0


def test_comments_blanks_and_line_ends() -> None:
    assert len(rules("", "  ", "# a", "\r")) == 0
    tried = Rules(parse(b"\xef\xbb\xbfa\r\nb  \n\\#c\nd\\ \n\xff*x\n"))
    for name in (b"a", b"b", b"#c", b"d ", b"\xff_x"):
        assert tried.check(name, False), name


@pytest.mark.parametrize("piece", ["[:", "[a", "[a-z]", "[!a]", "\\"])
def test_long_line_is_refused_or_compiled_at_once(piece: str) -> None:
    """Not in quadratic time."""
    for n in (1_000, 7_000, 400_000):
        since = time.process_time()
        with contextlib.suppress(PatternError, TooManyError):
            rules("*" + piece * n)
        assert time.process_time() - since < 2
