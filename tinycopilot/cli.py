"""The command line: parse, call, print. A command imports what it needs in its body, so that `--help` is quick."""

import argparse
import contextlib
import dataclasses
import io
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from tinycopilot import UserError, __version__

if TYPE_CHECKING:
    from tinycopilot.model.tokenizer import SimpleTokenizer
    from tinycopilot.places import ModelPaths

    Generator = Callable[[list[int]], Iterator[int]]

DEVICES = ("auto", "cpu", "cuda", "mps")

EXAMPLES = """\
examples:
  tinycopilot train                          on the corpus that ships, some minutes
  tinycopilot train --corpus stdlib ~/code --minutes 10   on Python's own library and on yours
  tinycopilot train --init paras/tiny_gpt.pth --corpus . --minutes 3   adapt a model to this folder
  tinycopilot adapt ~/code/my_project        for this project alone, and only if it is better there
  tinycopilot train --resume                 go on with a run that was stopped
  tinycopilot generate "def main("           what comes next
  tinycopilot eval ~/code                    what would it have saved me there?
  tinycopilot bench                          how quick is it on this machine?
  tinycopilot play                           type in this terminal, with ghost text
  tinycopilot demo                           the language server at work, in this terminal
  tinycopilot doctor                         does everything work here, and what to do if not
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for what the user can put right, 130 after Ctrl-C.

    (And 1 for a language server whose client has gone without telling it to shut down, as LSP has it.)
    """
    words = _modern(sys.argv[1:] if argv is None else argv)
    arguments = _parser().parse_args(words)
    arguments.words = words
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # no name and no text is lost to a terminal that has not its letters
    try:
        return int(arguments.run(arguments) or 0)
    except UserError as error:
        print(f"tinycopilot: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped()
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package.startswith("tinycopilot"):
            raise  # a bug of ours
        print(f"tinycopilot: {package} cannot be imported ({error}); see `tinycopilot doctor`", file=sys.stderr)
        return 2
    except SystemError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # in compiled code, which does not say it itself
            return _stopped()
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # `tinycopilot generate ... | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"tinycopilot: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
        return 2


def _stopped() -> int:
    """After Ctrl-C; one more of them has nothing to add."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("\ntinycopilot: stopped", file=sys.stderr)
    return 130


PARAS = os.path.join("paras", "tiny_gpt.pth")  # noqa: PTH118 (light imports)


def _modern(argv: Iterable[str]) -> list[str]:
    """`--train` and `--generate`, anywhere among flags, are the commands of these names.

    And their model is paras/tiny_gpt.pth, as in the original project, where the working folder has paras/ (to train) or
    that file (to generate), unless a path is given.
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


CORPUS_HELP = (
    "files, folders, globs, the word stdlib, package:NAME for an installed package (default: the corpus.txt that ships)"
)


SIZE_HELP = (
    "nano: 0.8 million parameters, for ten minutes of training (default); small: 4.8, for hours, 20 million characters "
    "or more; base: 11, and large: 25, for a GPU"
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tinycopilot",
        description="A private code completion that you train yourself.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinycopilot {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    training = (
        "Train a model. It is used from then on, and the one before is kept; unless it is worse than the one in use: "
        "then it is saved beside that."
    )
    train = _command(commands, "train", _train, "train a model on text", training)
    _add_files(train, "your own, in your user's data folder")
    _add(train, "--corpus", nargs="+", metavar="NAME", action="extend", help=CORPUS_HELP)
    _add(train, "--ext", nargs="+", metavar="EXT", action="extend", help="in folders, files that end so (default: py)")
    _add(train, "--size", choices=("nano", "small", "base", "large"), help=SIZE_HELP)
    _add(train, "--epochs", type=_amount, help="how often the corpus is read (default: 20)")
    _add(train, "--minutes", type=_amount, help="how long to train, instead of --epochs")
    _add(train, "--init", metavar="FILE", help="adapt this model, instead of beginning with random weights")
    _add(train, "--resume", action="store_true", help="continue the run that was stopped")
    _add(train, "--finish", type=_amount, metavar="MINUTES", help="with --resume: end the run within this time")
    _add(train, "--snapshot", metavar="FILE", help="save the run's weights so far as a model, and do nothing else")
    _add(train, "--use_anyway", action="store_true", help="use the new model even if it is worse than the one in use")
    _add(train, "--device", default="auto", choices=DEVICES, help="auto takes a GPU where there is one")
    _add(train, "--precision", choices=("auto", "float32"), help="auto: bfloat16 where the processor is good at it")
    _add(train, "--seed", type=_seed, help="of weights and order (default: 0)")
    _add(train, "--tensorboard", metavar="FOLDER", help="write TensorBoard's event files there, too")
    _add_progress(train)

    fitting = (
        "Train on a workspace's code, beginning with your model. One file in ten is held out; only if the new model is "
        "better there, together with what an editor knows of the rest, is it used, in that workspace alone."
    )
    adapt = _command(commands, "adapt", _adapt, "train on a folder, and keep it only if it is better there", fitting)
    adapt.add_argument("folders", nargs="+", metavar="FOLDER", help="the workspace, as it is opened in an editor")
    _add(adapt, "--ext", nargs="+", metavar="EXT", action="extend", help="files that end so (default: py)")
    _add(adapt, "--exclude", metavar="PATTERN", action="append", help="leave these alone, as a .gitignore names them")
    _add(adapt, "--minutes", type=_amount, default=5.0, help="how long to train (default: 5)")
    _add(adapt, "--device", default="auto", choices=DEVICES, help="auto takes a GPU where there is one")
    _add_progress(adapt)

    conversation = "Continue a prompt, or one prompt after another from standard input, until `quit` or its end."
    generate = _command(commands, "generate", _generate, "continue a text", conversation)
    _add_files(generate, "your own, else the one that ships")
    generate.add_argument("prompt", nargs="?", help="the text to continue; without it, a conversation")
    _add(generate, "--device", default="auto", choices=DEVICES, help="where the model runs (default: the CPU)")
    _add(generate, "--epochs", type=_positive, help=argparse.SUPPRESS)  # for scripts that give all flags always
    _add(generate, "--temperature", type=_not_negative, default=0.5, help="0 is always the likeliest (default: 0.5)")
    _add(generate, "--top_k", type=_positive, help="draw from the k likeliest characters only")
    _add(generate, "--seed", type=_seed, help="the same seed gives the same text")
    _add(generate, "--max_new_chars", type=_positive, default=200, help="how much to write (default: 200)")

    judging = "Type code again, as its author did, and count the keystrokes that suggestions would have saved."
    evaluate = _command(commands, "eval", _evaluate, "what would it have saved me?", judging)
    evaluate.add_argument("paths", nargs="+", metavar="PATH", help="files or folders of code; with --list, a folder")
    _add(evaluate, "--workspace", metavar="DIR", help="its other files are known (default: the folder of each PATH)")
    _add(evaluate, "--list", metavar="FILE", help="the parts of files to type, as benchmarks/heldout.json names them")
    _add(
        evaluate, "--ext", nargs="+", metavar="EXT", action="extend", help="in folders, files that end so (default: py)"
    )
    _add(evaluate, "--max_chars", type=_positive, default=20_000, help="type this many at most (default: 20000)")
    _add(evaluate, "--json", action="store_true", help="print one JSON object instead of tables")
    _add(evaluate, "--report", metavar="FILE.html", help="write a page that shows your code, coloured by what it cost")
    _add_files(evaluate, "your own, else the one that ships")

    racing = "Type code, and measure how soon suggestions come, what they cost, and how quickly text is decoded."
    bench = _command(commands, "bench", _bench, "how quick is it here?", racing)
    bench.add_argument("folder", nargs="?", metavar="FOLDER", help="code to type (default: an installed package)")
    _add(
        bench, "--size", choices=("nano", "small", "base", "large"), help="measure with the model widened to that size"
    )
    _add(bench, "--json", action="store_true", help="print one JSON object instead of tables")
    _add_files(bench, "your own, else the one that ships")

    tasting = "An editor in this terminal, with suggestions as you type. FILE changes only when you save it."
    play = _command(commands, "play", _play, "type in this terminal, with ghost text", tasting)
    play.add_argument("file", nargs="?", metavar="FILE", help="the file to edit, or a new one (default: none)")
    _add(play, "--workspace", metavar="DIR", help="its other files are known (default: none)")
    _add(play, "--eagerness", type=_share, default=0.5, help="from 0, quiet, to 1, talkative (default: 0.5)")
    _add(play, "--max_lines", type=_positive, default=3, help="the most lines in a suggestion (default: 3)")
    _add_files(play, "your own, else the one that ships")

    settings = (
        "The language server, over stdio unless --tcp is given. Its settings are the client's initializationOptions."
    )
    serve = _command(commands, "serve", _serve, "run the language server", settings)
    serve.add_argument("--stdio", action="store_true", help="what it does anyway; many clients say it")
    _add(serve, "--tcp", type=_port, metavar="PORT", help="listen on this port of loopback, 127.0.0.1")

    typing = "Start the language server, type into a Python file as an editor does, and print what it suggests."
    demo = _command(commands, "demo", _demo, "see the language server at work", typing)
    _add_files(demo, "your own, else the one that ships")

    compiling = "Compile the loops of the network and of the n-gram model for this processor, once."
    _command(commands, "compile", _compile, "do now what the first start would do", compiling)

    looking = "Look at what is installed, the model, the device, the folders, the editors' settings, a server at work."
    doctor = _command(commands, "doctor", _doctor, "does everything work here?", looking)
    _add(doctor, "--json", action="store_true", help="print one JSON object instead of text")
    _add_files(doctor, "your own, else the one that ships")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int | None],
    brief: str,
    description: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=brief, description=description)
    parser.set_defaults(run=run)
    return parser


