"""Checks of suggestions and their keys: show, type through, accept, cycle, dismiss."""

import json
import re
import time
from pathlib import Path

from neovim_editor import GHOST_TEXT, until
from neovim_user import BEGUN, UNASKED_S, Check, User, equal

WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
LINE = re.compile(r"\s*[^\n]*")

CHECKS: list[Check] = []


def check(function: Check) -> Check:
    CHECKS.append(function)
    return function


@check
def shown_after_typing(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"expected the text that occurs four times above, not {ghost!r}")


@check
def typing_through_keeps_it(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    for n in range(1, 6):
        user.editor.terminal.type(ghost[n - 1])
        user.wait_for_ghost(f"the rest after {n} typed characters", ghost[n:])
    now = user.editor.wait_for_answer()
    if not now.startswith(ghost[5:]):
        raise AssertionError(f"the rest {ghost[5:]!r} became {now!r}")
    user.accept("Tab", BEGUN + ghost[:5], "", now, "accepting what is left")


@check
def accepts_all_and_undoes_it_at_once(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    user.accept("Tab", BEGUN, "", ghost, "accepting all")
    user.undo(BEGUN)


def accept_parts(user: User, key: str, pattern: re.Pattern[str], ghost: str, what: str) -> tuple[str, int]:
    """Press the key until the ghost text is used up; return the text before the last part, and the number of parts."""
    text = last = BEGUN
    n = 0
    while ghost:
        part = (pattern.match(ghost) or re.match(".*", ghost))[0]  # type: ignore[index]
        user.accept(key, text, "", part, f"{what} {n + 1}")
        last, text, ghost, n = text, text + part, ghost[len(part) :], n + 1
        if ghost:
            user.wait_for_ghost(f"the rest after {what} {n}", ghost)
            now = user.editor.wait_for_answer()  # the rest may become longer, but not different
            if not now.startswith(ghost):
                raise AssertionError(f"after {what} {n} the rest {ghost!r} became {now!r}")
            ghost = now if n < 4 else ghost
        if n == 4:
            break
    return last, n


@check
def accepts_words_and_undoes_the_last(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    last, n = accept_parts(user, "C-Right", WORD, ghost, "word")
    if n < 3:
        raise AssertionError(f"{n} words in {ghost!r}: too few for this check")
    user.undo(last)


@check
def accepts_lines_and_undoes_the_last(user: User) -> None:
    ghost = user.begin(BEGUN[:-2], "op")
    if "\n" not in ghost:
        raise AssertionError(f"{ghost!r} has one line: too few for this check")
    last, _ = accept_parts(user, "M-Down", LINE, ghost, "line")
    user.undo(last)


@check
def crlf_stays_crlf(user: User) -> None:
    ghost = user.begin(BEGUN[:-2].replace("\n", "\r\n"), "op")
    if "\r" in ghost or "\n" not in ghost:
        raise AssertionError(f"{ghost!r} is not two clean lines")
    part = LINE.match(ghost)[0]  # type: ignore[index]
    user.accept("M-Down", BEGUN, "", part, "accepting a line")
    user.wait_for_ghost("the rest", ghost[len(part) :])
    user.accept("Tab", BEGUN + part, "", ghost[len(part) :], "accepting the rest")
    user.press("Escape")
    user.editor.nvim.command("silent write")
    wanted = (BEGUN + ghost + "\n").replace("\n", "\r\n").encode()
    path = Path(user.editor.nvim.current.buffer.name)
    equal("the file", wanted, path.read_bytes())


@check
def tabs_stay_tabs(user: User) -> None:
    text = (BEGUN + 'en(path, encoding="utf-8") as file:\n        lines = f').replace("    ", "\t")
    ghost = user.begin(text[:-1], "f")
    user.accept("C-Right", text, "", "ile", "accepting a word")
    user.wait_for_ghost("the rest", ghost[3:])
    user.accept("Tab", text + "ile", "", ghost[3:], "accepting the rest")


@check
def emoji_earlier_in_the_line(user: User) -> None:
    text = "".join(f'say("🙂 né", open(path_{i}, encoding="utf-8").read())\n' for i in range(4)) + 'say("🙂 né", op'
    ghost = user.begin(text[:-2], "op")
    user.accept("C-Right", text, "", "en", "accepting a word")
    rest = user.editor.settled_ghost_text()
    equal("the rest", ghost[2:], rest[: len(ghost) - 2])
    user.accept("Tab", text + "en", "", rest, "accepting the rest")
    user.undo(text + "en")


@check
def bracket_after_the_cursor(user: User) -> None:
    text = "".join(f"print(first_reading, second_reading)  # {i}\n" for i in range(4)) + "print("
    ghost = user.begin(text, "first", ")")
    if ")" in ghost:
        raise AssertionError(f"{ghost!r} repeats closing brackets")
    user.accept("Tab", text + "first", ")", ghost, "accepting before a bracket")


@check
def middle_of_a_line(user: User) -> None:
    """Before brackets; and before words, if the suggestion leads into them."""
    text = "".join(f"show([first_reading, second_reading]):  # {i}\n" for i in range(4)) + "show(["
    ghost = user.begin(text, "first", "]):")
    user.accept("C-Right", text + "first", "]):", "_reading", "accepting a word before brackets")
    user.wait_for_ghost("the rest", ghost[8:])
    user.accept("Tab", text + "first_reading", "]):", ghost[8:], "accepting before brackets")
    user.undo(text + "first_reading]):")
    after = ", second_reading]):"
    ghost = user.begin(text, "first", after)
    equal("ghost text before words", "_reading", ghost)
    user.accept("Tab", text + "first", after, ghost, "accepting before words")


@check
def next_and_previous(user: User) -> None:
    endings = ("warmest", "coldest", "average", "nearest")
    apart = "one = 1\ntwo = 2\nthree = 3\n"  # the line directly above is not suggested
    text = "".join(f"print(weather.{ending}_day)\n{apart}" for ending in endings * 2)
    user.begin(text + "print(wea", "ther.")
    first, seen = user.editor.ghost_text(), []
    user.press("M-]")
    until("another suggestion", 5, lambda: user.editor.ghost_text() != first)
    for _ in range(6):
        found = re.fullmatch(r"(.*) \((\d+)/(\d+)\)", user.editor.ghost_text(), re.S)
        if not found:
            raise AssertionError(f"{user.editor.ghost_text()!r} does not show its number")
        seen.append(found[1])
        shown = user.editor.ghost_text()
        user.press("M-]")
        until("the next one", 5, lambda shown=shown: user.editor.ghost_text() != shown)
    n = int(found[3])
    if n < 2 or len(set(seen[:n])) != n or seen[n:] != seen[: len(seen) - n]:
        raise AssertionError(f"{n} suggestions do not cycle: {seen}")
    shown = user.editor.ghost_text()
    user.press("M-[")
    until("the one before", 5, lambda: user.editor.ghost_text() != shown)
    equal("the one before", f"{seen[5 % n]} ({5 % n + 2 if 5 % n + 2 <= n else 1}/{n})", user.editor.ghost_text())
    before = user.editor.text()
    user.press("Tab")
    equal("accepting another", before + seen[5 % n], user.changed(before, "accepting another"))


@check
def dismissed(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("C-]")
    until("no ghost text", 5, lambda: not user.editor.ghost_text())
    time.sleep(UNASKED_S)
    equal("ghost text after it was dismissed", "", user.editor.ghost_text())
    answered(user, "en(")
    equal("ghost text of an answer that was under way", "", user.editor.ghost_text())
    equal("the text", BEGUN, user.editor.text())
    user.press("Tab")
    after = user.changed(BEGUN, "a plain Tab")
    if after[len(BEGUN) :].strip():
        raise AssertionError(f"Tab without a suggestion inserted {after[len(BEGUN) :]!r}")


LINES = "".join(f"    reading_{name} = read_{name}(path)\n    print('it is so')\n" for name in ("one", "two", "six"))
"""Every other line is the same, so that the suggestion at the beginning of one is certain."""


def at_line_start(user: User, indent: str) -> str:
    """Return the ghost text after a line that contains only `indent`."""
    user.begin("def read(path):\n" + LINES + "    reading_ten = read_ten(pat", "h)")
    user.press("Enter")
    for _ in range(4 - len(indent)):
        user.press("BSpace")
    user.wait_for_text("def read(path):\n" + LINES + "    reading_ten = read_ten(path)\n" + indent)
    return user.editor.settled_ghost_text()


@check
def tab_indents_where_only_blanks_are_before(user: User) -> None:
    user.editor.lua("require('tinycopilot').forget_reported()")
    at_line_start(user, "    ")
    before = user.editor.text()
    user.editor.nvim.command("setlocal expandtab shiftwidth=4 softtabstop=4")
    user.press("Tab")
    equal("after <Tab>", before + "    ", user.changed(before, "<Tab>"))
    said = user.editor.said("messages")
    if "<Tab> indents here; <M-Down> accepts (`tab_on_blank`)" not in said:
        raise AssertionError(f"it does not say which key accepts: {said!r}")
    user.press("BSpace")
    user.wait_for_text(before)
    ghost = user.editor.settled_ghost_text()
    user.press("M-Down")
    equal("after the other key", before + ghost.split("\n")[0], user.changed(before, "<M-Down>"))


@check
def tab_accepts_there_if_it_is_to(user: User) -> None:
    user.editor.lua("require('tinycopilot').options.tab_on_blank = 'accept'")
    try:
        ghost = at_line_start(user, "    ")
        before = user.editor.text()
        user.press("Tab")
        equal("after <Tab>", before + ghost, user.changed(before, "<Tab>"))
    finally:
        user.editor.lua("require('tinycopilot').options.tab_on_blank = 'indent'")


@check
def tab_belongs_to_a_snippet(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.editor.lua("vim.snippet.expand('en(${1:first}, ${2:second})')")
    user.press("p", "a")
    user.wait_for_text(BEGUN + "en(pa, second)")
    user.press("Tab")
    until("the second placeholder", 5, lambda: user.editor.nvim.api.get_mode()["mode"] == "s")
    user.press("x")
    equal("after <Tab> and a key", BEGUN + "en(pa, x)", user.changed(BEGUN + "en(pa, second)", "<Tab>"))
    user.editor.lua("vim.snippet.stop()")


@check
def tab_is_plain_in_replace_mode_and_visual_mode(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.press("Escape")
    text = BEGUN + "abc"
    user.open(text)
    user.editor.nvim.command("setlocal noexpandtab")
    user.press("$", "h", "h", "R", "Tab")
    user.wait_for_text(BEGUN + "\tbc")
    user.press("Escape", "u", "v", "Tab")
    user.wait_for_text(text)
    user.press("Escape")


@check
def gone_with_normal_mode(user: User) -> None:
    for key in ("Escape", "C-c"):
        user.begin(BEGUN[:-2], "op")
        user.press(key)
        until("no ghost text", 5, lambda: not user.editor.ghost_text())
        time.sleep(UNASKED_S)
        equal(f"ghost text in normal mode, after {key}", "", user.editor.ghost_text())
        equal("the text", BEGUN, user.editor.text())


@check
def gone_with_the_first_other_key(user: User) -> None:
    """The suggestion is hidden before the next response, which never arrives here."""
    for key in ("z", "Enter", "Left"):
        user.begin(BEGUN[:-2], "op")
        user.editor.lua(f"""
            local own = require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]
            function own:request() end
            _G.seen = nil
            vim.api.nvim_create_autocmd('CursorMovedI', {{
              buffer = 0, once = true, callback = function() _G.seen = (function() {GHOST_TEXT} end)() end,
            }})
        """)
        user.press(key)
        until("the key's arrival", 5, lambda: user.editor.lua("return _G.seen ~= nil"))
        equal(f"ghost text after {key}", "", user.editor.lua("return _G.seen"))


@check
def requested_without_neovims_wait(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    due_ms = user.editor.lua("""
        local own = require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]
        own:automatic_request()
        return own.timer:get_due_in()
    """)
    if due_ms > 50:
        raise AssertionError(f"the request would be sent in {due_ms} ms")


def shown(user: User, text: str) -> None:
    """Show `text` at the cursor; request nothing more in this buffer."""
    user.editor.wait_for_answer()
    answered(user, text)
    equal("ghost text", text, user.editor.ghost_text())


def answered(user: User, text: str) -> None:
    """Pass `text` to Neovim as the server's answer for the cursor; request nothing more in this buffer."""
    user.editor.lua(f"""
        local own = require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]
        local client = vim.lsp.get_clients({{ name = 'tinycopilot', bufnr = 0 }})[1]
        local here = vim.lsp.util.make_position_params(0, client.offset_encoding).position
        local text = {json.dumps(text, ensure_ascii=False)}
        local item = {{ insertText = text, range = {{ start = here, ['end'] = here }} }}
        function own:request() end
        own:handler(nil, {{ items = {{ item }} }}, {{ client_id = client.id }})
    """)


@check
def repeated_with_dot_count_and_macro(user: User) -> None:
    for keys, again, n in (("o", ".", 2), ("2o", "", 2), ("qao", "q@a", 2), ("qAo", "q@a", 3)):
        user.open("x = 1\n")
        user.editor.wait_until_ready()
        user.press(*keys, "y")
        user.wait_for_text("x = 1\ny")
        shown(user, ' = (1, "é…")')
        user.press("Tab")
        user.wait_for_text('x = 1\ny = (1, "é…")')
        user.press("z", "Escape", *again)
        wanted = "x = 1" + n * '\ny = (1, "é…")z'
        try:
            user.wait_for_text(wanted)
        except TimeoutError:
            equal(f"after {keys} and {again}", wanted, user.editor.text())


@check
def a_bracket_closed_by_ones_own_mapping(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.lua("vim.keymap.set('i', '(', '()<Left>')")
    try:
        user.press(*"qbo", "y")
        user.wait_for_text("x = 1\ny")
        shown(user, " = max(")
        user.press("Tab", "2")
        user.wait_for_text("x = 1\ny = max(2)")
        user.press("Escape", *"q@b")
        user.wait_for_text("x = 1\ny = max(2)\ny = max(2)")
    finally:
        user.editor.lua("vim.keymap.del('i', '(')")


@check
def own_key_where_nothing_is_shown(user: User) -> None:
    user.open("x = 1\n")
    user.editor.lua("vim.keymap.set('i', '<C-Right>', 'mine', { buffer = false })")
    try:
        user.press("O", "C-]", "C-Right")
        until("one's own mapping", 5, lambda: user.editor.text().startswith("mine"))
    finally:
        user.editor.lua("vim.keymap.del('i', '<C-Right>')")


@check
def own_key_that_falls_back_to_itself(user: User) -> None:
    """A mapping as made by snippet plugins: `<expr>`, remappable, and returning the key itself."""
    back_to_itself = "function() return '<Tab>!' end, { expr = true, remap = true }"
    mappings = {
        "imap <silent> <expr> <Tab> v:false ? '<Plug>one' : '<Tab>'": "\t",
        "imap <silent> <expr> <Tab> v:true ? '<Plug>one' : '<Tab>'": "one",
        f"lua vim.keymap.set('i', '<Tab>', {back_to_itself})": "\t!",
        "lua vim.api.nvim_set_keymap('i', '<Tab>', '\"<lt>Tab>\"', { expr = true, replace_keycodes = true })": "\t",
    }
    user.editor.nvim.command("inoremap <Plug>one one")
    for mapping, typed in mappings.items():
        user.editor.nvim.command(mapping)
        try:
            user.open("x = 1\n")
            user.editor.nvim.command("setlocal noexpandtab")
            user.press("A", "C-]", "Tab", "Tab", "y")
            user.wait_for_text(f"x = 1{typed}{typed}y")
        finally:
            user.editor.nvim.command("iunmap <Tab>")


@check
def own_key_that_may_not_change_text(user: User) -> None:
    user.begin(BEGUN[:-2], "op")
    user.editor.lua(
        "vim.keymap.set('i', '<C-l>', function() return require('tinycopilot').accept_word() and '' or 'none' end, "
        "{ expr = true, buffer = true })"
    )
    user.accept("C-l", BEGUN, "", "en", "accepting a word in an <expr> mapping")
    user.press("C-]")
    until("no ghost text", 5, lambda: not user.editor.ghost_text())
    user.accept("C-l", BEGUN + "en", "", "none", "the same where nothing is shown")
