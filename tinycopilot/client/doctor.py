"""`tinycopilot doctor`: check the installation on this machine, and suggest a fix for each problem.

Checks import packages in their bodies, so that a missing one is one line of the report.
"""

import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError, __version__
from tinycopilot.client.editors import Machine, check_editors
from tinycopilot.client.findings import Finding, Level, Sections, as_json, n_problems, print_lines, problem_of
from tinycopilot.extras import TORCH, TORCH_SIZE, install_command, missing_library

if TYPE_CHECKING:
    from tinycopilot.paths import ModelPaths
from tinycopilot.process import memory_bytes, usable_cores, working_folder

SHOWN = ("pygls", "lsprotocol")
"""Packages whose versions are always reported."""
OPENED = "import sys\nfrom pathlib import Path\n\n\n"
TYPED = "def read_lines(path):\n    with open(path) as file:\n        return file.read().splitlines()\n"
N_ANSWERS = 40
ANSWERS_LIMIT_S = 60.0
SLOW_MS = 100.0
"""A median latency above this is noticeable while typing."""

WORSE = 1.1
"""A model is reported as worse if it needs this many times the bundled model's bits per character."""

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
    facts: dict[str, Any] = {}
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (raises nothing; without a home folder, nothing is found)
    server = str(_beside() or shutil.which("tinycopilot-server") or "tinycopilot-server")  # for editors' settings
    checks = {
        "installed": check_packages(),
        "model": check_model(model_path, tokenizer_path, ask_engine, facts),
        "device": check_device(facts),
        "folders": check_folders(),
        "editors": check_editors(Machine(sys.platform, os.environ, home), server),
        "server": check_server(model_path, tokenizer_path, facts),
    }
    sections = {title: run_check(title, check) for title, check in checks.items()}  # in turn: each fills in `facts`
    if to_json:
        print(as_json(sections))
    else:
        print_lines(sections, verdict(sections))
    return int(n_problems(sections) > 0)


def verdict(sections: Sections) -> list[tuple[str, str]]:
    """Return the last lines of the report, each with its style: the result, and what to do next."""
    if n := n_problems(sections):
        return [(f"{n} problem{'s' * (n > 1)}; apply the fixes after ->, and run doctor again", "bold red")]
    editors = sections["editors"]
    step = "set up an editor"
    if any(one.facts.get("extension") or one.facts.get("files") for one in editors):
        step = "open a code file in your editor and type; `tinycopilot eval PROJECT` shows what it would have saved"
    elif offered := next((one for one in editors if one.todo), None):
        which = "" if offered.name == "editors" else f"{offered.name}: "
        step = f"set up an editor ({which}{offered.todo})"
    return [("no problems found", "bold green"), (f"\nnext: {step}", "bold")]


def run_check(title: str, check: Iterator[Finding]) -> list[Finding]:
    """Return the findings of one section. If the check itself fails, the last finding reports the error."""
    findings = []
    try:
        for finding in check:
            findings.append(finding)
    except Exception as error:  # the other sections are still useful
        if line := str(error) if isinstance(error, UserError) else missing_library(traceback.format_exc()):
            findings.append(problem_of(title, line))
        elif isinstance(error, ImportError):
            missing = (error.name or str(error)).partition(".")[0]
            findings.append(Finding(title, f"{missing} cannot be imported", Level.PROBLEM, f"pip install {missing}"))
        else:
            findings.append(
                Finding(
                    title,
                    f"the check failed ({type(error).__name__}: {error})",
                    Level.PROBLEM,
                    "please report this bug, with the complete output",
                )
            )
    return findings


def check_packages() -> Iterator[Finding]:
    """Check the versions of Python, tinycopilot and the packages that it requires."""
    yield Finding("python", f"{platform.python_version()}  {sys.executable}", facts={"version": sys.version.split()[0]})
    where = Path(__file__).parents[2]
    yield Finding("tinycopilot", f"{__version__}  in {where}", facts={"version": __version__})
    for name, wanted in required_packages():
        if wrong := wrong_version(name, wanted):
            yield Finding(name, wrong, Level.PROBLEM, f'pip install "{name}{wanted}"')
        elif name in SHOWN:
            yield Finding(name, metadata.version(name), facts={"version": metadata.version(name)})
    yield check_program(_beside(), shutil.which("tinycopilot-server"))


def required_packages() -> Iterator[tuple[str, str]]:
    """Yield the packages required without extras, with their version ranges: pygls, ">=2.1,<3"."""
    try:
        requirements = metadata.requires("tinycopilot") or []
    except metadata.PackageNotFoundError:  # it runs from a folder, without being installed
        requirements = list(SHOWN)
    for requirement in requirements:
        match = re.match(r"([\w.-]+)\s*([^;]*)", requirement)
        if match and "extra ==" not in requirement:
            yield match[1], match[2].strip()


