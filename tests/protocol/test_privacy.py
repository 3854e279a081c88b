"""No network connection, no subprocess, and no secret saved, learned or suggested."""

import json
import os
import random
import shutil
import socket
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lsp_editor import Start
from lsp_workspace import INDEX_ONLY_SERVER, KEY, NAME, REST, TYPED, Session, code_with_name
from lsprotocol import types
from tinycopilot_server import lifetime

from tinycopilot.model.tokenizer import SimpleTokenizer
from tinycopilot.paths import ModelPaths, mixture_weights_path

# Audit events of whatever library: https://docs.python.org/3/library/audit_events.html
LISTENING = """
import json, sys
record = open(sys.argv.pop(1), "a", buffering=1)
watched = ("socket.", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.system", "os.fork", "os.startfile",
           "pty.spawn", "urllib.", "http.", "ftplib.", "smtplib.", "imaplib.", "poplib.", "webbrowser.")
def hook(event, arguments):
    if event.startswith(watched):
        family = int(arguments[1]) if event == "socket.__new__" else None
        record.write(json.dumps([event, family, repr(arguments)]) + "\\n")
sys.addaudithook(hook)
"""
WATCHDOG = repr(str(Path(lifetime.__file__).resolve()))
SERVE = "from tinycopilot_server.__main__ import main\nmain([])\n"
NOT_SO_PRIVATE = """
import socket, subprocess
port = int(sys.argv[1])
socket.getaddrinfo("127.0.0.1", port)
socket.create_connection(("127.0.0.1", port)).close()
socket.socket().bind(("127.0.0.1", 0))
subprocess.run([sys.executable, "-c", ""])
"""

has_pairs = pytest.mark.skipif(sys.platform == "win32", reason="a pair of sockets is connected through loopback there")


def recorded(path: Path) -> list[tuple[str, int | None, str]]:
    """The recorded events, except asyncio's pair of AF_UNIX sockets and the server's watchdog."""
    events = [tuple(json.loads(line)) for line in path.read_text().splitlines()]
    own = [one for one in events if one[0] == "subprocess.Popen" and WATCHDOG in one[2]]
    assert len(own) <= 1
    return [one for one in events if one[:2] != ("socket.__new__", socket.AF_UNIX) and one not in own]


@pytest.fixture
def options(unsure: ModelPaths) -> dict[str, Any]:
    return {"modelPath": str(unsure.model), "minConfidence": 0, "maxChars": 30}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "animals.py").write_text(code_with_name(NAME))
    return folder


async def whole_session(session: Session) -> None:
    """A session from `initialize` to `shutdown`, with all messages of a typical editor."""
    session.open("a.py")
    await session.wait_until_indexed()
    text = code_with_name(NAME) + "x = "
    for character in TYPED:
        text += character
        await session.ghost("a.py", text)
    line = text.count("\n")
    assert (await session.editor.popup(line, len(text.rsplit("\n", 1)[-1]))).items
    (session.folder / "a.py").write_text(text)
    session.save("a.py")
    session.report_changes("a.py", "animals.py")
    session.close("a.py")
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True


