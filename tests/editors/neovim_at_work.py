"""Checks around suggestions: switches, settings, windows, files, training, and the server's life cycle."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from string import ascii_letters

from neovim_editor import until
from neovim_user import BEGUN, TEXT, UNASKED_S, Check, User, equal

TRAIN_MINUTES = 0.02
"""Duration of one or two training steps: enough for an untrained network."""

CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@check
def paused_and_resumed(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot pause")
    until("being off", 5, lambda: user.editor.status() == "tinycopilot: off")
    user.press("A", "e")
    equal("ghost text while paused", "", user.answer_to(BEGUN + "e"))
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot resume")
    until("being ready", 5, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "n")
    if not user.editor.settled_ghost_text().startswith("(path"):
        raise AssertionError(f"after resume: {user.editor.ghost_text()!r}")


@check
def snoozed_for_a_while(user: User) -> None:
    """A snooze ends by itself; two snoozes add up."""
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    paused_until = "return require('tinycopilot.state').paused_until - os.time()"
    user.editor.nvim.command("TinyCopilot snooze")
    until("being off", 5, lambda: user.editor.status() == "tinycopilot: off")
    user.editor.nvim.command("TinyCopilot snooze")
    left_s = user.editor.lua(paused_until)
    if not 500 < left_s <= 600:
        raise AssertionError(f"two snoozes end in {left_s} s")
    if "paused until" not in user.editor.said("TinyCopilot"):
        raise AssertionError(f"no end time in the status: {user.editor.said('TinyCopilot')!r}")
    user.editor.nvim.command("TinyCopilot resume")
    until("being ready", 5, lambda: user.editor.status() == "tinycopilot: ready")
    user.editor.nvim.command("TinyCopilot snooze 0.02")
    until("being off", 5, lambda: user.editor.status() == "tinycopilot: off")
    until("being ready by itself", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "e")
    user.editor.settled_ghost_text()


@check
def on_demand(user: User) -> None:
    """Nothing is shown until the key is pressed; the suggestion stays while the user types through it."""
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set inline=onDemand")
    try:
        user.press("A", "e")
        equal("ghost text before the key", "", user.answer_to(BEGUN + "e"))
        user.press("M-\\")
        ghost = str(until("ghost text", 5, user.editor.ghost_text))
        user.press("n")
        user.wait_for_ghost("the rest after a typed character", ghost[1:])
        equal("the rest after the answer", ghost[1:], user.answer_to(BEGUN + "en")[: len(ghost) - 1])
        user.accept("Tab", BEGUN + "en", "", user.editor.ghost_text(), "accepting what was asked for")
        user.press("Enter", "w")
        text = user.editor.text()
        equal("ghost text after it was accepted", "", user.answer_to(text))
    finally:
        user.press("Escape")
        user.editor.nvim.command("TinyCopilot set inline=true")


LOOP = """\
def total_here(basket):
    for article in basket.articles():
        price = article.price * article.count
    return price