def wrong_version(name: str, wanted: str) -> str:
    """Return what is wrong with the installed version of a package; "" if nothing is."""
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"
    for sign, limit in re.findall(r"(>=|<)\s*([\d.]+)", wanted):
        if (_numbers(version) >= _numbers(limit)) != (sign == ">="):
            return f"{version}, but {wanted} is needed"
    return ""


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _beside() -> Path | None:
    """Return the program `tinycopilot-server` next to this Python, if there is one."""
    ending = ".exe" if os.name == "nt" else ""
    folders = [Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))]
    programs = (folder / f"tinycopilot-server{ending}" for folder in folders)
    return next(filter(Path.is_file, programs), None)


def check_program(beside: Path | None, on_path: str | None) -> Finding:
    """Report where `tinycopilot-server` is: next to this Python (`beside`), and `on_path`."""
    name = "tinycopilot-server"
    facts = {"beside": str(beside) if beside else None, "on_path": on_path}
    if on_path is None and beside is None:
        return Finding(
            name,
            "found neither on the PATH nor next to this Python",
            Level.PROBLEM,
            "in a clone of tinycopilot, run: pip install .",
            facts,
        )
    if on_path is None:
        return Finding(
            name, f"not on the PATH, but at {beside}", Level.NOTE, "set this path in your editor's settings", facts
        )
    if beside is not None and os.path.realpath(beside) != os.path.realpath(on_path):
        return Finding(
            name,
            f"the program on the PATH belongs to another Python: {on_path}",
            Level.NOTE,
            f"to use {beside}, set this path in your editor's settings",
            facts,
        )
    return Finding(name, f"on the PATH: {on_path}", facts=facts)


def check_model(
    model_path: str | None, tokenizer_path: str | None, ask_engine: AskEngine, engine_facts: dict[str, Any]
) -> Iterator[Finding]:
    """Report which model the server uses, why, and whether it is readable. Adds to `engine_facts`."""
    from tinycopilot.paths import MODEL_NAME, Origin, find_model, shell_command  # noqa: PLC0415

    paths, origin = find_model(model_path, tokenizer_path)
    facts = {"path": str(paths.model), "origin": origin.name}
    if origin is Origin.SHIPPED and not is_as_shipped(paths.model):
        back = ["git", "-C", str(paths.model.parent), "checkout", "--", paths.model.name, paths.tokenizer.name]
        yield Finding(
            "which",
            f"a model that replaced the bundled one: {paths.model}",
            Level.NOTE,
            f"to restore the bundled one: {shell_command(*back)}",
            facts,
        )
    else:
        yield Finding("which", f"{origin.value}: {paths.model}", facts=facts)
    elsewhere, why = find_model(model_path, tokenizer_path, workspace=working_folder())
    if why is Origin.WORKSPACE:
        yield Finding(
            "which",
            f"in an editor that has this folder open: the model adapted to it, {elsewhere.model}",
            facts={"path": str(elsewhere.model), "origin": why.name},
        )
    in_paras = Path("paras", MODEL_NAME)
    if in_paras.exists() and os.path.realpath(in_paras) != os.path.realpath(paths.model):
        yield Finding(
            "which",
            "paras/ in this folder contains a model, which is used only if you specify it",
            Level.NOTE,
            f"to use it: --model-path {in_paras}, or the modelPath setting",
        )
    engine_facts |= ask_engine(paths)
    model = engine_facts["model"]
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
        "tokenizer", f"{paths.tokenizer.name}, matches the model (digest {model['digest'][:12]})",
        facts={"path": str(paths.tokenizer), "digest": model["digest"]},
    )  # fmt: skip
    yield from _quality(model, paths, is_users=origin is Origin.USER)


def _quality(model: dict[str, Any], paths: "ModelPaths", *, is_users: bool) -> Iterator[Finding]:
    """Compare the model with the bundled one on the reference text, which no model was trained on."""
    from tinycopilot.paths import move_command, unused_paths  # noqa: PLC0415

    bits, ships = model.get("reference_bits"), model.get("shipped_bits")
    if bits is None or ships is None:
        return
    text = (
        f"{bits:.2f} bits per character (network alone), on {model['reference_chars']:,} characters of everyday "
        f"Python that no model was trained on; the bundled model: {ships:.2f}"
    )
    level, todo = Level.OK, ""
    if bits > WORSE * ships:
        level, todo = Level.NOTE, "keep it if it is meant for a language other than Python"
        if is_users:
            level = Level.PROBLEM
            todo = f"to go back to the bundled model: {move_command((paths, unused_paths(paths)))}; or {todo}"
    yield Finding("quality", text, level, todo, {"reference_bits": round(bits, 4), "shipped_bits": round(ships, 4)})


def is_as_shipped(model: Path) -> bool:
    """Whether the model's digest equals that in the manifest next to it; True without a manifest."""
    from tinycopilot.paths import MANIFEST_NAME  # noqa: PLC0415

    try:
        files = json.loads((model.parent / MANIFEST_NAME).read_text("utf-8"))["files"]
        return bool(files[model.name] == hashlib.sha256(model.read_bytes()).hexdigest())
    except (OSError, ValueError, KeyError, TypeError):
        return True


