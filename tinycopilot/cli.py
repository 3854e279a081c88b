"""The command line: parse the flags (including the original project's), call the command's function, print.

Commands import in their bodies, to keep `--help` fast.
"""

import argparse
import contextlib
import errno
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn
from unicodedata import category

from tinycopilot import UserError, __version__

if TYPE_CHECKING:
    from tinycopilot.model.tokenizer import SimpleTokenizer
    from tinycopilot.paths import ModelPaths

    Generator = Callable[..., Iterator[int]]

DEVICES, SIZES = ("auto", "cpu", "cuda", "mps"), ("nano", "small", "base", "large")
PARTS = ("nothing", "causality", "residuals", "positions", "heads", "warmup", "convolution")

EXAMPLES = """\
examples:
  tinycopilot demo                       watch the language server complete a program
  tinycopilot play                       type in the terminal, with ghost text
  tinycopilot explain                    see why a suggestion is or isn't shown
  tinycopilot doctor                     check the installation, model and editor settings
  tinycopilot eval ~/code                measure how many keystrokes suggestions would have saved
  tinycopilot bench                      measure suggestion latency on this machine
  tinycopilot generate "def main("       continue a prompt
  tinycopilot train                      train on the bundled corpus, for a few minutes
  tinycopilot train --corpus stdlib ~/code --minutes 10
                                         train on the standard library and your code
  tinycopilot train --init MODEL.pth --corpus ~/code --minutes 3
                                         train a model further, on your code
  tinycopilot train --resume             continue an interrupted run
  tinycopilot adapt ~/code/my_project    fine-tune for one project; keep the result only if it is better there
"""


def main(argv: Sequence[str] | None = None, *, server_program: str = "tinycopilot serve") -> int:
    """Run one command and return the exit code: 0; 2 for an error that the user can fix; 130 after Ctrl-C.

    `server_program` is the name of `serve` in its usage line.

    A language server whose client exits without a `shutdown` request returns 1, as LSP specifies.
    """
    if sys.stderr is None:  # closed before the program started; `print` would write to standard output instead
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 (light imports; open until the end)
    words = _convert_old_flags(sys.argv[1:] if argv is None else argv)
    parser = _parser(server_program)
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        parser.prog = arguments.program
        is_corpus = parser.prog == "tinycopilot train" and not unknown[0].startswith("-")
        use = " (name what to train on after --corpus)" if is_corpus else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{use}")
    arguments.words = words
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # the terminal may lack Unicode
    try:
        return int(arguments.run(arguments) or 0)
    except (KeyboardInterrupt, SystemError) as error:
        if isinstance(error, SystemError) and not isinstance(error.__cause__, KeyboardInterrupt):  # in compiled code
            raise
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("\ntinycopilot: stopped", file=sys.stderr)
        return 130
    except (UserError, ImportError, OSError) as error:
        if _is_closed_pipe(error):  # `tinycopilot generate ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        if (line := _in_words(error)) is None:
            raise
        print(f"tinycopilot: {_printable(line)}", file=sys.stderr)
        return 2


def _is_closed_pipe(error: Exception) -> bool:
    """Whether the reader of standard output has exited. On Windows, that is EINVAL."""
    if isinstance(error, OSError) and error.errno == errno.EINVAL and sys.platform == "win32":
        return error.filename is None
    return isinstance(error, BrokenPipeError)


def _in_words(error: UserError | ImportError | OSError) -> str | None:
    """Return an error as one line; None for a bug of ours."""
    import traceback

    from tinycopilot.extras import missing_library

    if isinstance(error, UserError):
        return str(error)
    if line := missing_library(traceback.format_exc()):  # such as NumPy's or Numba's
        return line
    if isinstance(error, ImportError):
        package = (error.name or "").partition(".")[0]
        is_ours = not package or package.startswith("tinycopilot")
        return None if is_ours else f"cannot import {package} ({error}); run `tinycopilot doctor`"
    if isinstance(error, FileNotFoundError) and error.filename is None:  # raised by os.getcwd
        return "the current folder no longer exists; change to another one"
    return f"{error.filename or 'system error'}: {error.strerror or error}"


