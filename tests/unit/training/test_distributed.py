"""The same command under torchrun: two processes learn what one does, and the loss of one loses nothing."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tinycopilot import UserError
from tinycopilot.model.gpt import load_pair
from tinycopilot.model.storage import load_data
from tinycopilot.training.checkpoint import reopen
from tinycopilot.training.distributed import Team, team

LINES = "".join(f"total_{i} = add({i}, {i + 1})\n" for i in range(160))

# The command, with a network and a window that are small enough for a test. Words: what dies, then the command's own.
SMALL = """
import os, sys
from tinycopilot import cli
from tinycopilot.training import begin
from tinycopilot.training.recipe import Size
begin.SIZES["nano"] = Size(n_layers=2, n_heads=2, d_model=32, window=32)
import torch
torch.set_num_threads(1)
read, left = begin.Reader.batch, int(sys.argv[1])
def batch(*arguments):
    global left
    left -= 1
    if left == 0 and os.environ.get("RANK", "1") == "1":
        os._exit(9)
    return read(*arguments)
begin.Reader.batch = batch
sys.exit(cli.main(sys.argv[2:]))
"""


def run_command(tmp_path: Path, n_processes: int, *words: str, dies_at: int = 0) -> "subprocess.CompletedProcess[str]":
    script = tmp_path / "small.py"
    script.write_text(SMALL)
    launcher = [sys.executable]
    if n_processes > 1:
        launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    command = [*launcher, str(script), str(dies_at), "train", "--precision", "float32", "--device", "cpu", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "text.py"
    path.write_text(LINES)
    return path


def test_two_processes_are_one(corpus: Path, tmp_path: Path) -> None:
    """After 20 steps on the same batches, every weight is the same within 1e-4; one of the two writes and speaks."""
    ends = []
    for n_processes in (1, 2):
        model = tmp_path / f"{n_processes}.pth"
        result = run_command(
            tmp_path, n_processes, "--corpus", str(corpus), "--epochs", "1", "--model_path", str(model)
        )
        assert result.returncode == 0, result.stderr
        assert result.stderr.count("saved: ") == 1
        assert len(re.findall(r"^training .*100 %", result.stderr, re.MULTILINE)) == 1
        ends.append(load_pair(model, model.with_suffix(".tokenizer.pth"))[0].state_dict())
        steps = re.search(r"epochs in (\d+) steps", result.stderr)
        assert steps
        assert int(steps[1]) >= 20
    assert {path.name for path in tmp_path.iterdir()} >= {"1.pth", "2.pth", "1.training.html", "2.training.html"}
    assert not list(tmp_path.glob(".*"))
    for name, one in ends[0].items():
        assert (one - ends[1][name]).abs().max() < 1e-4, name


def test_a_workers_death_is_reported_and_the_run_goes_on_with_one(corpus: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.pth"
    words = ["--model_path", str(model)]
    result = run_command(tmp_path, 2, "--corpus", str(corpus), "--epochs", "4", *words, dies_at=50)
    assert result.returncode != 0
    assert "exitcode: 9" in re.sub(r"\s+", " ", result.stderr)  # torchrun names the one that died
    assert "stopped after step 20; nothing is lost; resume with: tinycopilot train --resume" in result.stderr
    assert not model.exists()
    assert len(reopen(tmp_path / ".m.pth.run")[1]["log"].blocks) == 1
    again = run_command(tmp_path, 1, "--resume", *words)
    assert again.returncode == 0, again.stderr
    training = load_data(model, "model", {"training": dict})["training"]
    assert training["steps"] > 50  # to the end of the plan, beyond where the other had died
    assert training["processes"] == 1


def test_what_the_leader_cannot_do_is_said_once(tmp_path: Path) -> None:
    result = run_command(tmp_path, 2, "--corpus", "nowhere.py", "--model_path", str(tmp_path / "m.pth"))
    assert result.returncode != 0
    assert result.stderr.count("nowhere.py: there is no such file") == 1


def test_three_processes_cannot_share_four_windows(corpus: Path, tmp_path: Path) -> None:
    result = run_command(tmp_path, 3, "--corpus", str(corpus), "--model_path", str(tmp_path / "m.pth"))
    assert result.returncode != 0
    assert result.stderr.count("3 processes cannot share 4 windows") == 1


# What five matrices come to, however many processes share them. Prints in each process whether it has all five.
SHARED = """
import torch
from tinycopilot.training.distributed import team
from tinycopilot.training.muon import orthogonalise
torch.set_num_threads(1)
five = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
with team("cpu") as crew:
    asked = []
    def work(items):
        asked.append(len(items))
        return orthogonalise(items)
    done = crew.share_out(work, five)
    print(f"<{asked} {bool((done - orthogonalise(five)).abs().max() < 1e-6)}>", flush=True)
"""


def test_work_is_shared_out(tmp_path: Path) -> None:
    script = tmp_path / "shared.py"
    script.write_text(SHARED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110)
    assert result.stdout.count("<[3] True>") == 2, result.stderr


def test_alone_there_is_no_team(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with team("cpu") as alone:
        assert alone == Team()
        assert alone.leads
        assert alone.answer(lambda: 7) == 7
        assert alone.agrees("x")
        values = torch.tensor([1.0, 2.0])
        assert torch.equal(alone.mean(values), values)
        with pytest.raises(UserError):
            alone.answer(_refuse)


def _refuse() -> None:
    raise UserError("no")