def _add(parser: argparse.ArgumentParser, flag: str, **options: object) -> None:
    """Add a flag in both spellings: --max_new_chars and --max-new-chars."""
    spellings = dict.fromkeys((flag, "--" + flag[2:].replace("_", "-")))
    parser.add_argument(*spellings, **options)  # type: ignore[arg-type]


def _add_progress(parser: argparse.ArgumentParser) -> None:
    """What a program needs that starts training for its user."""
    _add(parser, "--progress", choices=("json",), help="one JSON object a line on standard output: how far it is")
    _add(parser, "--end_with_stdin", action="store_true", help="stop, as Ctrl-C does, when standard input ends")


def _add_files(parser: argparse.ArgumentParser, default: str) -> None:
    _add(parser, "--model_path", metavar="FILE", help=f"the model (default: beside --tokenizer_path, else {default})")
    _add(parser, "--tokenizer_path", metavar="FILE", help="its tokenizer (default: the one beside the model)")


def _number(kind: type[float], must_be: str, is_right: Callable[[float], bool]) -> Callable[[str], float]:
    """What makes a number of a flag's word, or says what it must be."""

    def read(word: str) -> float:
        with contextlib.suppress(ValueError):
            if is_right(number := kind(word)):
                return number
        raise argparse.ArgumentTypeError(f"must be {must_be}")

    return read


