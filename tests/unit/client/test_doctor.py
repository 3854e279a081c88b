"""The doctor's findings for fake homes, settings and programs, which are scripts."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tinycopilot import UserError
from tinycopilot.client import doctor, findings
from tinycopilot.client.doctor import (
    check_device,
    check_folders,
    check_model,
    check_program,
    run_check,
    wrong_version,
)
from tinycopilot.client.editors import Machine, check_editors, check_nvim, own_settings, parse_jsonc
from tinycopilot.client.findings import Finding, Level
from tinycopilot.paths import unused_paths, user_model, workspace_model

SERVER = "/opt/tinycopilot/bin/tinycopilot-server"
SECRET = "a-setting-that-is-nobodys-business"


def machine(home: Path, system: str = "linux", **env: str) -> Machine:
    (home / "bin").mkdir(exist_ok=True)
    return Machine(system, {"PATH": str(home / "bin"), **env}, home)


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def settings(home: Path, content: object, folder: str = ".config/Code") -> Path:
    return write(home / folder / "User" / "settings.json", content if isinstance(content, str) else json.dumps(content))


def extension(home: Path, folder: str = ".vscode", version: str = "0.1.0") -> Path:
    path = home / folder / "extensions" / f"tinycopilot.tinycopilot-{version}"
    path.mkdir(parents=True)
    return path


def levels(some: Iterable[Finding]) -> list[Level]:
    return [one.level for one in some]


def test_without_an_editor_is_one_note(tmp_path: Path) -> None:
    [one] = check_editors(machine(tmp_path), SERVER)
    assert one.level is Level.NOTE
    assert SERVER in one.todo


def test_only_our_settings_are_listed(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "tinycopilot-server")
    extension(tmp_path)
    text = f"""\ufeff{{ // a comment, with "quotes"
        "editor.token": "{SECRET}", /* "tinycopilot.maxLines": 9,
        */ "tinycopilot.eagerness": 0.25, "url": "http://{SECRET}/*",
        "tinycopilot.maxChars": 80,
    }}"""
    settings(tmp_path, text)
    [one] = check_editors(machine(tmp_path), SERVER)
    assert one.level is Level.OK
    assert one.text == "extension 0.1.0; tinycopilot.eagerness = 0.25, tinycopilot.maxChars = 80"
    assert SECRET not in json.dumps(one.as_object())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{\n"a": 1,\n"tinycopilot.eagerness": ' + SECRET + "}", "invalid JSON in line 3"),
        ("{\n/* a\ncomment */\n" + SECRET + "}", "invalid JSON in line 4"),
        (f'["{SECRET}"]', "not a JSON object"),
        ("[" * 200_000, "nested too deeply"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (None, "directory"),
    ],
)
def test_unreadable_settings_are_one_line(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / ".config" / "Code" / "User" / "settings.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else (content or "").encode())
    if content is None:
        path.unlink()
        path.mkdir()
    [one] = check_editors(machine(tmp_path), SERVER)
    assert one.level is Level.PROBLEM
    assert says in one.text
    assert SECRET not in one.text
    assert "\n" not in one.text


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", {}),
        ("// nothing yet\n", {}),
        ('{"a": "// no comment", "b": "/* nor this */", "c": "\\"//", }', None),
        ('{"a": [1, 2, ], "b": {"c": 1,},}', {"a": [1, 2], "b": {"c": 1}}),
        ('{"a": ",}" , /* , */ }', {"a": ",}"}),
    ],
)
def test_json_with_comments(text: str, data: dict[str, Any] | None) -> None:
    expected = {"a": "// no comment", "b": "/* nor this */", "c": '"//'} if data is None else data
    assert parse_jsonc(text) == expected


def test_oversized_settings_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinycopilot.client.editors.MAX_BYTES", 10)
    with pytest.raises(ValueError, match="too large"):
        own_settings(write(tmp_path / "settings.json", "{}" + " " * 10))


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"serverCommand": ["/no/such/tinycopilot-server"]}, "program /no/such/tinycopilot-server not found"),
        ({"serverCommand": ["~/no/tinycopilot-server"]}, "not found"),
        ({"serverCommand": ["./tinycopilot-server"]}, "not found"),
        ({"serverCommand": "/no/such/server"}, "program /no/such/server not found"),
        ({"serverCommand": 7}, "must be a list of strings"),
        ({}, "not on the PATH"),
        ({"serverCommand": ["~/venv/server"], "eagerness": 7}, "eagerness must be a number from 0 to 1, not 7"),
        ({"serverCommand": ["~/venv/server"], "color": 7}, "unknown setting 'color'"),
        ({"serverCommand": ["~/venv/server"], "modelPath": "~/m.pth"}, "file ~/m.pth not found"),
    ],
)
def test_invalid_settings_are_problems_with_a_fix(tmp_path: Path, own: dict[str, Any], says: str) -> None:
    extension(tmp_path)
    program(tmp_path / "venv" / "server")
    settings(tmp_path, {f"tinycopilot.{key}": value for key, value in own.items()})
    first, *problems = check_editors(machine(tmp_path), SERVER)
    assert first.level is Level.OK
    assert levels(problems) == [Level.PROBLEM]
    assert says in problems[0].text
    assert problems[0].todo
    if "serverCommand" in problems[0].text:
        assert SERVER in problems[0].todo


@pytest.mark.parametrize("word", ["~/venv/server", "server", "ABSOLUTE"])
def test_valid_settings(tmp_path: Path, word: str) -> None:
    extension(tmp_path)
    at_home, _ = program(tmp_path / "venv" / "server"), program(tmp_path / "bin" / "server")
    command = [str(at_home) if word == "ABSOLUTE" else word, "--stdio"]
    settings(tmp_path, {"tinycopilot.serverCommand": command, "tinycopilot.modelPath": "", "tinycopilot.enabled": True})
    assert levels(check_editors(machine(tmp_path), SERVER)) == [Level.OK]


def test_disabled_is_a_note(tmp_path: Path) -> None:
    extension(tmp_path)
    program(tmp_path / "bin" / "tinycopilot-server")
    settings(tmp_path, {"tinycopilot.enabled": False})
    assert levels(check_editors(machine(tmp_path), SERVER)) == [Level.OK, Level.NOTE]


def test_removed_extension_is_not_installed(tmp_path: Path) -> None:
    gone = extension(tmp_path)
    write(gone.parent / ".obsolete", json.dumps({gone.name: True}))
    [one] = check_editors(machine(tmp_path), SERVER)
    assert "not installed" in one.text
    assert one.level is Level.NOTE
    for version in ("0.2.0", "0.10.0", "0.9.1"):
        extension(tmp_path, version=version)
    assert "extension 0.10.0" in next(check_editors(machine(tmp_path), SERVER)).text


@pytest.mark.parametrize(
    ("system", "env", "folder", "name"),
    [
        ("linux", {}, ".config/Code", "VS Code"),
        ("linux", {"XDG_CONFIG_HOME": "cfg"}, "cfg/Code", "VS Code"),
        ("linux", {}, ".config/VSCodium", "VSCodium"),
        ("linux", {}, ".config/Cursor", "Cursor"),
        ("linux", {}, ".local/share/code-server", "code-server"),
        ("linux", {"XDG_DATA_HOME": "data"}, "data/code-server", "code-server"),
        ("darwin", {}, "Library/Application Support/Code", "VS Code"),
        ("darwin", {"XDG_CONFIG_HOME": "cfg"}, "Library/Application Support/Cursor", "Cursor"),
        ("win32", {"APPDATA": "roaming"}, "roaming/Code", "VS Code"),
        ("win32", {}, "AppData/Roaming/VSCodium", "VSCodium"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/code-server/Data", "code-server"),
    ],
)
def test_settings_paths_per_system(tmp_path: Path, system: str, env: dict[str, str], folder: str, name: str) -> None:
    settings(tmp_path, {"tinycopilot.maxLines": 3}, folder)
    env = {variable: str(tmp_path / value) for variable, value in env.items()}
    [one] = check_editors(machine(tmp_path, system, **env), SERVER)
    assert one.name == name
    assert "tinycopilot.maxLines = 3" in one.text


def nvim(home: Path, version: str) -> None:
    program(home / "bin" / "nvim", f"#!/bin/sh\necho 'NVIM v{version}'\necho 'Build type: Release'\n")


@pytest.mark.parametrize(
    ("version", "level", "says"),
    [
        ("0.12.4", Level.OK, "0.12.4: ghost text"),
        ("1.0.0-dev", Level.OK, "ghost text"),
        ("0.11.0", Level.NOTE, "popup"),
        ("0.10.4", Level.PROBLEM, "too old"),
        ("?", Level.NOTE, "does not print its version"),
    ],
)
def test_neovim_versions(tmp_path: Path, version: str, level: Level, says: str) -> None:
    nvim(tmp_path, version)
    write(tmp_path / ".config" / "nvim" / "init.lua", f"require('tinycopilot').setup {{}} -- {SECRET}\n")
    first, second = check_editors(machine(tmp_path), SERVER)
    assert (first.level, second.level) == (level, Level.OK)
    assert says in first.text
    assert "init.lua" in second.text
    assert SECRET not in second.text


def test_old_unused_or_missing_neovim_is_not_a_problem(tmp_path: Path) -> None:
    nvim(tmp_path, "0.9.5")
    assert levels(check_editors(machine(tmp_path), SERVER)) == [Level.NOTE, Level.NOTE]
    (tmp_path / "bin" / "nvim").unlink()
    write(tmp_path / ".config" / "nvim" / "lua" / "plugins" / "code.lua", "-- tinycopilot, one day\n")
    missing, unmentioned = check_editors(machine(tmp_path), SERVER)
    assert "not on the PATH" in missing.text
    assert "does not mention" in unmentioned.text
    assert SERVER in unmentioned.todo
    on_windows = Machine("win32", {"LOCALAPPDATA": str(tmp_path / "local")}, tmp_path)
    (tmp_path / "local" / "nvim").mkdir(parents=True)
    _, unmentioned = check_nvim(on_windows, r"C:\Users\me\tinycopilot-server.exe")
    assert "'C:/Users/me/tinycopilot-server.exe'" in unmentioned.todo


@pytest.mark.parametrize(
    ("line", "is_wrong"),
    [
        ("require('tinycopilot').setup { cmd = { '/no/tinycopilot-server' } }", True),
        ('require("tinycopilot").setup { cmd = { "tinycopilot-server" } }', True),
        ("setup { cmd = { '~/venv/tinycopilot-server' } } -- tinycopilot", False),
        ("setup { cmd = { vim.env.HOME .. '/venv/tinycopilot-server' } }", False),
        ("-- setup { cmd = { '/no/tinycopilot-server' } }\nrequire 'tinycopilot'", False),
    ],
)
def test_server_command_in_the_neovim_configuration(tmp_path: Path, line: str, is_wrong: bool) -> None:
    nvim(tmp_path, "0.12.0")
    program(tmp_path / "venv" / "tinycopilot-server")
    write(tmp_path / "cfg" / "mine" / "init.lua", line + "\n")
    there = machine(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "cfg"), NVIM_APPNAME="mine")
    assert levels(check_editors(there, SERVER)) == [Level.OK, Level.OK] + [Level.PROBLEM] * is_wrong


def test_server_command_lookup() -> None:
    here, other = Path("/venv/bin/tinycopilot-server"), "/usr/bin/tinycopilot-server"
    assert check_program(here, str(here)).level is Level.OK
    assert check_program(None, other).level is Level.OK
    assert check_program(here, None).level is Level.NOTE
    assert str(here) in check_program(here, None).text
    assert "another Python" in check_program(here, other).text
    assert check_program(None, None).level is Level.PROBLEM


@pytest.mark.parametrize(
    ("installed", "wanted", "wrong"),
    [
        ("2.1.1", ">=2.1,<3", False), ("3.0", ">=2.1,<3", True), ("1.3.1", ">=2.1,<3", True), ("2.1", ">=2.1", False),
        ("2.13.0+cpu", ">=2.9", False), ("2.10.0", ">=2.9", False), ("2025.0.0", ">=2025.0.0", False), ("7", "", False),
        ("2.1.0", ">=2.1", False),
    ],
)  # fmt: skip
def test_package_versions(monkeypatch: pytest.MonkeyPatch, installed: str, wanted: str, wrong: bool) -> None:
    monkeypatch.setattr(metadata, "version", lambda _name: installed)
    assert bool(wrong_version("pygls", wanted)) is wrong


def test_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "numba":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(doctor, "required_packages", lambda: [("numba", ">=0.61"), ("pygls", ">=2.1,<3")])
    problems = [one for one in doctor.check_packages() if one.level is Level.PROBLEM]
    assert [one.name for one in problems if one.name != "tinycopilot-server"] == ["numba"]
    assert problems[0].todo == 'pip install "numba>=0.61"'


ENGINE = {"torch": "2.13.0", "build": "CPU", "fast_bfloat16": False, "gpus": ["cuda"]}


def asked(model: dict[str, Any]) -> doctor.AskEngine:
    return lambda _paths: ENGINE | {"model": model}


@pytest.mark.usefixtures("in_folder")
def test_model_in_use_and_its_origin(tmp_path: Path) -> None:
    sound, facts = asked({"parameters": 815_872, "digest": "abcdef" * 10}), dict[str, Any]()
    which, file, tokenizer = check_model(None, None, sound, facts)
    assert which.text.startswith("ships with tinycopilot: ")
    assert "0.82 million parameters" in file.text
    assert "abcdefabcdef" in tokenizer.text
    assert facts["gpus"] == ["cuda"]

    users = user_model()
    write(users.model, "x")
    assert next(iter(check_model(None, None, sound, {}))).text == f"your own: {users.model}"

    write(tmp_path / "paras" / "tiny_gpt.pth", "x")
    which, passed_over, *_ = check_model(None, None, sound, {})
    assert which.text.startswith("your own")  # the server uses it
    assert passed_over.level is Level.NOTE
    assert "paras/" in passed_over.text
    given, *others = check_model("paras/tiny_gpt.pth", None, sound, {})
    assert given.text == "named by you: paras/tiny_gpt.pth"
    assert levels(others) == [Level.OK, Level.OK]


@pytest.mark.usefixtures("in_folder")
def test_model_worse_than_the_shipped_one_is_a_problem(tmp_path: Path) -> None:
    users = user_model()
    write(users.model, "x")
    write(users.tokenizer, "x")

    def quality(bits: float, model_path: str | None = None) -> Finding:
        model = {
            "parameters": 1,
            "digest": "a" * 64,
            "reference_bits": bits,
            "reference_chars": 5_517,
            "shipped_bits": 1.2,
        }
        return list(check_model(model_path, None, asked(model), {}))[-1]

    worse = quality(2.22)
    assert worse.level is Level.PROBLEM
    assert "2.22 bits per character" in worse.text
    assert worse.text.endswith("the bundled model: 1.20")
    aside = unused_paths(users)
    assert f"mv {users.model} {aside.model} && mv {users.tokenizer} {aside.tokenizer}" in worse.todo
    assert worse.facts == {"reference_bits": 2.22, "shipped_bits": 1.2}
    assert quality(1.3).level is Level.OK
    assert quality(1.33).level is Level.PROBLEM
    write(tmp_path / "rust.pth", "x")
    assert quality(4.0, "rust.pth").level is Level.NOTE  # an explicit choice is respected
    own = workspace_model(str(tmp_path))
    write(own.model, "x")
    which, here, *_ = check_model(None, None, asked({"problem": "x"}), {})
    assert which.facts["origin"] == "USER"
    assert here.text == f"in an editor that has this folder open: the model adapted to it, {own.model}"


def test_model_trained_in_place_of_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an editable install of a clone, where training saves in its paras/."""
    monkeypatch.setattr("tinycopilot.paths.bundled_path", lambda name: tmp_path / "my clone" / name)
    model = write(tmp_path / "my clone" / "paras" / "tiny_gpt.pth", "as it ships")
    manifest = {"files": {model.name: hashlib.sha256(model.read_bytes()).hexdigest()}}
    sound = asked({"parameters": 815_872, "digest": "abcdef" * 10})
    assert next(iter(check_model(None, None, sound, {}))).text == f"ships with tinycopilot: {model}"  # unknown
    write(model.with_name("manifest.json"), json.dumps(manifest))
    assert next(iter(check_model(None, None, sound, {}))).text == f"ships with tinycopilot: {model}"
    model.write_text("retrained")
    which = next(iter(check_model(None, None, sound, {})))
    assert which.level is Level.NOTE
    assert which.text == f"a model that replaced the bundled one: {model}"
    assert which.todo == f"to restore the bundled one: git -C '{model.parent}' checkout -- tiny_gpt.pth tokenizer.pth"
    assert which.facts["origin"] == "SHIPPED"


