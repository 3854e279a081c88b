"""The commands as a user runs them, in this process; tests/test_fresh_install.py runs them from a wheel."""

import errno
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tinycopilot_server.__main__ import main as server_main

from tinycopilot import cli
from tinycopilot.cli import main
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.model.gpt import GPTConfig
from tinycopilot.paths import ModelPaths, bundled_model, user_model
from tinycopilot.training import setup
from tinycopilot.training.train_config import SIZES, Size

SOURCE = "".join(f"def add_{i}(a, b):\n    return a + b + {i}\n\n\n" for i in range(120))


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that trains in a second."""
    monkeypatch.setitem(SIZES, "nano", Size(n_layers=1, n_heads=2, d_model=16, window=32))


@pytest.fixture
def corpus(in_folder: Path) -> str:
    (in_folder / "code.py").write_text(SOURCE)
    return "code.py"


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_training_again_keeps_the_old_model_and_reports_how_to_restore_it(corpus: str, capsys) -> None:
    assert main(["train", "--corpus", corpus, "--epochs", "1", "--device", "cpu", "--model_path", "m.pth"]) == 0
    first = Path("m.pth").read_bytes()
    said = capsys.readouterr().err
    assert re.search(r"bits per character on held-out text", said)
    assert "saved: m.pth" in said
    assert "is kept" not in said
    assert main(["train", "--corpus", corpus, "--epochs", "2", "--device", "cpu", "--model_path", "m.pth"]) == 0
    said = capsys.readouterr().err
    assert Path("m.1.pth").read_bytes() == first != Path("m.pth").read_bytes()
    assert re.search(r"compared with m.pth \(named by you\): held-out text \d\.\d+, before \d\.\d+ bits", said)
    assert "in use now; the previous model is kept; to go back: mv m.1.pth m.pth && mv m.1.tokenizer.pth" in said
    [line] = [line for line in said.splitlines() if "to go back: " in line]
    subprocess.run(line.split("to go back: ")[1], shell=True, check=True)
    assert Path("m.pth").read_bytes() == first


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_original_flags_save_to_the_original_paths(corpus: str, capsys) -> None:
    """The two original flags use paras/ in the working folder, if it exists."""
    words = ["--corpus", corpus, "--epochs", "1", "--device", "cpu"]
    Path("paras").mkdir()
    assert main(["--generate", "--device", "cpu", "--max_new_chars", "3", "x"]) == 0  # nothing there yet
    assert "(ships with tinycopilot)" in capsys.readouterr().err.splitlines()[0]
    assert main([*words, "--train"]) == 0
    assert "saved: paras/tiny_gpt.pth" in capsys.readouterr().err
    assert main(["--device", "cpu", "--generate", "--max_new_chars", "3", "x"]) == 0
    assert capsys.readouterr().err.splitlines() == ["model: paras/tiny_gpt.pth (named by you)"]
    assert main(["--train", *words, "--model-path", "m.pth"]) == 0
    assert Path("m.pth").is_file()
    assert main(["--generate", "--model_path=m.pth", "--max_new_chars", "3", "x"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "model: m.pth (named by you)"
    assert not user_model().exist()


def generate_said(capsys) -> str:
    capsys.readouterr()
    assert main(["generate", "x", "--device", "cpu", "--max_new_chars", "3"]) == 0
    return capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_worse_model_is_saved_next_to_the_better_one(corpus: str, capsys) -> None:
    """Compared with the bundled model, which no short training run can beat, then with the user's own."""
    words = ["train", "--corpus", corpus, "--epochs", "0.1", "--device", "cpu"]
    users, beside = user_model(), user_model().model.with_name("tiny_gpt.1.pth")
    assert main(words) == 0
    said = capsys.readouterr().err
    assert said.splitlines()[0].endswith("(ships with tinycopilot)")
    assert not users.exist()
    assert beside.is_file()
    assert beside.with_name("tokenizer.1.pth").is_file()
    assert f"saved: {beside}" in said
    assert re.search(r"compared with .*\(ships with tinycopilot\): held-out text [\d.]+, before [\d.]+; everyday", said)
    [line] = [line for line in said.splitlines() if line.startswith("NOT IN USE: it is worse than the model in use")]
    assert "--use-anyway" in line
    assert "(ships with tinycopilot)" in generate_said(capsys)

    subprocess.run(line.split("or run: ")[1], shell=True, check=True)  # the user installs it
    assert not beside.exists()
    assert f"model: {users.model} (your own)" in generate_said(capsys)
    shutil.copy(bundled_model().model, users.model)  # a better one
    shutil.copy(bundled_model().tokenizer, users.tokenizer)
    first = users.model.read_bytes()

    assert main(words) == 0
    said = capsys.readouterr().err
    assert users.model.read_bytes() == first
    [line] = [line for line in said.splitlines() if line.startswith("NOT IN USE")]
    subprocess.run(line.split("or run: ")[1], shell=True, check=True)
    assert users.model.read_bytes() != first
    assert users.model.with_name("tiny_gpt.2.pth").read_bytes() == first  # the previous one is renamed, not lost

    assert main([*words, "--epochs", "0.01", "--use-anyway"]) == 0
    said = capsys.readouterr().err
    assert "in use now" in said
    assert f"saved: {users.model}" in said


