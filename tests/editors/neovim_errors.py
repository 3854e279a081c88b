"""Checks of error messages: invalid commands and settings, and programs that are not a language server."""

import json
import os
import subprocess
from typing import Any

import pynvim
from neovim_editor import PLUGIN, wait_for
from neovim_user import User, assert_equal, check


def error_of(user: User, command: str) -> str:
    """Run a command; return its error, or its output if it succeeds."""
    try:
        return user.editor.output(command)
    except pynvim.NvimError as error:
        return str(error)


COMMAND_ERRORS = {
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
    "set color=red": "set: unknown setting `color`; example: set eagerness=0.9",
}
"""Arguments of `:TinyCopilot`, and the expected error."""


@check
def invalid_commands_are_reported(user: User) -> None:
    user.open("x = 1\n")
    for command, expected in COMMAND_ERRORS.items():
        said = error_of(user, f"TinyCopilot {command}")
        if f"Vim:tinycopilot: {expected}\n" not in said:  # exec_lua adds a traceback
            raise AssertionError(f"error of {command}: {said!r}")
    user.open("x = 1\n", "no_type")
    for words in ("toggle filetype", "toggle buffer", "status"):
        assert_equal(words, True, "has no file type" in error_of(user, f"TinyCopilot {words}"))
    user.open("x = 1\n", "notes.txt")
    for words in ("toggle buffer", "status"):
        said = error_of(user, f"TinyCopilot {words}")
        assert_equal(said, True, "off in text: turn it on with :TinyCopilot toggle filetype" in said)
    assert_equal(
        "the setting after invalid commands",
        "tinycopilot: eagerness=0.5",
        user.editor.output("TinyCopilot set eagerness"),
    )


