"""An edited document is masked like one that is masked from scratch."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tinycopilot.completion.session_state import Masker, Maskers
from tinycopilot.files.masking import MASK, mask

TOKEN = "gh" + "p_" + "a1B2c3D4e5F6" * 3
PIECES = st.sampled_from(
    [
        *("\n", "\n", " ", '"', "'", "(", "=", ": ", "password", "api_key", "x8Kq2LmZp0Rt", "token = ", TOKEN, "x = 1"),
        *(
            "://",
            "app:",
            "qvx7-marmot@db",
            "-----BEGIN PRIVATE" + " KEY-----",
            "A" * 64,
            "-----END PRIVATE" + " KEY-----",
        ),
        *("Password=", ";", "\u0130", "\U0001f600", "gh" + "p_"),
    ]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


@settings(max_examples=max(150, settings.default.max_examples))
@given(TEXTS, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60), TEXTS), max_size=6))
def test_incremental_masking_equals_masking_from_scratch(text: str, edits: list[tuple[int, int, str]]) -> None:
    masker = Masker()
    assert masker.mask(text) == mask(text)
    for start, n_gone, new in edits:
        text = text[:start] + new + text[start + n_gone :]
        assert masker.mask(text) == mask(text)
        assert len(mask(text)) == len(text)


@settings(max_examples=max(50, settings.default.max_examples))
@given(TEXTS, TEXTS)
def test_both_sides_of_the_cursor_are_masked_as_one_text(before: str, after: str) -> None:
    assert "".join(Maskers().mask("a", before, after)) == mask(before + after)
    assert "".join(Maskers().mask(None, before, after)) == mask(before + after)


def test_secret_at_the_cursor_is_masked_on_both_sides() -> None:
    before, after = Maskers().mask("a", 'x = "' + TOKEN[:9], TOKEN[9:] + '"\n')
    assert before == 'x = "' + MASK * 9
    assert after == MASK * (len(TOKEN) - 9) + '"\n'