def check_folders() -> Iterator[Finding]:
    """Check that the user's folders can be written."""
    from tinycopilot.paths import HOW_TO_HAVE_A_HOME, NO_HOME, NO_HOME_KNOWN, user_folders  # noqa: PLC0415

    for name, (folder, kept) in user_folders().items():
        if NO_HOME in folder.parents:
            yield Finding(name, f"{NO_HOME_KNOWN}: {kept} is not stored", Level.PROBLEM, HOW_TO_HAVE_A_HOME)
            continue
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        text, level, todo = str(folder), Level.OK, ""
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            text, level = f"{folder} cannot be written ({error.strerror}): {kept} is not stored", Level.PROBLEM
            todo = f"make {there} a writable folder with free space"
            if there in Path(os.path.expanduser("~")).parents:  # noqa: PTH111 (the home folder does not exist)
                todo = HOW_TO_HAVE_A_HOME
        yield Finding(name, text, level, todo, {"path": str(folder)})
    yield check_compiled_code()


def check_compiled_code() -> Finding:
    """Report where compiled code is cached."""
    from tinycopilot.completion import compiled  # noqa: PLC0415

    if compiled.CACHE is not None:
        return Finding("compiled", str(compiled.CACHE), facts={"path": str(compiled.CACHE)})
    return Finding(
        "compiled",
        "no private folder is writable: compiled code is not cached, and each start takes some seconds longer",
        Level.PROBLEM,
        "set the environment variable NUMBA_CACHE_DIR to a private folder",
    )


def check_device(engine_facts: dict[str, Any]) -> Iterator[Finding]:
    """Report the CPU, and PyTorch with its devices, from `engine_facts`."""
    n_cores = usable_cores()
    cores = f"{n_cores} core{'s' * (n_cores > 1)} ({platform.machine()})"
    if not engine_facts.get("torch"):
        yield Finding("cpu", cores, facts={"cores": n_cores})
        text, todo = "did not report its devices", "see the problem above"
        if "torch" in engine_facts:
            text = "not installed: completion works without it, training needs it"
            todo = f"to train: {install_command(TORCH)} ({TORCH_SIZE})"
        yield Finding("torch", text, Level.NOTE, todo)
        return
    speed = "faster" if engine_facts["fast_bfloat16"] else "not faster"
    yield Finding(
        "cpu",
        f"{cores}; bfloat16, for training: {speed} than float32 in a trial",
        facts={"cores": n_cores, "fast_bfloat16": engine_facts["fast_bfloat16"]},
    )
    yield Finding(
        "torch", f"{engine_facts['torch']}, built for {engine_facts['build']}", facts={"build": engine_facts["build"]}
    )
    gpus = engine_facts["gpus"]
    yield Finding(
        "gpu",
        f"{', '.join(gpus)} for training; the server uses the CPU" if gpus else "none (not needed)",
        facts={"gpus": gpus},
    )


def check_server(model_path: str | None, tokenizer_path: str | None, engine_facts: dict[str, Any]) -> Iterator[Finding]:
    """Start the server, type, and report the answers and their latency."""
    if "parameters" not in engine_facts.get("model", {}):
        yield Finding("start", "skipped, because the model can't be used", Level.NOTE, "fix the model first")
        return
    start_s, times, n_shown, mb = asyncio.run(_round_trip(model_path, tokenizer_path))
    yield Finding("start", f"ready after {start_s:.1f} s", facts={"start_s": round(start_s, 2)})
    times.sort()
    p50, p95 = statistics.median(times), times[int(0.95 * len(times))]
    yield Finding(
        "answers",
        f"{len(times)} over stdio, {n_shown} with a suggestion: {p50:.1f} ms (p50), {p95:.1f} ms (p95)",
        Level.NOTE if p50 > SLOW_MS else Level.OK,
        "check whether the machine is busy; `tinycopilot bench` measures in detail" if p50 > SLOW_MS else "",
        {"answers": len(times), "shown": n_shown, "p50_ms": round(p50, 2), "p95_ms": round(p95, 2)},
    )
    if mb is not None:
        yield Finding("memory", f"{mb:.0f} MB resident", facts={"resident_mb": round(mb)})


async def _round_trip(
    model_path: str | None, tokenizer_path: str | None
) -> tuple[float, list[float], int, float | None]:
    """Return seconds until ready, latencies in ms, number of suggestions, and resident memory in MB.

    Raises UserError.
    """
    from tinycopilot.client.stdio import Editor, running_server  # noqa: PLC0415

    async with running_server(model_path, tokenizer_path) as server:
        n_shown = 0
        editor = Editor(server.client, "doctor.py", OPENED)
        async with asyncio.timeout(ANSWERS_LIMIT_S):
            for character in TYPED[:N_ANSWERS]:
                n_shown += await editor.suggestion() != ""
                editor.type(character)
        return server.start_s, editor.answer_ms, n_shown, resident_mb(server.pid)


def resident_mb(pid: int) -> float | None:
    """Return the resident memory of another process, in MB; None if it is not available."""
    if (n_bytes := memory_bytes(pid=pid)) is not None:
        return n_bytes / 1e6
    try:
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    kib = done.stdout.strip()
    return int(kib) * 1024 / 1e6 if kib.isdigit() else None
