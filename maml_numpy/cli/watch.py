"""Watch a policy play, in a window or in a GIF file."""

from pathlib import Path
from typing import Any, Iterator

import numpy as np

from .. import experiments
from ..backend import Array
from ..results import animation
from ..rl.figures import game_view
from .jobs import Job

FPS = 15  # decisions a second: with four frames each, as fast as the console


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


def watch(job: Job, path: Path, limit: int) -> list[str]:
    """Write a game as GIF, or show it in a window where no file is named. Returns the lines to print."""
    from matplotlib import figure, pyplot
    from tqdm import tqdm
    screen_name = experiments.find(job.experiment).screen
    drawing: Any = figure.Figure(figsize=(3.2, 3.2), dpi=80) if path.name else pyplot.figure()

    def steps() -> Iterator[None]:
        show = None
        for screen, probability in tqdm(game(job, limit), desc="playing", unit="decision", mininterval=0.3):
            show = show or game_view(drawing, screen, str(screen_name))
            show(screen, probability)
            yield

    if path.name:
        animation.save(path, drawing, steps(), FPS)
        return [f"saved {path}"]
    for _ in steps():
        if not pyplot.fignum_exists(drawing.number):
            break
        pyplot.pause(1 / FPS)
    return []
