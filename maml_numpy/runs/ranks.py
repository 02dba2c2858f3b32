"""The processes of one program that a launcher of MPI started, its ranks: what they share, and how they end.

Rank 0 alone reads and writes files. It says what the others should do. See derivations/38_distributed.md.
"""

import os
from time import monotonic, sleep
from typing import Any, Callable, Generator, Mapping

import numpy as np

from ..algorithms.distributed import finish
from ..training import Progress

LAUNCHERS = ("PMI_", "PMIX_", "OMPI_", "PALS_")  # how environment variables begin that a launcher sets
NUMBERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # of them, those with a rank's number
GRACE = 10.0  # seconds in which the ranks meet before all are ended
NEWS = 1  # tag of a message that a rank is ending


class RankEnded(ChildProcessError):
    """Another rank is ending; the message says which one, and why."""


class Ranks:
    """All ranks, as one of them sees them.

    comm: the communicator of mpi4py that holds them.
    rank, size: the number of this one, from 0, and how many there are.
    Where all wait for one another, they look for a message that one is ending: then the wait ends too, by RankEnded.
    """

    def __init__(self, comm: Any):
        self.comm = comm
        self.news = comm.Dup()
        self.rank = comm.Get_rank()
        self.size = comm.Get_size()

    @classmethod
    def started(cls) -> "Ranks":
        """Those of this program. Raises ValueError, with what to do, where there is no MPI or no launcher."""
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there, a library of MPI is not
            reason = " ".join(str(error).split())
            raise ValueError(f"--mpi needs mpi4py and a library of MPI: python -m pip install mpi4py mpich "
                             f"({reason:.80})") from error
        if MPI.COMM_WORLD.Get_size() == 1 and not launched():
            raise ValueError("--mpi needs a launcher: mpiexec -n 4 COMMAND starts the command on four ranks")
        return cls(MPI.COMM_WORLD)

    def look(self) -> None:
        """Raise RankEnded where another rank has said that it is ending."""
        if self.news.Iprobe(tag=NEWS):
            raise RankEnded(self.news.recv(tag=NEWS))

    def meet(self) -> None:
        """Wait until all ranks have come here."""
        finish(self.comm.Ibarrier(), self.look)

    def share(self, value: Any = None) -> Any:
        """Return rank 0's value, on every rank."""
        self.meet()
        return self.comm.bcast(value)

    def gather(self, value: Any) -> list[Any] | None:
        """Return the values of all ranks on rank 0, and None on the others."""
        self.meet()
        return self.comm.gather(value)

    def agree(self, said: Mapping[str, Any]) -> None:
        """Raise ValueError, on every rank, where a rank says something else than rank 0; the message names both."""
        self.meet()
        first, *others = self.comm.allgather(dict(said))
        for rank, other in enumerate(others, 1):
            for name in [*first, *other]:
                if first.get(name) != other.get(name):
                    raise ValueError(f"rank {rank} has {name} {other.get(name)!s:.60}, rank 0 has "
                                     f"{first.get(name)!s:.60}; start all ranks with the same command")

    def sweep(self, lead: Callable[..., int]) -> int:
        """Call lead(pool=pool) on rank 0, where the pool's workers are the other ranks; returns what it returns, and 0
        on these. On a single rank the pool is a thread."""
        from mpi4py.futures import MPICommExecutor
        with MPICommExecutor(self.comm, root=0) as pool:
            return 0 if pool is None else lead(pool=pool)

    def end(self, words: str) -> bool:
        """Tell all ranks that this one is ending, in words, and wait GRACE seconds for them; whether all have come."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        told = [self.news.isend(f"rank {self.rank}: {words}", other, NEWS) for other in others]
        coming, deadline = self.news.Ibarrier(), monotonic() + GRACE
        while not coming.Test() and monotonic() < deadline:
            sleep(0.01)
        del told  # which kept the messages until now
        return bool(coming.Test())

    def abort(self, code: int) -> None:
        """End every rank's process at once."""
        self.comm.Abort(code)


class Together:
    """A `Trainer` on every rank: all begin where rank 0 stands."""

    def __init__(self, trainer: Any, ranks: Ranks):
        self.trainer = trainer
        self.ranks = ranks

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trainer, name)

    def updates(self, start: Progress, rng: np.random.Generator) -> Generator[Progress, None, None]:
        """Train from rank 0's start and state of the generator; those of the other ranks are not used."""
        iteration, theta, state, stood = self.ranks.share((start.iteration, start.theta, start.state,
                                                           rng.bit_generator.state))
        rng.bit_generator.state = stood
        return self.trainer.updates(start._replace(iteration=iteration, theta=theta, state=state), rng)


def launched() -> bool:
    """Whether a launcher of MPI started this process."""
    return any(name.startswith(LAUNCHERS) for name in os.environ)


def is_first() -> bool:
    """Whether this process is rank 0, as far as can be told without MPI."""
    return all(os.environ.get(name, "0") == "0" for name in NUMBERS)
