"""The fixed inputs of a watched run: three prompts, and one short text for the attention maps."""

from dataclasses import dataclass
from typing import Final

from tinycopilot.training.text import UNKNOWN_UNIT, Text

PYTHON_PROMPTS: Final = ("import n", "def main", "for i in")
PYTHON_TEXT: Final = "for name in names:\n    print(name, len(name))\n"
N_PROMPTS: Final = 3
MAX_PROMPT_CHARS: Final = 16
MAX_TEXT_CHARS: Final = len(PYTHON_TEXT)
READ_CHARS: Final = 10_000
"""Length of the held-out text that is searched for prompts."""


@dataclass(frozen=True)
class FixedInputs:
    """The inputs of the network at every recorded step."""

    prompts: tuple[str, ...]
    """Of equal length, so that they are completed as one batch."""
    text: str


def fixed_inputs(held_out: Text, *, is_python: bool) -> FixedInputs:
    """Return the inputs of a run: well-known ones for Python, else beginnings of lines of the held-out text."""
    if is_python:
        return FixedInputs(PYTHON_PROMPTS, PYTHON_TEXT)
    units = held_out.read(0, READ_CHARS)
    text = "".join("\ufffd" if unit == UNKNOWN_UNIT else chr(unit) for unit in units)
    return FixedInputs(_beginnings(text), text.strip()[:MAX_TEXT_CHARS])


def _beginnings(text: str) -> tuple[str, ...]:
    """Return up to N_PROMPTS beginnings of lines with different first words; an empty prompt if there is no line."""
    prompts = dict[str, str]()
    for line in map(str.strip, text.splitlines()):
        if len(line) >= 4:
            prompts.setdefault(line.split()[0], line[: min(MAX_PROMPT_CHARS, len(line) // 2)])
    chosen = tuple(prompts.values())[:N_PROMPTS] or ("",)
    return tuple(prompt[: min(map(len, chosen))] for prompt in chosen)
