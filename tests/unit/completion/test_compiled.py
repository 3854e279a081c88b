"""Compiled code on disk is reused, but never required, and never used if damaged or made by another user."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core.registry import cpu_target

from tinycopilot.completion import compiled as module
from tinycopilot.completion.compiled import compiled

pytestmark = pytest.mark.slow

# Compiles a function in a separate process; prints its result and whether the code came from disk, without the modules
# that Numba compiles with.
PROGRAM = """
import json, sys, types
import numpy as np
from tinycopilot.completion.compiled import compiled
@compiled
def twice(x):
    return 2 * x.sum()
result, is_loaded = float(twice(np.ones(4))), bool(twice.stats.cache_hits) and "numba.np.arrayobj" not in sys.modules
print(json.dumps([result, int(is_loaded)]))
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def start(program: Path, cache: Path, **environment: str) -> "subprocess.Popen[str]":
    everything = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    return subprocess.Popen([sys.executable, str(program)], env=everything, stdout=subprocess.PIPE, text=True)


def run(program: Path, cache: Path, **environment: str) -> list[float]:
    """Return the function's result, which is 8, and how often it was loaded instead of compiled."""
    process = start(program, cache, **environment)
    output, _ = process.communicate()
    assert process.returncode == 0
    told: list[float] = json.loads(output)
    return told


def files(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.compiled"))


def test_concurrent_compilations_both_succeed_and_are_reused_on_the_same_cpu_only(program: Path, cache: Path) -> None:
    processes = [start(program, cache) for _ in range(2)]
    assert [json.loads(process.communicate()[0])[0] for process in processes] == [8, 8]
    assert len(files(cache)) == 1
    assert run(program, cache) == [8, 1]
    assert run(program, cache, NUMBA_CPU_NAME="generic") == [8, 0]
    assert len(files(cache)) == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(cache))


