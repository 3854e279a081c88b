"""Check installed editors and their settings for tinycopilot. Other settings are never reported."""

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinycopilot.client.findings import Finding, Level

MAX_BYTES = 2_000_000
"""A larger file is not read."""
MAX_FILES = 2_000
"""At most this many files of Neovim's configuration are read."""
MAX_VALUE_CHARS = 80
VERSION_LIMIT_S = 10

CODES = {
    "VS Code": ("Code", ".vscode"),
    "VS Code Insiders": ("Code - Insiders", ".vscode-insiders"),
    "VSCodium": ("VSCodium", ".vscode-oss"),
    "Cursor": ("Cursor", ".cursor"),
}
"""Kind of VS Code -> names of its folders: settings, and extensions (in the home folder)."""
CLIENT_KEYS = frozenset(("serverCommand", "installFrom", "torchIndex"))
"""Settings of the extension; all others are the server's."""
EXTENSION = "tinycopilot.tinycopilot-"
HOW_TO_EXTEND = "cd editors/vscode && npm ci && npm run package, then install tinycopilot.vsix in the editor"

_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')
_NAMED = re.compile(r"""(['"])([^'"\n]*tinycopilot-server(?:\.exe)?)\1""")


@dataclass(frozen=True)
class Machine:
    """The facts that determine where programs store their settings."""

    system: str
    """sys.platform."""
    env: Mapping[str, str]
    home: Path

    def _folder(self, variable: str, *default: str) -> Path:
        given = self.env.get(variable, "")
        return Path(given) if os.path.isabs(given) else self.home.joinpath(*default)  # noqa: PTH117

    @property
    def config(self) -> Path:
        """Folder of graphical programs' settings."""
        if self.system == "win32":
            return self._folder("APPDATA", "AppData", "Roaming")
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        return self._folder("XDG_CONFIG_HOME", ".config")

    @property
    def nvim(self) -> Path:
        """Neovim's configuration (`:help standard-path`)."""
        name = self.env.get("NVIM_APPNAME") or "nvim"
        if self.system == "win32" and not self.env.get("XDG_CONFIG_HOME"):
            return self._folder("LOCALAPPDATA", "AppData", "Local") / name
        return self._folder("XDG_CONFIG_HOME", ".config") / name

    def codes(self) -> Iterator[tuple[str, Path, Path]]:
        """Yield name, settings file and folder of extensions of each kind of VS Code."""
        for name, (folder, extensions) in CODES.items():
            yield name, self.config / folder / "User" / "settings.json", self.home / extensions / "extensions"
        code_server = self._folder("XDG_DATA_HOME", ".local", "share") / "code-server"
        if self.system == "win32":
            code_server = self._folder("LOCALAPPDATA", "AppData", "Local") / "code-server" / "Data"
        yield "code-server", code_server / "User" / "settings.json", code_server / "extensions"
        remote = self.home / ".vscode-server"
        yield "VS Code, remote", remote / "data" / "Machine" / "settings.json", remote / "extensions"

    def which(self, program: str) -> str | None:
        """Path of a program on the PATH; None if it is not found."""
        return shutil.which(program, path=self.env.get("PATH", ""))

    def is_program(self, word: str) -> bool:
        """Whether an editor can start this program: `~` is the home folder; a relative path is not looked up."""
        path = Path(re.sub(r"^~(?=[/\\])", lambda _: str(self.home), word))
        if path.is_absolute():
            return any(one.is_file() and os.access(one, os.X_OK) for one in (path, path.with_name(path.name + ".exe")))
        return len(path.parts) == 1 and self.which(word) is not None


def check_editors(machine: Machine, server: str) -> Iterator[Finding]:
    """Yield findings for each installed editor; `server` is the program that their settings should name."""
    codes = (check_vs_code(machine, *code, server) for code in machine.codes())
    findings = list(itertools.chain(*codes, check_nvim(machine, server)))
    yield from findings
    if not findings:
        text = "found no settings for VS Code, code-server, VSCodium, Cursor or Neovim"
        yield Finding("editors", text, Level.NOTE, f'see "Use it in your editor" in the README; the server is {server}')


