"""What torchrun says: which of how many processes this one is, and how they agree. Alone, a team of one."""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tinycopilot import UserError

Answer = TypeVar("Answer")
PATIENCE = timedelta(hours=2)
"""So long the others wait for the one that reads the corpus."""


@dataclass(frozen=True)
class Team:
    """The processes of one run. Each reads its rows of every batch; their gradients are averaged."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    """Which process of its own machine this is."""

    @property
    def leads(self) -> bool:
        """One process alone writes files and speaks to the user."""
        return self.rank == 0

    def joined(self, model: nn.Module) -> nn.Module:
        """`model`, whose backward pass from now on averages gradients over the team, while it still computes them."""
        if self.world == 1:
            return model
        device = next(model.parameters()).device
        device_ids = [device] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=device_ids)

    def mean(self, values: Tensor) -> Tensor:
        """The mean of each process's `values`."""
        if self.world > 1:
            dist.all_reduce(values)
        return values / self.world

    def share_out(self, work: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
        """What `work` makes of `items`, one for each along the first dimension; each process does its share of them."""
        if self.world == 1:
            return work(items)
        n_each = -(-len(items) // self.world)
        padded = torch.cat((items, items.new_zeros(n_each * self.world - len(items), *items.shape[1:])))
        done = work(padded[self.rank * n_each : (self.rank + 1) * n_each]).contiguous()
        of_each = [torch.empty_like(done) for _ in range(self.world)]
        dist.all_gather(of_each, done)
        return torch.cat(of_each)[: len(items)]

    def answer(self, ask: Callable[[], Answer]) -> Answer:
        """What `ask` returns, or the UserError that it raises, in the process that leads: for all of them."""
        if self.world == 1:
            return ask()
        told: list[Answer | UserError | None] = [None]
        if self.leads:
            try:
                told = [ask()]
            except UserError as error:
                told = [error]
        dist.broadcast_object_list(told)
        if isinstance(told[0], UserError):
            raise told[0] if self.leads else SystemExit(2)
        return told[0]  # type: ignore[return-value]

    def agrees(self, value: str) -> bool:
        """Whether all processes have the same `value`."""
        if self.world == 1:
            return True
        values: list[str | None] = [None] * self.world
        dist.all_gather_object(values, value)
        return len(set(values)) == 1


@contextlib.contextmanager
def team(device_type: str) -> Iterator[Team]:
    """The team that torchrun's environment describes, for as long as the block lasts.

    Raises UserError where a process of the team is lost: then the others cannot go on either.
    """
    said = [os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK")]
    if not all(word.isdigit() for word in said) or said[0] == "1":
        yield Team()
        return
    world, rank, local_rank = map(int, said)
    if device_type == "cuda":
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device_type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(rank, world, local_rank)
        dist.barrier()
    except UserError:
        if rank:
            raise SystemExit(2) from None  # the one that leads says it
        raise
    except (RuntimeError, dist.DistBackendError) as error:
        if "onnection" not in str(error) and "peer" not in str(error):
            raise
        raise UserError("another process of this run has exited; see its message") from None
    finally:
        dist.destroy_process_group()
