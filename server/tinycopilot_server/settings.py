"""Settings: the one table of them, from which README's and the editors' are generated (`make settings`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from tinycopilot import UserError
from tinycopilot.completion.truncation import CompleterSettings
from tinycopilot.files import Patterns


def _no_pattern(patterns: tuple[str, ...]) -> str:
    try:
        Patterns(patterns)
    except UserError as error:
        return str(error)
    return ""


SECTION = "tinycopilot"
"""The name of the settings' section in a client's configuration."""


class About(NamedTuple):
    """What is known of a setting besides its name and its default."""

    meaning: str
    """Description for the user, in Markdown, with units."""
    low: float | None = None
    high: float | None = None
    problem: Callable[[Any], str] = lambda _: ""
    """What else is wrong with a value of the right type, to follow "must be"; "" if nothing."""


def _setting(default: Any, *about: Any) -> Any:
    return field(default=default, metadata={"about": About(*about)})


@dataclass(frozen=True)
class Settings:
    """The server's settings. Clients write the names in camelCase, all on one level: `modelPath`, `minConfidence`."""

    enabled: bool = _setting(True, "Suggest code while you type. Off: nothing is suggested.")
    languages: tuple[str, ...] = _setting(
        ("python",),
        "Documents of these languages are completed and known, by the editor's own names for them; `*` is every one.",
    )
    exclude: tuple[str, ...] = _setting(
        (),
        "Files whose paths match one of these patterns, which are those of a `.gitignore`, are neither completed nor "
        "known.",
        None, None, _no_pattern,
    )  # fmt: skip
    inline: bool = _setting(True, "Suggest as ghost text.")
    popup: bool = _setting(True, "Suggest in the menu of completions, below all others.")
    eagerness: float = _setting(
        CompleterSettings.eagerness,
        "From 0, quiet, to 1, talkative: how little a suggestion may be worth, and how unsure it may be, to be shown. "
        "What it saves, if it is right, is weighed against reading it.",
        0, 1,
    )  # fmt: skip
    min_confidence: float = _setting(
        CompleterSettings.min_confidence,
        "A probability from 0 to 1: a suggestion that is less likely than this to be right is not shown, however much "
        "it would save; at the lowest eagerness 2.5 times as much is asked, at the highest 2.5 times less.",
        0, 1,
    )  # fmt: skip
    max_chars: int = _setting(CompleterSettings.max_chars, "The most characters in a suggestion.", 1, 100_000)
    max_lines: int = _setting(
        CompleterSettings.max_lines,
        "The most lines in a suggestion; more than one only where it is sure of them.",
        1,
        100_000,
    )
    debounce_ms: int = _setting(
        0, "Milliseconds without a change before ghost text is looked for, unless you ask for it.", 0, 10_000
    )
    in_comments: bool = _setting(True, "Suggest inside of comments, too.")
    in_strings: bool = _setting(True, "Suggest inside of strings, too.")
    threads: int = _setting(
        CompleterSettings.threads,
        "Without effect: the network runs on one thread. Accepted for settings that have it.",
        1, 64,
    )  # fmt: skip
    model_path: str = _setting("", "The model's file. Empty: your own, else the one that ships.")
    tokenizer_path: str = _setting("", "The file of the model's tokenizer. Empty: the one beside the model.")
    max_workspace_chars: int = _setting(
        12_000_000,
        "The most characters of the workspace that are known, ten bytes of memory each; what was changed last comes "
        "first. 0: the document at hand alone, and nothing is learned or kept.",
        0, 1_000_000_000,
    )  # fmt: skip
    statistics: bool = _setting(
        True, "Count, on this machine alone, what is suggested, accepted and kept. No code is kept, nothing is sent."
    )

    @property
    def completer(self) -> CompleterSettings:
        """The settings of the engine."""
        return CompleterSettings(**{one.name: getattr(self, one.name) for one in fields(CompleterSettings)})

    def has_language(self, language: str) -> bool:
        """Whether documents of this language are completed."""
        return "*" in self.languages or language in self.languages


def about(name: str) -> About:
    """The description of a setting, by its name in the dataclass."""
    return Settings.__dataclass_fields__[name].metadata["about"]


def camel_case(name: str) -> str:
    """`min_confidence` -> `minConfidence`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


NAMES = {camel_case(one.name): one.name for one in fields(Settings)}
"""Maps clients' names to the dataclass's."""


def parse_settings(options: object) -> tuple[Settings, list[str]]:
    """Settings from what a client sent, and a line for each invalid value, which is replaced by its default.

    Null means not set.
    """
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["the settings are not an object of names and values: using the defaults"]
    problems, values = list[str](), dict[str, Any]()
    for client_name, value in options.items():
        name = NAMES.get(client_name)
        if name is None:
            problems.append(f"there is no setting {client_name!r}")
        elif value is not None:
            default = getattr(Settings, name)
            values[name], problem = _converted(name, default, value)
            if problem:
                problems.append(f"{client_name} must be {problem}, not {value!r}: using {_in_json(default)!r}")
                values[name] = default
    return Settings(**values), problems


def merged(initial: object, configured: object) -> object:
    """The initial settings, overridden name by name by those sent since; null means not set."""
    if not isinstance(configured, Mapping):
        return initial
    said = {name: value for name, value in configured.items() if value is not None}
    return {**(initial if isinstance(initial, Mapping) else {}), **said}


def pushed_settings(received: object) -> Mapping[str, object] | None:
    """Our settings in a client's whole configuration: in our section, or bare; None if there are none of ours."""
    if not isinstance(received, Mapping):
        return None
    section = received.get(SECTION)
    if isinstance(section, Mapping):
        return section
    return received if received.keys() & NAMES.keys() else None


def _in_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _converted(name: str, default: Any, value: Any) -> tuple[Any, str]:
    """A value as the dataclass has it, and what is wrong with it, to follow "must be"; "" if nothing."""
    known = about(name)
    if isinstance(default, bool):
        return value, "" if isinstance(value, bool) else "true or false"
    if isinstance(default, str):
        return value, "" if isinstance(value, str) else "a text"
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            return default, "a list of texts"
        return tuple(value), known.problem(tuple(value))
    assert known.low is not None
    assert known.high is not None
    kinds = (int,) if isinstance(default, int) else (int, float)
    wanted = f"a {'whole ' if isinstance(default, int) else ''}number from {known.low:,} to {known.high:,}"
    fits = isinstance(value, kinds) and not isinstance(value, bool) and known.low <= value <= known.high
    return type(default)(value) if fits else default, "" if fits else wanted