def check_vs_code(machine: Machine, name: str, settings: Path, extensions: Path, server: str) -> Iterator[Finding]:
    """Check one kind of VS Code; no findings if it is not installed."""
    if not (settings.parent.is_dir() or extensions.is_dir()):
        return
    version = extension_version(extensions)
    try:
        own = own_settings(settings)
    except ValueError as error:
        yield Finding(
            name,
            f"{settings}: cannot be read: {error}",
            Level.PROBLEM,
            "correct this file; the editor may ignore it, too",
        )
        return
    listed = ", ".join(f"tinycopilot.{key} = {_short(value)}" for key, value in own.items()) or "default settings"
    facts = {"extension": version, "settings": own, "file": str(settings)}
    if version is None:
        yield Finding(
            name, f"the extension is not installed{f' ({listed})' if own else ''}", Level.NOTE, HOW_TO_EXTEND, facts
        )
        return
    yield Finding(name, f"extension {version}; {listed}", Level.OK, facts=facts)
    finds_it = _is_built_beside(extensions / f"{EXTENSION}{version}" / "dist" / "extension.js", server)
    yield from (Finding(name, *wrong) for wrong in _wrong_settings(machine, own, server, finds_it))


def _is_built_beside(script: Path, server: str) -> bool:
    """Whether the extension was built in the clone whose `.venv` has this server; then it needs no setting."""
    environment = Path(server).parent.parent
    try:
        is_there = json.dumps(str(environment.parent)) in script.read_text("utf-8", "replace")
    except OSError:
        return False
    return is_there and environment.name == ".venv"


def _wrong_settings(
    machine: Machine, own: dict[str, Any], server: str, finds_it: bool
) -> Iterator[tuple[str, Level, str]]:
    from tinycopilot_server.settings import parse_settings  # noqa: PLC0415 (brings the engine: it may be missing)

    name_it = f'set "tinycopilot.serverCommand": {json.dumps([server])}'
    command = own.get("serverCommand", [])
    if isinstance(command, str):  # the extension accepts a string as a program without arguments
        command = [command.strip()] if command.strip() else []
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        yield "tinycopilot.serverCommand must be a list of strings", Level.PROBLEM, name_it
    elif command and not machine.is_program(command[0]):
        yield f"tinycopilot.serverCommand: program {command[0]} not found", Level.PROBLEM, name_it
    elif not command and not finds_it and not machine.which("tinycopilot-server"):
        yield "tinycopilot-server is not on the PATH, and tinycopilot.serverCommand is empty", Level.PROBLEM, name_it
    if own.get("enabled") is False:
        yield "tinycopilot.enabled is false: no suggestions", Level.NOTE, "remove it to get suggestions"
    for problem in parse_settings({key: value for key, value in own.items() if key not in CLIENT_KEYS})[1]:
        yield problem, Level.PROBLEM, "correct it in the editor's settings"
    for key in ("modelPath", "tokenizerPath"):
        value = own.get(key)
        if isinstance(value, str) and value and not (machine.home / re.sub(r"^~[/\\]", "", value)).is_file():
            yield f"tinycopilot.{key}: file {value} not found", Level.PROBLEM, "correct it, or remove it"


def extension_version(extensions: Path) -> str | None:
    """Return the installed version of our extension in this folder; None if it is not installed."""
    try:
        obsolete = json.loads((extensions / ".obsolete").read_text("utf-8"))
    except (OSError, ValueError):
        obsolete = {}
    names = [path.name for path in extensions.glob(EXTENSION + "*") if path.is_dir()]
    versions = [name.removeprefix(EXTENSION) for name in names if name not in obsolete]
    return max(versions, key=lambda version: [int(part) for part in re.findall(r"\d{1,9}", version)], default=None)


def own_settings(path: Path) -> dict[str, Any]:
    """Return the settings under `tinycopilot.` in a settings.json. Raises ValueError, without quoting the file."""
    try:
        if not path.exists():
            return {}
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("the file is too large")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ValueError(error.strerror or "access failed") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    return {
        key.removeprefix("tinycopilot."): value
        for key, value in parse_jsonc(text).items()
        if key.startswith("tinycopilot.")
    }


