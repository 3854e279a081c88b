"""Documents -> one long line of ids -> batches (B, T), in an order that a seed and an epoch's number determine."""

import random
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from tinycopilot.model.tokenizer import DOCUMENT_START, SimpleTokenizer


def join_documents(tokenizer: SimpleTokenizer, documents: Sequence[str]) -> Tensor:
    """All ids in one line, (N,), each document behind a DOCUMENT_START: int16, a quarter of what int64 would take."""
    ids: list[int] = []
    for document in documents:
        ids += tokenizer.encode(DOCUMENT_START + document)
    return torch.tensor(ids, dtype=torch.int16)


def batches_per_epoch(n_ids: int, batch: int, window: int) -> int:
    """How many batches `epoch_batches` gives."""
    n_windows = (n_ids - 1) // window
    return (n_windows + batch - 1) // batch


def epoch_batches(ids: Tensor, batch: int, window: int, *, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Once through `ids`, in windows that do not overlap, shuffled; yields inputs and targets, (B, T) each, int64.

    Each epoch cuts the line at another offset, so that what was a window's first character, with nothing to look back
    on, is in the middle of one the next time. The last batch may be smaller.
    """
    generator = torch.Generator().manual_seed(random.Random(f"{seed} {epoch}").getrandbits(63))
    n_windows = (len(ids) - 1) // window
    offset = int(torch.randint(len(ids) - n_windows * window, (1,), generator=generator))
    starts = torch.randperm(n_windows, generator=generator) * window + offset
    steps = torch.arange(window + 1)
    for chosen in starts.split(batch):
        windows = ids[chosen[:, None] + steps].long()  # (B, T + 1)
        yield windows[:, :-1], windows[:, 1:]
