"""The built wheel contains both packages, the text and the model, and finds them from any folder."""

import codeop
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tinycopilot.completion.compiled import CACHE

ROOT = Path(__file__).resolve().parents[1]
WHERE = "from tinycopilot import paths as p; print(p.bundled_path('corpus.txt')); print(p.model_to_load().model)"
CONTINUE = ["-m", "tinycopilot", "generate", "--device", "cpu", "--seed", "1", "--max_new_chars", "60"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel outside of the project."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(folder / "site")
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"tinycopilot", "tinycopilot_server"}
    assert wheel.stat().st_size < 16_000_000
    return folder / "site"


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


def test_server_in_the_wheel_prints_help(installed: Path, tmp_path: Path) -> None:
    assert "--tcp" in run(["-m", "tinycopilot_server", "--help"], tmp_path, installed)
