"""The client of `demo` and `doctor`, with a server that does not respond."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest

from tinycopilot.client.stdio import Editor


class SilentClient:
    def __init__(self) -> None:
        self.request: Future[None] = Future()

    def text_document_did_open(self, _params: Any) -> None:
        pass

    async def text_document_inline_completion_async(self, _params: Any) -> None:
        await asyncio.wrap_future(self.request)  # as in pygls


def test_ctrl_c_leaves_a_request_that_can_be_answered() -> None:
    client = SilentClient()

    async def session() -> None:
        asked = asyncio.ensure_future(Editor(client, "a.py", "x").suggestion())  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        client.request.set_result(None)  # raises InvalidStateError if it is cancelled

    asyncio.run(session())