"""
LOOPS = LOOP * 12 + LOOP[: LOOP.index("\n") + 1]
"""Differs from the text of all other checks, so that several lines are predicted with certainty."""


def asked_for(user: User, begun: str, typed: str) -> str:
    """Return the suggestion at the end of both texts; none is requested before."""
    user.open(begun)
    user.editor.wait_until_ready()
    user.press("A")
    user.editor.terminal.type(typed)
    user.wait_for_text(begun + typed)
    user.press("M-\\")
    return str(until("ghost text", 15, user.editor.ghost_text))


@check
def first_line_of_several_and_then_the_others(user: User) -> None:
    begun, typed = LOOPS + "    for ", "ar"
    user.editor.nvim.command("silent TinyCopilot set inline=onDemand")
    try:
        whole = asked_for(user, begun, typed)
        first, _, others = whole.partition("\n")
        if not others:
            raise AssertionError(f"{whole!r} has one line: too few for this check")
        user.press("Escape")
        user.editor.nvim.command("silent TinyCopilot set multiline=firstLine")
        n_others = len(others.split("\n"))
        ghost = asked_for(user, begun, typed)
        equal("ghost text", f"{first} +{n_others} line{'s' * (n_others > 1)}", ghost)
        user.accept("Tab", begun + typed, "", first, "accepting the first line")
        user.wait_for_ghost("the other lines", f"\n{others}")
        user.accept("Tab", begun + typed + first, "", f"\n{others}", "accepting the others")
    finally:
        user.press("Escape")
        user.editor.nvim.command("silent TinyCopilot set multiline=whole")
        user.editor.nvim.command("silent TinyCopilot set inline=automatic")


@check
def switched_off_in_a_buffer_and_for_a_type(user: User) -> None:
    for what in ("buffer", "filetype"):
        user.begin(BEGUN[:-2], "op")
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        equal(f"the status after toggle {what}", "tinycopilot: off", user.editor.status())
        user.press("A", "e")
        time.sleep(UNASKED_S)
        equal(f"ghost text after toggle {what}", "", user.editor.ghost_text())
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        equal(f"the status after toggle {what} twice", "tinycopilot: ready", user.editor.status())
        user.press("A", "n")
        user.editor.settled_ghost_text()


OTHER_SERVER = """
local function start(dispatchers)
  local has_ended = false
  local answers = {
    initialize = { capabilities = { inlineCompletionProvider = true } },
    ['textDocument/inlineCompletion'] = { items = { { insertText = 'another' } } },
  }
  return {
    request = function(method, _, callback) callback(nil, answers[method]) return true, 1 end,
    notify = function() end,
    is_closing = function() return has_ended end,
    terminate = function() has_ended = true dispatchers.on_exit(0, 15) end,
  }
