"""Malformed messages: each request is answered once, with an error, and the server continues to work.

The suite runs a short version; `make soak` runs a long one:

    python -m pytest -s tests/protocol/test_malformed.py --malformed 100000
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from malformed import BadMessage, Expected, Malformed
from other_process import resident_mb
from stdio_client import Answer, StdioClient

from tinycopilot.paths import ModelPaths

N_MESSAGES = 600
"""Number of messages in a short run."""
PROBE = 25
"""A valid request follows after this many messages."""
WAIT_S = 60.0
TEXT = "value = 1\nresult = val"
PROBED = {
    "textDocument": {"uri": "file:///project/good.py"},
    "position": {"line": 1, "character": 12},
    "context": {"triggerKind": 2},
}


async def start(python: Sequence[str], saved: ModelPaths) -> StdioClient:
    client = await StdioClient.start((*python, "-m", "tinycopilot_server"))
    options = {"modelPath": str(saved.model), "eagerness": 1, "minConfidence": 0, "maxChars": 12}
    await client.initialize(initializationOptions=options)
    await asyncio.wait_for(client.state("ready"), WAIT_S)
    item = {"uri": "file:///project/good.py", "languageId": "python", "version": 1, "text": TEXT}
    client.notify("textDocument/didOpen", {"textDocument": item})
    return client


async def probe(client: StdioClient, request_id: str) -> Any:
    answer = await asyncio.wait_for(client.request("textDocument/inlineCompletion", PROBED, request_id), WAIT_S)
    return [(item["insertText"], item["range"]) for item in answer.result["items"]]


@pytest.mark.timeout(0)
async def test_random_malformed_messages(saved: ModelPaths, python: Sequence[str], pytestconfig: pytest.Config) -> None:
    n_messages = pytestconfig.getoption("malformed") or N_MESSAGES
    # A forked server is not the process whose memory is measured.
    python = python if n_messages == N_MESSAGES else (sys.executable,)
    supply, client = Malformed(pytestconfig.getoption("seed")), await start(python, saved)
    right, since, kinds = await probe(client, "probe"), time.perf_counter(), Counter[Expected]()
    assert right
    resident = list[float]()
    waiting = list[tuple[BadMessage, asyncio.Future[Answer]]]()
    for i in range(1, n_messages + 1):
        bad = supply.next()
        kinds[bad.expected] += 1
        if bad.request_id is not None and bad.expected is not Expected.NOTHING:
            waiting.append((bad, client.expect(bad.request_id)))
        client.send(bad.data)
        await client.drain()
        if i % PROBE == 0 or i == n_messages:
            assert await probe(client, f"probe {i}") == right
            for sent, answer in waiting:
                message = (await asyncio.wait_for(answer, WAIT_S)).message
                assert sent.expected is Expected.ANSWER or "error" in message, (sent, message)
            waiting.clear()
            assert client.n_answers[None] == kinds[Expected.NULL_ERROR]
        if i % max(PROBE, n_messages // 10) == 0:
            resident.append(resident_mb(client.pid))
    seconds = time.perf_counter() - since
    print(f"\n{n_messages:,} in {seconds:.0f} s, {n_messages / seconds:,.0f} a second; {dict(kinds)}; MB: {resident}")
    assert max(n for request_id, n in client.n_answers.items() if request_id is not None) == 1
    assert await client.end() == 0


async def test_requests_before_initialize_and_after_shutdown(tmp_path: Path, python: Sequence[str]) -> None:
    client = await StdioClient.start((*python, "-m", "tinycopilot_server"))
    assert (await client.request("textDocument/completion", PROBED)).message["error"]["code"] == -32002
    assert (await client.request("shutdown", None)).message["error"]["code"] == -32002
    options = {"modelPath": str(tmp_path / "none.pth")}
    assert "capabilities" in (await client.initialize(initializationOptions=options)).result
    await client.request("shutdown", None)
    assert (await client.request("textDocument/completion", PROBED)).message["error"]["code"] == -32600
    client.notify("exit", None)
    assert await client.gone() == 0