PARAS = os.path.join("paras", "tiny_gpt.pth")  # noqa: PTH118 (light imports)


def _convert_old_flags(argv: Iterable[str]) -> list[str]:
    """Convert the original project's `--train` and `--generate` flags to commands.

    As there, the default model is paras/tiny_gpt.pth, if the working folder has paras/ (to train) or that file (to
    generate).
    """
    words = list(argv)
    if words and words[0].startswith("-"):
        for command, place in (("train", "paras"), ("generate", PARAS)):
            if f"--{command}" in words:
                words.remove(f"--{command}")
                names_a_model = any(word.replace("-", "_").startswith(("__model", "__tok")) for word in words)
                there = [] if names_a_model or not os.path.exists(place) else ["--model_path", PARAS]  # noqa: PTH110
                return [command, *there, *words]
    return words


EAGERNESS = 0.25
"""The default of CompleterSettings, whose import takes longer than `--help`."""
MODEL_HELP = "model file (default: the one next to --tokenizer-path if that is given, else {})"
WORKSPACE_MODEL_HELP = MODEL_HELP.format(
    "the one adapted to the workspace, else the one that you trained, else the bundled one"
)
"""For the commands that use the adapted model of the folder that they index."""
EXT_HELP = "in folders, read files with these extensions (default: py)"