end
return vim.lsp.start({ name = 'other', cmd = start })
"""
"""A server inside Neovim, whose items have no range."""


@check
def beside_another_server(user: User) -> None:
    """When disabled, tinycopilot leaves its items alone; the accept-word key ignores an item without a range."""
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot toggle buffer")
    other = user.editor.lua(OTHER_SERVER)
    user.editor.lua("vim.keymap.set('i', '<C-Right>', '<Cmd>let g:pressed = 1<CR>')")
    try:
        user.press("A", "e")
        user.wait_for_ghost("the other's", "another")
        user.press("C-Right")
        until("one's own mapping", 5, lambda: user.editor.lua("return vim.g.pressed"))
        equal("the other's after that key", "another", user.editor.ghost_text())
        user.press("Tab")
        user.wait_for_text(BEGUN + "e" + "another")
    finally:
        user.editor.lua(f"vim.keymap.del('i', '<C-Right>') vim.lsp.get_client_by_id({other}):stop(true)")
        user.editor.nvim.command("TinyCopilot toggle buffer")


def last_line_said(user: User) -> str:
    """Return the status; a shortened message may precede it."""
    return user.editor.said("TinyCopilot").split("\n")[-1]


@check
def env_file_is_silent(user: User) -> None:
    lines = "".join(f'PASSWORD_{i} = "correct horse battery staple"\n' for i in range(4))
    user.open(lines + 'PASSWORD_4 = "correct', name=".env")
    user.editor.nvim.command("set filetype=python")  # otherwise no request is sent at all
    until("being off", 10, lambda: user.editor.status() == "tinycopilot: off")
    equal("why", "tinycopilot: off: this file may contain secrets", last_line_said(user))
    user.press("A", "Space", "h")
    equal("ghost text in .env", "", user.answer_to(lines + 'PASSWORD_4 = "correct h'))


@check
def says_why_it_is_silent(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.nvim.command("silent TinyCopilot set exclude=*.py")
    until("being off", 10, lambda: user.editor.status() == "tinycopilot: off")
    equal(
        "why",
        "tinycopilot: off: the `exclude` setting excludes this file",
        last_line_said(user),
    )
    user.editor.nvim.command("silent TinyCopilot set exclude=")
    until("being ready", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.editor.nvim.command("silent TinyCopilot set inline=onDemand")
    equal("when", "tinycopilot: ready: <M-\\> shows a suggestion", last_line_said(user))
    user.editor.nvim.command("silent TinyCopilot set inline=automatic")
    equal("as always", "tinycopilot: ready", user.editor.said("TinyCopilot"))


@check
def settings_and_help_are_shown(user: User) -> None:
    user.open("x = 1\n")
    user.editor.nvim.command("TinyCopilot set")
    if "eagerness=0.5\nenabled=true\nexclude=\n" not in user.editor.text():
        raise AssertionError(f"settings: {user.editor.text()!r}")
    user.press("q")
    until("the window gone", 5, lambda: len(user.editor.nvim.windows) == 1)
    user.editor.nvim.command("TinyCopilot help")
    if "*tinycopilot*" not in user.editor.text():
        raise AssertionError(f"help: {user.editor.text()[:200]!r}")
    user.editor.nvim.command("helpclose")


@check
def statistics(user: User) -> None:
    user.press("Escape")
    n_windows = len(user.editor.nvim.windows)
    user.editor.nvim.command("TinyCopilot stats")
    until("a window of its own", 5, lambda: len(user.editor.nvim.windows) > n_windows)
    text = user.editor.text()
    if not re.search(r"[1-9]\d* suggestions, [1-9]\d* accepted.*, [1-9]\d* in part", text):
        raise AssertionError(f"the accepted suggestion is not counted: {text!r}")
    user.press("q")
    until("the window gone", 5, lambda: len(user.editor.nvim.windows) == n_windows)


@check
def welcomed_once(user: User) -> None:
    """The first of these Neovims showed the message; a second one does not."""
    marks = list(user.editor.home.rglob("tinycopilot-welcomed"))
    equal("marks of the welcome", 1, len(marks))
    with user.another() as other:
        other.editor.wait_until_ready()
        equal("what a second Neovim says", "", other.editor.said("messages"))
        marks[0].unlink()
        other.editor.nvim.command("TinyCopilot restart")
        until("the welcome", 20, lambda: "<Tab> accepts, <C-]> dismisses" in other.editor.said("messages"))


@check
def what_it_knows(user: User) -> None:
    user.begin(BEGUN[:-2], "op", name="known.py")
    user.press("Escape")
    n_windows = len(user.editor.nvim.windows)
    user.editor.nvim.command("TinyCopilot knowledge")
    until("a window of its own", 5, lambda: len(user.editor.nvim.windows) > n_windows)
    text = user.editor.text()
    for word in ("Indexed: ", " on disk and ", "Model: ", "Last suggestion: ", " ms"):
        if word not in text:
            raise AssertionError(f"no {word!r} in {text!r}")
    user.press("q")
    until("the window gone", 5, lambda: len(user.editor.nvim.windows) == n_windows)


@check
def evaluation_in_a_terminal(user: User) -> None:
    user.open(TEXT, name="eval_me.py")
    user.editor.wait_until_ready()
    small = user.folder / "small"
    small.mkdir(exist_ok=True)
    (small / "a.py").write_text("total = first + second\n" * 9)
    user.editor.nvim.command(f"TinyCopilot eval {small}")
    try:
        until("the figures", 60, lambda: "bits/char" in user.editor.text())
    finally:
        user.editor.nvim.command("bwipeout!")  # a terminal that is left takes the keys of all later checks


@check
def why(user: User) -> None:
    """The page is opened, here by a function that records its path."""
    user.begin(BEGUN[:-2], "op")
    user.editor.lua("vim.ui.open = function(path) _G.opened = path end")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot why")
    until("the page", 60, lambda: user.editor.lua("return _G.opened"))
    page = Path(user.editor.lua("return _G.opened")).read_text("utf-8")
    if "How this suggestion was made" not in page or "read_omega" not in page.replace('", "', ""):
        raise AssertionError(f"not the page: {page[:200]!r}")


@check
def enter_deletes_nothing(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    for command, question in (
        ("forget-stats", "Delete the statistics?"),
        ("forget-workspace", "Delete everything indexed, learned and trained in this workspace?"),
    ):
        user.editor.nvim.command("messages clear")
        user.editor.terminal.type(f":TinyCopilot {command}")
        user.press("Enter")
        until("the question", 5, lambda question=question: question in user.editor.screen())
        user.press("Enter")
        until("the question gone", 5, lambda question=question: question not in user.editor.screen())
        time.sleep(UNASKED_S)  # an answer from the server would be shown
        equal(f"what was said after Enter at {command}", "", user.editor.said("messages"))


@check
def commands_complete(user: User) -> None:
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot re', 'cmdline')")
    equal("completion", ["reload", "restart", "resume"], completed)
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot toggle ', 'cmdline')")
    equal("completion of toggle", ["all", "buffer", "filetype"], completed)


@check
def training_is_shown_and_cancelled(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.lua(
        "_G.heard = {} vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', "
        "callback = function(event) table.insert(_G.heard, event.data.state or '') end })"
    )
    user.editor.nvim.command("TinyCopilot train 1")
    until("the percentage", 20, lambda: re.fullmatch(r"tinycopilot: training \d+%", user.editor.status()))
    user.editor.nvim.command("TinyCopilot cancel")
    until("being ready again", 20, lambda: user.editor.status() == "tinycopilot: ready")
    heard = user.editor.lua("return _G.heard")
    if "training" not in heard or heard[-1] != "ready":
        raise AssertionError(f"User TinyCopilotStatus heard {heard}")


@check
def set_while_it_runs(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set maxChars=4")
    equal("what is shown of it", "tinycopilot: maxChars=4", user.editor.said("TinyCopilot set maxChars"))
    user.press("A", "e")
    ghost = user.answer_to(BEGUN + "e")
    if not (ghost.startswith("n(") and len(ghost) <= 4):
        raise AssertionError(f"more than 4 characters: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set languages=lua")
    until("nothing for Python", 5, lambda: not user.editor.status())
    user.editor.nvim.command("TinyCopilot set languages=*")
    user.editor.nvim.command("TinyCopilot set maxChars=120")
    user.editor.wait_until_ready()
    user.press("A", "n")
    ghost = user.editor.settled_ghost_text()
    if not (ghost.startswith("(path") and len(ghost) > 4):
        raise AssertionError(f"with the original settings: {ghost!r}")
    user.press("Escape")
    setup_again = "local tiny = require 'tinycopilot' tiny.setup { cmd = tiny.options.cmd, settings = { %s } }"
    user.editor.lua(setup_again % "eagerness = 0.5, maxChars = 4")
    user.press("A", "(")
    ghost = user.answer_to(BEGUN + "en(")
    if not 0 < len(ghost) <= 4:
        raise AssertionError(f"more than 4 characters after a second setup: {ghost!r}")
    user.press("Escape")
    user.editor.lua(setup_again % "eagerness = 0.5")
    equal("the languages as they were", "tinycopilot: languages=default", user.editor.said("TinyCopilot set languages"))


@check
def every_language_but_those_that_are_off(user: User) -> None:
    """By default, ghost text is shown in Rust but not in JSON, until it is turned on there."""
    rust = "".join(
        f"fn read_{name}(path: &Path) -> Vec<String> {{ lines_of(path) }}\n\n" for name in ("one", "two", "six")
    )
    ghost = user.begin(rust + "fn read_ten(path:", " &P", name="reads.rs")
    if not ghost.startswith("ath) -> Vec<String>"):
        raise AssertionError(f"in Rust: {ghost!r}")
    user.press("Escape")
    json = "".join(f'{{"reading_{name}": "warm enough"}}\n' for name in ("one", "two", "six"))
    user.open(json + '{"reading_ten": "war', name="reads.json")
    equal("the status in JSON", "", user.editor.status())
    said = user.editor.said("TinyCopilot")
    if "off in json: turn it on with :TinyCopilot toggle filetype" not in said:
        raise AssertionError(f"in JSON it says {said!r}")
    user.editor.nvim.command("TinyCopilot toggle filetype")
    until("being ready in JSON", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "m")
    user.editor.settled_ghost_text()
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set languages=default")
    until("being off in JSON", 5, lambda: not user.editor.status())


@check
def two_windows_on_one_file(user: User) -> None:
    text = TEXT + "\n" * 30 + BEGUN.removeprefix(TEXT)  # duplicates are not on the screen
    user.begin(text[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("split")
    user.press("A", "e")
    first_line = user.answer_to(text + "e").split("\n")[0]
    until("ghost text on the screen", 5, lambda: "ope" + first_line in user.editor.screen())
    equal("how often it is on the screen", 1, user.editor.screen().count(first_line))
    user.other_window()
    user.press("End", "n")
    first_line = user.answer_to(text + "en").split("\n")[0]
    until("ghost text on the screen", 5, lambda: "open" + first_line in user.editor.screen())
    equal("how often it is on the screen, from the other window", 1, user.editor.screen().count(first_line))
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_windows_on_two_files(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    first = user.editor.nvim.current.buffer
    user.press("Escape")
    user.editor.nvim.command("vsplit")
    user.begin(BEGUN[:-2], "op")
    user.other_window()
    until("the other file", 5, lambda: user.editor.nvim.current.buffer == first)
    time.sleep(UNASKED_S)
    equal("ghost text that was left behind", [], user.editor.other_ghost_texts())
    user.press("End", "e")
    ghost = user.answer_to(BEGUN + "e")
    equal("ghost text in the other one", [], user.editor.other_ghost_texts())
    user.accept("Tab", BEGUN + "e", "", ghost, "accepting in one of two windows")
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_editors_in_one_folder(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    with user.another() as other:
        ghost = other.begin(BEGUN[:-2], "op")
        user.press("e")
        user.answer_to(BEGUN + "e")
        other.accept("Tab", BEGUN, "", ghost, "accepting in the other one")
    user.press("n")
    if not (ghost := user.answer_to(BEGUN + "en")).startswith("(path"):
        raise AssertionError(f"after the other editor exited: {ghost!r}")


@check
def large_file(user: User) -> None:
    """A document that is too large to be indexed is completed from the text near the cursor, without delay."""
    text = "".join(f"reading_{i} = measure({i}, unit='celsius')\n" for i in range(120_000))
    user.open(text + "reading_x = measure(1, ")
    size = len(user.editor.text())
    if size < 5_000_000:
        raise AssertionError(f"{size:,} characters are not enough for a large file")
    user.press("A")
    user.editor.terminal.type("un")
    until("the keys' arrival", 10, lambda: user.editor.nvim.current.line == "reading_x = measure(1, un")
    if not (ghost := user.editor.settled_ghost_text()) or not "it='celsius')".startswith(ghost):
        raise AssertionError(f"in the large file: {ghost!r}")
    ghost = user.begin(BEGUN[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"in another file: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("bwipeout! #")


@check
def read_only_files(user: User) -> None:
    """Some of these files can be edited after a warning, others cannot; none causes an error in the plugin."""
    for option in ("readonly", "nomodifiable", "readonly nomodifiable"):
        user.open(BEGUN)
        user.editor.wait_until_ready()
        user.editor.nvim.command("messages clear")
        user.editor.nvim.command(f"setlocal {option}")
        may_be_typed_into = "nomodifiable" not in option
        wanted = BEGUN + "e" if may_be_typed_into else BEGUN
        user.press("A", "e")
        if may_be_typed_into:
            user.accept("Tab", wanted, "", user.answer_to(wanted), "accepting where one is only warned")
        else:
            user.press("Tab", "C-Right", "M-]", "C-]", "Escape")
            time.sleep(UNASKED_S)
            equal(f"the text with {option}", BEGUN, user.editor.text())
            equal(f"ghost text with {option}", "", user.editor.ghost_text())
        user.press("Escape")
        said = [line for line in user.editor.said("messages").splitlines() if not line.startswith(("W10", "E21"))]
        equal(f"what was said with {option}", [], said)


@check
def trained_to_its_end(user: User) -> None:
    """Train on random letters: other text does not help, and the network, which expects words, improves at once."""
    project = user.folder.parent / "letters"  # a separate folder, since the model is trained for this project alone
    project.mkdir()
    (project / "pyproject.toml").touch()
    dice = Random(1)
    for i in range(10):
        rows = "".join(f'    "{"".join(dice.choices(ascii_letters, k=40))}",\n' for _ in range(44))
        (project / f"rows_{i}.py").write_text(f"ROWS = [\n{rows}]\n")
    user.press("Escape")
    user.editor.nvim.command(f"silent edit! {project}/rows_0.py")
    user.editor.wait_until_ready()
    user.editor.watch(400)  # on a busy machine; usually about twenty seconds
    user.editor.lua(
        "vim.cmd('messages clear') _G.percentages = {} "
        "vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', callback ="
        " function(event) table.insert(_G.percentages, event.data.percentage) end })"
    )
    user.editor.nvim.command(f"TinyCopilot train {TRAIN_MINUTES:g}")

    told = "return require('tinycopilot').cut or ''"  # it is longer than a line
    until("the end of training", 360, lambda: user.editor.lua(told) or "failed" in user.editor.said("messages"))
    message = user.editor.said("TinyCopilot").replace("\n", " ")
    figures = re.search(r"(\d\.\d+) -> (\d\.\d+) bits per character on 1 file .*: in use", message)
    if not figures or float(figures[2]) >= float(figures[1]):
        raise AssertionError(f"not better: {message}")
    until("being ready", 20, lambda: user.editor.status() == "tinycopilot: ready")
    percentages = user.editor.lua("return _G.percentages")
    if len(set(percentages)) < 3 or percentages != sorted(percentages):
        raise AssertionError(f"wrong progress: {percentages}")
    [model] = user.editor.home.rglob("workspaces/*/tiny_gpt.pth")
    log = "".join(path.read_text() for path in user.editor.home.rglob("server.log"))
    if f"model: {model} (adapted" not in log:
        raise AssertionError(f"the new model {model} is not in use according to the log:\n{log}")
    user.editor.nvim.command("bwipeout")  # its server is not started again


@check
def log_is_the_servers(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("TinyCopilot log")
    until("the log", 5, lambda: user.editor.nvim.current.buffer.name.endswith("server.log"))
    equal("tab pages: the edited file stays in its window", 2, len(user.editor.nvim.tabpages))
    user.editor.nvim.command("silent! tabonly! | silent! only!")


@check
def restarted(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    first = user.editor.lua("return vim.lsp.get_clients({ name = 'tinycopilot' })[1].id")
    user.editor.nvim.command("TinyCopilot restart")
    user.editor.wait_until_ready()
    ids = user.editor.lua("return vim.tbl_map(function(each) return each.id end, vim.lsp.get_clients())")
    if len(ids) != 1 or ids[0] == first:
        raise AssertionError(f"clients after a restart: {ids}, before: {first}")
    user.press("A", "e")
    if not user.editor.settled_ghost_text().startswith("n(path"):
        raise AssertionError(f"after a restart: {user.editor.ghost_text()!r}")


@check
def health(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("checkhealth tinycopilot")
    until("the report", 15, lambda: "state:" in user.editor.text())
    text = user.editor.text()
    for wanted in ("ghost text", "server: `", "model:", "state: ready"):
        if wanted not in text:
            raise AssertionError(f"{wanted!r} is not in the report:\n{text}")
    if "ERROR" in text:
        raise AssertionError(f"an error in the report:\n{text}")
    user.editor.nvim.command("tabonly! | enew")


@check
def killed_and_started_again(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    client = "vim.lsp.get_clients({ name = 'tinycopilot' })[1]"
    first = user.editor.lua(f"return {client}.id")
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(user.editor.lua("return vim.fn.getpid()"))], capture_output=True, text=True
    )
    for process in children.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    until("Neovim's message, which waits for a key", 10, user.editor.waits_for_a_key)
    user.press("Enter")
    again = f"local client = {client} return client and client.id ~= {first} and client.initialized"
    until("a new server", 20, lambda: user.editor.lua(again))
    user.press("Escape")
    user.editor.wait_until_ready()
    user.press("A", "e")
    if not user.editor.settled_ghost_text().startswith("n(path"):
        raise AssertionError(f"from the new server: {user.editor.ghost_text()!r}")


@check
def long_messages_ask_for_no_key(user: User) -> None:
    user.open("x = 1\n")
    problem = "the setting of this name is not one that can be used, and so the one before holds, as it did until now"
    user.editor.lua(
        f"local client = vim.lsp.get_clients({{ name = 'tinycopilot' }})[1] client.handlers['window/showMessage']"
        f"(nil, {{ type = 2, message = '{problem}' }}, {{ client_id = client.id }})"
    )
    until("the message", 5, lambda: "tinycopilot: the setting" in user.editor.screen())
    if user.editor.waits_for_a_key():
        raise AssertionError("it waits for a key")
    said = user.editor.said("TinyCopilot").replace("\n", " ")
    equal("it and the state", f"tinycopilot: {problem} tinycopilot: ready", said)
    user.editor.lua(f"require('tinycopilot').cut = 'tinycopilot: {problem}'")
    client_id = user.editor.lua("return vim.lsp.get_clients({ name = 'tinycopilot' })[1].id")
    user.editor.lua(
        f"require('tinycopilot.state').server_said({client_id}, {{ state = 'error', message = '{problem}' }})"
    )
    said = user.editor.said("TinyCopilot").replace("\n", " ")
    equal("an error, once", f"tinycopilot: error: {problem}", said)
    user.editor.lua(f"require('tinycopilot.state').server_said({client_id}, {{ state = 'ready' }})")
