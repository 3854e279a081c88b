"""`tinycopilot doctor`: check the installation on this machine, and say what to do about each problem.

Each section is checked on its own, with its imports in its body, so that a missing package is one line of the report.
"""

import asyncio
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError, __version__
from tinycopilot.client.editors import Machine, look_at_editors
from tinycopilot.client.findings import Finding, Level, Sections, as_json, is_well, print_lines, problem_of
from tinycopilot.extras import TORCH, TORCH_SIZE

if TYPE_CHECKING:
    from tinycopilot.paths import ModelPaths
from tinycopilot.process import memory_bytes, usable_cores

SHOWN = ("pygls", "lsprotocol")
"""Packages whose versions are always reported."""
OPENED = "import sys\nfrom pathlib import Path\n\n\n"
TYPED = "def read_lines(path):\n    with open(path) as file:\n        return file.read().splitlines()\n"
N_ANSWERS = 40
ANSWERS_LIMIT_S = 60.0
SLOW_MS = 100.0
"""A slower median is noticeable while typing."""

WORSE = 1.1
"""A model with more than this many times the shipped model's bits per character is reported as worse."""

AskEngine = Callable[["ModelPaths"], dict[str, Any]]
"""Returns facts about PyTorch and a model: `ask_environment` of tinycopilot.evaluation.environment."""


def run_doctor(
    model_path: str | None = None,
    tokenizer_path: str | None = None,
    *,
    to_json: bool = False,
    ask_engine: AskEngine,
) -> int:
    """Check everything and print the report; return the exit code: 1 if there is a problem, otherwise 0."""
    told: dict[str, Any] = {}
    server = _server_program()
    looks: dict[str, Callable[[], Iterable[Finding]]] = {
        "installed": look_at_packages,
        "model": lambda: look_at_model(model_path, tokenizer_path, ask_engine, told),
        "device": lambda: look_at_device(told),
        "folders": look_at_folders,
        "editors": lambda: look_at_editors(Machine(sys.platform, os.environ, _home()), server),
        "server": lambda: look_at_server(model_path, tokenizer_path, has_model="parameters" in told.get("model", {})),
    }
    sections = {title: looked(title, look) for title, look in looks.items()}
    if to_json:
        print(as_json(sections))
    else:
        print_lines(sections, _verdict(sections))
    return 0 if is_well(sections) else 1


def _home() -> Path:
    """The user's home folder. Raises UserError if the system names none."""
    from tinycopilot.paths import HOW_TO_HAVE_A_HOME, NO_HOME, NO_HOME_KNOWN, home_folder  # noqa: PLC0415

    if (home := home_folder()) == NO_HOME:
        raise UserError(f"{NO_HOME_KNOWN}, where an editor would have its settings; {HOW_TO_HAVE_A_HOME}")
    return home


def _verdict(sections: Sections) -> list[tuple[str, str]]:
    n_problems = sum(one.level is Level.PROBLEM for findings in sections.values() for one in findings)
    if n_problems == 0:
        return [("no problem found", "bold green"), ("\n" + _next_step(sections), "bold")]
    return [(f"{n_problems} problem{'s' * (n_problems > 1)}; do what the arrows say, and ask again", "bold red")]


def _next_step(sections: Sections) -> str:
    """What to do when all is well: set up an editor, if none is, or type in it."""
    editors = sections.get("editors", [])
    if any(one.facts.get("extension") or one.facts.get("files") for one in editors):
        return (
            "next: open a file of code in your editor and type; tinycopilot eval PROJECT shows what it would have saved"
        )
    offered = next((one for one in editors if one.todo), None)
    return f"next: set up an editor ({offered.name}: {offered.todo})" if offered else "next: set up an editor"


