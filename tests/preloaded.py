"""Start Python processes by forking one in which all modules are imported: imports take most of the time of such tests.

A test runs `python preloaded.py SOCKET PYTHON_ARGUMENTS...` instead of `python PYTHON_ARGUMENTS...`. This process sends
its standard streams, environment and arguments to the server that `preloading` has started, forwards SIGTERM and SIGINT
to the forked process, and exits with its exit code. The forked process is connected to the test's pipes.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

STREAMS = (0, 1, 2)
MAX_BYTES = 1_000_000


@contextlib.contextmanager
def preloading(folder: Path, modules: Sequence[str]) -> Iterator[Sequence[str]]:
    """Start the fork server with these modules; yield the command prefix (plain `python` without pidfd support)."""
    if not hasattr(os, "pidfd_open"):  # not Linux
        yield [sys.executable]
        return
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(path))
        listening.listen()
        words = [sys.executable, __file__, "--listen", str(listening.fileno()), *modules]
        process = subprocess.Popen(words, pass_fds=[listening.fileno()], stdin=subprocess.DEVNULL)
    try:
        yield [sys.executable, "-S", __file__, str(path)]
    finally:
        process.kill()
        process.wait()


def request_fork(path: str, arguments: Sequence[str]) -> int:
    """Ask the server to fork; return the exit code of the forked process."""
    ignores_sigint = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # inherited, as by a background job
    message = json.dumps([arguments, dict(os.environ), str(Path.cwd()), ignores_sigint]).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BYTES)
        connection.connect(path)
        socket.send_fds(connection, [message], STREAMS)
        child = int(connection.recv(16))

        def forward(number: int, _: object) -> None:
            with contextlib.suppress(ProcessLookupError):  # it has just exited
                os.kill(child, number)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, forward)
        return int(connection.recv(16))


def listen(listening: socket.socket) -> None:
    """Fork for each connection, with an intermediate process that waits for the forked one."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no need to wait for the intermediate processes
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            handle(connection)
        connection.close()


def handle(connection: socket.socket) -> None:
    """Fork the process that runs the program, and run it there; the parent waits for it, and exits."""
    message, streams, _, _ = socket.recv_fds(connection, MAX_BYTES, len(STREAMS))
    arguments, environment, folder, ignores_sigint = json.loads(message)
    child = os.fork()
    if child:
        for stream in (*streams, *STREAMS):
            os.close(stream)
        with contextlib.suppress(OSError):
            connection.send(str(child).encode())
        watched = os.pidfd_open(child)
        ready, _, _ = select.select([watched, connection], [], [])
        if watched not in ready:  # the client was killed
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(OSError):
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
        os._exit(0)
    connection.close()
    for stream, standard in zip(streams, STREAMS, strict=True):
        os.dup2(stream, standard)
        os.close(stream)
    # Python's stream objects describe the old file descriptors (for example, whether they are seekable).
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignores_sigint else signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    run(arguments)


def run(arguments: Sequence[str]) -> None:
    """Run like `python ARGUMENTS`, with `-m` or `-c` and the current PYTHONPATH; exit at the end."""
    import runpy

    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    kind, what, *rest = (word for word in arguments if word != "-P")
    sys.argv = ["-" + kind[1:], *rest]
    code = 0
    try:
        if kind == "-m":
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(ValueError):  # the program may have closed it
            stream.flush()
    os._exit(code)  # tearing down the imported modules takes as long as importing them


if __name__ == "__main__":
    if sys.argv[1] != "--listen":
        code = request_fork(sys.argv[1], sys.argv[2:])
        if code < 0:
            os.kill(os.getpid(), -code)
        sys.exit(code)
    for module in sys.argv[3:]:
        __import__(module)
    gc.freeze()  # the garbage collector then doesn't touch, and so copy, the shared pages
    listen(socket.socket(fileno=int(sys.argv[2])))
