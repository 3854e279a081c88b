"""The generation panel: drafts, their verification, what each step cost, and how the cache grows."""

from typing import Any

from tinycopilot.explain.subject import Subject
from tinycopilot.model.tokenizer import DOCUMENT_START
from tinycopilot.page.arrays import significant
from tinycopilot.page.words import name_of


def generation(subject: Subject) -> dict[str, Any]:
    """One entry for each step of speculative decoding."""
    trace, n_read = subject.trace, len(DOCUMENT_START + subject.trace.place.before)
    steps, length = list[dict[str, Any]](), n_read
    for i, step in enumerate(trace.steps):
        n_right = len(step.accepted) - 1
        steps.append(
            {
                "right": [name_of(character) for character in step.drafted[:n_right]],
                "wrong": [name_of(character) for character in step.drafted[n_right:]],
                "own": [name_of(step.accepted[-1][0]), significant(step.accepted[-1][1])],
                "read": len(step.drafted) + 1,
                "kept": length + n_right,
                "ms": [significant(ms) for ms in (step.draft_ms, step.read_ms, step.verify_ms)],
                "first": i == 0,
            }
        )
        length += len(step.accepted)
    config = subject.network.config
    return {
        "steps": steps,
        "window": config.window,
        "floats": 2 * config.n_layers * config.d_model,  # keys and values of one position
    }
