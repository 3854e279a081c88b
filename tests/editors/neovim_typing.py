"""Checks of suggestions and their keys: show, type through, accept, cycle, dismiss."""

import json
import re
import time
from pathlib import Path

from neovim_editor import GHOST_TEXT, wait_for
from neovim_user import NO_REQUEST_WAIT_S, PREFIX, User, assert_equal, check

WORD = re.compile(r"\s*(\w+|[^\w\s]+)")
LINE = re.compile(r"\s*[^\n]*")


@check
def shown_after_typing(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    if not ghost.startswith("en(path"):
        raise AssertionError(f"expected the text that occurs four times above, got {ghost!r}")


@check
def typing_through_keeps_the_suggestion(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    for n in range(1, 6):
        user.editor.terminal.type(ghost[n - 1])
        user.wait_for_ghost(f"the rest after {n} typed characters", ghost[n:])
    now = user.editor.wait_for_answer()
    if not now.startswith(ghost[5:]):
        raise AssertionError(f"the rest {ghost[5:]!r} became {now!r}")
    user.accept("Tab", PREFIX + ghost[:5], "", now, "accepting the rest")


@check
def accept_all_and_undo_in_one_step(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    user.accept("Tab", PREFIX, "", ghost, "accepting all")
    user.undo(PREFIX)


def accept_parts(user: User, key: str, pattern: re.Pattern[str], ghost: str, what: str) -> tuple[str, int]:
    """Accept up to 4 parts with the key; return the text before the last part, and the number of parts."""
    text = last = PREFIX
    n = 0
    while ghost:
        part = (pattern.match(ghost) or re.match(".*", ghost))[0]  # type: ignore[index]
        user.accept(key, text, "", part, f"{what} {n + 1}")
        last, text, ghost, n = text, text + part, ghost[len(part) :], n + 1
        if ghost:
            user.wait_for_ghost(f"the rest after {what} {n}", ghost)
            now = user.editor.wait_for_answer()  # the rest may be extended, but not changed
            if not now.startswith(ghost):
                raise AssertionError(f"after {what} {n} the rest {ghost!r} became {now!r}")
            ghost = now if n < 4 else ghost
        if n == 4:
            break
    return last, n


@check
def accept_words_and_undo_the_last(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    last, n = accept_parts(user, "C-Right", WORD, ghost, "word")
    if n < 3:
        raise AssertionError(f"this check needs three words, not {ghost!r}")
    user.undo(last)


@check
def accept_lines_and_undo_the_last(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2], "op")
    if "\n" not in ghost:
        raise AssertionError(f"this check needs several lines, not {ghost!r}")
    last, _ = accept_parts(user, "M-Down", LINE, ghost, "line")
    user.undo(last)


@check
def crlf_stays_crlf(user: User) -> None:
    ghost = user.type_in_new_file(PREFIX[:-2].replace("\n", "\r\n"), "op")
    if "\r" in ghost or "\n" not in ghost:
        raise AssertionError(f"expected two lines without CR, got {ghost!r}")
    part = LINE.match(ghost)[0]  # type: ignore[index]
    user.accept("M-Down", PREFIX, "", part, "accepting a line")
    user.wait_for_ghost("the rest", ghost[len(part) :])
    user.accept("Tab", PREFIX + part, "", ghost[len(part) :], "accepting the rest")
    user.press("Escape")
    user.editor.nvim.command("silent write")
    expected = (PREFIX + ghost + "\n").replace("\n", "\r\n").encode()
    path = Path(user.editor.nvim.current.buffer.name)
    assert_equal("the saved file", expected, path.read_bytes())


@check
def lines_that_end_with_cr(user: User) -> None:
    user.open((PREFIX + "e").replace("\n", "\r"))
    user.editor.nvim.command("silent edit ++ff=mac")
    user.editor.wait_until_ready()
    user.press("G", "A", "n")
    ghost = user.editor.wait_for_ghost_text()
    assert_equal("the first line", '(path, encoding="utf-8") as file:', ghost.split("\n")[0])
    user.accept("Tab", PREFIX + "en", "", ghost, "accepting several lines")


@check
def tabs_stay_tabs(user: User) -> None:
    text = (PREFIX + 'en(path, encoding="utf-8") as file:\n        lines = f').replace("    ", "\t")
    ghost = user.type_in_new_file(text[:-1], "f")
    user.accept("C-Right", text, "", "ile", "accepting a word")
    user.wait_for_ghost("the rest", ghost[3:])
    user.accept("Tab", text + "ile", "", ghost[3:], "accepting the rest")


@check
def emoji_earlier_in_the_line(user: User) -> None:
    text = "".join(f'say("🙂 né", open(path_{i}, encoding="utf-8").read())\n' for i in range(4)) + 'say("🙂 né", op'
    ghost = user.type_in_new_file(text[:-2], "op")
    user.accept("C-Right", text, "", "en", "accepting a word")
    rest = user.editor.wait_for_ghost_text()
    assert_equal("the rest", ghost[2:], rest[: len(ghost) - 2])
    user.accept("Tab", text + "en", "", rest, "accepting the rest")
    user.undo(text + "en")


@check
def bracket_after_the_cursor(user: User) -> None:
    text = "".join(f"print(first_reading, second_reading)  # {i}\n" for i in range(4)) + "print("
    ghost = user.type_in_new_file(text, "first", ")")
    if ")" in ghost:
        raise AssertionError(f"{ghost!r} repeats closing brackets")
    user.accept("Tab", text + "first", ")", ghost, "accepting before a bracket")


@check
def middle_of_a_line(user: User) -> None:
    """Suggestions before brackets, and before words that can follow the suggestion."""
    text = "".join(f"show([first_reading, second_reading]):  # {i}\n" for i in range(4)) + "show(["
    ghost = user.type_in_new_file(text, "first", "]):")
    user.accept("C-Right", text + "first", "]):", "_reading", "accepting a word before brackets")
    user.wait_for_ghost("the rest", ghost[8:])
    user.accept("Tab", text + "first_reading", "]):", ghost[8:], "accepting before brackets")
    user.undo(text + "first_reading]):")
    after = ", second_reading]):"
    ghost = user.type_in_new_file(text, "first", after)
    assert_equal("ghost text before words", "_reading", ghost)
    user.accept("Tab", text + "first", after, ghost, "accepting before words")


@check
def next_and_previous(user: User) -> None:
    endings = ("warmest", "coldest", "average", "nearest")
    separator = "one = 1\ntwo = 2\nthree = 3\n"  # since the line directly above is not suggested
    text = "".join(f"print(weather.{ending}_day)\n{separator}" for ending in endings * 2)
    user.type_in_new_file(text + "print(wea", "ther.")
    first, seen = user.editor.ghost_text(), []
    user.press("M-]")
    wait_for("another suggestion", 5, lambda: user.editor.ghost_text() != first)
    for _ in range(6):
        found = re.fullmatch(r"(.*) \((\d+)/(\d+)\)", user.editor.ghost_text(), re.S)
        if not found:
            raise AssertionError(f"no number after the ghost text {user.editor.ghost_text()!r}")
        seen.append(found[1])
        shown = user.editor.ghost_text()
        user.press("M-]")
        wait_for("the next suggestion", 5, lambda shown=shown: user.editor.ghost_text() != shown)
    n = int(found[3])
    if n < 2 or len(set(seen[:n])) != n or seen[n:] != seen[: len(seen) - n]:
        raise AssertionError(f"{n} suggestions do not cycle: {seen}")
    shown = user.editor.ghost_text()
    user.press("M-[")
    wait_for("the previous suggestion", 5, lambda: user.editor.ghost_text() != shown)
    assert_equal(
        "the previous suggestion", f"{seen[5 % n]} ({5 % n + 2 if 5 % n + 2 <= n else 1}/{n})", user.editor.ghost_text()
    )
    before = user.editor.text()
    user.press("Tab")
    assert_equal(
        "accepting another suggestion",
        before + seen[5 % n],
        user.wait_for_change(before, "accepting another suggestion"),
    )


@check
def dismiss(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("C-]")
    wait_for("no ghost text", 5, lambda: not user.editor.ghost_text())
    time.sleep(NO_REQUEST_WAIT_S)
    assert_equal("ghost text after dismissing", "", user.editor.ghost_text())
    respond(user, "en(")
    assert_equal("ghost text of a response to an earlier request", "", user.editor.ghost_text())
    assert_equal("the text", PREFIX, user.editor.text())
    user.press("Tab")
    after = user.wait_for_change(PREFIX, "change after Tab")
    if after[len(PREFIX) :].strip():
        raise AssertionError(f"Tab without a suggestion inserted {after[len(PREFIX) :]!r}")


LINES = "".join(f"    reading_{name} = read_{name}(path)\n    print('it is so')\n" for name in ("one", "two", "six"))
"""Every other line is the same, so that the suggestion at the start of such a line is predictable."""


def at_line_start(user: User, indent: str) -> str:
    """Type up to a line that contains only `indent`; return the ghost text."""
    user.type_in_new_file("def read(path):\n" + LINES + "    reading_ten = read_ten(pat", "h)")
    user.press("Enter")
    for _ in range(4 - len(indent)):
        user.press("BSpace")
    user.wait_for_text("def read(path):\n" + LINES + "    reading_ten = read_ten(path)\n" + indent)
    return user.editor.wait_for_ghost_text()


@check
def tab_indents_after_leading_whitespace(user: User) -> None:
    user.editor.lua("require('tinycopilot').forget_reported()")
    at_line_start(user, "    ")
    before = user.editor.text()
    user.editor.nvim.command("setlocal expandtab shiftwidth=4 softtabstop=4")
    user.press("Tab")
    assert_equal("after <Tab>", before + "    ", user.wait_for_change(before, "<Tab>"))
    said = user.editor.output("messages")
    if "<Tab> indents here; <M-Down> accepts (`tab_on_blank`)" not in said:
        raise AssertionError(f"no message says which key accepts: {said!r}")
    user.press("BSpace")
    user.wait_for_text(before)
    ghost = user.editor.wait_for_ghost_text()
    user.press("M-Down")
    assert_equal("after <M-Down>", before + ghost.split("\n")[0], user.wait_for_change(before, "<M-Down>"))


@check
def tab_accepts_with_tab_on_blank_accept(user: User) -> None:
    user.editor.lua("require('tinycopilot').options.tab_on_blank = 'accept'")
    try:
        ghost = at_line_start(user, "    ")
        before = user.editor.text()
        user.press("Tab")
        assert_equal("after <Tab>", before + ghost, user.wait_for_change(before, "<Tab>"))
    finally:
        user.editor.lua("require('tinycopilot').options.tab_on_blank = 'indent'")


@check
def tab_in_a_snippet(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.editor.lua("vim.snippet.expand('en(${1:first}, ${2:second})')")
    user.press("p", "a")
    user.wait_for_text(PREFIX + "en(pa, second)")
    user.press("Tab")
    wait_for("the second placeholder", 5, lambda: user.editor.nvim.api.get_mode()["mode"] == "s")
    user.press("x")
    assert_equal(
        "after <Tab> and a key", PREFIX + "en(pa, x)", user.wait_for_change(PREFIX + "en(pa, second)", "<Tab>")
    )
    user.editor.lua("vim.snippet.stop()")


@check
def tab_in_replace_and_visual_mode(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.press("Escape")
    text = PREFIX + "abc"
    user.open(text)
    user.editor.nvim.command("setlocal noexpandtab")
    user.press("$", "h", "h", "R", "Tab")
    user.wait_for_text(PREFIX + "\tbc")
    user.press("Escape", "u", "v", "Tab")
    user.wait_for_text(text)
    user.press("Escape")


@check
def hidden_in_normal_mode(user: User) -> None:
    for key in ("Escape", "C-c"):
        user.type_in_new_file(PREFIX[:-2], "op")
        user.press(key)
        wait_for("no ghost text", 5, lambda: not user.editor.ghost_text())
        time.sleep(NO_REQUEST_WAIT_S)
        assert_equal(f"ghost text in normal mode, after {key}", "", user.editor.ghost_text())
        assert_equal("the text", PREFIX, user.editor.text())


@check
def hidden_at_the_first_other_key(user: User) -> None:
    """The suggestion is hidden before the next response; here, none is requested."""
    for key in ("z", "Enter", "Left"):
        user.type_in_new_file(PREFIX[:-2], "op")
        user.editor.lua(f"""
            local own = require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]
            function own:request() end
            _G.seen = nil
            vim.api.nvim_create_autocmd('CursorMovedI', {{
              buffer = 0, once = true, callback = function() _G.seen = (function() {GHOST_TEXT} end)() end,
            }})
        """)
        user.press(key)
        wait_for("the cursor movement", 5, lambda: user.editor.lua("return _G.seen ~= nil"))
        assert_equal(f"ghost text after {key}", "", user.editor.lua("return _G.seen"))


@check
def requested_without_neovims_delay(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    due_ms = user.editor.lua("""
        local own = require('vim.lsp._capability').all.inline_completion.active[vim.fn.bufnr()]
        own:automatic_request()
        return own.timer:get_due_in()
    """)
    if due_ms > 50:
        raise AssertionError(f"the request would be sent in {due_ms} ms")


def show(user: User, text: str) -> None:
    """Show `text` as the suggestion at the cursor; disable further requests in this buffer."""
    user.editor.wait_for_answer()
    respond(user, text)
    assert_equal("ghost text", text, user.editor.ghost_text())


def respond(user: User, text: str) -> None:
    """Pass `text` to Neovim as the server's response for the cursor; disable further requests in this buffer."""
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
        show(user, ' = (1, "é…")')
        user.press("Tab")
        user.wait_for_text('x = 1\ny = (1, "é…")')
        user.press("z", "Escape", *again)
        expected = "x = 1" + n * '\ny = (1, "é…")z'
        try:
            user.wait_for_text(expected)
        except TimeoutError:
            assert_equal(f"after {keys} and {again}", expected, user.editor.text())


@check
def accepted_where_it_is_shown_with_virtualedit(user: User) -> None:
    """The cursor may be right of the line's end, where the ghost text is."""
    user.open("x = 1\ny")
    user.editor.wait_until_ready()
    user.editor.nvim.command("set virtualedit=all")
    try:
        user.press(*"5la")
        wait_for("insert mode", 5, lambda: user.editor.nvim.api.get_mode()["mode"] == "i")
        show(user, " = 12")
        user.accept("Tab", "x = 1\ny", "", " = 12", "accepting")
    finally:
        user.editor.nvim.command("set virtualedit&")


@check
def bracket_closed_by_a_user_mapping(user: User) -> None:
    user.open("x = 1\n")
    user.editor.wait_until_ready()
    user.editor.lua("vim.keymap.set('i', '(', '()<Left>')")
    try:
        user.press(*"qbo", "y")
        user.wait_for_text("x = 1\ny")
        show(user, " = max(")
        user.press("Tab", "2")
        user.wait_for_text("x = 1\ny = max(2)")
        user.press("Escape", *"q@b")
        user.wait_for_text("x = 1\ny = max(2)\ny = max(2)")
    finally:
        user.editor.lua("vim.keymap.del('i', '(')")


@check
def user_mapping_without_a_suggestion(user: User) -> None:
    user.open("x = 1\n")
    user.editor.lua("vim.keymap.set('i', '<C-Right>', 'mine', { buffer = false })")
    try:
        user.press("O", "C-]", "C-Right")
        wait_for("the user's mapping", 5, lambda: user.editor.text().startswith("mine"))
    finally:
        user.editor.lua("vim.keymap.del('i', '<C-Right>')")


@check
def user_mapping_made_by_a_filetype_event(user: User) -> None:
    """An autocmd after setup: the keys accept in a new buffer and after :edit!, and keep the mapping."""
    user.editor.lua("""
        vim.api.nvim_create_autocmd('FileType', {
          group = vim.api.nvim_create_augroup('mine', {}),
          callback = function() vim.keymap.set('i', '<Tab>', 'mine', { buffer = true }) end,
        })
    """)
    try:
        for text in (PREFIX, PREFIX + "e"):
            ghost = user.type_in_new_file(text[:-2], text[-2:], name="mapped.py")
            user.accept("Tab", text, "", ghost, "accepting")
            user.press("Escape", "g", "g", "O", "C-]", "Tab")
            user.wait_for_text("mine\n" + text + ghost)
    finally:
        user.editor.lua("vim.api.nvim_del_augroup_by_name('mine')")


@check
def user_mapping_that_returns_its_own_key(user: User) -> None:
    """Mappings like those of snippet plugins: `<expr>`, remappable, and returning the key itself."""
    returns_itself = "function() return '<Tab>!' end, { expr = true, remap = true }"
    mappings = {
        "imap <silent> <expr> <Tab> v:false ? '<Plug>one' : '<Tab>'": "\t",
        "imap <silent> <expr> <Tab> v:true ? '<Plug>one' : '<Tab>'": "one",
        f"lua vim.keymap.set('i', '<Tab>', {returns_itself})": "\t!",
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
def accept_word_in_an_expr_mapping(user: User) -> None:
    user.type_in_new_file(PREFIX[:-2], "op")
    user.editor.lua(
        "vim.keymap.set('i', '<C-l>', function() return require('tinycopilot').accept_word() and '' or 'none' end, "
        "{ expr = true, buffer = true })"
    )
    user.accept("C-l", PREFIX, "", "en", "accepting a word in an <expr> mapping")
    user.press("C-]")
    wait_for("no ghost text", 5, lambda: not user.editor.ghost_text())
    user.accept("C-l", PREFIX + "en", "", "none", "the same without a suggestion")
