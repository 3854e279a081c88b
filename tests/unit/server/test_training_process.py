"""The server's training process: its output and its end; it runs no code of the user's project."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tinycopilot_server import training
from tinycopilot_server.training import NICENESS, Child

PROGRAM = """
import os, sys, time
words = sys.argv[1:]
print("said", *words, flush=True)
if "nice" in words:
    print(os.getpriority(os.PRIO_PROCESS, 0), flush=True)
if "threads" in words:
    print(os.environ["OMP_NUM_THREADS"], flush=True)
if "wait" in words:
    sys.stdin.read()
    print("cleaned up", flush=True)
if "stubborn" in words:
    time.sleep(600)
if "fail" in words:
    print("a line", "the last one", "", sep="\\n", file=sys.stderr)
    sys.exit(3)
"""


class Output:
    """The output lines of a child process, and its exit."""

    def __init__(self) -> None:
        self.lines = list[str]()
        self.has_said = threading.Event()
        self.end: tuple[int, str] | None = None

    def run(self, *arguments: str) -> Child:
        return Child("program_of_a_test", arguments, self._line, self._end)

    def _line(self, line: bytes) -> None:
        self.lines.append(line.decode().rstrip())
        self.has_said.set()

    def _end(self, code: int, last_words: str) -> None:
        self.end = (code, last_words)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Output:
    (tmp_path / "program_of_a_test.py").write_text(PROGRAM)
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return Output()


def test_one_core_is_left_free_unless_configured(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    for n_cores, threads in ((1, "1"), (2, "1"), (8, "7")):
        monkeypatch.setattr(training, "usable_cores", lambda n_cores=n_cores: n_cores)
        output.run("threads").join(60)
        assert output.lines[-1] == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    output.run("threads").join(60)
    assert output.lines[-1] == "8"


def test_output_lines_and_exit_code_are_reported(output: Output) -> None:
    output.run("a b", "$HOME; echo").join(60)
    assert output.lines == ["said a b $HOME; echo"]  # no shell
    assert output.end == (0, "")


def test_last_line_of_standard_error_is_reported(output: Output) -> None:
    output.run("fail").join(60)
    assert output.end == (3, "the last one")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has priority classes instead")
def test_child_is_niced(output: Output) -> None:
    output.run("nice").join(60)
    niceness = int(output.lines[1])
    assert niceness in (NICENESS, min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS))


def test_closing_standard_input_stops_the_child(output: Output) -> None:
    running = output.run("wait")
    output.has_said.wait(60)
    assert output.end is None
    for _ in range(2):
        running.stop()
    running.join(60)
    assert output.lines[-1] == "cleaned up"
    assert output.end == (0, "")


def test_child_that_ignores_the_stop_is_killed(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "PATIENCE_S", 0.01)
    running = output.run("stubborn")
    output.has_said.wait(60)
    running.stop()
    running.join(60)
    assert output.end is not None
    assert output.end[0] != 0


@pytest.mark.slow
@pytest.mark.usefixtures("output")
def test_child_ends_with_a_killed_server(tmp_path: Path) -> None:
    """The end of its output shows that the grandchild has ended, although its parent was killed."""
    server = (
        "import sys; from tinycopilot_server.training import Child\n"
        "Child('program_of_a_test', ['wait'], lambda line: print(line.decode(), end='', flush=True), print)\n"
        "sys.stdin.read()"
    )
    marker = tmp_path / "cleaned_up"
    program = PROGRAM.replace('print("cleaned up", flush=True)', f"open({str(marker)!r}, 'w').close(); os._exit(0)")
    (tmp_path / "program_of_a_test.py").write_text(program)
    with subprocess.Popen([sys.executable, "-c", server], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == b"said wait\n"
        it.kill()
        it.wait()
    for _ in range(6_000):
        if marker.exists():
            return
        threading.Event().wait(0.01)
    pytest.fail("the child did not exit")


def test_working_folder_is_not_on_the_import_path(output: Output, in_folder: Path, monkeypatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    assert (in_folder / "program_of_a_test.py").exists()
    output.run().join(60)
    assert output.lines == []
    assert output.end is not None
    assert "No module named" in output.end[1]
