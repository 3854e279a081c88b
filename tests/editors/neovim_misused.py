"""Checks of misuse: invalid commands, invalid settings, and programs that are not a server. Each gets one line."""

import json
import os
import subprocess
from typing import Any

import pynvim
from neovim_editor import PLUGIN, until
from neovim_user import Check, User, equal

CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def complaint(user: User, command: str) -> str:
    """Return Neovim's error for the command."""
    try:
        return user.editor.said(command)
    except pynvim.NvimError as error:
        return str(error)


COMPLAINTS = {
    "nap": "unknown command: nap; see :help :TinyCopilot",
    "pause now": "pause takes no `now`",
    "toggle buffer 3": "toggle takes no `3`",
    "train 1 2": "train takes no `2`",
    "train nan": "train: expected a number of minutes, not nan",
    "train 1e999": "train: expected a number of minutes, not 1e999",
    "set eagerness=nan": "eagerness must be a number from 0 to 1, not nan",
    "set eagerness=high": 'eagerness must be a number from 0 to 1, not "high"',
    "set eagerness=7": "eagerness must be a number from 0 to 1, not 7",
    "set eagerness = 0.2 0.3": 'eagerness must be a number from 0 to 1, not "0.2 0.3"',
    "set maxChars 1.5": "maxChars must be an integer from 1 to 100000, not 1.5",
    "set inComments=never": 'inComments must be true or false, not "never"',
    "set colour=red": "set: unknown setting `colour`; example: set eagerness=0.9",
}
"""Arguments of `:TinyCopilot` -> error."""


@check
def commands_complain(user: User) -> None:
    user.open("x = 1\n")
    for command, wanted in COMPLAINTS.items():
        said = complaint(user, f"TinyCopilot {command}")
        if f"Vim:tinycopilot: {wanted}\n" not in said:  # the part that Lua adds comes from this test
            raise AssertionError(f"of {command}: {said!r}")
    equal("what was set before", "tinycopilot: eagerness=0.5", user.editor.said("TinyCopilot set eagerness"))


