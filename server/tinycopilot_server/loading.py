"""A model is loaded, with what the workspace has taught it, and takes over between two questions."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tinycopilot import UserError, places
from tinycopilot_server import model_files
from tinycopilot_server.completer_thread import CompleterThread
from tinycopilot_server.learned import Learned
from tinycopilot_server.memory import Memory
from tinycopilot_server.settings import Settings

if TYPE_CHECKING:
    from tinycopilot.completion.engine import Engine

log = logging.getLogger(__name__)


class Loaded(NamedTuple):
    """An engine, and what the workspace has taught it."""

    engine: "Engine"
    learned: Learned


async def load(
    thread: CompleterThread,
    memory: Memory,
    settings: Settings,
    folder: str | None = None,
    *,
    is_first: bool,
    on_compiling: Callable[[], None] = lambda: None,
) -> bool:
    """Load model and tokenizer, and what was learned in the workspace `folder`: the first time in the engine's
    thread, and later in another one, while the old model answers.

    Returns whether it took over all that is known of the workspace: if there was nothing, or its alphabet is another
    one, the memory begins anew, and is to be shown everything. Raises UserError, and then the old one goes on.
    `on_compiling` is called, from another thread, if the engine must be compiled first, which takes some seconds.
    """
    work = partial(_load, memory, settings, folder, on_compiling, may_be_another=is_first)
    loaded = await (asyncio.wrap_future(thread.run(work)) if is_first else asyncio.to_thread(work))
    # By way of the indexer's thread: what it has begun with one memory it does not finish with another.
    return await asyncio.wrap_future(memory.indexer.do(partial(_replace, thread, memory, loaded)))


def _load(
    memory: Memory, settings: Settings, folder: str | None, on_compiling: Callable[[], None], *, may_be_another: bool
) -> Loaded:
    """The workspace's own model is no more than a help: if it is not sound, at first another one is taken."""
    from tinycopilot.completion.engine import Engine  # noqa: PLC0415 (brings Numba: not on the loop)

    paths, others = model_files.to_use(settings, folder), model_files.to_use(settings, None)
    try:
        engine = Engine.load(paths, settings.completer, memory.max_chars)
    except UserError as error:
        if paths == others or not may_be_another:
            raise
        log.warning("%s: the workspace's own model is not used", error)
        paths, engine = others, Engine.load(others, settings.completer, memory.max_chars)
    log.info("%s", places.named(paths, model_files.origin_of(paths, settings, folder)))
    if not engine.is_compiled:
        on_compiling()
    engine.warm_up()
    if not engine.is_compiled:
        log.warning("machine code cannot be cached, so each start takes some seconds; `tinycopilot doctor` says why")
    digest = engine.tokenizer.digest
    learned = Learned.of(folder, digest)
    if memory.max_chars:
        learned.recall(engine)
    return Loaded(engine, learned)


def _replace(thread: CompleterThread, memory: Memory, new: Loaded) -> bool:
    """In the indexer's thread."""
    takes_over = thread.run(partial(_take_over, thread, memory, new)).result()
    if not takes_over:
        memory.indexer.forget()
        memory.keep(new.engine)
    return takes_over


def _take_over(thread: CompleterThread, memory: Memory, new: Loaded) -> bool:
    """In the engine's thread."""
    old = thread.engine
    continued = old.continued_by(new.engine) if old is not None else None
    if continued is not None:
        new.learned.is_saved = memory.learned.is_saved
    elif old is not None and not memory.learned.is_saved:
        memory.indexer.do(memory.learned.saving(old))
    memory.learned = new.learned
    thread.use(continued or new.engine)
    return continued is not None