@pytest.mark.slow
@pytest.mark.usefixtures("corpus")
def test_too_little_text_is_reported_before_training(in_folder: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "nano", Size(n_layers=1, n_heads=2, d_model=64, window=32))
    assert main(["train", "--corpus", ".", "--epochs", "0.1", "--device", "cpu", "--model_path", "m.pth"]) == 0
    lines = capsys.readouterr().err.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("too little text: "))
    assert at < next(i for i, line in enumerate(lines) if "characters to learn from" in line)
    command = f"tinycopilot train --init {bundled_model().model} --corpus {in_folder} --model-path m.pth"
    assert lines[at].endswith(f"Fine-tune that one instead: {command}")
    (in_folder / "code.py").write_text(SOURCE * 8)  # enough for fine-tuning
    assert main(["train", "--corpus", ".", "--epochs", "0.1", "--device", "cpu", "--model_path", "m.pth"]) == 0
    assert f"for this project only: tinycopilot adapt {in_folder}" in capsys.readouterr().err


def test_minimum_corpus_size_depends_on_size_and_adapt() -> None:
    shape = GPTConfig(98, n_layers=1, n_heads=1, d_model=16, window=32)
    asked = {"corpus": ["stdlib"], "init": None, "ext": [".py"]}
    assert setup.corpus_size_warning(shape.n_parameters, shape, asked, None) == ""
    assert "--corpus stdlib" in setup.corpus_size_warning(shape.n_parameters - 1, shape, asked, None)
    warning = setup.corpus_size_warning(shape.n_parameters - 1, shape, asked | {"ext": [".rs", ".c"]}, "m.pth")
    assert warning.endswith("--corpus stdlib --ext .rs .c --model-path m.pth")
    asked["init"] = "m.pth"
    assert setup.corpus_size_warning(20_000, shape, asked, None) == ""
    assert setup.corpus_size_warning(19_999, shape, asked, None).startswith("too little text: from 19,999 characters")


