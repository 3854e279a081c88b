"""Ghost text without a terminal: shown, accepted and counted; results and edits are passed in."""

import pytest

from tinycopilot.completion.request import Suggestion, Why
from tinycopilot.tui.ghost_text import LINE, WORD, GhostText


def showing(text: str, before: str = "x = ", after: str = ")") -> GhostText:
    ghost = GhostText()
    request = ghost.text_changed(before, after)
    assert (request.before, request.after) == (before, after)
    assert ghost.on_response(request, Suggestion(text, 0.7))
    assert ghost.text == text
    return ghost


def test_typing_through_keeps_the_rest() -> None:
    ghost = showing("open(path)")
    for before, rest in (("x = op", "en(path)"), ("x = open(path", ")")):
        request = ghost.text_changed(before, ")")
        assert ghost.shown == Suggestion(rest, 0.7)
        assert not ghost.on_response(request, Suggestion("another", 0.9))
        assert ghost.shown == Suggestion(rest, 0.7)
    request = ghost.text_changed("x = open(path)", ")")
    assert ghost.text == ""
    assert ghost.on_response(request, Suggestion(".read()", 0.5))  # nothing was left
    assert ghost.text == ".read()"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = a", ")"),  # diverge
        ("x =", ")"),  # go back
        ("x = o", "))"),  # another edit elsewhere
        ("y = o", ")"),
        ("x = open(path)x", ")"),  # all of it, and more
    ],
)
def test_other_edits_clear_the_suggestion_and_wait(before: str, after: str) -> None:
    ghost = showing("open(path)")
    request = ghost.text_changed(before, after)
    assert (request.before, request.after) == (before, after)
    assert ghost.shown is None
    assert ghost.text == ""
    assert ghost.on_response(request)


def test_late_result_is_not_shown() -> None:
    ghost = GhostText()
    older, newer = ghost.text_changed("x", ""), ghost.text_changed("xy", "")
    ghost.on_response(older, Suggestion("older", 1.0))
    assert ghost.text == ""
    ghost.on_response(newer)
    assert ghost.text == ""
    ghost.on_response(newer, Suggestion("twice", 1.0))
    assert ghost.text == ""


def test_same_text_again_is_a_new_request() -> None:
    """The older result may be for another state of the workspace, so only the newest is shown."""
    ghost = GhostText()
    older, _, newer = ghost.text_changed("x", ""), ghost.text_changed("xy", ""), ghost.text_changed("x", "")
    ghost.on_response(older, Suggestion("older", 1.0))
    assert ghost.text == ""
    ghost.on_response(newer, Suggestion("newer", 1.0))
    assert ghost.text == "newer"


def test_moved_cursor_shows_nothing() -> None:
    ghost = showing("open(path)")
    ghost.cursor_moved("x =", " )")
    assert ghost.text == ""
    ghost.cursor_moved("x = ", ")")
    assert ghost.text == ""
    request = ghost.text_changed("x = y", ")")
    ghost.cursor_moved("x =", " y)")
    ghost.on_response(request, Suggestion("late", 1.0))
    assert ghost.text == ""


def test_unmoved_cursor_changes_nothing() -> None:
    ghost = showing("open(path)")
    ghost.cursor_moved("x = ", ")")
    assert ghost.text == "open(path)"


def test_dismissed_suggestion_stays_hidden_while_typing_through() -> None:
    ghost = showing("open(path)")
    ghost.dismiss()
    assert ghost.text == ""
    assert ghost.accept() == ""
    assert not ghost.on_response(ghost.text_changed("x = op", ")"), Suggestion("en(path)", 0.7))
    assert ghost.text == ""
    request = ghost.text_changed("x = os", ")")
    ghost.on_response(request, Suggestion(".path", 0.5))
    assert ghost.text == ".path"
    assert ghost.n_keys_saved == 0


def test_dismissed_before_the_result_shows_nothing() -> None:
    ghost = GhostText()
    request = ghost.text_changed("x = ", "")
    ghost.dismiss()
    ghost.on_response(request, Suggestion("late", 1.0))
    assert ghost.text == ""
    assert ghost.on_response(ghost.text_changed("x = 1", ""))


def test_full_accept_is_inserted_and_counted() -> None:
    ghost = showing("open(path)")
    assert ghost.accept() == "open(path)"
    assert (ghost.n_accepted, ghost.n_accepted_chars, ghost.n_keys_saved) == (1, 10, 9)
    ghost.text_changed("x = open(path)", ")")
    assert ghost.text == ""


def test_accept_word_by_word() -> None:
    ghost, before, words = showing(" in self.items():\n    pass", "for x", ""), "for x", []
    while word := ghost.accept(WORD):
        words.append(word)
        before += word
        ghost.text_changed(before, "")
    assert words == [" in", " self", ".", "items", "():", "\n    pass"]
    assert ghost.n_accepted == 6


def test_accept_line_by_line() -> None:
    for text, lines in {
        "items:\n    a\n\nb": ["items:", "\n    a", "\n", "\nb"],
        "\n    return": ["\n    return"],
    }.items():
        ghost, before, taken = showing(text), "x = ", []
        while line := ghost.accept(LINE):
            taken.append(line)
            before += line
            ghost.text_changed(before, ")")
        assert taken == lines


def test_automatic_indentation_saves_nothing() -> None:
    ghost = showing(":\n        return  x\n\n\ty")
    ghost.accept()
    assert ghost.n_accepted_chars == len(":\nreturn  x\n\ny")


def test_accept_without_a_suggestion_does_nothing() -> None:
    ghost = GhostText()
    ghost.text_changed("x", "")
    assert (ghost.accept(), ghost.accept(WORD), ghost.accept(LINE)) == ("", "", "")
    assert ghost.n_accepted == 0


def test_alternatives_are_requested_once_and_cycled() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    assert (request.before, request.after, request.why) == ("x = ", ")", Why.INVOKED)
    assert ghost.text == "open(path)"  # until there is a result
    assert ghost.on_response(request, *(Suggestion(text, 0.1) for text in ("open(path)", "os.getcwd(", "1")))
    seen = [ghost.text]
    for _ in range(3):
        assert ghost.next() is None
        seen.append(ghost.text)
    assert seen == ["os.getcwd(", "1", "open(path)", "os.getcwd("]
    ghost.text_changed("x = os", ")")  # it is typed through like any other
    assert ghost.text == ".getcwd("
    assert ghost.next() is not None  # alternatives of this position


def test_single_suggestion_stays() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    assert ghost.on_response(request, Suggestion("open(path)", 0.7))
    assert ghost.text == "open(path)"
    ghost.dismiss()
    assert ghost.next() is None  # without a suggestion, there is no alternative
    assert GhostText().next() is None


def test_late_alternatives_are_not_shown() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    ghost.text_changed("x = o", ")")
    assert not ghost.on_response(request, Suggestion("os", 0.1))
    assert ghost.text == "pen(path)"
