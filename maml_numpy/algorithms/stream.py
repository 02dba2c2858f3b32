"""Learning while reading: every mini-batch of a stream is predicted first, and then learned from. Derived in
derivations/35_stream.md.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Iterator, Optional

import numpy as np

from ..backend import Array, array_module
from ..batch import Batch
from ..classification import CrossEntropy
from ..layers import Dense, Tanh
from ..network import Network
from ..objectives import Objective, Supervised
from ..parameters import Layout, beside, per_task
from ..rates import per_step
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class Stream:
    """The query set of an inner step is the support set of the next. A stream is cut into mini-batches; the loss of a
    task is the mean over all of them, each taken before it is learned from.

    objective: of the steps and of the mean.
    b: examples of a mini-batch, at least 1.
    second_order: False leaves the Hessian terms out.
    The learned vector is theta and then an inner rate for each block, the same in all steps; see `split`. The support
    set of a meta-batch is the stream but for its last mini-batch, which is the query set.
    Raises ValueError for b < 1.
    """

    objective: Objective
    b: int
    second_order: bool = True

    def __post_init__(self) -> None:
        if self.b < 1:
            raise ValueError(f"b must be at least 1, got {self.b}")

    @cached_property
    def layout(self) -> Layout:
        """Of theta, and of the rates with "rate." before the names of the blocks."""
        own = self.objective.layout
        return beside(own, Layout({name: (1,) for name in own.blocks}), "rate")

    def split(self, learned: Array) -> tuple[Array, dict[str, Array]]:
        """The learned vector's parts, views of it: theta (P,), and each block's rate, (1,)."""
        self.layout.check(learned)
        check_shared(learned)
        P = self.objective.layout.size
        return learned[:P], {name: learned[P + i:P + i + 1] for i, name in enumerate(self.objective.layout.blocks)}

    def mini_batches(self, support: Any, query: Any) -> Iterator[Any]:
        """The K mini-batches of a stream. Raises ValueError for one that b does not divide, or a query set that is not
        one mini-batch."""
        N = support[0].shape[1]
        if N % self.b or query[0].shape[1] != self.b:
            raise ValueError(f"a stream must be whole mini-batches of b = {self.b} examples, the last of them the "
                             f"query set; got {N} and {query[0].shape[1]}")
        for begin in range(0, N, self.b):
            yield type(support)._make([part[:, begin:begin + self.b] for part in support])
        yield query

    def meta_gradient(self, theta: Array, support: Any, query: Any) -> MetaGradient:
        """theta: the learned vector. Returns the mean losses of the streams, (T,), and the gradient of their mean J.

        Raises ValueError for another vector, for streams that b does not divide, and when they do not fit the objective
        or differ in their tasks.
        """
        theta_0, alpha = self.split(theta)
        objective, xp, T = self.objective, array_module(theta), check_tasks(support, query)
        for name, batch in (("support", support), ("query", query)):
            objective.check(theta_0, batch, name)
        rate = per_step(alpha, objective.layout, 1)[0]
        batches = list(self.mini_batches(support, query))
        K, ones = len(batches), xp.ones(T, theta.real.dtype)
        theta_k, losses, passed = per_task(theta_0, T), 0.0, []
        for k, batch in enumerate(batches):
            dtheta = xp.empty((T, theta_0.size), theta.dtype)
            measured, record = objective.gradient(theta_k, batch, ones, dtheta)
            losses = losses + measured / K  # (stream.1)
            passed.append((dtheta, record))
            if k + 1 < K:
                theta_k = theta_k - rate * dtheta  # (stream.2)
        share = 1 / (T * K)
        theta_bar = share * passed.pop()[0]  # (stream.3)
        alpha_bar = {name: xp.zeros(1, theta.dtype) for name in objective.layout.blocks}
        while passed:
            dtheta, record = passed.pop()
            for name, place in objective.layout.blocks.items():
                both = theta_bar[:, place] * dtheta[:, place]
                alpha_bar[name] = alpha_bar[name] - both.sum().reshape(1)  # (stream.4)
            bent = None
            if self.second_order:
                bent = xp.empty_like(dtheta)
                objective.second_order(record, -rate * theta_bar, bent)  # (stream.5)
            theta_bar = theta_bar + share * dtheta  # (stream.6)
            theta_bar = theta_bar if bent is None else theta_bar + bent
        return MetaGradient(losses, xp.concatenate([theta_bar.sum(axis=0), *alpha_bar.values()]))

    def losses(self, learned: Array, x: Array, y: Array) -> Array:
        """The loss of every example as it is met: streams x (T, N, D) with y, (T, N) or (T, N, M) -> (T, N).

        b must divide N. Raises what `meta_gradient` raises.
        """
        theta_0, alpha = self.split(learned)
        xp, rate = array_module(learned), per_step(alpha, self.objective.layout, 1)[0]
        last = Batch(x[:, -self.b:], y[:, -self.b:])
        theta_k, found = per_task(theta_0, len(x)), []
        for batch in self.mini_batches(Batch(x[:, :-self.b], y[:, :-self.b]), last):
            dtheta = xp.empty(theta_k.shape, learned.dtype)
            each = [self.objective.loss(theta_k, Batch(batch.x[:, n:n + 1], batch.y[:, n:n + 1]))
                    for n in range(self.b)]
            found.append(xp.stack(each, axis=1))
            self.objective.gradient(theta_k, batch, xp.ones(len(x), learned.real.dtype), dtheta)
            theta_k = theta_k - rate * dtheta
        return xp.concatenate(found, axis=1)

    def stands_for(self, theta: Array, support: Any, query: Any) -> Optional[Callable[[Array], Array]]:
        """See `Algorithm`: without second order, the losses after steps whose gradients stay what they are at theta."""
        if self.second_order:
            return None
        theta_0, alpha = self.split(theta)
        batches, T = list(self.mini_batches(support, query)), len(query[0])
        rate, theta_k, slopes = per_step(alpha, self.objective.layout, 1)[0], per_task(theta_0, T), []
        for batch in batches:
            dtheta = array_module(theta).empty((T, theta_0.size), theta.dtype)
            self.objective.gradient(theta_k, batch, array_module(theta).ones(T, theta.real.dtype), dtheta)
            slopes.append(dtheta)
            theta_k = theta_k - rate * dtheta

        def held(v: Array) -> Array:
            theta_k, moving = self.split(v)
            rate, total = per_step(moving, self.objective.layout, 1)[0], 0.0
            for batch, dtheta in zip(batches, slopes):
                total = total + self.objective.loss(theta_k, batch).mean() / len(batches)
                theta_k = theta_k - rate * dtheta
            return total
        return held

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        objective = Supervised(Network(3, [Dense(3, 4), Tanh(), Dense(4, 3)]), CrossEntropy())
        rng = np.random.default_rng(8)
        x, y = np.eye(3)[rng.integers(3, size=(2, 8))], rng.integers(3, size=(2, 8))
        stream = Batch(x[:, :6], y[:, :6]), Batch(x[:, 6:], y[:, 6:])
        return [(cls(objective, 2), *stream), (cls(objective, 2, second_order=False), *stream)]
