"""Generates the settings tables in docs/ and in the editors' files: python tests/settings_table.py"""

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "server")]

from tinycopilot_server.settings import NAMES, About, Settings, about  # noqa: E402

from tinycopilot.completion.syntaxes import WRITTEN  # noqa: E402

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", tuple: "array"}
"""Names of types in JSON schemas."""
NOT_SYNCED = {"modelPath", "tokenizerPath"}
"""Settings that VS Code must not sync to the user's other machines."""
VS_CODES_OWN: dict[str, tuple[Any, str]] = {
    "popup": (
        "automatic",
        "VS Code shows word-based suggestions only if no extension supplies entries. With `true`, tinycopilot supplies "
        "entries, so word-based suggestions no longer appear.",
    ),
    "enabled": (True, "No server runs while this is off."),
}
"""Defaults that differ in VS Code, each with a sentence to add."""


@dataclass(frozen=True)
class Row:
    """One setting."""

    name: str
    default: Any
    about: About

    @property
    def meaning(self) -> str:
        """The description, with the range of an integer."""
        low, high = self.about.low, self.about.high
        return self.about.meaning + (f" Range: {low:,} to {high:,}." if isinstance(self.default, int) and high else "")


def rows() -> list[Row]:
    """Return all settings, in order."""
    return [Row(name, getattr(Settings, field), about(field)) for name, field in NAMES.items()]


def as_json(value: Any) -> str:
    """Format as JSON: `["python"]`."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def as_lua(value: Any) -> str:
    """Format as Lua: `{ 'python' }`."""
    if isinstance(value, tuple):
        return "{ " + ", ".join(map(as_lua, value)) + " }" if value else "{}"
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def markdown(prefix: str = "") -> str:
    """Return the rows of a Markdown table."""
    return "".join(f"| `{prefix}{row.name}` | `{as_json(row.default)}` | {row.meaning} |\n" for row in rows())


def vs_codes_markdown() -> str:
    """Return the same rows with VS Code's defaults."""
    text = markdown("tinycopilot.")
    for name, (default, more) in VS_CODES_OWN.items():
        text = re.sub(
            rf"(\| `tinycopilot\.{name}` \| )`[^`]*` \| (.*) \|", rf"\1`{as_json(default)}` | \2 {more} |", text
        )
    return text


def vs_code() -> str:
    """Return the properties of package.json's `contributes.configuration`, in the order of the table."""
    properties = {}
    for order, row in enumerate(rows(), start=1):
        default, more = VS_CODES_OWN.get(row.name, (row.default, ""))
        schema: dict[str, Any] = {"order": order, "type": TYPES[type(row.default)]}
        if isinstance(row.default, tuple):
            schema["items"] = {"type": "string"}
        if row.about.choices:
            schema["enum"] = list(row.about.choices)
            if False in row.about.choices:
                schema |= {"type": ["string", "boolean"], "enum": list(dict.fromkeys((*row.about.choices, True)))}
        if row.about.low is not None:
            schema |= {"minimum": row.about.low, "maximum": row.about.high}
        schema["default"] = list(default) if isinstance(default, tuple) else default
        if row.name in NOT_SYNCED:
            schema["ignoreSync"] = True
        schema["markdownDescription"] = f"{row.about.meaning} {more}".strip()
        properties[f"tinycopilot.{row.name}"] = schema
    text = json.dumps(properties, indent=2)[1:-1].strip("\n")
    text = re.sub(r"\{\s+\"type\": \"string\"\s+\}", '{ "type": "string" }', text)
    text = re.sub(r"\[\s+\"default\"\s+\]", '["default"]', text)
    text = re.sub(r"(\"(?:type|enum)\": )(\[[^]]*\])", lambda found: found[1] + json.dumps(json.loads(found[2])), text)
    return textwrap.indent(text, 6 * " ") + "\n"


def lua() -> str:
    """Return Neovim's defaults, with descriptions as comments."""
    text = ""
    for row in rows():
        meaning = textwrap.wrap(row.meaning, 112, break_on_hyphens=False)
        text += "".join(f"    -- {line}\n" for line in meaning) + f"    {row.name} = {as_lua(row.default)},\n"
    return text


