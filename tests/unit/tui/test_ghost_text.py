"""What is shown, taken and counted, with no terminal: suggestions are handed in, and the text changes by itself."""

import pytest

from tinycopilot.completion.truncation import Suggestion
from tinycopilot.tui.ghost_text import GhostText


def showing(text: str, before: str = "x = ", after: str = ")") -> GhostText:
    ghost = GhostText()
    request = ghost.text_changed(before, after)
    assert (request.before, request.after) == (before, after)
    assert ghost.on_response(request, Suggestion(text, 0.7))
    assert ghost.text == text
    return ghost


def test_what_is_typed_along_leaves_the_rest_and_no_answer_changes_that() -> None:
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
        ("x = a", ")"),  # another way
        ("x =", ")"),  # back
        ("x = o", "))"),  # something else has changed as well
        ("y = o", ")"),
        ("x = open(path)x", ")"),  # all of it, and more
    ],
)
def test_whatever_else_changes_it_is_gone_and_an_answer_is_waited_for(before: str, after: str) -> None:
    ghost = showing("open(path)")
    request = ghost.text_changed(before, after)
    assert (request.before, request.after) == (before, after)
    assert ghost.shown is None
    assert ghost.text == ""
    assert ghost.on_response(request, None)


def test_an_answer_that_comes_too_late_is_not_shown() -> None:
    ghost = GhostText()
    older, newer = ghost.text_changed("x", ""), ghost.text_changed("xy", "")
    ghost.on_response(older, Suggestion("older", 1.0))
    assert ghost.text == ""
    ghost.on_response(newer, None)
    assert ghost.text == ""
    ghost.on_response(newer, Suggestion("twice", 1.0))
    assert ghost.text == ""


def test_the_text_as_it_was_is_another_question() -> None:
    """The answer to the older one may be about another state of the workspace: the newest counts."""
    ghost = GhostText()
    older, _, newer = ghost.text_changed("x", ""), ghost.text_changed("xy", ""), ghost.text_changed("x", "")
    ghost.on_response(older, Suggestion("older", 1.0))
    assert ghost.text == ""
    ghost.on_response(newer, Suggestion("newer", 1.0))
    assert ghost.text == "newer"


def test_a_cursor_that_moves_shows_nothing_and_waits_for_nothing() -> None:
    ghost = showing("open(path)")
    ghost.cursor_moved("x =", " )")
    assert ghost.text == ""
    ghost.cursor_moved("x = ", ")")
    assert ghost.text == ""
    request = ghost.text_changed("x = y", ")")
    ghost.cursor_moved("x =", " y)")
    ghost.on_response(request, Suggestion("late", 1.0))
    assert ghost.text == ""


def test_a_cursor_that_is_where_it_was_changes_nothing() -> None:
    ghost = showing("open(path)")
    ghost.cursor_moved("x = ", ")")
    assert ghost.text == "open(path)"


def test_dismissed_it_stays_away_while_it_is_typed_all_the_same() -> None:
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


def test_dismissed_before_it_comes_it_does_not_come() -> None:
    ghost = GhostText()
    request = ghost.text_changed("x = ", "")
    ghost.dismiss()
    ghost.on_response(request, Suggestion("late", 1.0))
    assert ghost.text == ""
    assert ghost.on_response(ghost.text_changed("x = 1", ""), None)


def test_taken_whole_it_is_inserted_and_counted() -> None:
    ghost = showing("open(path)")
    assert ghost.accept() == "open(path)"
    assert (ghost.n_accepted, ghost.n_accepted_chars, ghost.n_keys_saved) == (1, 10, 9)
    ghost.text_changed("x = open(path)", ")")
    assert ghost.text == ""


def test_taken_word_by_word() -> None:
    ghost, before, words = showing(" in self.items():\n    pass", "for x", ""), "for x", []
    while word := ghost.accept_word():
        words.append(word)
        before += word
        ghost.text_changed(before, "")
    assert words == [" in", " self", ".", "items", "():", "\n    pass"]
    assert ghost.n_accepted == 6


def test_taken_line_by_line() -> None:
    for text, lines in {
        "items:\n    a\n\nb": ["items:", "\n    a", "\n", "\nb"],
        "\n    return": ["\n    return"],
    }.items():
        ghost, before, taken = showing(text), "x = ", []
        while line := ghost.accept_line():
            taken.append(line)
            before += line
            ghost.text_changed(before, ")")
        assert taken == lines


def test_indentation_that_an_editor_writes_saves_nothing() -> None:
    ghost = showing(":\n        return  x\n\n\ty")
    ghost.accept()
    assert ghost.n_accepted_chars == len(":\nreturn  x\n\ny")


def test_where_nothing_is_shown_nothing_is_taken_or_counted() -> None:
    ghost = GhostText()
    ghost.text_changed("x", "")
    assert (ghost.accept(), ghost.accept_word(), ghost.accept_line()) == ("", "", "")
    assert ghost.n_accepted == 0


def test_another_suggestion_is_asked_for_once_and_then_shown_in_turn() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    assert (request.before, request.after, request.wants_alternatives) == ("x = ", ")", True)
    assert ghost.text == "open(path)"  # until there is an answer
    assert ghost.on_response(
        request, Suggestion("open(path)", 0.7), [Suggestion("os.getcwd(", 0.1), Suggestion("1", 0.1)]
    )
    seen = [ghost.text]
    for _ in range(3):
        assert ghost.next() is None
        seen.append(ghost.text)
    assert seen == ["os.getcwd(", "1", "open(path)", "os.getcwd("]
    ghost.text_changed("x = os", ")")  # it is typed along like any other
    assert ghost.text == ".getcwd("
    assert ghost.next() is not None  # there are others here


def test_where_there_is_no_other_it_stays() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    assert ghost.on_response(request, Suggestion("open(path)", 0.7))
    assert ghost.text == "open(path)"
    ghost.dismiss()
    assert ghost.next() is None  # where nothing is shown, nothing else is
    assert GhostText().next() is None


def test_others_that_come_too_late_are_not_shown() -> None:
    ghost = showing("open(path)")
    request = ghost.next()
    assert request is not None
    ghost.text_changed("x = o", ")")
    assert not ghost.on_response(request, None, [Suggestion("os", 0.1)])
    assert ghost.text == "pen(path)"