class _Parser(argparse.ArgumentParser):
    """Reports an error in one line, without the usage, which has up to twenty."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^(argument --[\w-]+)/--\w+", r"\1", message)  # one of the two spellings
        self.exit(2, f"{self.prog}: {_printable(message)}; see `{self.prog} --help`\n")


def _parser(server_program: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="tinycopilot",
        description="Private code completion that you can train yourself.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinycopilot {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    train = _command(commands, "train", _train, "train a model")
    _add_files(
        train,
        "where to save the model (default: next to --tokenizer-path if that is given, else in the user data folder)",
    )
    _add(
        train,
        "--corpus",
        "files, folders or glob patterns; stdlib: the standard library; package:NAME: an installed package "
        "(default: the bundled corpus.txt)",
        nargs="+",
        metavar="SOURCE",
        action="extend",
    )
    _add(train, "--ext", EXT_HELP, nargs="+", metavar="EXT", action="extend")
    _add(
        train,
        "--size",
        "size of the network: nano (0.8 M parameters) for ten minutes of training, small (4.8 M) for hours of training "
        "on 20 M characters or more, base (11 M) and large (25 M) for a GPU (default: nano; with --init: the size of "
        "that model; with --without: a quarter of nano)",
        choices=SIZES,
    )
    _add(train, "--epochs", "passes over the corpus (default: 20; with --without: 5)", type=_amount, metavar="N")
    _add(train, "--minutes", "training time in minutes, instead of --epochs", type=_amount, metavar="M")
    _add(
        train,
        "--init",
        "start from this model instead of random weights (with --size: widened to that size)",
        type=_not_empty,
        metavar="FILE",
    )
    _add(train, "--resume", "continue an interrupted run", action="store_true")
    _add(train, "--finish", "with --resume: finish the run within M minutes", type=_amount, metavar="M")
    _add(
        train,
        "--snapshot",
        "save the current weights of an unfinished run as a model, and exit",
        type=_not_empty,
        metavar="FILE",
    )
    _add(train, "--use_anyway", "use the new model even if it is worse than the one in use", action="store_true")
    _add(train, "--device", "auto: a GPU if available (default: auto)", default="auto", choices=DEVICES)
    _add(train, "--precision", "auto: bfloat16 if it is fast on this processor", choices=("auto", "float32"))
    _add(train, "--seed", "seed for the initial weights and the data order (default: 0)", type=_seed, metavar="N")
    _add(
        train,
        "--without",
        "ablation: train a small network without these parts (5 epochs by default) and measure the effect; no model is "
        "saved",
        choices=PARTS,
        nargs="+",
        action="extend",
    )
    _add(train, "--json", "with --without: print one JSON object instead of a table", action="store_true")
    _add(train, "--tensorboard", "also write TensorBoard event files to this folder", type=_not_empty, metavar="FOLDER")
    _add(
        train,
        "--watch",
        "write an HTML page that shows training progress while the run is active (default: next to the "
        "model, for example tiny_gpt.watch.html for tiny_gpt.pth)",
        nargs="?",
        const="",
        metavar="FILE.html",
    )
    _add_progress(train)

    adapt = _command(
        commands, "adapt", _adapt, "fine-tune on a workspace; use the new model only if it is better there"
    )
    adapt.add_argument("folders", nargs="+", metavar="FOLDER", help="the workspace folders, as opened in the editor")
    _add(adapt, "--ext", "file extensions (default: py)", nargs="+", metavar="EXT", action="extend")
    _add(
        adapt,
        "--exclude",
        "leave out files that match this .gitignore pattern; can be repeated",
        metavar="PATTERN",
        action="append",
    )
    _add(adapt, "--minutes", "training time in minutes (default: 5)", type=_amount, default=5.0, metavar="M")
    _add(adapt, "--device", "auto: a GPU if available (default: auto)", default="auto", choices=DEVICES)
    _add_progress(adapt)

    generate = _command(commands, "generate", _generate, "continue a prompt")
    _add_files(generate)
    generate.add_argument(
        "prompt", nargs="?", metavar="PROMPT", help="text to continue (default: prompts from standard input)"
    )
    _add(generate, "--device", "device to run on (default: auto, which is the CPU)", default="auto", choices=DEVICES)
    _add(generate, "--epochs", argparse.SUPPRESS, type=_positive)  # for scripts that give all flags always
    _add(
        generate,
        "--temperature",
        "sampling temperature; 0: always the most likely character (default: 0.5)",
        type=_not_negative,
        default=0.5,
        metavar="T",
    )
    _add(generate, "--top_k", "sample only from the K most likely characters", type=_positive, metavar="K")
    _add(generate, "--seed", "random seed; the same seed gives the same text", type=_seed, metavar="N")
    _add(
        generate,
        "--max_new_chars",
        "number of characters to generate (default: 200)",
        type=_positive,
        default=200,
        metavar="N",
    )

    evaluate = _command(commands, "eval", _evaluate, "measure the keystrokes saved on your code")
    evaluate.add_argument("paths", nargs="+", metavar="PATH", help="files or folders of code; with --list, a folder")
    _add(
        evaluate,
        "--workspace",
        "index the other files in FOLDER (default: the folder of each PATH; with --list, each package)",
        metavar="FOLDER",
    )
    _add(
        evaluate,
        "--list",
        "replay only the excerpts in this list, such as benchmarks/heldout.json; PATH must contain the listed packages",
        dest="listing",
        type=_not_empty,
        metavar="FILE",
    )
    _add(evaluate, "--ext", EXT_HELP, nargs="+", metavar="EXT", action="extend")
    _add(
        evaluate,
        "--max_chars",
        "maximum number of characters to replay; ignored with --list (default: 20000)",
        type=_positive,
        default=20_000,
        metavar="N",
    )
    _add_eagerness(evaluate)
    _add(
        evaluate,
        "--infill",
        "remove pieces from the middle of lines, and count how often they are suggested",
        action="store_true",
    )
    _add(evaluate, "--json", "print one JSON object instead of tables", dest="as_json", action="store_true")
    _add(evaluate, "--report", "write an HTML report of your code, colored by surprisal", metavar="FILE.html")
    _add_files(evaluate, WORKSPACE_MODEL_HELP)

    bench = _command(commands, "bench", _bench, "measure latency on this machine")
    bench.add_argument("folder", nargs="?", metavar="FOLDER", help="code to replay (default: an installed package)")
    _add(
        bench,
        "--size",
        "benchmark the model's network, widened to this size",
        choices=SIZES,
    )
    _add(bench, "--json", "print one JSON object instead of tables", dest="as_json", action="store_true")
    _add_files(bench)

    play = _command(commands, "play", _play, "type in the terminal, with ghost text")
    play.add_argument("file", nargs="?", metavar="FILE", help="file to edit or create (default: none)")
    _add(play, "--workspace", "index the other files in FOLDER with FILE's extension (default: none)", metavar="FOLDER")
    _add_eagerness(play)
    _add(
        play,
        "--max_lines",
        "maximum number of lines in a suggestion (default: 3)",
        type=_positive,
        default=3,
        metavar="N",
    )
    _add_files(play, WORKSPACE_MODEL_HELP)

    explain = _command(commands, "explain", _explain, "see why a suggestion is or isn't shown")
    explain.add_argument(
        "target",
        nargs="?",
        metavar="TEXT | FILE:LINE:COLUMN",
        help="the text before the cursor, or a position in a file (LINE and COLUMN count from 1); -: read the text "
        "from standard input (default: an example)",
    )
    _add(
        explain,
        "--workspace",
        "index the other files in FOLDER with FILE's extension (default: FILE's folder; for TEXT, none)",
        metavar="FOLDER",
    )
    _add(
        explain,
        "--html",
        "write an interactive HTML page instead of printing to the terminal; it contains your text",
        metavar="FILE.html",
    )
    _add_eagerness(explain)
    _add_files(explain, WORKSPACE_MODEL_HELP)

    serve = _command(commands, "serve", _serve, "run the language server, or an HTTP endpoint")
    serve.prog = server_program
    serve.set_defaults(program=server_program)
    how = serve.add_mutually_exclusive_group()
    how.add_argument("--stdio", action="store_true", help="communicate over stdio (the default)")
    how.add_argument("--tcp", type=_port, metavar="PORT", help="listen on 127.0.0.1, on this port")
    how.add_argument(
        "--http",
        type=_port,
        metavar="PORT",
        help="answer HTTP requests on 127.0.0.1, on this port; requests must send a token",
    )
    _add(serve, "--workspace", "with --http: index the files in FOLDER (default: none)", metavar="FOLDER")
    _add(
        serve,
        "--language",
        "with --http: language of the code if the request has no `document` (default: python)",
        metavar="ID",
    )

    demo = _command(commands, "demo", _demo, "watch the language server complete a program")
    _add_files(demo)

    _command(commands, "compile", _compile, "compile the network and the n-gram model in advance")

    clean = _command(commands, "clean", _clean, "delete stored data")
    clean.allow_abbrev = False  # it deletes
    _add(clean, "--all", "also delete the models that you trained", action="store_true")
    _add(clean, "--yes", "do not ask for confirmation", action="store_true")

    doctor = _command(commands, "doctor", _doctor, "check that everything works")
    _add(doctor, "--json", "print one JSON object instead of text", action="store_true")
    _add_files(doctor)
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    brief: str,
) -> argparse.ArgumentParser:
    """Add a command; its description in `--help` is the docstring of `run`."""
    parser = commands.add_parser(name, help=brief, description=run.__doc__)
    parser.set_defaults(run=run, program=parser.prog)
    return parser


def _add(parser: argparse.ArgumentParser, flag: str, about: str, **options: object) -> None:
    """Add a flag in both spellings: --max-new-chars and --max_new_chars."""
    spellings = dict.fromkeys(("--" + flag[2:].replace("_", "-"), flag))
    parser.add_argument(*spellings, help=about, **options)  # type: ignore[arg-type]


def _add_progress(parser: argparse.ArgumentParser) -> None:
    """Add the flags for programs that run training in a child process."""
    _add(parser, "--progress", "print progress as one JSON object per line", choices=("json",))
    _add(
        parser,
        "--end_with_stdin",
        "when standard input is closed, stop as if Ctrl-C had been pressed",
        action="store_true",
    )


def _add_eagerness(parser: argparse.ArgumentParser) -> None:
    _add(
        parser,
        "--eagerness",
        f"0: few suggestions, 1: many (default: {EAGERNESS})",
        type=_share,
        default=EAGERNESS,
        metavar="X",
    )


def _add_files(
    parser: argparse.ArgumentParser, model: str = MODEL_HELP.format("the one that you trained, else the bundled one")
) -> None:
    _add(parser, "--model_path", model, metavar="FILE")
    _add(parser, "--tokenizer_path", "tokenizer file (default: the one next to the model)", metavar="FILE")


def _not_empty(word: str) -> str:
    """Return a path. An empty one, such as of an unset variable, would be as if the flag were not given."""
    if not word:
        raise argparse.ArgumentTypeError("must not be empty")
    return word


def _number(kind: type[float], must_be: str, is_right: Callable[[float], bool]) -> Callable[[str], float]:
    """Return a parser of a numeric flag; its error message is `must_be`."""

    def read(word: str) -> float:
        with contextlib.suppress(ValueError):
            if is_right(number := kind(word)):
                return number
        raise argparse.ArgumentTypeError(f"must be {must_be}")

    return read


_positive = _number(int, "an integer above 0", lambda number: number > 0)
_amount = _number(float, "a number above 0", lambda number: 0 < number < 1e9)
_not_negative = _number(float, "a number of at least 0", lambda number: 0 <= number < float("inf"))
_share = _number(float, "a number from 0 to 1", lambda number: 0 <= number <= 1)
_seed = _number(int, "an integer from 0 to 2**63 - 1", lambda number: 0 <= number < 2**63)
_port = _number(int, "a port number from 1 to 65535", lambda number: 1 <= number <= 65535)


def _printable(text: str) -> str:
    """Replace control characters with `?`: names of files, and code, may contain a terminal's escape sequences."""
    return "".join("?" if category(c) == "Cc" and c not in "\n\t" else c for c in text)


