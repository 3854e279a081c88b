"""The `tinycopilot.knowledge` command: index, model, memory and latency, as figures and as text."""

import asyncio
from typing import Any

from tinycopilot.process import memory_bytes
from tinycopilot_server.server import TinyCopilotServer


async def knowledge(server: TinyCopilotServer) -> dict[str, Any]:
    """Return what is indexed and left out, the model, memory in bytes, the last latency in milliseconds, and a summary.

    Memory is None if the system does not report it; latency is None before the first suggestion.
    """
    scheduler, indexer, session = server.scheduler, server.index.indexer, server.session
    n_chars, names = 0, set[str]()
    if scheduler.is_ready:
        asked = scheduler.ask(lambda engine: (engine.ngrams.n_chars, engine.ngrams.documents))
        n_chars, names = await asyncio.wrap_future(asked)
    known = {
        "folders": list(session.folders.roots),
        "files": sum(name in indexer.scanner.known for name in names),
        "open": sum(not session.why_silent(unit) for unit in session.documents.units()),
        "suffixes": list(session.folders.suffixes),
        "characters": n_chars,
        "maxCharacters": server.index.max_chars,
        "leftOut": list(indexer.left_out),
        "model": server.models.description,
        "memoryBytes": memory_bytes(),
        "lastAnswerMs": server.completer.last_ms,
    }
    return {**known, "text": in_words(known)}


def in_words(known: dict[str, Any]) -> str:
    """Return a summary for the user."""
    where = ", ".join(known["folders"]) or "no folder is open"
    lines = [
        f"Workspace: {where}",
        f"Indexed: {_counted(known['files'], 'file')} on disk and {_counted(known['open'], 'open document')}, "
        f"{known['characters']:,} characters of at most {known['maxCharacters']:,}",
        f"Kinds of files: {', '.join(known['suffixes'])}; others are indexed once you open one",
        *(line[:1].upper() + line[1:] for line in known["leftOut"]),
        f"Model: {known['model'].removeprefix('model: ') or 'none'}",
    ]
    if known["memoryBytes"] is not None:
        lines.append(f"Memory: {known['memoryBytes'] / 1e6:,.0f} MB")
    if known["lastAnswerMs"] is not None:
        lines.append(f"Last suggestion: {known['lastAnswerMs']:.1f} ms")
    return "\n".join(lines)


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