def looked(title: str, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """The findings of one section; if the check itself fails, that is the last of them."""
    findings = []
    try:
        for finding in look():
            findings.append(finding)
    except UserError as error:
        findings.append(problem_of(title, str(error)))
    except ImportError as error:
        missing = (error.name or str(error)).partition(".")[0]
        findings.append(Finding(title, f"{missing} cannot be imported", Level.PROBLEM, f"pip install {missing}"))
    except Exception as error:  # whatever it is, the other sections are worth reading
        text = f"could not be looked at ({type(error).__name__}: {error})"
        findings.append(Finding(title, text, Level.PROBLEM, "tell us, with all that is printed here"))
    return findings


def look_at_packages() -> Iterator[Finding]:
    """Check the versions of Python, tinycopilot and the packages that it requires."""
    yield Finding("python", f"{platform.python_version()}  {sys.executable}", facts={"version": sys.version.split()[0]})
    where = Path(__file__).parents[2]
    yield Finding("tinycopilot", f"{__version__}  in {where}", facts={"version": __version__})
    for name, wanted in required_packages():
        if wrong := wrong_version(name, wanted):
            yield Finding(name, wrong, Level.PROBLEM, f'pip install "{name}{wanted}"')
        elif name in SHOWN:
            version = metadata.version(name)
            yield Finding(name, version, facts={"version": version})
    yield look_at_program(_beside(), shutil.which("tinycopilot-server"))


def required_packages() -> Iterator[tuple[str, str]]:
    """The packages required without extras, with their version ranges: pygls, ">=2.1,<3"."""
    try:
        requirements = metadata.requires("tinycopilot") or []
    except metadata.PackageNotFoundError:
        requirements = list(SHOWN)
    for requirement in requirements:
        match = re.match(r"([\w.-]+)\s*([^;]*)", requirement)
        if match and "extra ==" not in requirement:
            yield match[1], match[2].strip()


def wrong_version(name: str, wanted: str) -> str:
    """What is wrong with the installed version of a package; "" if nothing."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"
    for sign, limit in re.findall(r"(>=|<)\s*([\d.]+)", wanted):
        if (_numbers(version) >= _numbers(limit)) != (sign == ">="):
            return f"{version}, where {wanted} is needed"
    return ""


def _numbers(version: str) -> list[int]:
    """2.13.0+cpu -> [2, 13]: the release, without trailing zeros."""
    release = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def _beside() -> Path | None:
    """The program `tinycopilot-server` beside this Python."""
    ending = ".exe" if os.name == "nt" else ""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    programs = [folder / f"tinycopilot-server{ending}" for folder in folders]
    return next((program for program in programs if program.is_file()), None)


def _server_program() -> str:
    """The server program that an editor's settings should name."""
    return str(_beside() or shutil.which("tinycopilot-server") or "tinycopilot-server")


def look_at_program(beside: Path | None, on_path: str | None) -> Finding:
    """Report where `tinycopilot-server` is: `beside` this Python, and `on_path`."""
    name = "tinycopilot-server"
    facts = {"beside": str(beside) if beside else None, "on_path": on_path}
    if on_path is None and beside is None:
        text = "there is no such program, on the PATH or beside this Python"
        return Finding(name, text, Level.PROBLEM, "pip install . in a clone of tinycopilot", facts)
    if on_path is None:
        return Finding(
            name, f"not on the PATH, but here: {beside}", Level.NOTE, "name it in your editor's settings", facts
        )
    if beside is not None and os.path.realpath(beside) != os.path.realpath(on_path):
        text = f"the one on the PATH is another Python's: {on_path}"
        return Finding(name, text, Level.NOTE, f"for this one, name {beside} in your editor's settings", facts)
    return Finding(name, f"on the PATH: {on_path}", facts=facts)


def look_at_model(
    model_path: str | None, tokenizer_path: str | None, ask_engine: AskEngine, told: dict[str, Any]
) -> Iterator[Finding]:
    """Report which model the server uses, why, and whether it can be read. Adds the engine's facts to `told`."""
    from tinycopilot.paths import MODEL_NAME, Origin, find_model  # noqa: PLC0415

    paths, origin = find_model(model_path, tokenizer_path)
    facts = {"path": str(paths.model), "origin": origin.name}
    if origin is Origin.SHIPPED and not is_as_shipped(paths.model):
        text = f"retrained in place of the bundled one: {paths.model}"
        todo = f"to go back: {_way_back(paths)}"
        yield Finding("which", text, Level.NOTE, todo, facts)
    else:
        yield Finding("which", f"{origin.value}: {paths.model}", facts=facts)
    here = os.getcwd()  # noqa: PTH109
    elsewhere, why = find_model(model_path, tokenizer_path, workspace=here)
    if why is Origin.WORKSPACE:
        text = f"where an editor has this folder open, the one adapted to it: {elsewhere.model}"
        yield Finding("which", text, facts={"path": str(elsewhere.model), "origin": why.name})
    in_paras = Path("paras", MODEL_NAME)
    if in_paras.exists() and os.path.realpath(in_paras) != os.path.realpath(paths.model):
        text = "paras/ of this folder has a model, which no command takes unless it is named"
        yield Finding("which", text, Level.NOTE, f"to use it: --model_path {in_paras}, and modelPath likewise")
    told |= ask_engine(paths)
    model = told.get("model", {})
    if problem := model.get("problem"):
        yield problem_of("file", problem)
        return
    status = paths.model.stat()
    days = max(0, int((time.time() - status.st_mtime) / 86_400))
    age = "today" if days == 0 else f"{days:,} day{'s' * (days > 1)} ago"
    yield Finding(
        "file",
        f"{status.st_size / 1e6:.1f} MB, {model['parameters'] / 1e6:.2f} million parameters, written {age}",
        facts={"bytes": status.st_size, "parameters": model["parameters"], "days": days},
    )
    yield Finding(
        "tokenizer", f"{paths.tokenizer.name}, which the model was trained with (digest {model['digest'][:12]})",
        facts={"path": str(paths.tokenizer), "digest": model["digest"]},
    )  # fmt: skip
    yield from _quality(model, paths, is_users=origin is Origin.USER)


def _quality(model: dict[str, Any], paths: "ModelPaths", *, is_users: bool) -> Iterator[Finding]:
    """Compare the model with the shipped one, on a text that neither was trained on."""
    from tinycopilot.paths import move_command, unused_paths  # noqa: PLC0415

    bits, ships = model.get("reference_bits"), model.get("shipped_bits")
    if bits is None or ships is None:
        return
    text = (
        f"{bits:.2f} bits per character, the network alone, on {model['reference_chars']:,} characters of everyday "
        f"Python that no model was trained on; the one that ships: {ships:.2f}"
    )
    level, todo = Level.OK, ""
    if bits > WORSE * ships:
        level = Level.PROBLEM if is_users else Level.NOTE
        todo = "keep it if it is for another language than Python"
        if is_users:
            todo = f"to go back to the one that ships: {move_command((paths, unused_paths(paths)))}; or {todo}"
    facts = {"reference_bits": round(bits, 4), "shipped_bits": round(ships, 4)}
    yield Finding("quality", text, level, todo, facts)


def is_as_shipped(model: Path) -> bool:
    """Whether the model is the file in the manifest beside it; True without a manifest."""
    from tinycopilot.paths import MANIFEST_NAME  # noqa: PLC0415

    try:
        files = json.loads((model.parent / MANIFEST_NAME).read_text("utf-8"))["files"]
        return bool(files[model.name] == hashlib.sha256(model.read_bytes()).hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _way_back(paths: "ModelPaths") -> str:
    """The command that restores the files of the clone."""
    folder = paths.model.parent
    return shlex.join(["git", "-C", str(folder), "checkout", "--", paths.model.name, paths.tokenizer.name])


def look_at_folders() -> Iterator[Finding]:
    """Check that the user's folders can be written."""
    from tinycopilot.paths import HOW_TO_HAVE_A_HOME, NO_HOME, NO_HOME_KNOWN, user_folders  # noqa: PLC0415

    for name, (folder, kept) in user_folders().items():
        if NO_HOME in folder.parents:
            text = f"{NO_HOME_KNOWN}: {kept} is not kept"
            yield Finding(name, text, Level.PROBLEM, HOW_TO_HAVE_A_HOME)
            continue
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        facts = {"path": str(folder)}
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
            yield Finding(name, str(folder), facts=facts)
        except OSError as error:
            text = f"{folder} cannot be written ({error.strerror}): {kept} is not kept"
            yield Finding(name, text, Level.PROBLEM, f"make {there} a folder that you may write to, with room", facts)
    yield look_at_compiled_code()


def look_at_compiled_code() -> Finding:
    """Report where machine code is cached."""
    from tinycopilot.completion import compiled  # noqa: PLC0415

    if compiled.CACHE is not None:
        return Finding("compiled", str(compiled.CACHE), facts={"path": str(compiled.CACHE)})
    text = "no private folder is writable: machine code is not cached, and each start takes some seconds longer"
    return Finding("compiled", text, Level.PROBLEM, "name a folder of your own in the variable NUMBA_CACHE_DIR")


def look_at_device(told: dict[str, Any]) -> Iterator[Finding]:
    """Report the processor, and PyTorch with its devices, from the facts in `told`."""
    n_cores = usable_cores()
    cores = f"{n_cores} core{'s' * (n_cores > 1)} ({platform.machine()})"
    if "torch" not in told:
        yield Finding("cpu", cores, facts={"cores": n_cores})
        yield Finding("torch", "did not report its devices", Level.NOTE, "see the problem above")
        return
    if told["torch"] is None:
        yield Finding("cpu", cores, facts={"cores": n_cores})
        todo = f'to train: {sys.executable} -m pip install "{TORCH}" ({TORCH_SIZE})'
        yield Finding("torch", "not installed: completion works without it, training needs it", Level.NOTE, todo)
        return
    speed = "faster" if told["fast_bfloat16"] else "not faster"
    text = f"{cores}; bfloat16, for training: {speed} than float32 in a trial"
    yield Finding("cpu", text, facts={"cores": n_cores, "fast_bfloat16": told["fast_bfloat16"]})
    yield Finding("torch", f"{told['torch']}, built for {told['build']}", facts={"build": told["build"]})
    gpus = told["gpus"]
    text = f"{', '.join(gpus)} for training; the server uses the CPU" if gpus else "none, and none is needed"
    yield Finding("gpu", text, facts={"gpus": gpus})


def look_at_server(model_path: str | None, tokenizer_path: str | None, *, has_model: bool) -> Iterator[Finding]:
    """Start the server, type, and report the answers and their latency."""
    if not has_model:
        yield Finding("start", "not tried: without a model it suggests nothing", Level.NOTE, "fix the model first")
        return
    options = {"modelPath": model_path, "tokenizerPath": tokenizer_path}
    start_s, times, n_shown, mb = asyncio.run(_round_trip({name: path for name, path in options.items() if path}))
    yield Finding("start", f"ready after {start_s:.1f} s", facts={"start_s": round(start_s, 2)})
    times.sort()
    p50, p95 = statistics.median(times), times[int(0.95 * len(times))]
    yield Finding(
        "answers",
        f"{len(times)} over stdio, {n_shown} with a suggestion: {p50:.1f} ms (median), {p95:.1f} ms (p95)",
        Level.NOTE if p50 > SLOW_MS else Level.OK,
        "is something else running? `tinycopilot bench` measures more" if p50 > SLOW_MS else "",
        {"answers": len(times), "shown": n_shown, "p50_ms": round(p50, 2), "p95_ms": round(p95, 2)},
    )
    if mb is not None:
        yield Finding("memory", f"{mb:.0f} MB resident", facts={"resident_mb": round(mb)})


async def _round_trip(options: dict[str, str]) -> tuple[float, list[float], int, float | None]:
    """Seconds until ready, milliseconds of each answer, number of suggestions, resident MB. Raises UserError."""
    from tinycopilot.client.stdio import Editor, running_server  # noqa: PLC0415

    async with running_server(options) as server:
        n_shown = 0
        editor = Editor.on_no_disk(server.client, "doctor.py", OPENED)
        editor.open()
        async with asyncio.timeout(ANSWERS_LIMIT_S):
            for character in TYPED[:N_ANSWERS]:
                n_shown += await editor.suggestion() != ""
                editor.type(character)
        return server.start_s, editor.answer_ms, n_shown, resident_mb(server.pid)


def resident_mb(pid: int) -> float | None:
    """Resident memory of another process, in MB; None if the system does not say."""
    if (n_bytes := memory_bytes(pid=pid)) is not None:
        return n_bytes / 1e6
    try:
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    kib = done.stdout.strip()
    return int(kib) * 1024 / 1e6 if kib.isdigit() else None