@check
def no_window_from_the_command_line_window(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.nvim.command("messages clear")
    user.press("q", ":")
    until("that window", 5, lambda: user.editor.lua("return vim.fn.getcmdwintype()"))
    user.editor.nvim.command("TinyCopilot stats")
    wanted = "tinycopilot: close the command-line window first"
    until("an answer", 10, lambda: user.editor.said("messages"))
    equal("what is said", wanted, user.editor.said("messages"))
    user.editor.nvim.command("quit")


@check
def commands_take_what_is_meant(user: User) -> None:
    for words in ("eagerness 0.2", "eagerness = 0.2", "eagerness= 0.2", "eagerness=0.2"):
        user.editor.nvim.command("silent TinyCopilot set eagerness=0.5")
        equal(f"set {words}", "tinycopilot: eagerness=0.2", user.editor.said(f"TinyCopilot set {words}"))
        equal("it then", "tinycopilot: eagerness=0.2", user.editor.said("TinyCopilot set eagerness"))
    user.editor.nvim.command("silent TinyCopilot set eagerness=0.5")
    user.editor.nvim.command("silent TinyCopilot set exclude = *.a, b c")
    equal("a list", ["*.a", "b c"], user.editor.lua("return require('tinycopilot').options.settings.exclude"))
    user.editor.nvim.command("silent TinyCopilot set exclude=")
    path = user.open("x = 1\n")
    user.editor.nvim.command("normal Ay")
    user.editor.nvim.command("silent TinyCopilot set eagerness | silent write")
    equal("the file", "x = 1y\n", path.read_text())
    completed = user.editor.lua("return vim.fn.getcompletion('write | silent TinyCopilot toggle b', 'cmdline')")
    equal("completion after another command", ["buffer"], completed)


ALONE = """
local heard = {{}}
vim.notify = function(message) table.insert(heard, message) end
local tiny = require 'tinycopilot'
local function wait_for(done) return vim.wait(20000, done, 5) end
local function main()
{body}
end
io.stdout:write(vim.json.encode(main()))
"""


def alone(user: User, body: str) -> Any:
    """Return the result of `body`, Lua code, in a separate headless Neovim."""
    script = user.folder.parent / "alone.lua"
    script.write_text(ALONE.format(body=body))
    home = {f"XDG_{kind}_HOME": str(user.editor.home / "alone") for kind in ("STATE", "DATA", "CACHE", "CONFIG")}
    command = [user.editor.program, "--clean", "--headless", "-n", "--cmd", f"set rtp^={PLUGIN}"]
    command += ["-c", f"luafile {script}", "-c", "qall!"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(user.editor.home), **home}
    run = subprocess.run(command, cwd=user.folder, env=environment, capture_output=True, text=True, timeout=50)
    try:
        return json.loads(run.stdout)
    except ValueError:
        raise AssertionError(f"no result, but {run.stdout!r} and {run.stderr!r}") from None


SETUPS = {
    "keymaps = false": [],
    "cmd = 'true', settings = { languages = 'lua', exclude = '*.py' }": [],
    "cmd = {}": ["cmd must be a command and its arguments, not {}"],
    "cmd = { 7 }": ["cmd must be a command and its arguments, not { 7 }"],
    "settings = false": ["settings must be a table, not false"],
    "settings = { languages = { 7 } }": ["languages must be a list of strings, not { 7 }"],
    "settings = { eagerness = 7 }": ["eagerness must be a number from 0 to 1, not 7"],
    "settings = { color = 'red' }": ["unknown setting `color`"],
    "keymaps = { accept = { '<Tab>', '<C-y>' } }": ['keymaps.accept must be a key or false, not { "<Tab>", "<C-y>" }'],
    "keymaps = { accept = true }": ["keymaps.accept must be a key or false, not true"],
    "keymaps = { accept = '' }": [],
    "keymaps = { acept = '<Tab>' }": ["unknown keymap `acept`"],
    "keymap = {}": ["unknown option `keymap`"],
}
"""Invalid arguments of setup -> message."""


@check
def setups_that_cannot_be_used(user: User) -> None:
    """One line per problem, its default used instead, files still open, and :checkhealth lists it."""
    body = "local all = {}\n"
    for options, wanted in SETUPS.items():
        body += f"""
        heard = {{}}
        tiny.setup {{ {options} }}
        wait_for(function() return #heard >= {len(wanted)} end)
        require('tinycopilot.keys').set(0, tiny.options.keymaps)
        vim.b.tinycopilot_keys = nil
        table.insert(all, {{ heard, tiny.options.cmd, tiny.options.settings.languages, tiny.options.keymaps.accept }})
        """
    body += "vim.cmd 'checkhealth tinycopilot' table.insert(all, vim.api.nvim_buf_get_lines(0, 0, -1, true)) return all"
    *results, report = alone(user, body)
    for (options, wanted), (heard, cmd, languages, accept) in zip(SETUPS.items(), results, strict=True):
        equal(f"messages for {options}", [f"tinycopilot: {line}" for line in wanted], list(heard))
        is_changed = "'true'" in options
        equal(f"cmd with {options}", ["true"] if is_changed else ["tinycopilot-server"], cmd)
        equal(f"languages with {options}", ["lua"] if is_changed else ["default"], languages)
        is_off = options in ("keymaps = false", "keymaps = { accept = '' }")
        equal(f"the key with {options}", False if is_off else "<Tab>", accept)
    if not any("WARNING unknown option `keymap`" in line for line in report):
        raise AssertionError(f"unexpected :checkhealth report: {report}")


PROGRAMS = {
    "true": "the server exits at startup",
    r"printf 'hello\r\n\r\n'; cat > /dev/null": "`sh` is not a language server",
    "echo hello; cat > /dev/null": "`sh` does not respond",
}
"""Program that is not a server -> message. The last program never ends."""


@check
def programs_that_are_no_server(user: User) -> None:
    body = "local all = {}\n"
    for program, wanted in PROGRAMS.items():
        body += f"""
        vim.cmd '%bwipeout!'
        heard = {{}}
        tiny.setup {{ cmd = {{ 'sh', '-c', [[{program}]] }} }}
        tiny.patience_ms = {100 if "respond" in wanted else 60000}
        vim.cmd 'edit start.py'
        wait_for(function() return vim.iter(heard):any(function(m) return m:find([[{wanted}]], 1, true) end) end)
        vim.cmd 'checkhealth tinycopilot'
        table.insert(all, {{ heard, vim.api.nvim_buf_get_lines(0, 0, -1, true) }})
        """
    for (program, wanted), (heard, report) in zip(PROGRAMS.items(), alone(user, body + "return all"), strict=True):
        if not any(wanted in message for message in heard):
            raise AssertionError(f"messages for {program}: {heard}")
        if not any("WARNING the server is not attached to 1 of 1 matching buffers" in line for line in report):
            raise AssertionError(f":checkhealth report for {program}: {report}")
