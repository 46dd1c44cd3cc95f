"""Several processes at one piece of work, as torchrun starts them: which this one is, and what it tells the others.

Which it is stands in the environment, and is told without torch.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stylekit.errors import ConfigError, RankLost
from stylekit.system.processors import usable_threads

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class World:
    """The processes that share a piece of work (*ranks*), and which of them this one is.

    What they exchange is exchanged inside `joined`. A single process exchanges nothing, and needs no torch for it.

    Attributes:
        rank: this process's number, from 0.
        size: how many processes there are.
        local_rank: this process's number on its machine, from 0.
        local_size: how many processes there are on its machine.
        restarts: how often torchrun has started them anew, as this machine counts it.
        job: torchrun's name for the work.
        meeting: where the processes find each other; `init_process_group` of torch calls it `init_method`.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    job: str = "none"
    meeting: str = "env://"

    @property
    def is_shared(self) -> bool:
        """Whether there are other processes."""
        return self.size > 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that does what one alone must do: writing and printing."""
        return self.rank == 0

    @property
    def threads(self) -> int | None:
        """This process's share of its machine's CPU threads; None where it has them to itself."""
        if self.local_size == 1:
            return None
        return max(1, usable_threads() // self.local_size)

    @contextlib.contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Wait for all processes, which can then exchange tensors until the block ends.

        Args:
            device: where this process computes. NCCL carries what lies on GPUs, gloo all else.

        Raises:
            RankLost: if they do not find each other.
        """
        if not self.is_shared:
            yield
            return
        import torch
        from torch import distributed

        if device.startswith("cuda"):
            torch.cuda.set_device(device)
        elif self.threads is not None:
            torch.set_num_threads(self.threads)
        backend = "nccl" if device.startswith("cuda") else "gloo"
        with self._peer_errors():
            store, *_ = next(distributed.rendezvous(self.meeting, self.rank, self.size))  # type: ignore[attr-defined]
            if self.local_size == self.size:  # else each machine counts its restarts for itself
                # torchrun's store outlives a restart, and still says where the processes before were to be found.
                store = distributed.PrefixStore(f"restart {self.restarts}", store)  # type: ignore[attr-defined]
            distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def average(self, tensors: Sequence["Tensor"]) -> None:
        """Replace each tensor by its mean over all processes, where it must have the same shape; in one message."""
        if not self.is_shared:
            return
        import torch
        from torch import distributed

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(_carrier())
        with self._peer_errors():
            distributed.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        means = (flat / self.size).split(sizes)  # type: ignore[no-untyped-call]
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def any(self, here: bool) -> bool:
        """Tell every process whether it is so in any of them."""
        if not self.is_shared:
            return here
        import torch
        from torch import distributed

        flag = torch.tensor(int(here), device=_carrier())
        with self._peer_errors():
            distributed.all_reduce(flag, distributed.ReduceOp.MAX)
            return bool(flag.item())

    def from_first(self, content: bytes) -> bytes:
        """Return, in every process, the bytes that rank 0 was given: one or more."""
        if not self.is_shared:
            return content
        import torch
        from torch import distributed

        length = torch.tensor(len(content), device=_carrier())
        with self._peer_errors():
            distributed.broadcast(length, src=0)
            values = torch.zeros(int(length), dtype=torch.uint8, device=_carrier())
            if self.leads:
                values.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            distributed.broadcast(values, src=0)
            return values.cpu().numpy().tobytes()

    @contextlib.contextmanager
    def _peer_errors(self) -> Iterator[None]:
        """Turn what torch says where another process is gone into an error that says so."""
        try:
            yield
        except RuntimeError:
            raise RankLost(
                f"Another of the {self.size} processes has ended, or cannot be reached.",
                "What it printed says why; with --max-restarts, torchrun starts all of them again.",
            ) from None


ALONE = World()


def _carrier() -> str:
    """Where tensors must lie to be exchanged."""
    from torch import distributed

    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def read_world() -> World:
    """Read from the environment what torchrun, or whoever starts several processes, has written there.

    Raises:
        ConfigError: if it contradicts itself.
    """
    if "WORLD_SIZE" not in os.environ:
        return ALONE
    try:
        world = World(
            rank=int(os.environ["RANK"]),
            size=int(os.environ["WORLD_SIZE"]),
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
            local_size=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            restarts=int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")),
            job=os.environ.get("TORCHELASTIC_RUN_ID", ALONE.job),
        )
    except (KeyError, ValueError):
        world = World(size=0)
    if not (0 <= world.rank < world.size and world.local_rank >= 0 and world.local_size >= 1):
        raise ConfigError(
            "WORLD_SIZE is set, and RANK, LOCAL_RANK and LOCAL_WORLD_SIZE do not fit it.",
            "Let torchrun set them, or unset WORLD_SIZE.",
        )
    return world
