"""Ghost text continues the text through any order of typing, moving, accepting, dismissing, and late results."""

from hypothesis import given
from hypothesis import strategies as st

from tinycopilot.completion.request import Request, Suggestion
from tinycopilot.tui.ghost_text import ALL, LINE, WORD, GhostText

TEXTS = st.text("ab \n", min_size=1, max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("type"), st.sampled_from("ab \n")),
    st.tuples(st.just("answer"), TEXTS),
    st.tuples(st.just("answer late"), TEXTS),
    st.tuples(
        st.sampled_from(("type along", "erase", "left", "right", "dismiss", "accept", "accept_word", "accept_line"))
    ),
)


@given(st.lists(STEPS, max_size=40))
def test_shown_text_continues_the_requested_text(steps: list[tuple[str, ...]]) -> None:
    ghost, before, after = GhostText(), "", ""
    asked: list[Request] = []
    promised: tuple[str, str] | None = None  # of the last result: text up to the suggestion's end, and after it
    n_chars = 0
    for name, *texts in steps:
        was = before, after
        if name == "type":
            before += texts[0]
        elif name == "type along":
            before += ghost.text[:1]
        elif name == "erase":
            before = before[:-1]
        elif name in ("left", "right"):
            cut = len(before) + (1 if name == "right" else -1)
            before, after = (before + after)[: max(0, cut)], (before + after)[max(0, cut) :]
            ghost.cursor_moved(before, after)
        elif name == "dismiss":
            ghost.dismiss()
            assert ghost.text == ""
        elif name.startswith("accept"):
            taken = ghost.accept({"accept": ALL, "accept_word": WORD, "accept_line": LINE}[name])
            assert bool(taken) == bool(ghost.text)
            n_chars += len(taken)
            before += taken
        elif asked:
            request = asked[-1 if name == "answer" else 0]
            shown = ghost.text
            ghost.on_response(request, Suggestion(texts[0], 0.5))
            if ghost.text != shown:
                promised = request.before + texts[0], request.after
        if (before, after) != was and name not in ("left", "right"):
            asked.append(ghost.text_changed(before, after))
        if ghost.text:
            assert promised == (before + ghost.text, after)
    assert ghost.n_accepted_chars <= n_chars
