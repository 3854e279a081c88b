"""The settings: the table that declares them, and validation of the values that clients send.

docs/settings.md and the editors' settings are generated from the table (`make settings`).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePath
from typing import Any, NamedTuple

from tinycopilot import UserError
from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.completion.syntaxes import WRITTEN, language_of_suffix
from tinycopilot.files.gitignore import Patterns


def _no_pattern(patterns: tuple[str, ...]) -> str:
    try:
        Patterns(patterns)
    except UserError as error:
        return str(error)
    return ""


SECTION = "tinycopilot"
"""The name of the settings' section in a client's configuration."""


class About(NamedTuple):
    """Description and valid values of a setting."""

    meaning: str
    """Description for the user, in Markdown, with units."""
    low: float | None = None
    high: float | None = None
    problem: Callable[[Any], str] = lambda _: ""
    """Return the requirement that a value of the right type violates, to follow "must be"; "" if none."""
    choices: tuple[str | bool, ...] = ()
    """All valid values, if they can be listed, the default first. If `false` is one, `true` means the default."""


def _setting(default: Any, *about: Any, **more: Any) -> Any:
    return field(default=default, metadata={"about": About(*about, **more)})


@dataclass(frozen=True)
class Settings:
    """The server's settings. Clients write the names in camelCase, all on one level: `modelPath`, `minConfidence`."""

    enabled: bool = _setting(True, "Enable suggestions.")
    languages: tuple[str, ...] = _setting(
        ("default",),
        "Languages in which suggestions are shown and files are indexed, given as the editor's language identifiers. "
        "`default`: programming and markup languages; `*`: all languages; `-css`: without CSS. If several entries "
        "match a language, the last one wins.",
    )
    exclude: tuple[str, ...] = _setting(
        (),
        "Patterns in `.gitignore` syntax. Files that match get no suggestions and are not indexed.",
        problem=_no_pattern,
    )
    inline: str | bool = _setting(
        "automatic",
        'When to show suggestions as ghost text. `"automatic"` or `true`: as you type; `"onDemand"`: only when you '
        "request one with a key (the suggestion then stays visible while you type matching text); `false`: never.",
        choices=("automatic", "onDemand", False),
    )
    popup: str | bool = _setting(
        "automatic",
        'Whether to list suggestions in the completion menu, below all other entries: `true`, `false`, or `"automatic"`'
        " (only if the editor shows no ghost text).",
        choices=("automatic", True, False),
    )
    eagerness: float = _setting(
        CompleterSettings.eagerness,
        "How readily suggestions are shown, from 0 (few, likely ones) to 1 (many, less likely ones). It sets how many "
        "keystrokes a suggestion must be expected to save before it is shown, and scales `minConfidence`.",
        0, 1,
    )  # fmt: skip
    min_confidence: float = _setting(
        CompleterSettings.min_confidence,
        "The minimum probability (0 to 1) that a suggestion is correct, before scaling by `eagerness`. The effective "
        "minimum is this value multiplied by 3.5 when `eagerness` is 0, by 1.87 at the default of 0.25, by 1 at 0.5, "
        "and by 0.29 at 1. It is never above 0.95 and, in the middle of a line, never below 0.4.",
        0, 1,
    )  # fmt: skip
    max_chars: int = _setting(CompleterSettings.max_chars, "Maximum number of characters in a suggestion.", 1, 100_000)
    max_lines: int = _setting(
        CompleterSettings.max_lines,
        "Maximum number of lines in a suggestion. Multi-line suggestions need a confidence of at least 50 %.",
        1,
        100_000,
    )
    multiline: str = _setting(
        "whole",
        'How to show a multi-line suggestion. `"whole"`: show all lines. `"firstLine"`: only the first line is shown, '
        "followed by a count such as `+2 lines`; accepting the first line shows the others.",
        choices=("whole", "firstLine"),
    )
    debounce_ms: int = _setting(
        0,
        "Milliseconds to wait after the last change before showing ghost text. Explicit requests don't wait.",
        0,
        10_000,
    )
    in_comments: bool = _setting(True, "Suggest inside comments.")
    in_strings: bool = _setting(True, "Suggest inside strings.")
    threads: int = _setting(
        CompleterSettings.threads,
        "Has no effect; accepted for compatibility.",
        1, 64,
    )  # fmt: skip
    model_path: str = _setting(
        "",
        "Path to the model file. Empty: the one next to `tokenizerPath` if that is set, else the model adapted to the "
        "workspace, else the one that you trained, else the bundled one.",
    )
    tokenizer_path: str = _setting("", "Path to the tokenizer file. Empty: the one next to the model.")
    max_workspace_chars: int = _setting(
        MAX_WORKSPACE_CHARS,
        "Maximum number of characters to index. Each takes about 8 bytes of memory. The most recently changed files "
        "are indexed first. 0: use only the current document, and store nothing about the workspace.",
        0, 1_000_000_000,
    )  # fmt: skip
    statistics: bool = _setting(
        True,
        "Count suggestions, and how many of them you accept and keep. The counts stay on this machine and contain no "
        "code.",
    )

    @property
    def completer(self) -> CompleterSettings:
        """Return the engine's settings."""
        return CompleterSettings(**{one.name: getattr(self, one.name) for one in fields(CompleterSettings)})

    def has_language(self, language: str) -> bool:
        """Whether documents of this language are completed."""
        is_on, is_written = False, language in WRITTEN
        for word in self.languages:
            if word in (language, "*") or (word == "default" and is_written):
                is_on = True
            elif word == f"-{language}":
                is_on = False
        return is_on

    def has_files_like(self, name: str) -> bool:
        """Whether other files with this one's suffix are indexed: not those of a language that is off.

        `CMakeLists.txt` is completed, and other text files are not.
        """
        language = language_of_suffix(PurePath(name).suffix)
        return language is None or self.has_language(language)


