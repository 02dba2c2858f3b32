"""The figure of note 33: bias of estimators of a meta-gradient, by enumeration; and its table, as Markdown."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.backend import Array
from maml_numpy.gradcheck.enumeration import ALPHA, ESTIMATORS, Enumeration, Outcome
from maml_numpy.gradcheck.estimates import SEEDS
from maml_numpy.gradcheck.mdp import MDP
from maml_numpy.results.figures import BLACK, BLUE, method_style

BATCHES = 1, 2, 3
MANY = range(50)
COLORS = [method_style({"zeta 0.5": "between LVC and DiCE", "exact, baseline": "exact"}.get(name, name))[0]
          for name in ESTIMATORS]
TITLES = "advantages: returns to go", "returns to go less their means"
SEEN, ROUNDING = (1e-4, 2), (3e-17, 3e-14)  # ends of the axis' two parts; nothing lies between them


def measured(seed: int, N: int, baseline: bool, names: Any = tuple(ESTIMATORS)) -> Array:
    """Bias and standard deviation of each estimator relative to the length of J_II's gradient, and how far from it
    that of J_I is, (estimators, 3). All of them take the same inner step, so there is one J_II."""
    mdp, found = MDP(seed), []
    outcomes: dict[Any, Outcome] = {}  # by the inner loss
    wanted = Enumeration(mdp, ESTIMATORS["exact"].loss, N, baseline).slope()
    slope = mdp.slope(mdp.theta[None])
    of_J_I = mdp.slope(mdp.theta + ALPHA * slope)[0] @ (np.eye(mdp.theta.size) + ALPHA * mdp.hessian())
    for name in names:
        loss, outer = ESTIMATORS[name]
        batches = Enumeration(mdp, loss, N, baseline)
        outcomes[loss] = outcomes.get(loss) or batches.at(mdp.theta)
        mean, sd = batches.moments(outer, outcomes[loss])
        found.append([np.linalg.norm(mean - wanted), sd, np.linalg.norm(of_J_I - wanted)])
    return np.array(found) / np.linalg.norm(wanted)


def estimators() -> Figure:
    """Left: the bias on five MDPs, for batches of 1, 2 and 3 trajectories. Right: two estimators on fifty MDPs."""
    found = np.array([[[measured(seed, N, baseline) for seed in SEEDS] for N in BATCHES]
                      for baseline in (False, True)])  # (2, batches, seeds, estimators, 3)
    print(table(found))
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    parts: Any = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    five, fifty = parts
    axes = five.subplots(2, 2, sharex=True, sharey="row", height_ratios=(3.2, 1))
    for column, numbers, title in zip(axes.T, found[..., 0], TITLES):
        column[0].set(title=title, ylim=SEEN)
        column[1].set(ylim=ROUNDING)
        for ax in column:
            _biases(ax, numbers)
    axes[0, 0].set_ylabel(r"bias $/ \; \|\nabla J_{II}\|$")
    axes[1, 0].set_ylabel("rounding")
    five.suptitle("Five MDPs, a line each, with $N = 1, 2, 3$ from left to right", fontsize=11)
    _scatter(fifty.subplots())
    return figure


def _biases(ax: Any, biases: Array) -> None:
    """For each estimator a line for each MDP, over N. biases: (batches, seeds, estimators)."""
    for i, color in enumerate(COLORS):
        x = i + 0.26 * (np.arange(len(BATCHES)) - 1)
        for lane in biases[..., i].T:
            ax.semilogy(x, lane, "o-", color=color, ms=4, lw=1, mew=0)
    ax.set_xticks(range(len(ESTIMATORS)), list(ESTIMATORS), rotation=50, ha="right", rotation_mode="anchor")
    ax.tick_params(axis="x", length=0)
    ax.grid(alpha=0.25, axis="y")


def _scatter(ax: Any) -> None:
    """The bias as first published against that of LVC, one point for each of MANY MDPs."""
    published, lvc = np.array([measured(seed, 1, True, ("as first published", "LVC"))[:, 0] for seed in MANY]).T
    below = int((lvc < published).sum())
    ends = min(published.min(), lvc.min()) / 1.5, max(published.max(), lvc.max()) * 1.5
    ax.loglog(ends, ends, color=BLACK, lw=1)
    ax.loglog(published, lvc, "o", color=BLUE, mec="white", mew=0.5, ms=6.5)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel="bias as first published", ylabel="bias of LVC",
           title=f"{len(MANY)} MDPs, $N = 1$, less the means")
    ax.text(0.96, 0.04, f"LVC less biased\nin {below}", transform=ax.transAxes, ha="right")
    ax.text(0.04, 0.96, f"as first published\nless biased in {len(MANY) - below}", transform=ax.transAxes, va="top")
    ax.grid(alpha=0.25)


def table(found: Array) -> str:
    """Markdown. found: (2, batches, seeds, estimators, 3)."""
    lines = []
    head = [f"bias, N = {N}" for N in BATCHES] + [f"sd, N = {N}" for N in BATCHES]
    for of_one, title in zip(found, ("returns to go", "returns to go less their means")):
        lines += [f"| {title} | {' | '.join(head)} |", "|---" * (1 + len(head)) + "|"]
        for i, name in enumerate(ESTIMATORS):
            cells = [" ".join(map(_short, numbers)) for kind in (0, 1) for numbers in of_one[:, :, i, kind]]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        gaps = [" ".join(map(_short, numbers)) for numbers in of_one[:, :, 0, 2]]
        lines += [f"| the gradient of J_I, exactly | {' | '.join(gaps + ['0'] * len(gaps))} |", ""]
    return "\n".join(lines)


def _short(number: float) -> str:
    """Two digits; 0 for what is rounding alone."""
    return "0" if number < 1e-12 else f"{number:.1f}" if number >= 1 else f"{number:#.2g}".lstrip("0")
