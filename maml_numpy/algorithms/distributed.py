"""A meta-batch divided among the processes of MPI, its ranks. Derived in derivations/38_distributed.md."""

from dataclasses import dataclass, field
from math import nan
from time import monotonic, sleep
from typing import Any, Callable

import numpy as np

from ..backend import Array, tree_map
from ..parameters import Layout
from .algorithm import Algorithm, MetaGradient, check_tasks
from .maml import MAML

SHARDS = 16  # parts of a meta-batch, unless another number is asked for
LONGEST = 0.01  # seconds between two looks at a message that is long in coming


class OneRank:
    """In place of a communicator of MPI where there is one process: what `Distributed` asks of one."""

    def Get_rank(self) -> int:
        """This process's number."""
        return 0

    def Get_size(self) -> int:
        """How many processes there are."""
        return 1


def nothing() -> None:
    """What is done while waiting, unless something else is asked for."""


@dataclass(frozen=True)
class Distributed:
    """An algorithm whose meta-batches are divided among ranks: each takes its share of the tasks, all get the result.

    Every rank calls `meta_gradient` with the same theta and the same meta-batch. The meta-batch is cut into shards by
    its own size alone, and what the shards give is added in their order in float64. So the result is the same, bit for
    bit, for any number of ranks on processors of one kind.

    algorithm: whose theta_bar is a mean over tasks, as that of every algorithm here. `Replayed` goes inside.
    comm: a communicator of mpi4py.
    shards: into how many parts a meta-batch is cut, at least 1; as many as it has tasks, where these are fewer.
    idle: called again and again while this rank waits for another. What it raises ends the waiting.
    Raises ValueError for shards below 1.
    """

    algorithm: Algorithm
    comm: Any
    shards: int = SHARDS
    idle: Callable[[], None] = field(default=nothing, compare=False)

    host_only = True  # MPI sends from there

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, got {self.shards}")

    @property
    def layout(self) -> Layout:
        """The algorithm's layout of theta."""
        return self.algorithm.layout

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """Return what the algorithm's `meta_gradient` returns, but for the order of sums.

        Raises ValueError for more ranks than shards, an ArithmeticError on every rank where the algorithm raises one on
        some, and what else the algorithm raises, on the rank where it does.
        """
        T, P = check_tasks(support, query), len(theta)
        ranks, rank = self.comm.Get_size(), self.comm.Get_rank()
        S = shards_of(T, self.shards, ranks)
        rows, refused = np.zeros((share(S, ranks, rank + 1) - share(S, ranks, rank), P + T), theta.dtype), ""
        for s, row in enumerate(rows, share(S, ranks, rank)):
            begin, end = share(T, S, s), share(T, S, s + 1)
            support_s, query_s = (tree_map(np.ndarray, lambda part: part[begin:end], batch)
                                  for batch in (support, query))
            try:
                part = self.algorithm.meta_gradient(theta, support_s, query_s)
            except ArithmeticError as error:
                row[:], refused = nan, str(error)
                break
            row[:P] = (end - begin) / T * part.theta_bar  # (distributed.1)
            row[P + begin:P + end] = part.losses
        total = add_in_order(self.comm, rows, S, self.idle)
        if not np.isfinite(total[P:]).all():  # seen by every rank, or by none
            self._ask(refused)
        return MetaGradient(total[P:], total[:P])

    def _ask(self, refused: str) -> None:
        """Raise an ArithmeticError where some rank's algorithm raised one."""
        reasons = [refused] if self.comm.Get_size() == 1 else self.comm.allgather(refused)
        if found := next((reason for reason in reasons if reason), ""):
            raise ArithmeticError(found)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(MAML.examples()[0], OneRank(), 2)]


def shards_of(T: int, shards: int, ranks: int) -> int:
    """Into how many shards a meta-batch of T tasks is cut. Raises ValueError where some rank would have none."""
    S = min(shards, T)
    if ranks > S:
        many, advice = (f"{T} tasks", "") if S == T else (f"{S} shards", ", or choose more shards")
        raise ValueError(f"{ranks} ranks for a meta-batch of {many}, where each rank needs one: start fewer{advice}")
    return S


def share(whole: int, parts: int, index: int) -> int:
    """Where part `index` begins when `whole` things are divided among `parts`, as evenly as can be."""
    return whole * index // parts


def add_in_order(comm: Any, rows: Array, S: int, idle: Callable[[], None] = nothing) -> Array:
    """Return the sum of S vectors that lie on several ranks, (n,), in the type of `rows`, the same on every rank.

    rows: this rank's vectors, (its share of S, n), those of lower ranks before them.
    Each rank adds up one part of the entries, in float64 and in the order of the vectors, and then all get all parts.
    """
    ranks, rank, n = comm.Get_size(), comm.Get_rank(), rows.shape[1]
    vectors, entries = ([share(whole, ranks, r + 1) - share(whole, ranks, r) for r in range(ranks)] for whole in (S, n))
    if ranks > 1:
        parts = np.split(rows, np.cumsum(entries)[:-1], axis=1)
        sent = np.concatenate([part.ravel() for part in parts])
        received = np.empty((S, entries[rank]), rows.dtype)
        finish(comm.Ibarrier(), idle)  # when all are here, what follows takes no time to speak of
        comm.Alltoallv([sent, [len(rows) * one for one in entries]],
                       [received, [one * entries[rank] for one in vectors]])
        rows = received
    total = np.zeros(entries[rank], np.result_type(rows.dtype, np.float64))
    for row in rows:  # one by one: NumPy's own sum takes another order for another width
        total += row  # (distributed.2)
    part = total.astype(rows.dtype)
    if ranks == 1:
        return part
    whole = np.empty(n, rows.dtype)
    comm.Allgatherv(part, [whole, entries])
    return whole


def finish(request: Any, idle: Callable[[], None] = nothing) -> None:
    """Wait until a request of MPI is done, calling `idle` meanwhile.

    MPI's own waiting takes a whole core and hears no signals. This looks often at first, then less and less, so that it
    adds a twentieth to a wait, and other processes get the core. It is for requests without data: a long message moves
    on only while somebody looks.
    """
    began = monotonic()
    while not request.Test():
        idle()
        waited = monotonic() - began
        sleep(0 if waited < 1e-3 else min(LONGEST, waited / 20))
