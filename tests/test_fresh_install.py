"""The built wheel contains both packages, the text and the model, and finds them from any folder.

tests/install_tools.py installs it with pip, pipx and uv, with all its dependencies, and uninstalls it.
"""

import codeop
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tinycopilot.completion.compiled import CACHE

ROOT = Path(__file__).resolve().parents[1]
WHERE = "from tinycopilot import paths as p; print(p.bundled_path('corpus.txt')); print(p.model_to_load().model)"
CONTINUE = ["-m", "tinycopilot", "generate", "--device", "cpu", "--seed", "1", "--max_new_chars", "60"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """Unpack the wheel outside of the project."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(site)
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"tinycopilot", "tinycopilot_server"}
    assert wheel.stat().st_size < 16_000_000
    return site


def test_wheel_contains_every_file_of_the_packages_and_the_license(installed: Path) -> None:
    for package in (ROOT / "tinycopilot", ROOT / "server" / "tinycopilot_server"):
        files = (path for path in package.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
        names = {path.relative_to(package.parent) for path in files}
        assert {name for name in names if not (installed / name).is_file()} == set()
    [about] = installed.glob("*.dist-info")
    assert (about / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    metadata = (about / "METADATA").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Requires-Python: {project['requires-python']}\n" in metadata
    assert {f"Provides-Extra: {extra}" for extra in project["optional-dependencies"]} <= set(metadata.splitlines())


def test_programs_of_the_wheel_start(installed: Path, tmp_path: Path) -> None:
    """The entry points, as an installer would write them: each prints its help and exits with 0."""
    start = (
        "import importlib.metadata as m, sys\n"
        "[about] = [d for d in m.distributions(path=[sys.argv[1]]) if d.name == 'tinycopilot']\n"
        "for program in about.entry_points.select(group='console_scripts'):\n"
        "    sys.argv[:] = [program.name, '--help']\n"
        "    try: program.load()()\n"
        "    except SystemExit as ended: print(program.name, 'exit code', ended.code)\n"
    )
    out = run(["-c", start, str(installed)], tmp_path, installed)
    assert "tinycopilot exit code 0" in out
    assert "tinycopilot-server exit code 0" in out


def run(words: list[str], cwd: Path, site: Path | None, text: str = "") -> str:
    """Run Python in another folder; `site` comes before the editable install in the import path."""
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    if CACHE:  # the wheel has the same sources, and can use the compiled code of this machine
        environment["NUMBA_CACHE_DIR"] = str(CACHE)
    if site:
        environment["PYTHONPATH"] = str(site)  # before the editable install's entry
    result = subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, input=text, capture_output=True, text=True, check=True
    )
    return result.stdout


def test_wheel_finds_its_text_and_model_from_another_folder(installed: Path, tmp_path: Path) -> None:
    corpus, model = run(["-c", WHERE], tmp_path, installed).split()
    assert Path(corpus).is_relative_to(installed)
    assert Path(model).is_relative_to(installed)
    assert Path(corpus).read_bytes() == (ROOT / "corpus.txt").read_bytes()
    assert Path(model).read_bytes() == (ROOT / "paras" / "tiny_gpt.pth").read_bytes()


def test_editable_install_finds_them_too(tmp_path: Path) -> None:
    corpus, model = run(["-c", WHERE], tmp_path, None).split()
    assert Path(corpus) == ROOT / "corpus.txt"
    assert Path(model) == ROOT / "paras" / "tiny_gpt.pth"


def test_shipped_model_continues_text_as_python(installed: Path, tmp_path: Path) -> None:
    """Run the original project's conversation through a pipe, from the wheel."""
    out = run(CONTINUE, tmp_path, installed, "data = [1, 2, 3\nquit\n")
    assert out.startswith("data = [1, 2, 3")
    line = out[: len("data = [1, 2, 3") + 20].split("\n")[0]
    assert len(line) > len("data = [1, 2, 3")
    codeop.compile_command(line)  # None: an incomplete statement; SyntaxError: not Python
    with pytest.raises(SyntaxError):
        codeop.compile_command("data = [1, 2, 3 ab")
