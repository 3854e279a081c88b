"""Checks of commands, settings, windows, files, training, and the server's life cycle."""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from random import Random
from string import ascii_letters

from neovim_editor import wait_for
from neovim_user import NO_REQUEST_WAIT_S, PREFIX, TEXT, User, assert_equal, check

TRAIN_MINUTES = 0.02
"""Enough for one or two training steps, and so for an improvement on random letters."""


@check
def pause_and_resume(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot pause")
    wait_for("status off", 5, lambda: user.editor.status() == "tinycopilot: off")
    user.press("A", "e")
    assert_equal("ghost text while paused", "", user.ghost_text_for(PREFIX + "e"))
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot resume")
    wait_for("status ready", 5, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "n")
    if not user.editor.wait_for_ghost_text().startswith("(path"):
        raise AssertionError(f"after resume: {user.editor.ghost_text()!r}")


@check
def snooze(user: User) -> None:
    """A snooze ends by itself; a second snooze extends the first."""
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    paused_until = "return require('tinycopilot.state').paused_until - os.time()"
    user.editor.nvim.command("TinyCopilot snooze")
    wait_for("status off", 5, lambda: user.editor.status() == "tinycopilot: off")
    user.editor.nvim.command("TinyCopilot snooze")
    left_s = user.editor.lua(paused_until)
    if not 500 < left_s <= 600:
        raise AssertionError(f"two snoozes end in {left_s} s")
    if "paused until" not in user.editor.output("TinyCopilot"):
        raise AssertionError(f"no end time in the status: {user.editor.output('TinyCopilot')!r}")
    user.editor.nvim.command("TinyCopilot resume")
    wait_for("status ready", 5, lambda: user.editor.status() == "tinycopilot: ready")
    user.editor.nvim.command("TinyCopilot snooze 0.02")
    wait_for("status off", 5, lambda: user.editor.status() == "tinycopilot: off")
    wait_for("status ready at the end of the snooze", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "e")
    user.editor.wait_for_ghost_text()


@check
def snooze_ends_on_time_after_sleep(user: User) -> None:
    """The computer sleeps for an hour: the clock goes on, timers do not."""
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    wait_ms = user.editor.lua("""
        local defer, time, wait_ms, callback = vim.defer_fn, os.time, nil, nil
        vim.defer_fn = function(fn, ms) callback, wait_ms = fn, ms return defer(fn, ms) end
        vim.cmd 'silent TinyCopilot snooze'
        vim.defer_fn, os.time = defer, function() return time() + 3600 end
        callback()
        os.time = time
        return wait_ms
    """)
    if wait_ms > 30_000:
        raise AssertionError(f"the clock is read only after {wait_ms} ms")
    wait_for("status ready after sleep", 5, lambda: user.editor.status() == "tinycopilot: ready")
    assert_equal("whether it is paused", False, user.editor.lua("return require('tinycopilot.state').is_paused"))


@check
def on_demand(user: User) -> None:
    """Nothing is shown until the key is pressed; the suggestion stays while the user types through it."""
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set inline=onDemand")
    try:
        user.press("A", "e")
        assert_equal("ghost text before the key", "", user.ghost_text_for(PREFIX + "e"))
        user.press("M-\\")
        ghost = str(wait_for("ghost text", 5, user.editor.ghost_text))
        user.press("n")
        user.wait_for_ghost("the rest after a typed character", ghost[1:])
        assert_equal("the rest after the response", ghost[1:], user.ghost_text_for(PREFIX + "en")[: len(ghost) - 1])
        user.accept("Tab", PREFIX + "en", "", user.editor.ghost_text(), "accepting the requested suggestion")
        user.press("Enter", "w")
        wait_for("the typed text", 5, lambda: user.editor.text().endswith("w"))
        assert_equal("ghost text after accepting", "", user.editor.wait_for_answer())
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
"""Text that occurs in no other check, so that the server suggests several lines with high confidence."""


def request_suggestion(user: User, before: str, typed: str) -> str:
    """Open a file with `before`, type `typed`, press the key that requests a suggestion, and return it."""
    user.open(before)
    user.editor.wait_until_ready()
    user.press("A")
    user.editor.terminal.type(typed)
    user.wait_for_text(before + typed)
    user.press("M-\\")
    return str(wait_for("ghost text", 15, user.editor.ghost_text))


@check
def first_line_then_the_rest(user: User) -> None:
    before, typed = LOOPS + "    for ", "ar"
    user.editor.nvim.command("silent TinyCopilot set inline=onDemand")
    try:
        whole = request_suggestion(user, before, typed)
        first, _, others = whole.partition("\n")
        if not others:
            raise AssertionError(f"this check needs several lines, not {whole!r}")
        user.press("Escape")
        user.editor.nvim.command("silent TinyCopilot set multiline=firstLine")
        n_others = len(others.split("\n"))
        ghost = request_suggestion(user, before, typed)
        assert_equal("ghost text", f"{first} +{n_others} line{'s' * (n_others > 1)}", ghost)
        user.accept("Tab", before + typed, "", first, "accepting the first line")
        user.wait_for_ghost("the other lines", f"\n{others}")
        user.accept("Tab", before + typed + first, "", f"\n{others}", "accepting the other lines")
    finally:
        user.press("Escape")
        user.editor.nvim.command("silent TinyCopilot set multiline=whole")
        user.editor.nvim.command("silent TinyCopilot set inline=automatic")


@check
def toggle_in_a_buffer_and_for_a_file_type(user: User) -> None:
    for what in ("buffer", "filetype"):
        user.type_in_new_file(PREFIX[:-2], "op")
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        assert_equal(f"status after toggling {what}", "tinycopilot: off", user.editor.status())
        user.press("A", "e")
        time.sleep(NO_REQUEST_WAIT_S)
        assert_equal(f"ghost text after toggling {what}", "", user.editor.ghost_text())
        user.press("Escape")
        user.editor.nvim.command(f"TinyCopilot toggle {what}")
        assert_equal(f"status after toggling {what} twice", "tinycopilot: ready", user.editor.status())
        user.press("A", "n")
        user.editor.wait_for_ghost_text()


OTHER_SERVER = """
local function start(dispatchers)
  local has_ended = false
  local responses = {
    initialize = { capabilities = { inlineCompletionProvider = true } },
    ['textDocument/inlineCompletion'] = { items = { { insertText = 'another' } } },
  }
  return {
    request = function(method, _, callback) callback(nil, responses[method]) return true, 1 end,
    notify = function() end,
    is_closing = function() return has_ended end,
    terminate = function() has_ended = true dispatchers.on_exit(0, 15) end,
  }
end
return vim.lsp.start({ name = 'other', cmd = start })
"""
"""A server that runs inside Neovim and returns an item without a range."""


@check
def alongside_another_server(user: User) -> None:
    """With tinycopilot off, another server's items work as usual; the accept-word key ignores those without a range."""
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot toggle buffer")
    other = user.editor.lua(OTHER_SERVER)
    user.editor.lua("vim.keymap.set('i', '<C-Right>', '<Cmd>let g:pressed = 1<CR>')")
    try:
        user.press("A", "e")
        user.wait_for_ghost("the other server's suggestion", "another")
        user.press("C-Right")
        wait_for("the user's mapping", 5, lambda: user.editor.lua("return vim.g.pressed"))
        assert_equal("the other server's suggestion after that key", "another", user.editor.ghost_text())
        user.press("Tab")
        user.wait_for_text(PREFIX + "e" + "another")
    finally:
        user.editor.lua(f"vim.keymap.del('i', '<C-Right>') vim.lsp.get_client_by_id({other}):stop(true)")
        user.editor.nvim.command("TinyCopilot toggle buffer")


def status_line(user: User) -> str:
    """Return the status from :TinyCopilot; the full text of a shortened message may precede it."""
    return user.editor.output("TinyCopilot").split("\n")[-1]


@check
def no_suggestions_in_env_files(user: User) -> None:
    lines = "".join(f'PASSWORD_{i} = "correct horse battery staple"\n' for i in range(4))
    user.open(lines + 'PASSWORD_4 = "correct', name=".env")
    user.editor.nvim.command("set filetype=python")  # otherwise Neovim would send no requests
    wait_for("status off", 10, lambda: user.editor.status() == "tinycopilot: off")
    assert_equal("reason", "tinycopilot: off: this file may contain secrets", status_line(user))
    user.press("A", "Space", "h")
    assert_equal("ghost text in .env", "", user.ghost_text_for(lines + 'PASSWORD_4 = "correct h'))


@check
def status_says_why_nothing_is_suggested(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.nvim.command("silent TinyCopilot set exclude=*.py")
    wait_for("status off", 10, lambda: user.editor.status() == "tinycopilot: off")
    assert_equal(
        "reason",
        "tinycopilot: off: the `exclude` setting excludes this file",
        status_line(user),
    )
    user.editor.nvim.command("silent TinyCopilot set exclude=")
    wait_for("status ready", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.editor.nvim.command("silent TinyCopilot set inline=onDemand")
    assert_equal("status on demand", "tinycopilot: ready: <M-\\> shows a suggestion", status_line(user))
    user.editor.nvim.command("silent TinyCopilot set inline=automatic")
    user.editor.lua("vim.lsp.inline_completion.enable(false)")
    expected = "tinycopilot: ready: no ghost text (vim.lsp.inline_completion is off)"
    assert_equal("status with Neovim's feature off", expected, status_line(user))
    user.editor.lua("vim.lsp.inline_completion.enable(true)")
    assert_equal("status", "tinycopilot: ready", user.editor.output("TinyCopilot"))


@check
def settings_and_help(user: User) -> None:
    user.open("x = 1\n")
    user.editor.nvim.command("TinyCopilot set")
    if "eagerness=0.5\nenabled=true\nexclude=\n" not in user.editor.text():
        raise AssertionError(f"unexpected settings: {user.editor.text()!r}")
    user.press("q")
    wait_for("closed window", 5, lambda: len(user.editor.nvim.windows) == 1)
    user.editor.nvim.command("TinyCopilot help")
    if "*tinycopilot*" not in user.editor.text():
        raise AssertionError(f"unexpected help: {user.editor.text()[:200]!r}")
    user.editor.nvim.command("helpclose")


@check
def statistics(user: User) -> None:
    user.press("Escape")
    n_windows = len(user.editor.nvim.windows)
    user.editor.nvim.command("TinyCopilot stats")
    wait_for("new window", 5, lambda: len(user.editor.nvim.windows) > n_windows)
    text = user.editor.text()
    if not re.search(r"[1-9]\d* suggestions, [1-9]\d* accepted.*, [1-9]\d* in part", text):
        raise AssertionError(f"the accepted suggestion is not counted: {text!r}")
    user.press("q")
    wait_for("closed window", 5, lambda: len(user.editor.nvim.windows) == n_windows)


@check
def welcome_is_shown_once(user: User) -> None:
    """The first Neovim has shown the welcome message; a second one shows it only if the marker file is deleted."""
    markers = list(user.editor.home.rglob("tinycopilot-welcomed"))
    assert_equal("marker files", 1, len(markers))
    with user.second_neovim() as other:
        other.editor.wait_until_ready()
        assert_equal("messages of a second Neovim", "", other.editor.output("messages"))
        markers[0].unlink()
        other.editor.nvim.command("TinyCopilot restart")
        wait_for("the welcome message", 20, lambda: "<Tab> accepts, <C-]> dismisses" in other.editor.output("messages"))


@check
def knowledge(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op", name="known.py")
    user.press("Escape")
    n_windows = len(user.editor.nvim.windows)
    user.editor.nvim.command("TinyCopilot knowledge")
    wait_for("new window", 5, lambda: len(user.editor.nvim.windows) > n_windows)
    text = user.editor.text()
    for word in ("Indexed: ", " on disk and ", "Model: ", "Last suggestion: ", " ms"):
        if word not in text:
            raise AssertionError(f"no {word!r} in {text!r}")
    user.press("q")
    wait_for("closed window", 5, lambda: len(user.editor.nvim.windows) == n_windows)


@check
def evaluation_in_a_terminal(user: User) -> None:
    user.open(TEXT, name="eval_me.py")
    user.editor.wait_until_ready()
    small = user.folder / "small"
    small.mkdir(exist_ok=True)
    (small / "a.py").write_text("total = first + second\n" * 9)
    user.editor.nvim.command(f"TinyCopilot eval {small}")
    try:
        wait_for("the result", 60, lambda: "bits/char" in user.editor.text())
    finally:
        user.editor.nvim.command("bwipeout!")  # otherwise later checks would type in the terminal


@check
def why(user: User) -> None:
    """The page is opened. A mock of `vim.ui.open` records its path."""
    user.type_in_new_file(PREFIX[:-2], "op")
    user.editor.lua("vim.ui.open = function(path) _G.opened = path end")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot why")
    wait_for("the page", 60, lambda: user.editor.lua("return _G.opened"))
    path = user.editor.lua("return _G.opened")
    assert_equal("last message", f"tinycopilot: page: {path}", user.editor.output("messages").splitlines()[-1])
    page = Path(path).read_text("utf-8")
    if "How this suggestion was made" not in page or "read_omega" not in page.replace('", "', ""):
        raise AssertionError(f"unexpected page: {page[:200]!r}")


@check
def enter_confirms_no_deletion(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    for command, question in (
        ("forget-stats", "Delete the statistics?"),
        ("forget-workspace", "Delete everything indexed, learned and trained in "),
    ):
        user.editor.nvim.command("messages clear")
        user.editor.terminal.type(f":TinyCopilot {command}")
        user.press("Enter")
        wait_for("the question", 5, lambda question=question: question in user.editor.screen())
        user.press("Enter")
        wait_for("end of the question", 5, lambda question=question: question not in user.editor.screen())
        time.sleep(NO_REQUEST_WAIT_S)  # enough for a message about a deletion
        assert_equal(f"messages after {command} and Enter", "", user.editor.output("messages"))


def new_project(user: User, name: str) -> Path:
    """Create a project next to the one that is open; return its folder."""
    folder = user.folder.parent / name
    folder.mkdir()
    (folder / "pyproject.toml").touch()
    return folder


@check
def commands_leave_other_projects_alone(user: User) -> None:
    """In a project without a server, nothing is deleted or trained in the project that has one."""
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    other = new_project(user, "other")
    user.editor.lua("""
        _G.calls = {}
        local function record(what) table.insert(_G.calls, what) return 1 end
        local client = vim.lsp.get_clients({ name = 'tinycopilot' })[1]
        local request, confirm, notify = client.request, vim.fn.confirm, vim.notify
        function client.request(_, _, params) record(params.command) return true end
        function vim.fn.confirm(question) return record(question) end
        function vim.notify(message) record(message) end
        function _G.undo() client.request, vim.fn.confirm, vim.notify = request, confirm, notify end
    """)
    try:
        user.editor.nvim.command(f"silent edit {other}/other.json")
        commands = ("forget-workspace", "forget-file", "train", "eval")
        for command in commands:
            user.editor.nvim.command(f"TinyCopilot {command}")
        refusal = "tinycopilot: off here: go to a file of the project where it is on"
        assert_equal("in another project", [refusal] * len(commands), user.editor.lua("return _G.calls"))
        user.editor.nvim.command(f"silent edit {user.folder}/inside.json")
        user.editor.lua("_G.calls = {}")
        user.editor.nvim.command("TinyCopilot forget-workspace")
        question = f"Delete everything indexed, learned and trained in {user.folder}?"
        sent = [question, "tinycopilot.forgetWorkspace"]
        assert_equal("in a file of the project", sent, user.editor.lua("return _G.calls"))
    finally:
        user.editor.lua("_G.undo()")


@check
def commands_in_a_window_without_a_server(user: User) -> None:
    """They concern the project that was last used, and `cancel` the one that trains."""
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    second = new_project(user, "second")
    (second / "x.py").write_text("x = 1\n")
    user.editor.nvim.command(f"silent edit {second}/x.py")
    user.editor.wait_until_ready()
    user.editor.lua("""
        _G.calls, _G.undone = {}, {}
        for _, client in ipairs(vim.lsp.get_clients { name = 'tinycopilot' }) do
            local request = client.request
            table.insert(_G.undone, function() client.request = request end)
            function client.request(_, _, params)
                table.insert(_G.calls, vim.fs.basename(client.root_dir) .. ' ' .. params.command)
                return true
            end
        end
    """)
    set_training = """
        local first = vim.lsp.get_clients { name = 'tinycopilot' }[1]
        require('tinycopilot.state').on_training(first.id, { state = ..., percentage = 1 })
    """
    user.editor.nvim.command("silent help")
    try:
        user.editor.nvim.command("TinyCopilot why")
        user.editor.nvim.exec_lua(set_training, "running")
        user.editor.nvim.command("TinyCopilot cancel")
        sent = ["second tinycopilot.explain", f"{user.folder.name} tinycopilot.cancelTraining"]
        assert_equal("requests", sent, user.editor.lua("return _G.calls"))
    finally:
        user.editor.nvim.exec_lua(set_training, "cancelled")
        user.editor.lua("for _, undo in ipairs(_G.undone) do undo() end")
        user.editor.nvim.command(f"helpclose | bwipeout {second}/x.py")
        user.editor.lua("""
            for _, client in ipairs(vim.lsp.get_clients { name = 'tinycopilot' }) do
                if vim.endswith(client.root_dir, '/second') then
                    require('tinycopilot.state').mark_stopping(client.id)
                    client:stop()
                end
            end
        """)


@check
def buffers_without_names(user: User) -> None:
    """Neovim gives all of them the same URI, so only one is sent to the server."""
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    n_clients = "return #vim.lsp.get_clients({ name = 'tinycopilot', bufnr = 0 })"
    user.editor.nvim.command("silent enew | set filetype=python")
    wait_for("the server in the first one", 10, lambda: user.editor.lua(n_clients) == 1)
    user.editor.nvim.command("silent new | set filetype=python")
    time.sleep(NO_REQUEST_WAIT_S)
    assert_equal("servers in the second one", 0, user.editor.lua(n_clients))
    if "save it first" not in user.editor.output("TinyCopilot"):
        raise AssertionError(f"no reason in the status: {user.editor.output('TinyCopilot')!r}")
    user.editor.nvim.command(f"silent write {user.folder}/named.py")
    user.editor.nvim.command("silent edit")
    wait_for("the server in the named one", 10, lambda: user.editor.lua(n_clients) == 1)
    user.editor.nvim.command("silent close")


@check
def suggestions_continue_after_a_new_name(user: User) -> None:
    """Also in the first buffer without a name, of which Neovim then deletes the autocommands."""
    nvim = user.editor.nvim
    user.open("x = 1\n")
    nvim.command("silent enew | set filetype=python")
    wait_for("the server", 10, lambda: user.editor.lua("return #vim.lsp.get_clients({ bufnr = 0 })") == 1)
    nvim.current.buffer[:] = PREFIX.split("\n")
    nvim.command("let g:n_attached = 0 | augroup names | augroup END")
    nvim.command("autocmd names LspAttach * let g:n_attached += 1")
    for n, (command, key) in enumerate((("write", "e"), ("file", "n"), ("saveas", "(")), 1):
        nvim.command(f"silent {command} {user.folder}/named_by_{command}.py")
        wait_for("the server, again", 10, lambda n=n: nvim.eval("g:n_attached") >= n)
        user.editor.wait_until_ready()
        user.press("G", "A", key)
        user.editor.wait_for_ghost_text()
        user.press("Escape")
    nvim.command("silent write! | autocmd! names")


@check
def buffer_closed_during_a_request(user: User) -> None:
    user.type_in_new_file(PREFIX, "e")
    own = "require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]"
    user.editor.lua(f"vim.cmd.messages 'clear'; {own}:request(2); vim.cmd.bwipe {{ bang = true }}")
    user.type_in_new_file(PREFIX, "e")  # answered after that request
    assert_equal("messages", "", user.editor.output("messages"))


@check
def command_completion(user: User) -> None:
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot re', 'cmdline')")
    assert_equal("completion", ["reload", "restart", "resume"], completed)
    completed = user.editor.lua("return vim.fn.getcompletion('TinyCopilot toggle ', 'cmdline')")
    assert_equal("completion of toggle", ["all", "buffer", "filetype"], completed)


@check
def training_progress_and_cancel(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.lua(
        "_G.states = {} vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', "
        "callback = function(event) table.insert(_G.states, event.data.state or '') end })"
    )
    user.editor.nvim.command("TinyCopilot train 1")
    wait_for("the percentage", 20, lambda: re.fullmatch(r"tinycopilot: training \d+%", user.editor.status()))
    user.editor.nvim.command("TinyCopilot cancel")
    wait_for("status ready after cancel", 20, lambda: user.editor.status() == "tinycopilot: ready")
    states = user.editor.lua("return _G.states")
    # While the process exits, the state is "busy".
    if "busy" not in states[states.index("training") :] or states[-1] != "ready":
        raise AssertionError(f"states in User TinyCopilotStatus events: {states}")


@check
def settings_change_at_runtime(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set maxChars=4")
    assert_equal("the setting", "tinycopilot: maxChars=4", user.editor.output("TinyCopilot set maxChars"))
    user.press("A", "e")
    ghost = user.ghost_text_for(PREFIX + "e")
    if not (ghost.startswith("n(") and len(ghost) <= 4):
        raise AssertionError(f"more than 4 characters: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set languages=lua")
    wait_for("empty status in Python", 5, lambda: not user.editor.status())
    user.editor.nvim.command("TinyCopilot set languages=*")
    user.editor.nvim.command("TinyCopilot set maxChars=120")
    user.editor.wait_until_ready()
    user.press("A", "n")
    ghost = user.editor.wait_for_ghost_text()
    if not (ghost.startswith("(path") and len(ghost) > 4):
        raise AssertionError(f"with the original settings: {ghost!r}")
    user.press("Escape")
    setup_again = "local tiny = require 'tinycopilot' tiny.setup { cmd = tiny.options.cmd, settings = { %s } }"
    user.editor.lua(setup_again % "eagerness = 0.5, maxChars = 4")
    user.press("A", "(")
    ghost = user.ghost_text_for(PREFIX + "en(")
    if not 0 < len(ghost) <= 4:
        raise AssertionError(f"more than 4 characters after a second setup: {ghost!r}")
    user.press("Escape")
    user.editor.lua(setup_again % "eagerness = 0.5")
    assert_equal(
        "languages after setup", "tinycopilot: languages=default", user.editor.output("TinyCopilot set languages")
    )


@check
def default_languages(user: User) -> None:
    """By default, ghost text is on in Rust and off in JSON; it can be turned on there."""
    rust = "".join(
        f"fn read_{name}(path: &Path) -> Vec<String> {{ lines_of(path) }}\n\n" for name in ("one", "two", "six")
    )
    ghost = user.type_in_new_file(rust + "fn read_ten(path:", " &P", name="reads.rs")
    if not ghost.startswith("ath) -> Vec<String>"):
        raise AssertionError(f"in Rust: {ghost!r}")
    user.press("Escape")
    json = "".join(f'{{"reading_{name}": "warm enough"}}\n' for name in ("one", "two", "six"))
    user.open(json + '{"reading_ten": "war', name="reads.json")
    assert_equal("status in JSON", "", user.editor.status())
    said = user.editor.output("TinyCopilot")
    if "off in json: turn it on with :TinyCopilot toggle filetype" not in said:
        raise AssertionError(f"status in JSON: {said!r}")
    user.editor.nvim.command("TinyCopilot toggle filetype")
    wait_for("status ready in JSON", 10, lambda: user.editor.status() == "tinycopilot: ready")
    user.press("A", "m")
    user.editor.wait_for_ghost_text()
    user.press("Escape")
    user.editor.nvim.command("TinyCopilot set languages=default")
    wait_for("status off in JSON", 5, lambda: not user.editor.status())


@check
def two_windows_on_one_file(user: User) -> None:
    text = TEXT + "\n" * 30 + PREFIX.removeprefix(TEXT)  # so far apart that the same text above is not on the screen
    user.type_in_new_file(text[:-2], "op")
    user.press("Escape")
    user.editor.nvim.command("split")
    user.press("A", "e")
    first_line = user.ghost_text_for(text + "e").split("\n")[0]
    wait_for("ghost text on the screen", 5, lambda: "ope" + first_line in user.editor.screen())
    assert_equal("occurrences on the screen", 1, user.editor.screen().count(first_line))
    user.other_window()
    user.press("End", "n")
    first_line = user.ghost_text_for(text + "en").split("\n")[0]
    wait_for("ghost text on the screen", 5, lambda: "open" + first_line in user.editor.screen())
    assert_equal("occurrences on the screen, from the other window", 1, user.editor.screen().count(first_line))
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_windows_on_two_files(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    first = user.editor.nvim.current.buffer
    user.press("Escape")
    user.editor.nvim.command("vsplit")
    user.type_in_new_file(PREFIX[:-2], "op")
    user.other_window()
    wait_for("the other file", 5, lambda: user.editor.nvim.current.buffer == first)
    time.sleep(NO_REQUEST_WAIT_S)
    assert_equal("ghost text in the window that was left", [], user.editor.other_ghost_texts())
    user.press("End", "e")
    ghost = user.ghost_text_for(PREFIX + "e")
    assert_equal("ghost text in the other window", [], user.editor.other_ghost_texts())
    user.accept("Tab", PREFIX + "e", "", ghost, "accepting in one of two windows")
    user.press("Escape")
    user.editor.nvim.command("silent only!")


@check
def two_editors_in_one_folder(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    with user.second_neovim() as other:
        ghost = other.type_in_new_file(PREFIX[:-2], "op")
        user.press("e")
        user.ghost_text_for(PREFIX + "e")
        other.accept("Tab", PREFIX, "", ghost, "accepting in the second Neovim")
    user.press("n")
    if not (ghost := user.ghost_text_for(PREFIX + "en")).startswith("(path"):
        raise AssertionError(f"after the second Neovim exited: {ghost!r}")


@check
def large_file(user: User) -> None:
    """A document that is too large to be indexed is completed from the text near the cursor."""
    text = "".join(f"reading_{i} = measure({i}, unit='celsius')\n" for i in range(120_000))
    user.open(text + "reading_x = measure(1, ")
    size = len(user.editor.text())
    if size < 5_000_000:
        raise AssertionError(f"this check needs a larger file than {size:,} characters")
    user.press("A")
    user.editor.terminal.type("un")
    wait_for("the typed text", 10, lambda: user.editor.nvim.current.line == "reading_x = measure(1, un")
    if not (ghost := user.editor.wait_for_ghost_text()) or not "it='celsius')".startswith(ghost):
        raise AssertionError(f"in the large file: {ghost!r}")
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"in another file: {ghost!r}")
    user.press("Escape")
    user.editor.nvim.command("bwipeout! #")


@check
def bytes_that_are_not_utf8(user: User) -> None:
    """As with `nvim -b`: Neovim sends the bytes as they are."""
    line = b"show('\xff\xe2', first_reading)"
    before = b"".join(b"%b  # %d\n" % (line, i) for i in range(6)) + line[:-10]
    path = user.open("")
    path.write_bytes(before)
    user.editor.nvim.command("silent edit! ++bin ++enc=utf-8")
    user.editor.wait_until_ready()
    user.press("G", "A", "r")
    ghost = user.editor.wait_for_ghost_text()
    user.press("Tab")
    wait_for("no ghost text", 5, lambda: user.editor.ghost_text() != ghost)
    user.press("Escape")
    user.editor.nvim.command("silent write")
    assert_equal("the file", before + b"r" + ghost.encode(), path.read_bytes())


@check
def read_only_files(user: User) -> None:
    """Some of these files can be edited after a warning, others cannot; none causes an error in the plugin."""
    for option in ("readonly", "nomodifiable", "readonly nomodifiable"):
        user.open(PREFIX)
        user.editor.wait_until_ready()
        user.editor.nvim.command("messages clear")
        user.editor.nvim.command(f"setlocal {option}")
        is_modifiable = "nomodifiable" not in option
        expected = PREFIX + "e" if is_modifiable else PREFIX
        user.press("A", "e")
        if is_modifiable:
            user.accept("Tab", expected, "", user.ghost_text_for(expected), "accepting in a read-only file")
        else:
            user.press("Tab", "C-Right", "M-]", "C-]", "Escape")
            time.sleep(NO_REQUEST_WAIT_S)
            assert_equal(f"the text with {option}", PREFIX, user.editor.text())
            assert_equal(f"ghost text with {option}", "", user.editor.ghost_text())
        user.press("Escape")
        said = [line for line in user.editor.output("messages").splitlines() if not line.startswith(("W10", "E21"))]
        assert_equal(f"messages with {option}", [], said)


@check
def complete_training_run(user: User) -> None:
    """Train on random letters, which no earlier text predicts: the network, which expects words, improves at once."""
    project = new_project(user, "letters")  # separate, since the trained model is used only in its project
    dice = Random(1)
    for i in range(10):
        rows = "".join(f'    "{"".join(dice.choices(ascii_letters, k=40))}",\n' for _ in range(44))
        (project / f"rows_{i}.py").write_text(f"ROWS = [\n{rows}]\n")
    user.press("Escape")
    user.editor.nvim.command(f"silent edit! {project}/rows_0.py")
    user.editor.wait_until_ready()
    user.editor.set_watchdog(400)  # enough on a busy machine; usually, it takes about 20 s
    user.editor.lua(
        "vim.cmd('messages clear') require('tinycopilot').cut, _G.percentages = nil, {} "
        "vim.api.nvim_create_autocmd('User', { pattern = 'TinyCopilotStatus', callback ="
        " function(event) table.insert(_G.percentages, event.data.percentage) end })"
    )
    user.editor.nvim.command(f"TinyCopilot train {TRAIN_MINUTES:g}")

    cut = "return require('tinycopilot').cut or ''"  # the result is longer than a line
    wait_for("the end of training", 360, lambda: user.editor.lua(cut) or "failed" in user.editor.output("messages"))
    message = user.editor.output("TinyCopilot").replace("\n", " ")
    figures = re.search(r"(\d\.\d+) -> (\d\.\d+) bits per character on 1 file .*: in use", message)
    if not figures or float(figures[2]) >= float(figures[1]):
        raise AssertionError(f"no improvement: {message}")
    wait_for("status ready", 20, lambda: user.editor.status() == "tinycopilot: ready")
    percentages = user.editor.lua("return _G.percentages")
    if len(set(percentages)) < 3 or percentages != sorted(percentages):
        raise AssertionError(f"unexpected percentages: {percentages}")
    [model] = user.editor.home.rglob("workspaces/*/tiny_gpt.pth")
    log = "".join(path.read_text() for path in user.editor.home.rglob("server.log"))
    if f"model: {model} (adapted" not in log:
        raise AssertionError(f"{model} is not in use, according to the log:\n{log}")
    user.editor.nvim.command("bwipeout")  # otherwise its server would be restarted, too


@check
def log_opens_the_servers_log(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("TinyCopilot log")
    wait_for("the log", 5, lambda: user.editor.nvim.current.buffer.name.endswith("server.log"))
    assert_equal("tab pages (the edited file stays in its window)", 2, len(user.editor.nvim.tabpages))
    user.editor.nvim.command("silent! tabonly! | silent! only!")


@check
def restart(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    first = user.editor.lua("return vim.lsp.get_clients({ name = 'tinycopilot' })[1].id")
    user.editor.nvim.command("TinyCopilot restart")
    user.editor.wait_until_ready()
    ids = user.editor.lua("return vim.tbl_map(function(each) return each.id end, vim.lsp.get_clients())")
    if len(ids) != 1 or ids[0] == first:
        raise AssertionError(f"clients after a restart: {ids}, before: {first}")
    user.press("A", "e")
    if not user.editor.wait_for_ghost_text().startswith("n(path"):
        raise AssertionError(f"after a restart: {user.editor.ghost_text()!r}")


@check
def checkhealth(user: User) -> None:
    user.open(TEXT)
    user.editor.wait_until_ready()
    user.editor.nvim.command("checkhealth tinycopilot")
    wait_for("the report", 15, lambda: "state:" in user.editor.text())
    text = user.editor.text()
    for expected in ("ghost text", "server: `", "model:", "state: ready"):
        if expected not in text:
            raise AssertionError(f"{expected!r} is not in the report:\n{text}")
    if "ERROR" in text:
        raise AssertionError(f"the report contains an error:\n{text}")
    user.editor.nvim.command("tabonly! | enew")


@check
def killed_server_is_restarted(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    client = "vim.lsp.get_clients({ name = 'tinycopilot' })[1]"
    first = user.editor.lua(f"return {client}.id")
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(user.editor.lua("return vim.fn.getpid()"))], capture_output=True, text=True
    )
    for process in children.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    wait_for("Neovim waiting for a key after its message", 10, user.editor.is_waiting_for_key)
    user.press("Enter")
    again = f"local client = {client} return client and client.id ~= {first} and client.initialized"
    wait_for("a new server", 20, lambda: user.editor.lua(again))
    user.press("Escape")
    user.editor.wait_until_ready()
    user.press("A", "e")
    if not user.editor.wait_for_ghost_text().startswith("n(path"):
        raise AssertionError(f"from the new server: {user.editor.ghost_text()!r}")


@check
def long_messages_do_not_wait_for_a_key(user: User) -> None:
    user.open("x = 1\n")
    problem = (
        "the setting has a value that cannot be used in this version, so its previous value stays in effect for now"
    )
    user.editor.lua(
        f"local client = vim.lsp.get_clients({{ name = 'tinycopilot' }})[1] client.handlers['window/showMessage']"
        f"(nil, {{ type = 2, message = '{problem}' }}, {{ client_id = client.id }})"
    )
    wait_for("the message", 5, lambda: "tinycopilot: the setting" in user.editor.screen())
    if user.editor.is_waiting_for_key():
        raise AssertionError("Neovim waits for a key")
    said = user.editor.output("TinyCopilot").replace("\n", " ")
    assert_equal("message and status", f"tinycopilot: {problem} tinycopilot: ready", said)
    user.editor.lua(f"require('tinycopilot').cut = 'tinycopilot: {problem}'")
    client_id = user.editor.lua("return vim.lsp.get_clients({ name = 'tinycopilot' })[1].id")
    user.editor.lua(
        f"require('tinycopilot.state').on_status({client_id}, {{ state = 'error', message = '{problem}' }})"
    )
    said = user.editor.output("TinyCopilot").replace("\n", " ")
    assert_equal("the error is shown once", f"tinycopilot: error: {problem}", said)
    user.editor.lua(f"require('tinycopilot.state').on_status({client_id}, {{ state = 'ready' }})")