def test_unwritable_folder_recompiles_each_time(program: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert run(program, cache, HOME="/dev/null", XDG_CACHE_HOME="/dev/null/cache")[0] == 8


def test_code_is_compiled_even_if_the_environment_disables_numba(program: Path, cache: Path) -> None:
    """Developers set this variable to debug their own code; compiled functions cannot run as Python."""
    assert run(program, cache, NUMBA_DISABLE_JIT="1") == [8, 0]
    assert run(program, cache, NUMBA_DISABLE_JIT="1") == [8, 1]


class Bomb:
    """Would run code when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


@pytest.fixture
def in_process(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function, compiled once, with its cache; called again as in another process."""
    monkeypatch.setattr(module, "CACHE", cache)

    @compiled
    def twice(x):  # type: ignore[no-untyped-def]
        return 2 * x.sum()

    assert twice(np.ones(4)) == 8
    return twice


def again(function: Any) -> tuple[float, int]:
    """The result of the same function in a new dispatcher, and whether it was loaded from disk."""
    fresh = compiled(function.py_func)
    return fresh(np.ones(4)), sum(fresh.stats.cache_hits.values())


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[:10],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-100] + bytes(100),
        lambda data: b"\0" * len(data),
        lambda _: b"\0" * 32 + pickle.dumps(Bomb()),
        lambda _: hashlib.sha256(b"\x80").digest() + b"\x80",
    ],
)
def test_damaged_file_is_recompiled(
    in_process: Any, cache: Path, damage: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    [path] = files(cache)
    path.write_bytes(damage(path.read_bytes()))
    assert again(in_process) == (8, 0)
    assert again(in_process) == (8, 1)
    assert not Path("exploded").exists()


def test_source_change_recompiles_and_removes_outdated_files(
    in_process: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [before] = files(cache)
    monkeypatch.setattr(module, "_sources_digest", lambda: "of other sources")
    assert again(in_process) == (8, 0)
    [after] = files(cache)
    assert after != before


def test_each_signature_has_its_own_file(in_process: Any, cache: Path) -> None:
    assert in_process(np.ones(4, np.float32)) == 8
    assert len(files(cache)) == 2
    assert again(in_process) == (8, 1)


def test_loaded_function_is_compiled_into_its_callers(in_process: Any) -> None:
    assert again(in_process) == (8, 1)
    loaded = compiled(in_process.py_func)

    @compiled
    def one_more(x):  # type: ignore[no-untyped-def]
        return loaded(x) + 1

    assert one_more(np.ones(4)) == 9
    assert sum(loaded.stats.cache_hits.values()) == 1


@pytest.mark.usefixtures("in_process")
def test_loaded_function_allocates_and_raises_like_a_compiled_one() -> None:
    def powers(x, n):  # type: ignore[no-untyped-def]
        table = np.empty((n, 2))
        for i in range(n):
            table[i, 0], table[i, 1] = 1.0, 1 // x
        return table

    for n_hits in (0, 1):
        function = compiled(powers)
        assert np.array_equal(function(1, 3), np.ones((3, 2)))
        with pytest.raises(ZeroDivisionError):
            function(0, 3)
        with pytest.raises(ValueError, match="negative dimensions not allowed"):
            function(1, -1)
        assert sum(function.stats.cache_hits.values()) == n_hits


def test_full_disk_or_missing_folder_is_harmless(in_process: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for path in files(cache):
        path.unlink()
    monkeypatch.setattr("os.replace", full)
    assert again(in_process) == (8, 0)
    assert not list(cache.rglob("*twice*"))


def test_cache_is_keyed_on_the_cpu() -> None:
    """Numba's description of the CPU is part of each file's name."""
    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    assert triple and name and isinstance(features, str)


def test_compiled_marker_matches_types_sources_and_cpu(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    monkeypatch.setattr(module, "CACHE", cache)
    assert not module.is_compiled("int8")
    module.mark_compiled("int8")
    assert module.is_compiled("int8")
    assert not module.is_compiled("float32")
    monkeypatch.setattr(module, "_sources_digest", lambda: "of other sources")
    assert not module.is_compiled("int8")
    module.mark_compiled("int8")
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(module, "CACHE", None)
    module.mark_compiled("int8")
    assert not module.is_compiled("int8")


def test_sources_are_all_files_with_compiled_functions_and_depend_on_no_others() -> None:
    """Otherwise machine code of an earlier version could be used after a change."""
    folder = Path(module.__file__).parent
    assert {path.name for path in folder.glob("*.py") if "\n@compiled" in path.read_text("utf-8")} == {
        *module.SOURCES
    } - {"compiled.py"}
    imported = "".join((folder / name).read_text("utf-8") for name in module.SOURCES if name != "compiled.py")
    modules = {
        line.split()[1] for line in imported.splitlines() if line.startswith(("from tinycopilot", "import tiny"))
    }
    assert modules <= {f"tinycopilot.completion.{Path(name).stem}" for name in module.SOURCES}


def test_options_of_numba_in_the_working_folder_are_ignored(tmp_path: Path) -> None:
    """Such a file may name the folder from which code is loaded. PyYAML, with which Numba reads it, is replaced."""
    modules, project = tmp_path / "modules", tmp_path / "project"
    modules.mkdir(), project.mkdir()
    options = {"cache_dir": str(project), "disable_jit": 1}
    (modules / "yaml.py").write_text(f"def safe_load(file):\n    return {options}\n")
    (project / ".numba_config.yaml").touch()
    program = (
        f"import sys; sys.path.insert(0, {str(modules)!r})\n"
        "from tinycopilot.completion import compiled; from numba.core import config\n"
        "before = config.DISABLE_JIT; config.reload_config(); print(compiled.CACHE, before, config.DISABLE_JIT)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    for given in ({}, {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=project, env=environment | given, capture_output=True, text=True
        )
        folder, *is_disabled = done.stdout.split()
        assert folder == given.get("NUMBA_CACHE_DIR", folder) != str(project)
        assert is_disabled == ["0", "0"]
