"""A meta-batch in shards: some tasks at a time, several shards at once. See derivations/08_maml.md."""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from ..backend import Array, array_module, in_threads, tree_map
from ..parameters import Layout
from .algorithm import Algorithm, MetaGradient, check_tasks
from .maml import MAML


@dataclass(frozen=True)
class Sharded:
    """An algorithm that takes the tasks of a meta-batch in shards of a fixed size, so that the arrays of one stay in
    the cache, and several shards at once in threads.

    algorithm: whose theta_bar is a mean over tasks, as that of every algorithm here.
    tasks: of a shard, at least 1; the last may have fewer. How a meta-batch is cut depends on this number alone, and
    the shards' results are added in their order, so the result is the same, bit for bit, for any number of threads.
    threads: at least 1. NumPy's products run at once in several; each should have one BLAS thread.
    Raises ValueError for a number below 1.
    """

    algorithm: Algorithm
    tasks: int = 8
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("tasks", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def layout(self) -> Layout:
        """The algorithm's layout of theta."""
        return self.algorithm.layout

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """Return what the algorithm's `meta_gradient` returns, but for the order of sums. Raises what that raises."""
        T = check_tasks(support, query)
        kind = type(query[0])

        def shard(begin: int) -> MetaGradient:
            return self.algorithm.meta_gradient(
                theta, *(tree_map(kind, lambda part: part[begin:begin + self.tasks], batch)
                         for batch in (support, query)))
        parts = in_threads(shard, range(0, T, self.tasks), self.threads)
        theta_bar = reduce(add, (len(part.losses) / T * part.theta_bar for part in parts))  # (maml.4)
        return MetaGradient(array_module(theta).concatenate([part.losses for part in parts]), theta_bar)

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        return [cls(MAML.examples()[0], 2)]
