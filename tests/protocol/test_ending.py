"""SIGTERM and the end of input stop the server within two seconds, whatever it is doing."""

import asyncio
import signal
import sys
import time
from collections.abc import Sequence

import pytest
from stdio_client import StdioClient

from tinycopilot.paths import ModelPaths

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM and no watchdog on Windows")

LIMIT_S = 2.0
WAIT_S = 60.0

# The server; after `initialized`, a thread runs an endless loop.
BUSY = """
import ctypes, re, sys, threading, time
from tinycopilot_server import server as app
from tinycopilot_server.__main__ import main

def holds_the_lock():
    ctypes.PyDLL(None).sleep(60)

def backtracks():
    re.match("(a*)*b", "a" * 60)

def computes():
    while True:
        sum(range(1_000))

def waits():
    time.sleep(60)

work = globals()[sys.argv.pop()]
at_sigterm = app.TinyCopilotServer.stop_at_sigterm
def begin(server):
    at_sigterm(server)
    threading.Thread(target=lambda: (print("busy", file=sys.stderr, flush=True), work())).start()
app.TinyCopilotServer.stop_at_sigterm = begin
main()
"""


@pytest.mark.parametrize("end", ["sigterm", "input"])
@pytest.mark.parametrize("work", ["holds_the_lock", "backtracks", "computes", "waits"])
async def test_server_exits_in_any_state(saved: ModelPaths, python: Sequence[str], work: str, end: str) -> None:
    client = await StdioClient.start((*python, "-c", BUSY, work))
    busy = asyncio.Event()
    client.on_line = lambda line: busy.set() if "busy" in line else None
    try:
        await client.initialize(initializationOptions={"modelPath": str(saved.model)})
        await asyncio.wait_for(busy.wait(), WAIT_S)
        await asyncio.sleep(0.2)
        since = time.perf_counter()
        if end == "sigterm":
            client.process.send_signal(signal.SIGTERM)
        else:
            assert client.process.stdin is not None
            client.process.stdin.close()
        await asyncio.wait_for(client.process.wait(), 10)
        assert time.perf_counter() - since < LIMIT_S
    finally:
        await client.kill()
