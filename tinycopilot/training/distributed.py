"""Distributed data-parallel training under torchrun: process ranks, gradient averaging, and agreement on values."""

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

T = TypeVar("T")
TIMEOUT = timedelta(hours=2)
"""Limit of a collective operation; the main process may read a large corpus while the others wait."""


@dataclass(frozen=True)
class DistContext:
    """The processes of one run; the default is a single process. Each reads its rows of every batch."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    """Rank among the processes of the same machine."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0

    def wrap_model(self, model: nn.Module) -> nn.Module:
        """Return `model` such that its backward pass averages gradients over all processes."""
        return model if self.world_size == 1 else DistributedDataParallel(model)

    def mean(self, values: Tensor) -> Tensor:
        """Return the elementwise mean of `values` over all processes."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values / self.world_size

    def map_sharded(self, work: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
        """Return `work(items)`; each process computes its share of the first dimension."""
        if self.world_size == 1:
            return work(items)
        n_each = -(-len(items) // self.world_size)
        padded = torch.cat((items, items.new_zeros(n_each * self.world_size - len(items), *items.shape[1:])))
        done = work(padded[self.rank * n_each : (self.rank + 1) * n_each]).contiguous()
        shards = [torch.empty_like(done) for _ in range(self.world_size)]
        dist.all_gather(shards, done)
        return torch.cat(shards)[: len(items)]

    def from_main(self, compute: Callable[[], T]) -> T:
        """Call `compute` in the main process only; return its value, or raise its UserError, in all processes."""
        if self.world_size == 1:
            return compute()
        box: list[T | UserError | None] = [None]
        if self.is_main:
            try:
                box = [compute()]
            except UserError as error:
                box = [UserError(str(error))]  # a subclass with other parameters could not be sent
        dist.broadcast_object_list(box)
        if isinstance(box[0], UserError):
            raise box[0] if self.is_main else SystemExit(2)
        return box[0]  # type: ignore[return-value]

    def all_equal(self, value: str) -> bool:
        """Whether all processes have the same `value`. Also a barrier."""
        if self.world_size == 1:
            return True
        values: list[str | None] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return len(set(values)) == 1


@contextlib.contextmanager
def dist_context(device_type: str) -> Iterator[DistContext]:
    """Join the process group that torchrun's environment variables describe, and leave it afterwards.

    Raises UserError if another process of the run is lost.
    """
    variables = [os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK")]
    if not all(word.isdigit() for word in variables) or variables[0] == "1":
        yield DistContext()
        return
    world_size, rank, local_rank = map(int, variables)
    if device_type == "cuda":
        torch.cuda.set_device(local_rank)
    try:
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo", timeout=TIMEOUT)
    except ValueError as error:
        raise UserError(
            f"WORLD_SIZE is set, but torchrun's other variables are not valid ({error}); use torchrun, or unset it"
        ) from None
    try:
        yield DistContext(rank, world_size, local_rank)
        dist.barrier()
    except UserError:
        if local_rank:
            raise SystemExit(2) from None  # the first process of each machine prints it
        raise
    except (RuntimeError, dist.DistBackendError) as error:
        if "onnection" not in str(error) and "peer" not in str(error):
            raise
        raise UserError("another process of this run has exited; see its message") from None
    finally:
        dist.destroy_process_group()
