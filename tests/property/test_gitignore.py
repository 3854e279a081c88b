"""The matcher gives the same results as git for random patterns and paths."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinycopilot.files.gitignore import Rules, parse

GIT = shutil.which("git")
ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

PIECES = [
    *("a", "b", "ab", ".", "é", "\udcff", " ", "-", "]", "!", "#", "^", "\\", "["),
    *("[ab]", "[!a]", "[^a-c]", "[a-", "[]-a]"),
    *("[[:alpha:]]", "[![:digit:].]", "[[:nope:]]", "[[:alpha]", "[\\]a]", "[a\\-z]", "[z-a]", "[--0]", "[a-c-e]"),
    *("*", "**", "***", "?", "/", "/**/", "**/", "/**", "\\*", "\\?", "\\ ", "\\/"),
]  # fmt: skip
LINES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=7).map("".join)
CHARACTERS = ["a", "b", "c", "ab", ".", "é", "\udcff", " ", "-", "]", "*", "!", "^", "z"]
NAMES = st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=4).map("".join).filter(lambda name: name.strip("."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if GIT is None:
        pytest.skip("git is not installed")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([GIT, "init", "-q", folder], check=True, env=ENVIRONMENT)
    return folder


def ignored_by_git(repository: Path, lines: list[str], paths: list[str]) -> dict[str, bool]:
    """The paths that a pattern matches, and whether they are ignored, by `git check-ignore` (paths need not exist)."""
    (repository / ".gitignore").write_bytes(os.fsencode("\n".join(lines) + "\n"))
    words = [str(GIT), "check-ignore", "--no-index", "-z", "-v", "--stdin"]
    data = b"".join(os.fsencode(path) + b"\0" for path in paths)
    answer = subprocess.run(words, input=data, cwd=repository, capture_output=True, env=ENVIRONMENT)
    assert answer.returncode in (0, 1), answer.stderr
    fields = answer.stdout.split(b"\0")
    return {
        os.fsdecode(path): not pattern.startswith(b"!")
        for pattern, path in zip(fields[2::4], fields[3::4], strict=True)
    }


@settings(
    max_examples=max(70, settings.default.max_examples), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(LINES, min_size=1, max_size=4), st.lists(PATHS, min_size=1, max_size=60, unique=True))
def test_equals_git_check_ignore(repository: Path, lines: list[str], paths: list[str]) -> None:
    answers = ignored_by_git(repository, lines, paths)
    rules = Rules(parse(os.fsencode("\n".join(lines) + "\n")))
    for path in paths:
        assert rules.check_with_parents(os.fsencode(path)) == answers.get(path, False), (lines, path)