def _wrapped(words: Iterable[str], indent: int = 0) -> str:
    lines = textwrap.wrap(" ".join(words), 118 - indent, break_on_hyphens=False)
    return textwrap.indent("\n".join(lines), indent * " ") + "\n"


def languages() -> str:
    """Return the languages that `default` stands for, in Markdown."""
    return _wrapped(f"`{name}`" for name in sorted(WRITTEN))


def vs_codes_languages() -> str:
    """Return the same for package.json, from which the extension reads them."""
    return _wrapped((f'"{name}",' for name in sorted(WRITTEN)), 4)[:-2] + "\n"


def lua_languages() -> str:
    """Return the same for Neovim."""
    return _wrapped(sorted(WRITTEN), 2)


def lua_bounds() -> str:
    """Return lines `maxChars = { 1, 100000, true },`: minimum, maximum, and whether it is an integer."""
    text = ""
    for row in rows():
        if row.about.low is not None:
            whole = ", true" if isinstance(row.default, int) else ""
            text += f"  {row.name} = {{ {row.about.low}, {row.about.high}{whole} }},\n"
    return text


def lua_choices() -> str:
    """Return lines `inline = { 'automatic', 'onDemand', false },`."""
    return "".join(f"  {row.name} = {as_lua(row.about.choices)},\n" for row in rows() if row.about.choices)


def help_example() -> str:
    """Return the defaults for Vim's help, without comments."""
    return "".join(f"        {row.name} = {as_lua(row.default)},\n" for row in rows())


def help_list() -> str:
    """Return the descriptions for Vim's help."""
    text = ""
    for row in rows():
        meaning = textwrap.wrap(row.meaning, 60, break_on_hyphens=False)
        head = f"  {row.name:<14}"
        text += (head + meaning.pop(0) if len(row.name) < 14 else head) + "\n"
        text += "".join(f"{'':16}{line}\n" for line in meaning)
    return text


PLACES: list[tuple[str, str, str, Callable[[], str]]] = [
    ("docs/settings.md", r"\| Setting \| Default \| Description \|\n\|---\|---\|---\|\n", r"\n", markdown),
    ("docs/settings.md", r"`default` in `languages` means:\n\n", r"\n", languages),
    ("editors/vscode/README.md", r"\| `tinycopilot\.serverCommand` .*\n", r"\n", vs_codes_markdown),
    ("editors/vscode/package.json", r"what runs on your machine\.\"\n        \},\n", r"      \}\n    \}\n", vs_code),
    ("editors/vscode/package.json", r"  \"writtenLanguages\": \[\n", r"  \]", vs_codes_languages),
    ("editors/nvim/lua/tinycopilot/options.lua", r"local written = \[\[\n", r"\]\]", lua_languages),
    ("editors/nvim/lua/tinycopilot/options.lua", r"  settings = \{.*\n", r"  \},\n", lua),
    ("editors/nvim/lua/tinycopilot/options.lua", r"local bounds = \{.*\n", r"\}\n", lua_bounds),
    ("editors/nvim/lua/tinycopilot/options.lua", r"local choices = \{.*\n", r"\}\n", lua_choices),
    ("editors/nvim/doc/tinycopilot.txt", r"      settings = \{\n", r"      \},\n", help_example),
    ("editors/nvim/doc/tinycopilot.txt", r"settings +Server settings(?:.*\n){2}\n", r"\ntab_on_blank ", help_list),
]
"""File, pattern before the generated text, pattern after it, and the function that generates it."""


def written(path: str, text: str) -> str:
    """Return the text of a file with its settings regenerated."""
    for file, before, after, generate in PLACES:
        if file == path:
            pattern = re.compile(rf"({before})(?:.*\n)*?(?={after})")
            text, n = pattern.subn(lambda found, generate=generate: found[1] + generate(), text, count=1)
            assert n == 1, f"{path}: no match for {before}"
    return text


def main() -> None:
    """Regenerate all files."""
    for path in sorted({path for path, *_ in PLACES}):
        file = ROOT / path
        file.write_text(written(path, file.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