def _say(line: str) -> None:
    """Print progress, on standard error."""
    print(_printable(line), file=sys.stderr, flush=True)


def _answer(text: str) -> None:
    """Print a result."""
    print(_printable(text), flush=True)


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the flags and values by name: the parameters of a command's function."""
    not_options = ("run", "program", "words", "end_with_stdin", "snapshot", "without", "json")
    return {name: value for name, value in vars(arguments).items() if name not in not_options}


def _prepare_training(arguments: argparse.Namespace) -> None:
    """Import PyTorch. Its threads sleep, not spin, while they wait for each other.

    With another busy process on two cores, two spinning threads train at half the speed of two sleeping ones.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from tinycopilot.extras import require_torch

    require_torch("training")
    from tinycopilot.training.interrupts import interrupt_on_stdin_close

    if arguments.end_with_stdin:
        interrupt_on_stdin_close()


def _train(arguments: argparse.Namespace) -> None:
    """Train a model.

    The new model replaces the one in use (with --model-path: the one at that path, if any) unless it is worse. A model
    that is replaced is kept under another name. A worse model is saved under another name and not used.
    """
    _prepare_training(arguments)
    from tinycopilot.paths import shell_command
    from tinycopilot.training.setup import TrainOptions
    from tinycopilot.training.train import run_training

    if arguments.json and not arguments.without:
        raise UserError("--json requires --without")
    if arguments.snapshot and not arguments.without:
        from tinycopilot.training.finalize import save_snapshot

        print(save_snapshot(arguments.model_path, arguments.tokenizer_path, arguments.snapshot))
        return
    if arguments.without:
        from tinycopilot.training.ablation import check_parts, run_ablation

        check_parts(arguments.without, vars(arguments))
        run_ablation(TrainOptions(**_options(arguments)), arguments.without, as_json=arguments.json, answer=print)
        return
    run_training(TrainOptions(**_options(arguments), command=shell_command("tinycopilot", *arguments.words)))


def _adapt(arguments: argparse.Namespace) -> None:
    """Fine-tune your model, or the bundled one, on a workspace.

    About 10 % of the files are held out. Both the new model and the one that the workspace uses now are evaluated on
    them, each combined with an n-gram model of the remaining files. If the new model is better, it is used, in this
    workspace only.
    """
    _prepare_training(arguments)
    from tinycopilot.evaluation.adapt import run_adaptation

    run_adaptation(**_options(arguments), answer=_answer)


def _generate(arguments: argparse.Namespace) -> None:
    """Continue a prompt. Without one, read a prompt from each line of standard input, until `quit` or end of file."""
    from tinycopilot.model.tokenizer import DOCUMENT_START
    from tinycopilot.paths import describe_model, find_model

    paths, origin = find_model(arguments.model_path, arguments.tokenizer_path)
    generator, tokenizer = (_generator_on_cpu if arguments.device in ("auto", "cpu") else _generator_in_torch)(
        paths, arguments
    )
    sampling = {"temperature": arguments.temperature, "top_k": arguments.top_k}
    print(describe_model(paths, origin), file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(
            "The model continues the text character by character. The result looks like code, but makes no sense.",
            file=sys.stderr,
        )
    for prompt in _prompts() if arguments.prompt is None else [arguments.prompt]:
        print(prompt, end="")
        continuation = generator(tokenizer.encode(DOCUMENT_START + prompt), **sampling)
        for character in islice(continuation, arguments.max_new_chars):
            print(tokenizer.decode([character]), end="", flush=True)
        print()


def _generator_on_cpu(paths: "ModelPaths", arguments: argparse.Namespace) -> tuple["Generator", "SimpleTokenizer"]:
    """Return a generator of ids on the compiled network, without PyTorch."""
    import numpy as np

    from tinycopilot.completion.decoding import generate
    from tinycopilot.completion.network import load_pair

    network, tokenizer = load_pair(paths.model, paths.tokenizer, int8=False)
    return partial(generate, network, rng=np.random.default_rng(arguments.seed)), tokenizer


def _generator_in_torch(paths: "ModelPaths", arguments: argparse.Namespace) -> tuple["Generator", "SimpleTokenizer"]:
    """Return a generator of ids in PyTorch, on another device."""
    from tinycopilot.extras import require_torch

    require_torch(f"--device {arguments.device}")
    import torch

    from tinycopilot.model.gpt import load_pair
    from tinycopilot.training.device import choose_device

    device = choose_device(arguments.device)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    dice = torch.Generator()
    dice.manual_seed(dice.seed() if arguments.seed is None else arguments.seed)
    return partial(model.to(device).generate, generator=dice), tokenizer


def _prompts() -> Iterable[str]:
    """Yield lines of standard input until `quit` or end of file."""
    if sys.stdin is None:  # closed before the program started
        return
    shown = "prompt> " if sys.stdin.isatty() else ""
    with contextlib.suppress(EOFError):
        while (line := input(shown)).strip() != "quit":
            yield line


def _evaluate(arguments: argparse.Namespace) -> None:
    """Simulate typing the code, and count the keystrokes that suggestions would have saved."""
    from tinycopilot.evaluation.evaluate import run_evaluation
    from tinycopilot.paths import shell_command

    run_evaluation(
        **_options(arguments), command=shell_command("tinycopilot", *arguments.words), say=_say, answer=_answer
    )


def _bench(arguments: argparse.Namespace) -> None:
    """Replay code and measure suggestion latency, memory and decoding speed."""
    from tinycopilot.evaluation.bench import run_bench

    run_bench(**_options(arguments), say=_say, answer=_answer)


def _play(arguments: argparse.Namespace) -> None:
    """Open a small editor in the terminal, with ghost text as you type. FILE is written only when you save."""
    from tinycopilot.tui.run import run_play

    run_play(**_options(arguments), say=_answer)


def _explain(arguments: argparse.Namespace) -> None:
    """Explain how the model predicts the next characters of a text: probabilities, where the same context occurred
    before, and why a suggestion is or isn't shown. At most the last 200 characters are explained.
    """
    from tinycopilot.explain.run import run_explain

    if arguments.target == "-":
        arguments.target = "" if sys.stdin is None else sys.stdin.read()
    run_explain(**_options(arguments), say=_say)


def _serve(arguments: argparse.Namespace) -> int:
    """Run the language server over stdio or, with --tcp, on a local TCP port.

    The client passes settings as initializationOptions. With --http, run an HTTP endpoint instead, which follows
    OpenAI's completions API, for editors without inline completion over LSP.
    """
    from tinycopilot.process import importing, return_freed_memory

    return_freed_memory()
    if arguments.http is not None:
        return _serve_http(arguments)
    if arguments.workspace is not None or arguments.language is not None:
        raise UserError("--workspace and --language need --http; an editor tells the language server its folders")
    with importing():
        from tinycopilot_server.serve import serve
    return serve(tcp_port=arguments.tcp)


def _serve_http(arguments: argparse.Namespace) -> int:
    from tinycopilot.completion.syntaxes import WRITTEN
    from tinycopilot.extras import require_http

    if arguments.language is not None and arguments.language not in WRITTEN:
        raise UserError(
            f"--language: unknown language {arguments.language!r}; use LSP's identifier, such as typescript"
        )
    require_http()
    from tinycopilot.http.serve import run_http

    run_http(arguments.http, workspace=arguments.workspace, language=arguments.language or "", say=_say)


def _demo(arguments: argparse.Namespace) -> None:
    """Start the language server, type a program as an editor would, and print the suggestions."""
    from tinycopilot.client.demo import run_demo

    run_demo(arguments.model_path, arguments.tokenizer_path)


def _compile(_arguments: argparse.Namespace) -> None:
    """Compile the network and the n-gram model for this processor, so that the first run doesn't have to."""
    import time

    from tinycopilot.completion.compiled import CACHE
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.request import CompleterSettings
    from tinycopilot.paths import bundled_model

    if CACHE is None:
        raise UserError("no private, writable folder for compiled code; set NUMBA_CACHE_DIR to one")
    since = time.perf_counter()
    engine = Engine.load(bundled_model(), CompleterSettings())
    if engine.is_compiled:
        print(f"already compiled, in {CACHE}")
        return
    engine.warm_up()
    print(f"compiled in {time.perf_counter() - since:.0f} s, in {CACHE}")


def _clean(arguments: argparse.Namespace) -> None:
    """Delete the index, the last page of `explain`, the mixing weights, the statistics, the log, the token of `serve
    --http`, and compiled code.

    With --all, also delete the models that you trained. The command lists what it would delete, and asks first.
    """
    from tinycopilot.client.cleaning import run_cleaning

    can_ask = sys.stdin is not None and sys.stdin.isatty()
    run_cleaning(with_models=arguments.all, is_sure=arguments.yes, ask=input if can_ask else None, say=print)


def _doctor(arguments: argparse.Namespace) -> int:
    """Check the installation, model, device, folders and editor settings; start a server, and test it."""
    from tinycopilot.client.doctor import run_doctor

    def ask_engine(paths: "ModelPaths") -> dict[str, Any]:
        from tinycopilot.evaluation.environment import ask_environment  # whose own imports may be what is missing

        return ask_environment(paths)

    return run_doctor(arguments.model_path, arguments.tokenizer_path, to_json=arguments.json, ask_engine=ask_engine)
