import asyncio

import pytest
from tinycopilot_server.completion import Debounce

LONG_MS = 3_600_000
"""No test waits that long."""


async def test_no_wait_without_a_change() -> None:
    assert await Debounce().is_quiet(LONG_MS)


async def test_no_wait_with_debounce_0() -> None:
    debounce = Debounce()
    debounce.changed()
    assert await debounce.is_quiet(0)


async def test_waits_until_quiet() -> None:
    debounce = Debounce()
    debounce.changed()
    assert await debounce.is_quiet(20)


@pytest.mark.parametrize("what", ["question", "change"])
async def test_superseded_request_is_answered_at_once(what: str) -> None:
    debounce = Debounce()
    debounce.changed()
    older = asyncio.ensure_future(debounce.is_quiet(LONG_MS))
    await asyncio.sleep(0)
    if what == "change":
        debounce.changed()
        assert not await older
        return
    newer = asyncio.ensure_future(debounce.is_quiet(LONG_MS))
    assert not await older
    assert not newer.done()
    newer.cancel()
    await asyncio.gather(newer, return_exceptions=True)
    assert await debounce.is_quiet(0)  # a cancelled request does not block others
