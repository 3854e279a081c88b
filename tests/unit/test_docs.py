"""Documentation: links resolve, commands and flags exist, README stays short."""

import contextlib
import io
import re
import shlex
from functools import cache
from pathlib import Path

import pytest

from tinycopilot.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (
        ".",
        "docs",
        "docs/tour",
        "editors",
        "editors/nvim",
        "editors/vscode",
        "editors/vscode/walkthrough",
        ".github",
    )
    for path in (ROOT / folder).glob("*.md")
    if path.name != "CHANGELOG.md"
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", read(page))


def anchors(text: str) -> set[str]:
    """The ids that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: str, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(text):
        if re.match(r"https?:|mailto:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(FENCE.sub("", target.read_text("utf-8")))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    assert broken_links(page, prose(page)) == []


def test_broken_link_is_found() -> None:
    text = "[a](docs/install.md) [b](docs/no.md) ![c](no.png) [d](docs/install.md#update) [e](docs/install.md#no)"
    assert broken_links("README.md", text) == ["docs/no.md", "no.png", "docs/install.md#no"]


def test_each_page_is_linked() -> None:
    """From README, or from the tour's first page."""
    linked = {
        ((ROOT / page).parent / link.partition("#")[0]).resolve()
        for page in ("README.md", "docs/tour/index.md")
        for link in LINK.findall(prose(page))
    }
    assert [page for page in PAGES if page.startswith("docs/") and (ROOT / page).resolve() not in linked] == []


def test_readme_is_short() -> None:
    assert len(read("README.md").split()) <= 900


@cache
def usage(command: str) -> str:
    """The output of `--help`; empty if the command does not exist."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    return out.getvalue() if ended.value.code == 0 else ""


def commands() -> list[tuple[str, str]]:
    """Each line in a shell block, or in backticks, that runs tinycopilot: the page, and what follows the program."""
    found = set()
    for page in PAGES:
        lines = [line for _, block in FENCE.findall(read(page)) for line in block.splitlines()]
        lines += re.findall(r"`([^`\n]+)`", prose(page))
        for line in lines:
            if words := re.match(r"(?:\S*/)?tinycopilot +([a-z-][^#]*)", line):
                found.add((page, words[1].strip()))
    return sorted(found)


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_and_flags_exist(page: str, line: str) -> None:
    command, *words = shlex.split(line)
    if command in ("--train", "--generate", "--version"):  # flags of the original project, and argparse's
        return
    assert (text := usage(command)), f"{page}: no command {command}"
    flags = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert {flag for flag in flags if not re.search(rf"{flag}\b", text)} == set()


def test_commands_are_found() -> None:
    """Otherwise the test above could pass without a case."""
    assert {line.split()[0] for _, line in commands()} >= {
        "train",
        "adapt",
        "generate",
        "eval",
        "bench",
        "play",
        "doctor",
    }


def test_training_options_are_those_of_the_command_line() -> None:
    """The option table in docs/training.md."""
    flags = {
        flag
        for row in re.findall(r"^\| `(--[^|]*?)` \|", prose("docs/training.md").replace("\\|", "/"), re.M)
        for flag in re.findall(r"--[\w-]+", row)
    }
    assert len(flags) > 10
    assert {flag for flag in flags if flag not in usage("train")} == set()
