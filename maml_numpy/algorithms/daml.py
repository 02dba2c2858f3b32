"""Domain-adaptive meta-learning (Yu et al. 2018, arXiv:1802.01557): adapt without labels, by a loss that is learned.

Derived in derivations/13_learned_loss.md.
"""

from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

from ..backend import Array, array_module
from ..batch import Batch, Inputs
from ..inner import adapt, check, steps
from ..learned_loss import LearnedLoss
from ..layers import Tanh
from ..losses import MSE, Loss
from ..low_rank import start
from ..network import Network, mlp
from ..objectives import Supervised
from ..parameters import Layout, beside, like
from ..rates import fixed, per_step
from .algorithm import MetaGradient, check_shared, check_tasks


@dataclass(frozen=True)
class DAML:
    """Adapt theta to unlabelled source inputs by a learned loss, test it on labelled target examples, and learn theta
    and the loss's psi through the inner steps.

    outer: the loss on target examples, of the main network.
    loss_network: on [y, taps…].
    criterion: the distance of its output from zero.
    alpha: inner learning rate, as for MAML.
    K: inner steps, at least 0; none adapts nothing.
    keep_caches: as for MAML.

    The learned vector is theta and then psi; see `split`. There is no first-order form: its psi_bar is zero, so psi
    would stay at its random start.
    Raises ValueError for K < 0 and for what `rates.fixed` refuses.
    """

    outer: Supervised
    loss_network: Network
    criterion: Loss
    alpha: Any
    K: int
    keep_caches: bool = True

    def __post_init__(self) -> None:
        if self.K < 0:
            raise ValueError(f"K must be at least 0, got {self.K}")
        object.__setattr__(self, "alpha", fixed(self.alpha, self.outer.layout, self.K))

    @cached_property
    def layout(self) -> Layout:
        """The layout of theta, and of psi under the loss network's names with "loss_network." before them."""
        return beside(self.outer.layout, self.loss_network.layout, "loss_network")

    def split(self, theta: Array) -> tuple[Array, LearnedLoss]:
        """The learned vector's first part, theta (P,), and the inner loss with the second, psi, both views of it."""
        self.layout.check(theta)
        check_shared(theta)
        P = self.outer.layout.size
        return theta[:P], LearnedLoss(self.outer.network, self.loss_network, self.criterion, theta[P:])

    def adapt(self, theta: Array, source: Inputs) -> Array:
        """theta: (P + P_psi,). source: inputs (T, K, D), one per inner step. Returns theta_K, (T, P).

        Raises ValueError for another vector, labelled examples, or another number of inputs than K.
        """
        theta_0, inner = self.split(theta)
        return adapt(inner, theta_0, self._inputs(source), self.alpha)

    def meta_gradient(self, theta: Array, support: Inputs, query: Batch) -> MetaGradient:
        """theta: (P + P_psi,).
        support: source inputs (T, K, D).
        query: labelled target examples of the same tasks.

        Returns the target losses after adaptation, (T,), and the gradient of their mean J by both parts. Raises
        ValueError for a vector of another layout, labelled or ill-shaped source inputs, a query that does not fit.
        """
        theta_0, inner = self.split(theta)
        inputs = self._inputs(support)
        rates = check(inner, theta_0, inputs, per_step(self.alpha, inner.layout, self.K))
        self.outer.check(theta_0, query, "query")
        xp, T = array_module(theta), check_tasks(support, query)
        theta_K, pullback = steps(inner, start(inner, theta_0, inputs, rates), inputs, rates, keep=self.keep_caches)
        theta_bar = like(theta_K)
        losses = self.outer.gradient(theta_K, query, xp.full(T, 1.0 / T, theta.real.dtype), theta_bar)[0]
        bars = pullback(theta_bar)
        psi_bar = reduce(add, reversed(bars.psis)) if bars.psis else xp.zeros_like(inner.psi)
        return MetaGradient(losses, xp.concatenate([bars.theta, psi_bar]))  # (learned_loss.10)

    def _inputs(self, source: Inputs) -> list[Inputs]:
        """The source inputs of each step."""
        if not isinstance(source, Inputs):
            raise ValueError(f"source must be Inputs, x without labels, got {type(source).__name__}")
        if source.x.ndim != 3 or source.x.shape[1] != self.K:
            raise ValueError(f"source x must be (T, K, D) with an input for each of K = {self.K} inner steps, got "
                             f"{source.x.shape}")
        return [Inputs(source.x[:, k:k + 1]) for k in range(self.K)]

    @classmethod
    def examples(cls) -> list[Any]:
        """See `Algorithm`."""
        outer, loss_network = Supervised(mlp([2, 4, 3], Tanh, ["tanh1"]), MSE()), mlp([7, 3, 1], Tanh)
        return [cls(outer, loss_network, MSE(), 0.2, K) for K in (1, 3)]