def about(name: str) -> About:
    """Return the description of a setting, by its name in the dataclass."""
    return Settings.__dataclass_fields__[name].metadata["about"]


def camel_case(name: str) -> str:
    """`min_confidence` -> `minConfidence`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


NAMES = {camel_case(one.name): one.name for one in fields(Settings)}
"""Maps clients' names to the dataclass's."""


def parse_settings(options: object) -> tuple[Settings, list[str]]:
    """Return settings from a client's options, and a line for each invalid value, which its default replaces.

    The valid entries of a list are used. Null means not set.
    """
    if options is None:
        return Settings(), []
    if not isinstance(options, Mapping):
        return Settings(), ["the settings must be an object: using the defaults"]
    problems, values = list[str](), dict[str, Any]()
    for client_name, value in options.items():
        name = NAMES.get(client_name)
        if name is None:
            problems.append(f"unknown setting {client_name!r}")
        elif value is not None:
            default = getattr(Settings, name)
            values[name], problem = _converted(name, default, value)
            if problem:
                used = list(values[name]) if isinstance(default, tuple) else values[name]
                problems.append(f"{client_name} must be {problem}, not {value!r}: using {used!r}")
    return Settings(**values), problems


def merged(initial: object, configured: object) -> object:
    """Return the initial settings, overridden by the settings that the client sent later; null means not set."""
    if not isinstance(configured, Mapping):
        return initial
    given = {name: value for name, value in configured.items() if value is not None}
    return {**(initial if isinstance(initial, Mapping) else {}), **given}


def pushed_settings(received: object) -> Mapping[str, object] | None:
    """Return our settings in a client's configuration, from our section or the top level; None if there are none."""
    if not isinstance(received, Mapping):
        return None
    section = received.get(SECTION)
    if isinstance(section, Mapping):
        return section
    return received if received.keys() & NAMES.keys() else None


def _converted(name: str, default: Any, value: Any) -> tuple[Any, str]:
    """Return `value`, converted for the dataclass, and the requirement that it violates, "" if none."""
    known = about(name)
    if known.choices:
        is_switch = False in known.choices and True not in known.choices
        value = default if value is True and is_switch else value
        is_known = any(value is one or (isinstance(one, str) and value == one) for one in known.choices)
        return (value, "") if is_known else (default, " or ".join(map(json.dumps, known.choices)))
    if isinstance(default, bool | str):
        kind = "true or false" if isinstance(default, bool) else "a string"
        return (value, "") if isinstance(value, type(default)) else (default, kind)
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple):
            return default, "a list of strings"
        # Keep the valid patterns of an invalid `exclude`: they may keep private files out of the index.
        words = tuple(one for one in value if isinstance(one, str))
        problem = known.problem(words) if len(words) == len(value) else "a list of strings"
        valid = tuple(one for one in words if not known.problem((one,)))
        return valid if valid or not value else default, problem
    assert known.low is not None
    assert known.high is not None
    kinds = (int,) if isinstance(default, int) else (int, float)
    wanted = f"a {'whole ' if isinstance(default, int) else ''}number from {known.low:,} to {known.high:,}"
    fits = isinstance(value, kinds) and not isinstance(value, bool) and known.low <= value <= known.high
    return type(default)(value) if fits else default, "" if fits else wanted
