"""A simulated user edits, moves, switches documents, pastes, undoes and accepts; compared with a plain model."""

import copy
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from engine_requests import alternatives, suggest
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from networks import EVERYTHING as ALL
from networks import compiled, sure

from tinycopilot.completion import engine as engine_module
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.network import Network
from tinycopilot.completion.request import Suggestion
from tinycopilot.model.gpt import TinyGPT
from tinycopilot.model.tokenizer import SimpleTokenizer

NAMES = ("a.py", "b.py", None)
"""Document names; None is a document that must not be indexed."""
TEXT = st.text(alphabet="ab c(\n)=e\N{SNOWMAN}", max_size=25)
KEY = st.sampled_from("ab c(\n)=e")


class User(RuleBasedStateMachine):
    """Texts on both sides of the cursor by document, and the expected suggestions."""

    network: Network
    tokenizer: SimpleTokenizer

    @initialize(before=TEXT, after=TEXT)
    def begin(self, before: str, after: str) -> None:
        self.engine = Engine(self.network, self.tokenizer, ALL)
        self.texts = dict.fromkeys(NAMES, (before, after))
        self.held = dict[str | None, tuple[str, str]]()  # as of the last request
        self.undo = list[tuple[str | None, str, str]]()
        self.name: str | None = NAMES[0]
        self.shown: tuple[str | None, str, str, str] | None = None  # document, before, after, suggestion
        self.look()

    def look(self) -> None:
        """Request a suggestion, and compare it."""
        before, after = self.texts[self.name]
        suggestion = suggest(self.engine, before, after, self.name)
        text = suggestion.text if suggestion else ""
        assert text == self.expected(before, after)
        if not self.is_along(before, after):
            self.shown = (self.name, before, after, text) if text else None

    def expected(self, before: str, after: str) -> str:
        """Return the rest of the suggestion shown, else the suggestion of a new engine with these documents."""
        if self.is_along(before, after) and self.shown is not None:
            return self.shown[3][len(before) - len(self.shown[1]) :]
        if self.name is not None:
            self.held[self.name] = (before, after)
        fresh = Engine(self.network, self.tokenizer, ALL)
        for name, pieces in self.held.items():
            if name not in (self.name, None):
                fresh.ngrams.hold(str(name), *pieces)
        suggestion = suggest(fresh, before, after, self.name)
        return suggestion.text if suggestion else ""

    def is_along(self, before: str, after: str) -> bool:
        if self.shown is None:
            return False
        name, then, then_after, shown = self.shown
        typed = before[len(then) :]
        same = (name, then_after) == (self.name, after) and before.startswith(then)
        return same and len(typed) < len(shown) and shown.startswith(typed)

    def change(self, before: str, after: str) -> None:
        self.undo.append((self.name, *self.texts[self.name]))
        self.texts[self.name] = (before, after)
        self.look()

    @rule(key=KEY)
    def type_a_key(self, key: str) -> None:
        before, after = self.texts[self.name]
        self.change(before + key, after)

    @rule(n=st.integers(1, 30))
    def type_along(self, n: int) -> None:
        before, after = self.texts[self.name]
        if self.is_along(before, after) and self.shown is not None:
            rest = self.shown[3][len(before) - len(self.shown[1]) :]
            self.change(before + rest[:n], after)

    @rule(n=st.integers(1, 30))
    def delete(self, n: int) -> None:
        before, after = self.texts[self.name]
        self.change(before[:-n], after)

    @rule(text=TEXT)
    def paste(self, text: str) -> None:
        before, after = self.texts[self.name]
        self.change(before + text, after)

    @rule(text=TEXT, share=st.floats(0, 1))
    def edit_above(self, text: str, share: float) -> None:
        before, after = self.texts[self.name]
        at = int(share * len(before))
        self.change(before[:at] + text + before[at:], after)

    @rule(share=st.floats(0, 1))
    def jump(self, share: float) -> None:
        text = "".join(self.texts[self.name])
        at = int(share * len(text))
        self.texts[self.name] = (text[:at], text[at:])
        self.look()

    @rule(name=st.sampled_from(NAMES))
    def change_document(self, name: str | None) -> None:
        self.name = name
        self.look()

    @rule()
    def take_back(self) -> None:
        if self.undo:
            self.name, before, after = self.undo.pop()
            self.texts[self.name] = (before, after)
            self.look()

    @rule(n=st.integers(0, 5))
    def is_interrupted(self, n: int) -> None:
        """A request that is cancelled at the nth check."""
        before, after = self.texts[self.name]
        calls = iter(range(n))
        cancelled: Callable[[], bool] = lambda: next(calls, None) is None  # noqa: E731
        suggest(self.engine, before, after, self.name, cancelled)
        self.look()

    @rule()
    def see_alternatives(self) -> None:
        before, after = self.texts[self.name]
        texts = [other.text for other in alternatives(self.engine, before, after, self.name)]
        assert len(set(texts)) == len(texts) <= engine_module.N_ALTERNATIVES
        current = suggest(self.engine, before, after, self.name)
        assert not texts or isinstance(current, Suggestion)
        assert current is None or current.text not in texts


@pytest.mark.timeout(300)
def test_suggestion_equals_the_plain_one_after_any_actions(
    model: TinyGPT, tokenizer: SimpleTokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "MIN_FORK_P", 0.0)
    model = copy.deepcopy(model)
    model.ln.weight[:], model.ln.bias[:] = 1, 0  # the prediction depends on the text
    User.network, User.tokenizer = compiled(sure(model)), tokenizer
    run_state_machine_as_test(
        User, settings=settings(max_examples=12, stateful_step_count=40, phases=[Phase.generate], deadline=None)
    )
