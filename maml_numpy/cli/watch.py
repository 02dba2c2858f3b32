"""Watch a policy play, or adapt, in a window or in a GIF file."""

from pathlib import Path
from typing import Any, Iterator

import numpy as np

from .. import experiments
from ..backend import Array
from ..experiments.adapting import Adapting
from ..results import animation
from ..rl.figures import game_view, walkers_view
from .jobs import Job

FPS = 15  # decisions a second: with four frames each, as fast as the console
WATCHED = 4  # tasks whose walkers are shown


def game(job: Job, limit: int) -> Iterator[tuple[Array, float]]:
    """Play one episode; yields the screen and the probability of the first action before each decision."""
    agent = experiments.find(job.experiment).loaded(job.config, job.method, job.learned())
    environment, rng = agent.environment(), np.random.default_rng(job.seed)
    observation = environment.reset(job.seed)
    for _ in range(limit):
        yield environment.screen(), float(agent.probabilities(observation)[0, 0])
        outcome = environment.step(agent.act(observation, rng))
        observation = outcome.observation
        if outcome.done:
            return


def check_screen(path: Path) -> None:
    """Raise ValueError where neither a file is named nor a window can be opened."""
    from matplotlib import pyplot
    if not path.name and pyplot.get_backend().lower() == "agg":
        raise ValueError("there is no screen to watch on; name a file, as in --watch game.gif")


def walks(job: Job, drawing: Any, limit: int) -> Iterator[None]:
    """Draw the walkers of some unseen tasks before adapting and after each step, every other decision."""
    experiment = experiments.find(job.experiment)
    policy, rng = experiment.loaded(job.config, job.method, job.learned()), np.random.default_rng(job.seed)
    tasks = policy.practice.family.sample(rng, WATCHED)
    show = walkers_view(drawing, tasks.goal)
    for step, played in enumerate(policy.adapt(tasks, job.config.test_K, rng)):
        last = played.alive.sum(axis=-1) - 1
        for t in range(0, min(limit, last.max() + 1), 2):
            at = np.minimum(t, last)[..., None, None]
            show(step, np.take_along_axis(played.observation, at, axis=2)[:, :, 0])
            yield


def games(job: Job, drawing: Any, limit: int) -> Iterator[None]:
    """Draw one game, every decision."""
    screen_name, show = str(experiments.find(job.experiment).screen), None
    for screen, probability in game(job, limit):
        show = show or game_view(drawing, screen, screen_name)
        show(screen, probability)
        yield


def watch(job: Job, path: Path, limit: int) -> list[str]:
    """Write what there is to watch as GIF, or show it in a window where no file is named. Returns the lines to print.

    limit: decisions of an episode.
    """
    from matplotlib import figure, pyplot
    from tqdm import tqdm
    adapts = isinstance(experiments.find(job.experiment), Adapting)
    size: Any = (9.6, 2.9) if adapts else (3.2, 3.2)
    drawing: Any = figure.Figure(figsize=size, dpi=80) if path.name else pyplot.figure(figsize=size if adapts else None)
    steps = tqdm((walks if adapts else games)(job, drawing, limit), desc="playing", unit="decision", mininterval=0.3)
    if path.name:
        animation.save(path, drawing, steps, FPS)
        return [f"saved {path}"]
    for _ in steps:
        if not pyplot.fignum_exists(drawing.number):
            break
        pyplot.pause(1 / FPS)
    return []
