"""`tinycopilot serve --http PORT`: load the model, index the workspace, and answer requests until Ctrl-C."""

import errno
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import NoReturn

import uvicorn

from tinycopilot import UserError
from tinycopilot.completion.engine import Engine
from tinycopilot.completion.indexing import MAX_WORKSPACE_CHARS
from tinycopilot.completion.request import CompleterSettings
from tinycopilot.http.app import app
from tinycopilot.http.completer import Completer
from tinycopilot.http.guard import token
from tinycopilot.paths import ModelPaths, describe_model, find_model, folder_to_index

LOOPBACK = "127.0.0.1"
MAX_CONNECTIONS = 64
KEEP_S = 75
"""How long an idle connection stays open, so that an editor need not reconnect for each request."""
END_LIMIT_S = 2


def run_http(port: int, *, workspace: str | None, language: str, say: Callable[[str], None]) -> NoReturn:
    """Serve until Ctrl-C or SIGTERM, then raise KeyboardInterrupt. Raises UserError."""
    with listening(port) as listener:
        secret, path = token()
        folder = folder_to_index(workspace)
        paths, origin = find_model(workspace=str(folder) if folder else None)
        say(describe_model(paths, origin))
        completer = Completer(partial(_load, paths, say), folder, language)
        try:
            if folder is not None:
                completer.workspace.scan()
                say(f"indexed {completer.workspace.n_files:,} files in {folder}")
            server = uvicorn.Server(uvicorn.Config(
                app(completer, secret), http="h11", ws="none", lifespan="off", loop="asyncio", access_log=False,
                log_level="warning", server_header=False, proxy_headers=False, limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_S, timeout_graceful_shutdown=END_LIMIT_S,
            ))  # fmt: skip
            say(f"listening on http://{LOOPBACK}:{port}/v1 (Ctrl-C stops it); the token is in {path}")
            server.run(sockets=[listener])
            raise KeyboardInterrupt  # uvicorn does, except where SIGINT was ignored from the start (`nohup ... &`)
        finally:
            completer.close()


def _load(paths: ModelPaths, say: Callable[[str], None]) -> Engine:
    engine = Engine.load(paths, CompleterSettings(), MAX_WORKSPACE_CHARS)
    if not engine.is_compiled:
        say("compiling, once on this machine ...")
    engine.warm_up()
    return engine


def listening(port: int) -> socket.socket:
    """Return a socket that listens on this port of 127.0.0.1. Raises UserError."""
    # With the protocol named, asyncio sets TCP_NODELAY; without, a kept connection waits 40 ms for acknowledgements.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # to start again at once; on Windows, this option would share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        listener.close()
        reasons = {errno.EADDRINUSE: "is in use", errno.EACCES: "needs more permissions"}
        reason = reasons.get(error.errno or 0, f"cannot be used ({error.strerror})")
        raise UserError(f"port {port} {reason}; choose another one, from 1024 to 65535, after --http") from None
    return listener
