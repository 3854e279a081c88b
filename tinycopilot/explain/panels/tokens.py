"""The tokenizer panel: characters, ids, embeddings, and the nearest characters by cosine similarity."""

from typing import Any, Final

import numpy as np

from tinycopilot.explain.subject import Subject
from tinycopilot.page.arrays import Arrays, significant
from tinycopilot.page.words import name_of

N_NEAREST: Final = 6


def tokens(subject: Subject, arrays: Arrays) -> dict[str, Any]:
    """The vocabulary by id, the ids of the text, and for each id that occurs the nearest ones with their similarity."""
    tokenizer, ids = subject.tokenizer, subject.tokenizer.encode(subject.text)
    embedding = subject.network.weights().embedding  # (V, C)
    arrays.add("embedding", embedding, "float16")
    directions = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    nearest = {}
    for i in sorted(set(ids)):
        similarity = directions @ directions[i]
        order = [int(j) for j in np.argsort(-similarity, kind="stable") if j != i][:N_NEAREST]
        nearest[i] = [[j, significant(float(similarity[j]))] for j in order]
    names = [name_of(character) for character in tokenizer.alphabet]
    return {"vocabulary": [*names, "unknown"], "ids": ids, "nearest": nearest}
