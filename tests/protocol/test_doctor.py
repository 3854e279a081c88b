"""`tinycopilot doctor` with a real server, and with programs that are not one."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tinycopilot.cli import main
from tinycopilot.client import doctor, stdio
from tinycopilot.client.doctor import run_doctor
from tinycopilot.client.findings import Sections, as_json, print_lines
from tinycopilot.paths import ModelPaths

DEAD = "import sys; sys.exit('the disk is on fire')"
DIES_LATER = """
import sys
from tinycopilot_server import handlers
async def inline_completion(server, params):
    sys.stderr.write("no more of this\\n")
    sys.stderr.flush()
    import os
    os._exit(3)
inline_completion.__annotations__ = handlers.inline_completion.__annotations__
handlers.HANDLERS["textDocument/inlineCompletion"] = inline_completion
from tinycopilot_server.__main__ import main
main([])
"""
CHATTY = "import sys, time\nsys.stderr.write('x' * 1_000_000 + '\\nslow\\n')\nsys.stderr.flush()\ntime.sleep(60)"


@pytest.fixture(autouse=True)
def no_editors(temporary_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(temporary_home / "config"))


def test_healthy_machine(pair: ModelPaths, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One object of JSON; and the lines that are printed without --json, of the same findings."""
    found = list[Sections]()
    monkeypatch.setattr(doctor, "as_json", lambda sections: found.append(sections) or as_json(sections))
    assert main(["doctor", "--json", "--model_path", str(pair.model)]) == 0
    told = json.loads(capsys.readouterr().out)
    print_lines(found[0], doctor.verdict(found[0]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 40
    assert {"installed", "model", "device", "editors", "server"} <= set(lines)
    assert any("40 over stdio" in line and line.split()[0] in ("OK", "note") for line in lines)
    start, answers, *_ = told["server"]
    assert told["ok"]
    assert start["start_s"] > 0
    assert answers["answers"] == 40
    assert 0 < answers["p50_ms"] <= answers["p95_ms"]
    assert told["model"][0]["origin"] == "GIVEN"
    assert next(one["parameters"] for one in told["model"] if "parameters" in one) > 0


def test_broken_model_is_one_line_and_exit_code_1(pair: ModelPaths, capsys: pytest.CaptureFixture[str]) -> None:
    pair.model.write_bytes(pair.model.read_bytes()[:3000])
    assert main(["doctor", "--model_path", str(pair.model)]) == 1
    said = capsys.readouterr()
    assert [line for line in said.out.splitlines() if str(pair.model) in line and "PROBLEM" in line]
    assert "Traceback" not in said.out + said.err


@pytest.mark.parametrize(
    ("code", "says"), [(DEAD, "the disk is on fire"), (DIES_LATER, "no more of this"), (CHATTY, "slow")]
)
def test_unresponsive_server_is_one_line(
    pair: ModelPaths,
    python: Sequence[str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    says: str,
) -> None:
    monkeypatch.setattr(stdio, "SERVER", (*python, "-c", code))
    if code == CHATTY:
        monkeypatch.setattr(stdio, "START_LIMIT_S", 0.5)
        monkeypatch.setattr(stdio, "END_LIMIT_S", 0.5)
    engine = {"torch": "2", "build": "CPU", "fast_bfloat16": False, "gpus": []}
    model = {"parameters": 1, "digest": "abc"}
    assert run_doctor(str(pair.model), to_json=True, ask_engine=lambda _paths: engine | {"model": model}) == 1
    said = capfd.readouterr()
    [problem] = json.loads(said.out)["server"]
    assert problem["level"] == "problem"
    assert says in problem["text"]
    assert "\n" not in problem["text"]
    assert "Traceback" not in said.err


def test_missing_torch_is_reported(
    pair: ModelPaths, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "torch.py").write_text("raise OSError('libtorch.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "shadow"), prepend=":")
    assert main(["doctor", "--json", "--model_path", str(pair.model)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "libtorch.so: cannot open shared object file" in told["model"][-1]["text"]
    assert "pip install" in told["model"][-1]["todo"]
