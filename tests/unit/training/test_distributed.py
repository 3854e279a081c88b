"""Training under torchrun: two processes train like one, and the loss of one loses nothing."""

import os
import re
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.training.checkpoint import load_run
from tinycopilot.training.distributed import DistContext, dist_context

pytestmark = pytest.mark.slow


class Ended(NamedTuple):
    """A process that has exited."""

    code: int
    stdout: str
    stderr: str


LINES = "".join(f"total_{i} = add({i}, {i + 1})\n" for i in range(160))

# The command with a small network and window. Arguments: which process dies, then the command's own.
SMALL = """
import os, sys
from tinycopilot import cli
from tinycopilot.training import batches, metrics, setup, train
from tinycopilot.training.train_config import Size
setup.SIZES["nano"] = Size(n_layers=2, n_heads=2, d_model=32, window=32)
import torch
torch.set_num_threads(1)
metrics.write_sample = lambda *_: "x"
read, left = batches.BatchLoader.batch, int(sys.argv[1])
def batch(*arguments):
    global left
    left -= 1
    if left == 0 and os.environ.get("RANK", "1") == "1":
        os._exit(9)
    return read(*arguments)
batches.BatchLoader.batch = batch
sys.exit(cli.main(sys.argv[2:]))
"""


TRAIN = ["train", "--precision", "float32", "--device", "cpu"]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def run_together(python: Sequence[str], n_processes: int, code: str, *words: str) -> list[Ended]:
    """Run the program in several processes with torchrun's environment variables, but without torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sizes = {"WORLD_SIZE": str(n_processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [*python, "-c", code, *words],
            env=os.environ | ENVIRONMENT | sizes | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(n_processes)
    ]
    try:
        said = [process.communicate(timeout=110) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.returncode, *of_one) for process, of_one in zip(processes, said, strict=True)]


def run_with_torchrun(python: Sequence[str], n_processes: int, dies_at: int, *words: str) -> Ended:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}", "--no-python"]
    command = [*python, *launcher, *python, "-c", SMALL, str(dies_at), *TRAIN, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRONMENT, timeout=110)
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "text.py"
    path.write_text(LINES)
    return path


def test_two_processes_equal_one(corpus: Path, tmp_path: Path, training_python: Sequence[str]) -> None:
    """After 20 steps on the same batches, all weights agree within 1e-4; only one process writes and prints."""
    ends = []
    for n_processes in (1, 2):
        model = tmp_path / f"{n_processes}.pth"
        words = [*TRAIN, "--corpus", str(corpus), "--epochs", "1", "--model_path", str(model)]
        ended = run_together(training_python, n_processes, SMALL, "0", *words)
        said = "".join(one.stderr for one in ended)
        assert [one.code for one in ended] == [0] * n_processes, said
        assert said.count("saved: ") == 1
        assert len(re.findall(r"^training .*100 %", said, re.MULTILINE)) == 1
        ends.append(load_pair(model, model.with_suffix(".tokenizer.pth"))[0].state_dict())
        steps = re.search(r"epochs in (\d+) steps", said)
        assert steps
        assert int(steps[1]) >= 20
    assert {path.name for path in tmp_path.iterdir()} >= {"1.pth", "2.pth", "1.training.html", "2.training.html"}
    assert not list(tmp_path.glob(".*"))
    for name, one in ends[0].items():
        assert (one - ends[1][name]).abs().max() < 1e-4, name


def test_dead_worker_is_reported_and_the_run_continues(
    corpus: Path, tmp_path: Path, training_python: Sequence[str]
) -> None:
    model = tmp_path / "m.pth"
    words = ["--model_path", str(model)]
    result = run_with_torchrun(training_python, 2, 50, "--corpus", str(corpus), "--epochs", "2", *words)
    assert result.code != 0
    assert "stopped; the checkpoint is of step 20; resume with: tinycopilot train --resume" in result.stderr
    assert not model.exists()
    assert len(load_run(tmp_path / ".m.pth.run")[1]["log"].intervals) == 1
    [again] = run_together(training_python, 1, SMALL, "0", *TRAIN, "--resume", *words)
    assert again.code == 0, again.stderr
    training = load_data(model, "model", {"training": dict})["training"]
    assert training["steps"] > 50  # to the end of the schedule, beyond the step of the crash
    assert training["processes"] == 1


def test_leader_error_is_reported_once(tmp_path: Path, training_python: Sequence[str]) -> None:
    words = [*TRAIN, "--corpus", "nowhere.py", "--model_path", str(tmp_path / "m.pth")]
    ended = run_together(training_python, 2, SMALL, "0", *words)
    assert all(one.code for one in ended)
    said = "".join(one.stderr for one in ended)
    assert said.count("nowhere.py: no such file") == 1
    assert "Traceback" not in said


# The command in the folder of this process: as on machines without a shared disk.
OWN_DISK = """
import os, sys
from tinycopilot import cli
os.environ["LOCAL_RANK"] = "0"
os.chdir(os.environ["RANK"])
sys.exit(cli.main(sys.argv[1:]))
"""


def test_missing_file_on_another_machine_is_reported_and_its_copy_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training_python: Sequence[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("0/a.py", "0/b.py", "1/a.py"):  # b.py is missing on the other machine
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(LINES)
    ended = run_together(training_python, 2, OWN_DISK, *TRAIN, "--corpus", "a.py", "b.py", "--model_path", "m.pth")
    assert all(one.code for one in ended)
    assert "b.py: no such file" in ended[1].stderr
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["a.py"]


def test_three_processes_cannot_share_four_windows(
    corpus: Path, tmp_path: Path, training_python: Sequence[str]
) -> None:
    words = [*TRAIN, "--corpus", str(corpus), "--model_path", str(tmp_path / "m.pth")]
    ended = run_together(training_python, 3, SMALL, "0", *words)
    assert all(one.code for one in ended)
    assert "".join(one.stderr for one in ended).count("3 processes cannot share a batch of 4 windows") == 1


# Orthogonalises five matrices, shared among the processes. Each prints whether it has all five results.
SHARED = """
import torch
from tinycopilot.training.distributed import dist_context
from tinycopilot.training.muon import orthogonalize
torch.set_num_threads(1)
five = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
with dist_context("cpu") as dist:
    asked = []
    def work(items):
        asked.append(len(items))
        return orthogonalize(items)
    done = dist.map_sharded(work, five)
    print(f"<{asked} {bool((done - orthogonalize(five)).abs().max() < 1e-6)}>", flush=True)
"""


def test_work_is_split_evenly(training_python: Sequence[str]) -> None:
    ended = run_together(training_python, 2, SHARED)
    assert [one.stdout.count("<[3] True>") for one in ended] == [1, 1], ended


def test_single_process_has_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with dist_context("cpu") as alone:
        assert alone == DistContext()
        assert alone.is_main
        assert alone.from_main(lambda: 7) == 7
        assert alone.all_equal("x")
        values = torch.tensor([1.0, 2.0])
        assert torch.equal(alone.mean(values), values)
        with pytest.raises(UserError):
            alone.from_main(_refuse)


def _refuse() -> None:
    raise UserError("no")


def test_variables_without_an_address_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with (
        pytest.raises(UserError, match=r"MASTER_ADDR expected, but not set.*use torchrun, or unset it"),
        dist_context("cpu"),
    ):
        pass