@check
def no_window_opens_from_the_command_line_window(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.nvim.command("messages clear")
    user.press("q", ":")
    wait_for("the command-line window", 5, lambda: user.editor.lua("return vim.fn.getcmdwintype()"))
    user.editor.nvim.command("TinyCopilot stats")
    expected = "tinycopilot: close the command-line window first"
    wait_for("a message", 10, lambda: user.editor.output("messages"))
    assert_equal("messages", expected, user.editor.output("messages"))
    user.editor.nvim.command("quit")


@check
def command_syntax_is_flexible(user: User) -> None:
    for words in ("eagerness 0.2", "eagerness = 0.2", "eagerness= 0.2", "eagerness=0.2"):
        user.editor.nvim.command("silent TinyCopilot set eagerness=0.5")
        assert_equal(f"set {words}", "tinycopilot: eagerness=0.2", user.editor.output(f"TinyCopilot set {words}"))
        assert_equal("the setting", "tinycopilot: eagerness=0.2", user.editor.output("TinyCopilot set eagerness"))
    user.editor.nvim.command("silent TinyCopilot set eagerness=0.5")
    user.editor.nvim.command("silent TinyCopilot set exclude = *.a, b c")
    assert_equal("the list", ["*.a", "b c"], user.editor.lua("return require('tinycopilot').options.settings.exclude"))
    user.editor.nvim.command("silent TinyCopilot set exclude=")
    path = user.open("x = 1\n")
    user.editor.nvim.command("normal Ay")
    user.editor.nvim.command("silent TinyCopilot set eagerness | silent write")
    assert_equal("the file", "x = 1y\n", path.read_text())
    completed = user.editor.lua("return vim.fn.getcompletion('write | silent TinyCopilot toggle b', 'cmdline')")
    assert_equal("completion after another command", ["buffer"], completed)


HEADLESS = """
local heard = {{}}
vim.notify = function(message) table.insert(heard, message) end
local tiny = require 'tinycopilot'
local function wait_for(done) return vim.wait(20000, done, 5) end
local function main()
{body}
end
io.stdout:write(vim.json.encode(main()))
"""


def run_headless(user: User, body: str) -> Any:
    """Run `body`, Lua code, in a separate headless Neovim; return its result."""
    script = user.folder.parent / "headless.lua"
    script.write_text(HEADLESS.format(body=body))
    home = {f"XDG_{kind}_HOME": str(user.editor.home / "headless") for kind in ("STATE", "DATA", "CACHE", "CONFIG")}
    command = [user.editor.program, "--clean", "--headless", "-n", "--cmd", f"set rtp^={PLUGIN}"]
    command += ["-c", f"luafile {script}", "-c", "qall!"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(user.editor.home), **home}
    run = subprocess.run(command, cwd=user.folder, env=environment, capture_output=True, text=True, timeout=50)
    try:
        return json.loads(run.stdout)
    except ValueError:
        raise AssertionError(f"no JSON: stdout {run.stdout!r}, stderr {run.stderr!r}") from None


SETUP_ERRORS = {
    "keymaps = false": [],
    "cmd = 'true', settings = { languages = 'lua', exclude = '*.py' }": [],
    "cmd = {}": ["cmd must be a command and its arguments, not {}"],
    "cmd = { 7 }": ["cmd must be a command and its arguments, not { 7 }"],
    "cmd = './server'": ['cmd must be a program on the PATH or a full path, not "./server"'],
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
"""Options of setup(), and the expected messages."""


@check
def invalid_setups_are_reported(user: User) -> None:
    """Each problem gives one message, and the option's default is used; :checkhealth lists it."""
    body = "local all = {}\n"
    for options, expected in SETUP_ERRORS.items():
        body += f"""
        heard = {{}}
        tiny.setup {{ {options} }}
        wait_for(function() return #heard >= {len(expected)} end)
        require('tinycopilot.keys').set(0, tiny.options.keymaps)
        vim.cmd 'imapclear <buffer>'
        table.insert(all, {{ heard, tiny.options.cmd, tiny.options.settings.languages, tiny.options.keymaps.accept }})
        """
    body += "vim.cmd 'checkhealth tinycopilot' table.insert(all, vim.api.nvim_buf_get_lines(0, 0, -1, true)) return all"
    *results, report = run_headless(user, body)
    for (options, expected), (heard, cmd, languages, accept) in zip(SETUP_ERRORS.items(), results, strict=True):
        assert_equal(f"messages for {options}", [f"tinycopilot: {line}" for line in expected], list(heard))
        is_changed = "'true'" in options
        assert_equal(f"cmd with {options}", ["true"] if is_changed else ["tinycopilot-server"], cmd)
        assert_equal(f"languages with {options}", ["lua"] if is_changed else ["default"], languages)
        is_off = options in ("keymaps = false", "keymaps = { accept = '' }")
        assert_equal(f"accept key with {options}", False if is_off else "<Tab>", accept)
    if not any("WARNING unknown option `keymap`" in line for line in report):
        raise AssertionError(f"unexpected :checkhealth report: {report}")


NOT_SERVERS = {
    "true": "the server exits at startup",
    r"printf 'hello\r\n\r\n'; cat > /dev/null": "`sh` is not a language server",
    "echo hello; cat > /dev/null": "`sh` does not respond",
}
"""Programs that are not a server, and the expected message. The last one never exits."""


@check
def programs_that_are_not_servers(user: User) -> None:
    body = "local all = {}\n"
    for program, expected in NOT_SERVERS.items():
        body += f"""
        vim.cmd '%bwipeout!'
        heard = {{}}
        tiny.setup {{ cmd = {{ 'sh', '-c', [[{program}]] }} }}
        tiny.patience_ms = {100 if "respond" in expected else 60000}
        vim.cmd 'edit start.py'
        wait_for(function() return vim.iter(heard):any(function(m) return m:find([[{expected}]], 1, true) end) end)
        vim.cmd 'checkhealth tinycopilot'
        table.insert(all, {{ heard, vim.api.nvim_buf_get_lines(0, 0, -1, true) }})
        """
    for (program, expected), (heard, report) in zip(
        NOT_SERVERS.items(), run_headless(user, body + "return all"), strict=True
    ):
        if not any(expected in message for message in heard):
            raise AssertionError(f"messages for {program}: {heard}")
        if not any("WARNING the server is not attached to 1 of 1 matching buffers" in line for line in report):
            raise AssertionError(f":checkhealth report for {program}: {report}")


@check
def missing_program(user: User) -> None:
    """Each command says that the server is not running; those that need its program, that it was not found."""
    body = """
    tiny.setup { cmd = 'nowhere --stdio' }
    vim.cmd 'edit start.py'
    wait_for(function() return #heard > 0 end)
    local all = { heard[1] }
    for _, command in ipairs { 'restart', 'status', 'stats', 'train', 'eval .' } do
      heard = {}
      vim.cmd('TinyCopilot ' .. command)
      wait_for(function() return #heard > 0 end)
      table.insert(all, heard[1])
    end
    return all
    """
    not_found = "tinycopilot: program `nowhere --stdio` not found: "
    not_found += "install it, or set `cmd` to a list of its full path and arguments (:help tinycopilot)"
    not_running = "tinycopilot: the server is not running: open a code file, or use :TinyCopilot restart"
    no_eval = "tinycopilot: eval: program `nowhere --stdio` not found"
    assert_equal("messages", [not_found] * 2 + [not_running] * 3 + [no_eval], run_headless(user, body))


@check
def function_instead_of_a_program(user: User) -> None:
    body = """
    tiny.setup { cmd = 'nowhere' }
    tiny.patience_ms = 100
    local function start(dispatchers) return vim.lsp.rpc.start({ 'sh', '-c', 'cat > /dev/null' }, dispatchers) end
    vim.lsp.config('tinycopilot', { cmd = start })
    vim.cmd 'edit start.py'
    wait_for(function() return #heard > 0 end)
    return heard
    """
    expected = "tinycopilot: `cmd` does not respond: is `cmd` a language server? (:help tinycopilot)"
    assert_equal("messages", [expected], run_headless(user, body))


@check
def forced_stop(user: User) -> None:
    """A server that the user stops by force stays stopped."""
    body = f"""
    tiny.setup {{ cmd = vim.json.decode [=[{json.dumps(user.editor.server)}]=] }}
    vim.cmd 'edit start.py'
    assert(wait_for(function() return tiny.status() == 'tinycopilot: ready' end))
    vim.lsp.get_clients()[1]:stop(true)
    assert(wait_for(function() return #vim.lsp.get_clients() == 0 end))
    local is_started = false
    function vim.lsp.enable() is_started = true end
    vim.wait(1000) -- a crashed server is restarted after 500 ms
    return is_started
    """
    assert_equal("whether it is restarted", False, run_headless(user, body))