@has_pairs
async def test_no_connections_and_no_subprocesses(
    start: Start, folder: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    program = ["-c", LISTENING + INDEX_ONLY_SERVER, str(tmp_path / "events")]
    session = Session(await start(folders=[folder], options=options, program=program), folder)
    await whole_session(session)
    assert recorded(tmp_path / "events") == []


@has_pairs
async def test_no_connections_with_the_shipped_model(start: Start, folder: Path, tmp_path: Path) -> None:
    editor = await start(folders=[folder], options={}, program=["-c", LISTENING + SERVE, str(tmp_path / "events")])
    editor.open("def area(self):\n    raise NotImpl")
    assert await editor.ghost(1, 17) == "ementedError"
    assert recorded(tmp_path / "events") == []


def test_audit_hook_reports_known_events(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = str(listening.getsockname()[1])
        command = [sys.executable, "-c", LISTENING + NOT_SO_PRIVATE, str(tmp_path / "events"), port]
        subprocess.run(command, check=True, timeout=60)
    heard = {event for event, *_ in recorded(tmp_path / "events")}
    assert {"socket.getaddrinfo", "socket.connect", "socket.bind", "subprocess.Popen"} <= heard


def why_not_traced() -> str:
    """Return why system calls cannot be traced here; "" if they can."""
    if shutil.which("strace") is None:
        return "strace is not installed (apt-get install strace)"
    done = subprocess.run(["strace", "-f", "-o", os.devnull, "true"], capture_output=True, text=True)
    return "" if done.returncode == 0 else f"strace may not trace here: {done.stderr.strip()[:80]}"


TRACE = """
import os, sys
words = ["strace", "-f", "-qq", "-e", "trace=network,execve", "-o", sys.argv[1], sys.executable, *sys.argv[2:]]
os.execvp("strace", words)
"""


@pytest.mark.skipif(bool(why_not_traced()), reason=why_not_traced())
async def test_no_network_system_calls(start: Start, folder: Path, options: dict[str, Any], tmp_path: Path) -> None:
    program = ["-c", TRACE, str(tmp_path / "calls"), "-c", INDEX_ONLY_SERVER]
    session = Session(await start(folders=[folder], options=options, program=program), folder)
    await whole_session(session)
    calls = (tmp_path / "calls").read_text("utf-8", "replace").splitlines()
    assert [call for call in calls if "AF_INET" in call] == []
    programs = [call for call in calls if "execve(" in call]
    assert len([call for call in programs if '"-I", "-S"' not in call]) == 1  # Python itself: tracing works
    assert len(programs) <= 2


@pytest.mark.skipif(bool(why_not_traced()), reason=why_not_traced())
def test_strace_reports_known_calls(tmp_path: Path) -> None:
    code = "import socket\nsocket.socket().bind(('127.0.0.1', 0))"
    subprocess.run([sys.executable, "-c", TRACE, str(tmp_path / "calls"), "-c", code], check=True, timeout=60)
    assert "AF_INET" in (tmp_path / "calls").read_text("utf-8", "replace")


SECRETS = (
    *(".env", ".env.local", "id_rsa", ".npmrc", ".pypirc", ".netrc", "server.pem", "deploy.key", "github_token"),
    *(".git-credentials", "credentials.py", "secrets.toml", "token.json", ".ssh/config.py", ".aws/settings.py"),
    *("notes_with_a_key.txt", "notes_with_a_key.py"),
)


def sentinel(name: str) -> str:
    """A unique word that shares no n-gram with another."""
    return "".join(random.Random(name).choices(string.ascii_lowercase, k=24))


def secret_text(name: str) -> str:
    word = sentinel(name)
    if "with_a_key" in name:
        return f"animal = 1\n{KEY}" + f"MIIE{word}/{word}\n" * 3 + KEY.replace("BEGIN", "END") + "other = 2\n"
    return f"password = {word}\n{word} = {word}\n" * 3


async def test_secrets_are_not_indexed_learned_or_suggested(
    start: Start,
    folder: Path,
    options: dict[str, Any],
    unsure: ModelPaths,
    temporary_home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(temporary_home / "cache"))
    monkeypatch.setenv("TMPDIR", str(temporary_home / "temporary"))
    (temporary_home / "temporary").mkdir()
    for name in SECRETS:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(secret_text(name))
    session = Session(await start(folders=[folder], options=options, program=["-c", INDEX_ONLY_SERVER]), folder)
    session.open("a.py")
    session.open("ordinary.txt", "one = 1\n")  # from now on, files with this suffix are scanned
    await session.wait_until_indexed()

    async def none_is_known() -> None:
        for name in SECRETS:
            word = sentinel(name)
            ghost = await session.ghost("a.py", f"{code_with_name(NAME)}animal = {word[:11]}")
            assert word[11:15] not in ghost, name

    await none_is_known()
    for name in SECRETS:
        text, word = secret_text(name), sentinel(name)
        session.open(name, text)
        for n in (1, 6, 11, 12, 13):
            ghost = await session.ghost(name, text + word[:n])
            if "with_a_key" in name:  # everything but the key may be indexed
                assert n < 6 or word[n : n + 4] not in ghost, name
                continue
            assert ghost == "", name
            popup = await session.editor.popup(text.count("\n"), n)
            assert list(popup.items) == [], name
    await none_is_known()  # while they are open
    for name in SECRETS:
        session.save(name)
        session.report_changes(name)
        session.close(name)
    text = code_with_name(NAME) + "y = 1\n" * 9 + "x = "  # beyond any earlier length: text typed again teaches nothing
    await session.ghost("a.py", text)
    for character in TYPED:  # an ordinary file teaches, meanwhile
        text += character
        ghost = await session.ghost("a.py", text)
    assert ghost.startswith(REST)
    await none_is_known()
    await session.editor.client.shutdown_async(None)
    session.editor.has_shut_down = True

    weights = mixture_weights_path(str(folder.resolve()), SimpleTokenizer.load(unsure.tokenizer).digest)
    files = [path for path in temporary_home.rglob("*") if path.is_file()]
    assert weights in files
    for path in files:
        content = path.read_bytes()
        assert [name for name in SECRETS if sentinel(name).encode() in content] == [], path
        assert NAME.encode() not in content, path  # nor anything else of the workspace


async def test_words_of_an_ordinary_file_are_suggested(start: Start, folder: Path, options: dict[str, Any]) -> None:
    """Check an ordinary file in the same way as the secrets above."""
    ordinary = secret_text("settings.py").replace("password", "animal")
    (folder / "settings.py").write_text(ordinary)
    word = sentinel("settings.py")
    session = Session(await start(folders=[folder], options=options, program=["-c", INDEX_ONLY_SERVER]), folder)
    session.open("a.py")
    await session.wait_until_indexed(word)
    assert word[11:15] in await session.ghost("a.py", f"{code_with_name(NAME)}animal = {word[:11]}")
    session.open("settings.py", ordinary)
    text = ordinary + word[:11]
    assert await session.ghost("settings.py", text) != ""
    assert (await session.editor.popup(text.count("\n"), 11)).items
    assert isinstance(await session.editor.popup(0, 0), types.CompletionList)