@pytest.mark.parametrize("flag", ["--model_path", "--tokenizer_path"])
def test_file_that_is_not_a_model_is_not_overwritten(flag: str, corpus: str, in_folder: Path, capsys) -> None:
    (in_folder / "notes.txt").write_text("dear diary")
    assert main(["train", "--corpus", corpus, "--epochs", "0.1", "--device", "cpu", flag, "notes.txt"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"tinycopilot: notes.txt: not a tinycopilot (model|tokenizer) file; not overwritten; .*", error)
    assert sorted(path.name for path in in_folder.iterdir()) == ["code.py", "notes.txt"]
    assert (in_folder / "notes.txt").read_text() == "dear diary"


def test_missing_package_is_one_line(pair: ModelPaths, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinycopilot.tui.run", None)
    with pytest.raises(ImportError):  # one of our own modules: not for the user to fix
        main(["play"])
    monkeypatch.delitem(sys.modules, "tinycopilot.tui.run")
    monkeypatch.delitem(sys.modules, "tinycopilot.tui.terminal", raising=False)
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    monkeypatch.setitem(sys.modules, "prompt_toolkit.application", None)
    assert main(["play", "--model_path", str(pair.model)]) == 2
    assert re.search(r"tinycopilot: cannot import prompt_toolkit .*; run `tinycopilot doctor`", capsys.readouterr().err)


@pytest.mark.parametrize("error", [OSError("Could not load 'libllvmlite.so'"), ImportError("IMPORTANT:\n\n ...")])
def test_missing_system_library_is_one_line(error: Exception, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """llvmlite and NumPy name it only in the error's cause, or in the middle of a long message."""

    def fail(_: object) -> None:
        raise error from OSError("libstdc++.so.6: cannot open shared object file: No such file or directory")

    monkeypatch.setattr("tinycopilot.cli._compile", fail)
    assert main(["compile"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "tinycopilot: the system library libstdc++.so.6 is missing; install it with the system's package manager"
    )


def generate(*words: str) -> list[str]:
    return [*words, "--device", "cpu"]


def test_generate_is_deterministic_with_a_seed(pair: ModelPaths, capsys) -> None:
    files = ["--model_path", str(pair.model), "--tokenizer-path", str(pair.tokenizer)]
    texts = []
    for seed in ("1", "1", "2"):
        words = [
            "generate",
            "def f(",
            *files,
            "--seed",
            seed,
            "--max_new_chars",
            "40",
            "--temperature",
            "1",
            "--top-k",
            "20",
        ]
        assert main(words) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("def f(")
    assert len(texts[0]) == len("def f(") + 40 + 1
    assert "\ufffd" not in texts[0]


def test_only_the_original_flags_are_accepted_without_a_command(pair: ModelPaths, capsys) -> None:
    """Neither inside a prompt nor after another command."""
    assert main(["generate", "--model_path", str(pair.model), "--max_new_chars", "2", "--", "--train"]) == 0
    assert capsys.readouterr().out.startswith("--train")
    with pytest.raises(SystemExit):
        main(["--train", "--generate"])


@pytest.mark.parametrize("command", ["generate", "--generate"])
def test_conversation_ends_with_quit_or_end_of_input(
    command: str, pair: ModelPaths, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [command, "--model_path", str(pair.model), "--max_new_chars", "5"]
    for text, n_answers in (("one\ntwo\nquit\nthree\n", 2), ("one\n", 1), ("", 0)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert main(words) == 0
        out = capsys.readouterr().out
        assert [word for word in ("one", "two", "three") if word in out] == ["one", "two", "three"][:n_answers]


def test_prompt_with_unknown_characters(pair: ModelPaths, capsys) -> None:
    assert main(["generate", "\N{SNOWMAN}\ud800", "--model_path", str(pair.model), "--max_new_chars", "3"]) == 0
    assert capsys.readouterr().out.startswith("\N{SNOWMAN}")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["generate", "x", "--model_path", "missing.pth"], "missing"),
        (["train", "--corpus", "missing.txt"], "no such file"),
        (["train", "--corpus", "empty.txt"], "no text for training"),
        (["train", "--corpus", "binary.txt"], "binary file"),
        (["train", "--corpus", "short.txt", "--model_path", "m.pth"], "has 6 characters to train on"),
        (["train", "--corpus", "latin1.txt"], "not UTF-8"),
        (["train", "--corpus", "."], "no .py files there"),
        (["train", "--corpus", "short.txt", "--model_path", "short.txt/m.pth"], "cannot save a model there"),
        (["demo", "--model_path", "missing.pth"], "missing"),
        (["play"], "needs a terminal"),
        (["train", "--corpus", "x" * 300], "File name too long"),
        (["train", "--corpus", "short.txt", "--model_path", "m.pth", "--tokenizer_path", "./m.pth"], "different files"),
        (["generate", "x", "--model_path", "."], "use the model file"),
        (["train", "--epochs", "2", "--minutes", "3"], "give one of them"),
        (["train", "--corpus", "short.txt", "--init", "missing.pth", "--model_path", "m.pth"], "missing.pth"),
        (["train", "--corpus", "*.py", "--model_path", "m.pth"], "*.py"),
        (["train", "--corpus", "package:no_such_package", "--model_path", "m.pth"], "no_such_package"),
        (["train", "--corpus", ".", "--ext", "*", "--model_path", "m.pth"], "*"),
        (["train", "--resume", "--model_path", "m.pth"], "no run to resume"),
        (["train", "--corpus", ""], "empty path"),
        (["eval", ""], "empty path"),
        (["bench", ""], "empty path"),
        (["eval", ".", "--list", "nothing.json"], "nothing.json: the list is empty"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(words: list[str], says: str, in_folder: Path, capsys) -> None:
    (in_folder / "empty.txt").write_text("")
    (in_folder / "binary.txt").write_bytes(b"\0\1\2")
    (in_folder / "short.txt").write_text("x = 1\n")
    (in_folder / "latin1.txt").write_bytes(b"caf\xe9")
    (in_folder / "nothing.json").write_text("[]")
    before = {path: path.read_bytes() for path in in_folder.iterdir()}
    assert main(words) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("tinycopilot: ")
    assert says in line
    assert {path: path.read_bytes() for path in in_folder.iterdir()} == before


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")
@pytest.mark.parametrize(
    "words",
    [
        *(["eval", "loop"], ["eval", "loop", "--list", "list.json"], ["eval", ".", "--workspace", "loop"]),
        *(["explain", "x", "--workspace", "loop"], ["bench", "loop"], ["adapt", "loop"]),
    ],
)
def test_loop_of_links_is_one_line(words: list[str], in_folder: Path, capsys) -> None:
    (in_folder / "loop").symlink_to("loop")
    (in_folder / "list.json").write_text('[{"file": "a.py", "first": 0, "last": 1, "sha256": ""}]')
    assert main(words) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert line.startswith("tinycopilot: ")
    assert "loop" in line


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--epochs", "0"],
        ["train", "--epochs", "nan"],
        ["train", "--minutes", "-1"],
        ["train", "--size", "giant"],
        ["train", "--device", "tpu"],
        ["generate", "x", "--temperature", "-1"],
        ["serve", "--tcp", "70000"],
        ["play", "--eagerness", "1.1"],
        ["play", "--eagerness", "nan"],
        ["play", "--max_lines", "0"],
        ["train", "--seed", "-1"],
        ["generate", "--seed", "1" * 30],
        *(
            ["train", "--init", ""],
            ["train", "--snapshot", ""],
            ["train", "--tensorboard", ""],
            ["eval", ".", "--list", ""],
        ),
        ["train", "--epoch-count", "1"],
        ["eval", ".", "--max_chars", "0"],
        [],
    ],
)
def test_invalid_flags_are_refused_by_the_parser(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    program = " ".join(["tinycopilot", *words[:1]])
    assert line.startswith(f"{program}: ")
    assert line.endswith(f"; see `{program} --help`")
    assert "_" not in line


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "--top_k", "abc"],
        ["generate", "--temperature", "warm"],
        ["generate", "--seed", "1.5"],
        ["play", "--eagerness", "big"],
        ["serve", "--tcp", "abc"],
        ["train", "--epochs", "many"],
    ],
)
def test_not_a_number_is_reported_with_the_valid_range(words: list[str], capsys) -> None:
    with pytest.raises(SystemExit):
        main(words)
    *_, line = capsys.readouterr().err.splitlines()
    assert re.search(r"must be an? (integer|number|port)", line)


def test_corpus_without_its_flag_is_explained(capsys) -> None:
    """`adapt` and `eval` take folders without a flag."""
    with pytest.raises(SystemExit):
        main(["train", "code/"])
    [line] = capsys.readouterr().err.splitlines()
    assert "unrecognized arguments: code/ (name what to train on after --corpus)" in line


def test_unencodable_output_is_replaced(in_folder: Path, pair: ModelPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    (in_folder / "\N{LATIN SMALL LETTER U WITH DIAERESIS}.py").write_text("def f(x):\n    return x\n" * 9)
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", out)
    assert main(["eval", ".", "--max_chars", "20", "--model_path", str(pair.model)]) == 0
    assert b"/?.py" in out.buffer.getvalue()  # type: ignore[attr-defined]


def test_closed_standard_input_ends_a_conversation_and_fails_a_server(
    pair: ModelPaths, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`generate <&-` in a shell."""
    monkeypatch.setattr("sys.stdin", None)
    assert main(["generate", "--model_path", str(pair.model)]) == 0
    assert main(["serve"]) == main(["play"]) == 2
    assert main(["train", "--end_with_stdin"]) == 130
    _, closed, needs_a_terminal, *_, stopped = capsys.readouterr().err.splitlines()
    assert "standard input or output is closed" in closed
    assert "needs a terminal" in needs_a_terminal
    assert stopped == "tinycopilot: stopped"


def test_closed_standard_error_keeps_standard_output_clean(pair: ModelPaths, capsys, monkeypatch) -> None:
    """`generate 2>&-` in a shell."""
    monkeypatch.setattr("sys.stderr", None)
    assert main(["generate", "x", "--max_new_chars", "3", "--seed", "0", "--model_path", str(pair.model)]) == 0
    sys.stderr.close()
    [line] = capsys.readouterr().out.splitlines()
    assert line[0] == "x"


def test_unavailable_device(capsys, pair: ModelPaths) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for words in (
        ["train", "--device", "cuda"],
        ["generate", "x", "--device", "cuda", "--model_path", str(pair.model)],
    ):
        assert main(words) == 2
        assert "no device 'cuda'" in capsys.readouterr().err


def test_ctrl_c_while_training_saves_the_model(corpus: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinycopilot.training import train

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", interrupted)
    assert main(["train", "--corpus", corpus]) == 130
    assert "the checkpoint is of step 0; resume with: tinycopilot train --resume\n" in capsys.readouterr().err
    assert not user_model().exist()


def test_ctrl_c_in_compiled_code_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python turns that into a SystemError."""

    def interrupted(_: object) -> None:
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()

    class Pressing(io.StringIO):
        def write(self, text: str) -> int:
            signal.raise_signal(signal.SIGINT)
            return super().write(text)

    monkeypatch.setattr(cli, "_bench", interrupted)
    monkeypatch.setattr("sys.stderr", said := Pressing())
    assert main(["bench"]) == 130
    assert said.getvalue() == "\ntinycopilot: stopped\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete a working folder")
@pytest.mark.parametrize("words", [["eval", "."], ["explain", "x", "--workspace", "."]])
def test_deleted_working_folder_is_reported(words: list[str], in_folder: Path, capsys) -> None:
    in_folder.rmdir()
    assert main(words) == 2
    assert capsys.readouterr().err.endswith("tinycopilot: the current folder no longer exists; change to another one\n")


def test_other_system_errors_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise SystemError("bad internal call")

    monkeypatch.setattr(cli, "_bench", broken)
    with pytest.raises(SystemError):
        main(["bench"])


def test_compile_reports_the_folder_and_that_code_is_up_to_date(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tinycopilot.completion.compiled.CACHE", tmp_path)  # the functions' own cache is used as usual
    assert main(["compile"]) == 0
    assert str(tmp_path) in capsys.readouterr().out
    assert main(["compile"]) == 0
    assert capsys.readouterr().out.startswith("already compiled")
    monkeypatch.setattr("tinycopilot.completion.compiled.CACHE", None)
    assert main(["compile"]) == 2
    assert "NUMBA_CACHE_DIR" in capsys.readouterr().err


def test_default_eagerness_is_that_of_the_settings() -> None:
    assert CompleterSettings().eagerness == cli.EAGERNESS


@pytest.mark.parametrize(
    ("run", "words", "program"),
    [(main, ["serve", "--help"], "tinycopilot serve"), (server_main, ["--help"], "tinycopilot-server")],
)
def test_usage_names_the_program_that_was_started(run, words: list[str], program: str, capsys) -> None:
    with pytest.raises(SystemExit):
        run(words)
    assert capsys.readouterr().out.startswith(f"usage: {program} [")
    with pytest.raises(SystemExit):
        run([*words[:-1], "--port", "1"])
    assert capsys.readouterr().err == f"{program}: unrecognized arguments: --port 1; see `{program} --help`\n"


@pytest.mark.parametrize("n_chars", ["100", "0"])
def test_escape_sequences_of_a_project_do_not_reach_the_terminal(tmp_path: Path, n_chars: str, capsys) -> None:
    """Neither in messages, results nor errors."""
    path = tmp_path / "\x1b]0;title\x07\x9b2J.py"
    path.write_text("x = 1\n" * 100 if n_chars != "0" else "\0")
    try:
        main(["eval", str(path), "--max_chars", "100"])
    finally:
        out, err = capsys.readouterr()
    assert "?]0;title??2J.py" in err
    assert not {"\x1b", "\x07", "\x9b"} & {*out, *err}


def test_broken_pipe_on_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`tinycopilot generate ... | more`: EINVAL."""

    def fail(_arguments: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(cli, "_bench", fail)
    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        assert main(["bench"]) == 2
        monkeypatch.setattr("sys.platform", "win32")
        assert main(["bench"]) == 0


@pytest.mark.parametrize("flag", ["--al", "--ye"])
def test_clean_takes_no_abbreviations(flag: str, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["clean", flag])
    assert f"unrecognized arguments: {flag};" in capsys.readouterr().err
