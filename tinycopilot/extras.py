"""Check what must be installed: PyTorch for training, a web server for the HTTP endpoint, system libraries."""

import contextlib
import importlib
import importlib.util
import re
import signal
import sys
import threading
from collections.abc import Iterator

from tinycopilot import UserError
from tinycopilot.process import working_folder

TORCH = "torch>=2.9"
TORCH_SIZE = "about 200 MB; on Linux, PyPI's build with CUDA is several GB"
"""Size of the download of PyTorch 2.13. docs/install.md explains how to get the CPU build on Linux."""

HTTP = ("uvicorn>=0.40,<1", "starlette>=1,<2")
"""Packages of the HTTP endpoint. All wheels are pure Python, 0.6 MB with their dependencies."""


def in_command(program: str) -> str:
    """Return the path of a program as a command line takes it: in quotation marks if it contains a space."""
    return f'"{program}"' if " " in program else program


def install_command(*packages: str) -> str:
    """Return the command that installs packages in this environment; an option may precede them."""
    words = (one if one.startswith("-") else f'"{one}"' for one in packages)
    return " ".join((in_command(sys.executable), "-m pip install", *words))


def has_torch() -> bool:
    """Whether PyTorch is installed. It is not imported."""
    return importlib.util.find_spec("torch") is not None


def require_installed_torch(purpose: str) -> None:
    """Raise UserError, with the command that installs it, if PyTorch is missing; `purpose`: the feature that needs it.

    It is not imported.
    """
    if not has_torch():
        raise UserError(
            f"{purpose} needs PyTorch, which is not installed ({TORCH_SIZE}); install it: {install_command(TORCH)}"
        )


def require_torch(purpose: str) -> None:
    """Import PyTorch. Raises UserError if it is missing or does not load; `purpose`: the feature that needs it."""
    require_installed_torch(purpose)
    working_folder()
    try:
        with _sigint_deferred():
            importlib.import_module("torch")
    except (ImportError, OSError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{purpose} needs PyTorch, which does not load ({problem}); reinstall it: "
            f"{install_command('--force-reinstall', TORCH)}"
        ) from None


@contextlib.contextmanager
def _sigint_deferred() -> Iterator[None]:
    """Handle SIGINT only after the context: compiled code that imports modules may ignore KeyboardInterrupt, or crash.

    Does nothing outside the main thread, where no signal is handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived = False

    def defer(*_: object) -> None:
        nonlocal arrived
        arrived = True

    before = signal.signal(signal.SIGINT, defer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if arrived:
            signal.raise_signal(signal.SIGINT)


def missing_library(report: str) -> str | None:
    """Return a line about the system library that is missing according to a traceback; None if there is none.

    PyTorch's own libraries are not the system's.
    """
    found = re.search(r"\b(lib(?!torch|c10)[^\s/]+): cannot open shared object file", report)
    return f"the system library {found[1]} is missing; install it with the system's package manager" if found else None


def require_http() -> None:
    """Raise UserError if the packages of the HTTP endpoint are missing. They are not imported."""
    if any(importlib.util.find_spec(re.split("[<>=]", one)[0]) is None for one in HTTP):
        raise UserError(f"--http needs packages that are not installed; install: {install_command(*HTTP)}")