_positive = _number(int, "a whole number above 0", lambda number: number > 0)
_amount = _number(float, "a number above 0", lambda number: 0 < number < 1e9)
_not_negative = _number(float, "a number from 0 on", lambda number: 0 <= number < float("inf"))
_share = _number(float, "a number from 0 to 1", lambda number: 0 <= number <= 1)
_seed = _number(int, "a whole number from 0 to 2**63 - 1", lambda number: 0 <= number < 2**63)
_port = _number(int, "a port, 1 to 65535", lambda number: 1 <= number <= 65535)


def _sleep_while_waiting() -> None:
    """Have PyTorch's threads sleep, not spin, while they wait for each other; read when it is imported.

    Beside one busy process on two cores, two spinning threads train at half the speed of two sleeping ones.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _train(arguments: argparse.Namespace) -> None:
    _sleep_while_waiting()
    from tinycopilot.extras import require_torch

    require_torch("training")
    from tinycopilot.training.begin import Request
    from tinycopilot.training.interrupts import end_with_stdin
    from tinycopilot.training.run import run_training

    if arguments.snapshot:
        from tinycopilot.training.snapshot import save_snapshot

        print(save_snapshot(arguments.model_path, arguments.tokenizer_path, arguments.snapshot))
        return
    if arguments.end_with_stdin:
        end_with_stdin()
    fields = {field.name for field in dataclasses.fields(Request)}
    asked = {name: value for name, value in vars(arguments).items() if name in fields}
    run_training(Request(**asked, command=shlex.join(["tinycopilot", *arguments.words])))


def _adapt(arguments: argparse.Namespace) -> None:
    _sleep_while_waiting()
    from tinycopilot.extras import require_torch

    require_torch("training")
    from tinycopilot.insight.adapt import run_adaptation
    from tinycopilot.training.interrupts import end_with_stdin

    if arguments.end_with_stdin:
        end_with_stdin()
    run_adaptation(
        arguments.folders,
        suffixes=arguments.ext or [".py"],
        exclude=arguments.exclude or (),
        minutes=arguments.minutes,
        device=arguments.device,
        progress=arguments.progress,
        answer=lambda text: print(text, flush=True),
    )


def _generate(arguments: argparse.Namespace) -> None:
    from tinycopilot import places

    paths, origin = places.found(arguments.model_path, arguments.tokenizer_path)
    generator, tokenizer = (_generator_on_cpu if arguments.device in ("auto", "cpu") else _generator_in_torch)(
        paths, arguments
    )
    print(places.named(paths, origin), file=sys.stderr, flush=True)
    for prompt in _prompts() if arguments.prompt is None else [arguments.prompt]:
        _continue(prompt, generator, tokenizer, arguments.max_new_chars)


def _generator_on_cpu(paths: "ModelPaths", arguments: argparse.Namespace) -> tuple["Generator", "SimpleTokenizer"]:
    """Ids -> the ids that follow, by the compiled network, which needs no PyTorch."""
    import numpy as np

    from tinycopilot.completion.generation import generate
    from tinycopilot.completion.network import load_pair

    network, tokenizer = load_pair(paths.model, paths.tokenizer, int8=False)
    sampling = {"temperature": arguments.temperature, "top_k": arguments.top_k}
    return partial(generate, network, **sampling, rng=np.random.default_rng(arguments.seed)), tokenizer


def _generator_in_torch(paths: "ModelPaths", arguments: argparse.Namespace) -> tuple["Generator", "SimpleTokenizer"]:
    """The same on another device, by PyTorch."""
    from tinycopilot.extras import require_torch

    require_torch(f"--device {arguments.device}")
    import torch

    from tinycopilot.model.gpt import load_pair
    from tinycopilot.training.device import choose_device

    device = choose_device(arguments.device)
    model, tokenizer = load_pair(paths.model, paths.tokenizer)
    dice = torch.Generator()
    dice.manual_seed(dice.seed() if arguments.seed is None else arguments.seed)
    sampling = {"temperature": arguments.temperature, "top_k": arguments.top_k}
    return partial(model.to(device).generate, **sampling, generator=dice), tokenizer


def _prompts() -> Iterable[str]:
    """Lines of standard input until `quit` or its end."""
    if sys.stdin is None:  # it was closed from the first
        return
    shown = "prompt> " if sys.stdin.isatty() else ""
    while True:
        try:
            line = input(shown)
        except EOFError:
            return
        if line.strip() == "quit":
            return
        yield line


def _continue(prompt: str, generator: "Generator", tokenizer: "SimpleTokenizer", max_new_chars: int) -> None:
    from tinycopilot.model.tokenizer import DOCUMENT_START

    print(prompt, end="")
    for _, character in zip(range(max_new_chars), generator(tokenizer.encode(DOCUMENT_START + prompt)), strict=False):
        print(tokenizer.decode([character]), end="", flush=True)
    print()


def _evaluate(arguments: argparse.Namespace) -> None:
    from tinycopilot.insight.evaluate import run_evaluation

    run_evaluation(
        arguments.paths,
        listing=arguments.list,
        workspace=arguments.workspace,
        suffixes=arguments.ext or [".py"],
        max_chars=arguments.max_chars,
        as_json=arguments.json,
        report=arguments.report,
        command=shlex.join(["tinycopilot", *arguments.words]),
        model_path=arguments.model_path,
        tokenizer_path=arguments.tokenizer_path,
        say=lambda line: print(line, file=sys.stderr, flush=True),
        answer=lambda text: print(text, flush=True),
    )


def _bench(arguments: argparse.Namespace) -> None:
    from tinycopilot.insight.bench import run_bench

    run_bench(
        arguments.folder,
        size=arguments.size,
        as_json=arguments.json,
        model_path=arguments.model_path,
        tokenizer_path=arguments.tokenizer_path,
        say=lambda line: print(line, file=sys.stderr, flush=True),
        answer=lambda text: print(text, flush=True),
    )


def _play(arguments: argparse.Namespace) -> None:
    from tinycopilot.play.run import run_play

    run_play(
        arguments.file,
        workspace=arguments.workspace,
        eagerness=arguments.eagerness,
        max_lines=arguments.max_lines,
        model_path=arguments.model_path,
        tokenizer_path=arguments.tokenizer_path,
        say=lambda line: print(line, flush=True),
    )


def _serve(arguments: argparse.Namespace) -> int:
    from tinycopilot_server.serve import serve

    return serve(tcp_port=arguments.tcp)


def _demo(arguments: argparse.Namespace) -> int:
    from tinycopilot.client.demo import run_demo

    return run_demo(arguments.model_path, arguments.tokenizer_path)


def _compile(_arguments: argparse.Namespace) -> None:
    import time

    from tinycopilot import places
    from tinycopilot.completion.compiled import CACHE
    from tinycopilot.completion.engine import Engine
    from tinycopilot.completion.truncation import CompleterSettings

    if CACHE is None:
        raise UserError("no folder for compiled code is writable; name a private one in NUMBA_CACHE_DIR")
    since = time.perf_counter()
    engine = Engine.load(places.shipped_model(), CompleterSettings())
    if engine.is_compiled:
        print(f"compiled already, in {CACHE}")
        return
    engine.warm_up()
    print(f"compiled in {time.perf_counter() - since:.0f} s, in {CACHE}")


def _doctor(arguments: argparse.Namespace) -> int:
    from tinycopilot.client.doctor import run_doctor

    def ask_engine(paths: "ModelPaths") -> dict[str, Any]:
        from tinycopilot.insight.environment import ask_environment  # whose own imports may be what is missing

        return ask_environment(paths)

    return run_doctor(arguments.model_path, arguments.tokenizer_path, to_json=arguments.json, ask_engine=ask_engine)