def test_unwritable_folder_is_one_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temporary_home: Path
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert levels(check_folders()) == [Level.OK] * 4  # including those that do not exist yet
    assert not [*temporary_home.iterdir()]
    in_the_way = write(tmp_path / "file", "where a folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_the_way))
    data, cache, log, compiled = check_folders()
    assert levels([data, cache, log, compiled]) == [Level.OK, Level.PROBLEM, Level.OK, Level.OK]
    assert cache.text.startswith(f"{in_the_way}/tinycopilot/memory cannot be written (Not a directory)")
    assert cache.todo == f"make {in_the_way} a writable folder with free space"


def test_missing_home_folder_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the folder above it, which may be the root of the file system."""
    home = write(tmp_path / "file", "where no folder can be created") / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    cache = next(found for found in check_folders() if found.name == "cache")
    assert cache.level is Level.PROBLEM
    assert cache.todo == "set HOME to a writable folder"


@pytest.mark.usefixtures("in_folder")
def test_unreadable_model_is_one_problem() -> None:
    _, problem = check_model("m.pth", None, asked({"problem": "m.pth: damaged; train one; or not"}), {})
    assert (problem.level, problem.text, problem.todo) == (Level.PROBLEM, "m.pth: damaged; train one", "or not")


def test_devices() -> None:
    assert levels(check_device({})) == [Level.OK, Level.NOTE]
    cpu, torch, gpu = check_device(ENGINE)
    assert "CPU" in torch.text
    assert "core" in cpu.text
    assert "cuda for training; the server uses the CPU" in gpu.text


def test_without_torch_the_doctor_says_how_to_train() -> None:
    cpu, torch = check_device({"torch": None})
    assert levels([cpu, torch]) == [Level.OK, Level.NOTE]
    assert "completion works without it" in torch.text
    assert "pip install" in torch.todo
    assert "200 MB" in torch.todo


def failing(error: Exception) -> Iterator[Finding]:
    yield Finding("first", "is well")
    raise error


@pytest.mark.parametrize(
    ("error", "says", "todo"),
    [
        (UserError("it is broken; mend it"), "it is broken", "mend it"),
        (UserError("it is broken"), "it is broken", ""),
        (ModuleNotFoundError("No module named 'pygls.lsp'", name="pygls.lsp"), "pygls cannot be imported", "install"),
        (
            OSError("libc++.so.1: cannot open shared object file: No such file"),
            "library libc++.so.1 is missing",
            "install",
        ),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero", "report this bug"),
    ],
)
def test_failed_check_is_one_line_and_keeps_other_findings(error: Exception, says: str, todo: str) -> None:
    first, problem = run_check("section", failing(error))
    assert first.level is Level.OK
    assert problem.level is Level.PROBLEM
    assert says in problem.text
    assert todo in problem.todo


def test_the_report_ends_with_the_next_step(tmp_path: Path) -> None:
    none_set_up = list(check_editors(machine(tmp_path), "/v/bin/tinycopilot-server"))
    assert 'next: set up an editor (see "Use it in your editor"' in doctor.verdict({"editors": none_set_up})[-1][0]
    ready = Finding("VS Code", "extension 1.0", facts={"extension": "1.0"})
    assert "next: open a code file" in doctor.verdict({"editors": [*none_set_up, ready]})[-1][0]
    wrong = Finding("x", "is wrong", Level.PROBLEM, "mend it")
    assert "next" not in doctor.verdict({"editors": [ready, wrong]})[-1][0]


def test_an_extension_built_in_the_clone_needs_no_setting(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    server = str(clone / ".venv" / "bin" / "tinycopilot-server")
    settings(tmp_path, {})
    script = tmp_path / ".vscode" / "extensions" / "tinycopilot.tinycopilot-0.1.0" / "dist" / "extension.js"
    script.parent.mkdir(parents=True)
    for text, n_problems in (("x", 1), (f"x={json.dumps(str(clone))};", 0)):
        script.write_text(text)
        assert levels(check_editors(machine(tmp_path), server)).count(Level.PROBLEM) == n_problems


def test_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    sections = {
        "one": [Finding("a", "x[bold]\n\x1b", facts={"ms": 3})],
        "two": [Finding("long name", "y", Level.PROBLEM, "z")],
    }
    findings.print_lines(sections, [("end", "")])
    assert capsys.readouterr().out.splitlines() == [
        "one",
        "  OK      a          x[bold]??",
        "two",
        "  PROBLEM long name  y",
        "                     -> z",
        "end",
    ]
    report = json.loads(findings.as_json(sections))
    assert report["ok"] is False
    assert report["one"] == [{"name": "a", "level": "ok", "text": "x[bold]\n\x1b", "todo": "", "ms": 3}]
    assert not findings.n_problems({"one": sections["one"]})


def test_memory_of_a_process() -> None:
    mb = doctor.resident_mb(os.getpid())
    assert mb is None or 10 < mb < 100_000
    assert doctor.resident_mb(2**30) is None


def test_compile_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tinycopilot.completion.compiled.CACHE", tmp_path)
    assert doctor.check_compiled_code().level is Level.OK
    monkeypatch.setattr("tinycopilot.completion.compiled.CACHE", None)
    finding = doctor.check_compiled_code()
    assert finding.level is Level.PROBLEM
    assert "NUMBA_CACHE_DIR" in finding.todo


def test_packages_are_shown_without_an_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    found = {finding.name: finding.level for finding in doctor.check_packages()}
    assert found["pygls"] == found["lsprotocol"] == doctor.Level.OK
