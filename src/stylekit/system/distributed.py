"""Run a job in several processes, which torchrun starts.

The place of this process among the others is read from environment variables. Only exchanging tensors imports torch.
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
    """The processes that share a job, and the place of this process among them.

    Processes can exchange tensors only in the context `joined`. A single process does not need torch.

    Attributes:
        rank: The index of this process, from 0.
        size: The number of processes.
        local_rank: The index of this process on its machine, from 0.
        local_size: The number of processes on this machine.
        restarts: How often torchrun has restarted the processes, as counted on this machine.
        job: The name that torchrun gave to the job.
        init_method: The address at which the processes connect; see torch's `init_process_group`.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    job: str = "none"
    init_method: str = "env://"

    @property
    def is_distributed(self) -> bool:
        """Whether other processes share the job."""
        return self.size > 1

    @property
    def is_leader(self) -> bool:
        """Whether this is the only process that writes files and prints."""
        return self.rank == 0

    @property
    def threads(self) -> int | None:
        """The number of CPU threads for this process; None if it is the only process on its machine."""
        if self.local_size == 1:
            return None
        return max(1, usable_threads() // self.local_size)

    @contextlib.contextmanager
    def joined(self, device: str) -> Iterator[None]:
        """Wait for all processes to connect, so that they can exchange tensors in the block.

        Args:
            device: The device on which this process computes. It exchanges tensors by NCCL on CUDA GPUs, otherwise by
                gloo.

        Raises:
            RankLost: If the processes cannot connect to each other.
        """
        if not self.is_distributed:
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
            store, *_ = next(distributed.rendezvous(self.init_method, self.rank, self.size))  # type: ignore[attr-defined]
            if self.local_size == self.size:  # machines may count restarts differently
                # torchrun's store survives a restart, and still contains the addresses of the previous processes.
                store = distributed.PrefixStore(f"restart {self.restarts}", store)  # type: ignore[attr-defined]
            distributed.init_process_group(backend, store=store, rank=self.rank, world_size=self.size)
        try:
            yield
        finally:
            distributed.destroy_process_group()

    def average(self, tensors: Sequence["Tensor"]) -> None:
        """Replace each tensor with its mean over all processes, using a single message.

        Args:
            tensors: The tensors; every process must pass the same number of tensors with the same shapes.

        Raises:
            RankLost: If another process has ended.
        """
        if not self.is_distributed:
            return
        import torch
        from torch import distributed

        flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).to(_exchange_device())
        with self._peer_errors():
            distributed.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        means = (flat / self.size).split(sizes)  # type: ignore[no-untyped-call]
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def any(self, flag: bool) -> bool:
        """Return whether `flag` is true in any process.

        Raises:
            RankLost: If another process has ended.
        """
        if not self.is_distributed:
            return flag
        import torch
        from torch import distributed

        value = torch.tensor(int(flag), device=_exchange_device())
        with self._peer_errors():
            distributed.all_reduce(value, distributed.ReduceOp.MAX)
            return bool(value.item())

    def broadcast(self, content: bytes) -> bytes:
        """Return the content that rank 0 passes, in every process.

        Args:
            content: One byte or more. The content that other ranks pass is ignored.

        Raises:
            RankLost: If another process has ended.
        """
        if not self.is_distributed:
            return content
        import torch
        from torch import distributed

        length = torch.tensor(len(content), device=_exchange_device())
        with self._peer_errors():
            distributed.broadcast(length, src=0)
            values = torch.zeros(int(length), dtype=torch.uint8, device=_exchange_device())
            if self.is_leader:
                values.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8))
            distributed.broadcast(values, src=0)
            return values.cpu().numpy().tobytes()

    @contextlib.contextmanager
    def _peer_errors(self) -> Iterator[None]:
        """Turn torch errors about missing processes into `RankLost`."""
        try:
            yield
        except RuntimeError as error:
            raise RankLost(
                f"Another process (of {self.size}) has exited or cannot be reached.",
                "See the output of that process. With --max-restarts, torchrun restarts all processes.",
            ) from error


ALONE = World()


def _exchange_device() -> str:
    """Return the device to which tensors must be moved before they are exchanged."""
    from torch import distributed

    return "cuda" if distributed.get_backend() == "nccl" else "cpu"


def read_world() -> World:
    """Read the place of this process in a distributed run from the environment variables that torchrun sets.

    Returns:
        The processes that share the job; `ALONE` if torchrun did not start this process.

    Raises:
        ConfigError: If the variables contradict each other.
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
            "WORLD_SIZE is set, but RANK, LOCAL_RANK or LOCAL_WORLD_SIZE is missing or contradicts it.",
            "Start stylekit with torchrun, which sets them, or unset WORLD_SIZE.",
        )
    return world