def parse_jsonc(text: str) -> dict[str, Any]:
    """Parse an object in JSON with comments and trailing commas, as VS Code does. Raises ValueError."""

    def kept(match: "re.Match[str]") -> str:
        return match[1] or re.sub(r"[^\n]", " ", match[0])  # a comment becomes blank: lines keep their numbers

    plain = _COMMA.sub(lambda match: match[1] or "", _TOKEN.sub(kept, text))
    try:
        data = json.loads(plain) if plain.strip() else {}
    except json.JSONDecodeError as error:
        raise ValueError(f"invalid JSON in line {error.lineno}") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(data, dict):
        raise ValueError("not a JSON object")
    return data


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "..."


def check_nvim(machine: Machine, server: str) -> Iterator[Finding]:
    """Check Neovim; no findings if neither it nor a configuration of it exists."""
    program, mentions = machine.which("nvim"), nvim_mentions(machine.nvim)
    if program is None and not machine.nvim.is_dir():
        return
    yield _nvim_version(program, bool(mentions))
    if machine.system == "win32":
        server = server.replace("\\", "/")  # in a string in Lua, a backslash begins an escape sequence
    if mentions:
        yield Finding(
            "Neovim",
            f"tinycopilot is mentioned in {', '.join(sorted(mentions)[:3])} of {machine.nvim}",
            facts={"folder": str(machine.nvim), "files": sorted(mentions)},
        )
    else:
        yield Finding(
            "Neovim",
            f"{machine.nvim} does not mention tinycopilot",
            Level.NOTE,
            f"require('tinycopilot').setup {{ cmd = {{ '{server}' }} }}, see editors/nvim/README.md",
        )
    for name, words in mentions.items():
        for word in words:
            if not machine.is_program(word):
                yield Finding("Neovim", f"{name}: program {word} not found", Level.PROBLEM, f"cmd = {{ '{server}' }}")


def _nvim_version(program: str | None, is_used: bool) -> Finding:
    if program is None:
        return Finding("Neovim", "nvim is not on the PATH", Level.NOTE, "to use Neovim, install version 0.12")
    try:
        output = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=VERSION_LIMIT_S, errors="replace"
        ).stdout
    except (OSError, subprocess.SubprocessError):
        output = ""
    match = re.search(r"NVIM v(\d+)\.(\d+)(\.\d+)?", output)
    if match is None:
        return Finding("Neovim", f"{program} does not print its version", Level.NOTE, "try: nvim --version")
    version, number = match[0].removeprefix("NVIM v"), (int(match[1]), int(match[2]))
    shown, level, todo = "ghost text", Level.OK, ""
    if number == (0, 11):
        shown, level, todo = "popup menu", Level.NOTE, "for ghost text, install 0.12"
    elif number < (0, 11):
        shown, level = "too old", Level.PROBLEM if is_used else Level.NOTE
        todo = "install 0.12, or 0.11 for the popup menu"
    return Finding("Neovim", f"{version}: {shown}", level, todo, {"version": version})


def nvim_mentions(folder: Path) -> dict[str, list[str]]:
    """Return the files below `folder` that mention tinycopilot -> the paths of `tinycopilot-server` in them."""
    found = {}
    for path in itertools.islice(_files(folder), MAX_FILES):
        if path.suffix not in (".lua", ".vim"):
            continue
        try:
            text = path.read_text("utf-8", "replace") if path.stat().st_size <= MAX_BYTES else ""
        except OSError:
            continue
        comment = '"' if path.suffix == ".vim" else "--"
        lines = [line for line in text.splitlines() if not line.lstrip().startswith(comment)]
        if mentioning := [line for line in lines if "tinycopilot" in line]:
            found[path.relative_to(folder).as_posix()] = [
                match[2]
                for line in mentioning
                for match in _NAMED.finditer(line)
                if not line[: match.start()].rstrip().endswith("..")  # not the last part of a concatenated string
            ]
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, but not those in hidden folders."""
    for here, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(here, name) for name in names)
