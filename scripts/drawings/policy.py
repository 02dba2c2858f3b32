"""The figure of note 18: PPO's surrogate and its gradient, by the code that computes them."""

import numpy as np
from matplotlib.figure import Figure

from maml_numpy.results.figures import BLUE, RED
from maml_numpy.rl.policy import PPO, Decisions

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
