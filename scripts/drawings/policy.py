"""The figures of notes 18 to 20: PPO's surrogate and its gradient, advantages, the natural gradient."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from maml_numpy.results.figures import BLACK, BLUE, GREEN, GREY, ORANGE, RED
from maml_numpy.rl.policy import PPO, Decisions
from maml_numpy.rl.returns import advantages as estimate

from .canvas import WIDTH, arrow

EPS = 0.2


def ppo_clip() -> Figure:
    """The loss of one decision and its slope in the log-probability, over the ratio, for a good and a bad decision."""
    ratio = np.linspace(0.4, 1.6, 601)
    figure = Figure(figsize=(8.5, 5.2), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, advantage in zip(axes.T, (1.0, -1.0)):
        decisions = Decisions(np.zeros(len(ratio), int), np.full(len(ratio), advantage), np.zeros(len(ratio)), ratio)
        loss, slope, _ = PPO(EPS).surrogate(np.log(ratio), decisions)
        column[0].plot(ratio, -ratio * advantage, color="#595959", ls=":", label=r"$-\rho A$, without the clip")
        column[0].plot(ratio, loss, color=BLUE, lw=2, label="the loss")
        jump = np.abs(np.diff(slope, append=slope[-1])) > 0.5
        column[1].plot(ratio, np.where(jump, np.nan, slope), color=RED, lw=2, label=r"its slope in $\log\,\pi_a$")
        for ax in column:
            ax.axvline(1, color="black", lw=0.6)
            ax.axvspan(*((1 + EPS, 1.6) if advantage > 0 else (0.4, 1 - EPS)), color="black", alpha=0.08, lw=0,
                       label="flat")
            ax.grid(alpha=0.25)
        column[0].set_title(f"$A = {advantage:+.0f}$: " + ("likelier is better" if advantage > 0 else
                                                           "less likely is better"))
        column[1].set_xlabel(r"ratio $\rho$ of new to old probability")
    for ax in axes[:, 0]:
        ax.legend(frameon=False, fontsize=9)
    figure.suptitle(rf"PPO's clip, $\varepsilon = {EPS}$: flat only where the advantage has already had its way")
    return figure


LAMBDAS: tuple[tuple[float, str, Any], ...] = ((0.0, ORANGE, ":"), (0.8, GREEN, "-."), (0.95, BLUE, "-"),
                                               (1.0, RED, "--"))


def advantages() -> Figure:
    """Left: the weight of the critic's error j decisions ahead. Right: the estimates of one trajectory."""
    gamma = 0.99
    figure = Figure(figsize=(WIDTH / 10, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    ahead = np.arange(41)
    N = 40
    reward = np.zeros(N)
    reward[-1] = 1
    value = 0.5 + 0.2 * np.sin(np.arange(N) / 2.5)  # a critic that sways
    ends = np.arange(N) == N - 1
    for lam, color, style in LAMBDAS:
        left.plot(ahead, (gamma * lam) ** ahead, color=color, ls=style, lw=1.8, label=rf"$\lambda = {lam:g}$")
        found = estimate(reward, value, ends, np.zeros(N), gamma, lam)
        right.plot(np.arange(N), found, color=color, ls=style, lw=1.8)
    right.plot(np.arange(N), value, color=GREY, lw=1, label="what the critic expects, $V_k$")
    right.axhline(0, color=BLACK, lw=0.6)
    left.set(xlabel="decisions ahead, $j$", ylabel=r"weight $(\gamma\lambda)^j$ of $\delta_{k+j}$",
             title="How far ahead an estimate looks,\n" r"$\gamma = 0.99$")
    right.set(xlabel="decision $k$", ylabel="advantage $A_k$", ylim=(-0.25, 1.05),
              title="A reward of 1 after the last decision,\nand a critic that sways")
    left.legend(frameon=False)
    right.legend(frameon=False, fontsize=9, loc="upper left")
    for ax in (left, right):
        ax.grid(alpha=0.25)
    return figure


def trust_region() -> Figure:
    """The steps of one divergence are an ellipse; the natural gradient reaches its lowest point, the gradient not."""
    F = np.array([[2.6, 1.5], [1.5, 1.4]])
    dtheta = np.array([1.0, 0.15])
    delta = 0.5
    directions = dtheta, np.linalg.solve(F, dtheta)
    gradient, natural = (-step * np.sqrt(2 * delta / (step @ F @ step)) for step in directions)
    turn = np.linspace(0, 2 * np.pi, 401)
    edge = np.sqrt(2 * delta) * np.linalg.solve(np.linalg.cholesky(F).T, np.array([np.cos(turn), np.sin(turn)]))
    figure = Figure(figsize=(WIDTH / 10, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.fill(*edge, color=BLUE, alpha=0.1, lw=0)
    ax.plot(*edge, color=BLUE, lw=2)
    along = np.array([-dtheta[1], dtheta[0]])
    for end, color in ((gradient, RED), (natural, GREEN)):
        ax.plot(*np.transpose([end - 3 * along, end + 3 * along]), color=color, lw=1, ls="--")
        arrow(ax, [(0, 0), end], color, lw=2.4)
    handles: list[Any] = ax.plot(0, 0, "o", color=BLACK, ms=6, label="the policy that played")
    handles += [Patch(color=BLUE, alpha=0.3, label=r"divergence at most $\delta$")]
    for name, color, end in (("gradient", RED, gradient), ("natural gradient", GREEN, natural)):
        handles += [Patch(color=color, label=f"along the {name}:\nthe surrogate falls by {-dtheta @ end:.2f}")]
    handles += ax.plot([], [], color=GREY, ls="--", lw=1, label="the surrogate is the same along it")
    ax.legend(handles=handles, frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5), labelspacing=1)
    ax.set_anchor("W")
    ax.set(aspect="equal", xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), xlabel=r"$\dot\theta$, first entry",
           ylabel=r"$\dot\theta$, second entry", title="Two steps of one divergence")
    ax.grid(alpha=0.2)
    return figure
