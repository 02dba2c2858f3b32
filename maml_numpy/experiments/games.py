"""Experiments that play games: how policies are trained on them, tested and reported."""

from collections import deque
from dataclasses import asdict, dataclass, replace
from functools import partial
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..backend import Array
from ..initialisers import uniform_fan_in
from ..layers import Dense, Layer, ReLU, SparseDense
from ..learner import PolicyAgent
from ..network import Network
from ..optim import Adam, Cosine
from ..parameters import Layout
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..rl import figures as pictures
from ..rl.environments import Environment
from ..rl.policy import PPO, ActorCritic, PolicyLoss, Reinforce
from ..rl.training import Minibatches, PolicyTrainer, Update
from ..rl.trust_region import TrustRegion
from ..rl.workers import Workers
from ..training import Progress
from .configuration import TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECENT = 100  # episodes whose mean return a progress bar shows
FORMATS = {"return": "+.2f", "for": ".1f", "against": ".1f", "decisions": ".0f"}


@dataclass(frozen=True)
class GameConfig(Configuration):
    """The hyper-parameters of a run on any game."""

    iterations: int = option(60, "rounds of playing and improving")
    episodes: int = option(20, "episodes played in each round", least=1)
    skip: int = option(1, "frames an action lasts", least=1, most=60)
    H: int = option(64, "width of the hidden layer, in units", least=1)
    gamma: float = option(0.99, "discount of a reward one decision later", most=1)
    lam: float = option(0.95, "lambda of generalised advantage estimation", most=1)
    critic: float = option(0.5, "weight of the critic's squared error; 0 for no critic; REINFORCE and TRPO have none")
    eps: float = option(0.1, "PPO: clip range of the ratio of new to old probability, in (0, 1)")
    bonus: float = option(0.0, "weight of the entropy bonus")
    beta: float = option(1e-3, "learning rate of Adam")
    decay: float = option(0.5, "fraction of the training, at its end, in which beta falls to 0 along a cosine", most=1)
    updates: int = option(16, "PPO: updates in each round; REINFORCE and TRPO take one, on all decisions", least=1)
    size: int = option(8192, "PPO: decisions drawn for each update; 0 for all")
    delta: float = option(0.01, "TRPO: largest mean KL divergence of a round, in nats", above=True)
    test_episodes: int = option(100, "episodes of a test", least=1, test=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        PPO(self.eps)  # raises for a number out of range
        if ":" in getattr(self, "env", ""):
            raise ValueError(f"env must be the plain name of a registered environment, got {getattr(self, 'env')!r}")


def as_configured(config: Any) -> Any:
    """The configuration as it is."""
    return config


def without_critic(config: Any) -> Any:
    """REINFORCE and TRPO take the returns as they are, all of them at once."""
    return replace(config, critic=0.0, updates=1, size=0)


def minibatches(loss: PolicyLoss, config: Any) -> Minibatches:
    """Steps of Adam on a policy's loss, with a critic where there is one."""
    rate = Cosine(config.beta, config.iterations * config.updates, config.decay)
    return Minibatches(ActorCritic(loss, config.critic) if config.critic else loss, Adam(rate), config.updates,
                       config.size)


@dataclass(frozen=True)
class GameMethod:
    """One way to train a policy.

    title: in tables and figures.
    update: settings -> how the policy is improved.
    settings: config -> the configuration that the method goes by.
    default: whether it is trained when no method is named.
    """

    title: str
    update: Callable[[Any], Update]
    settings: Callable[[Any], Any] = as_configured
    default: bool = True


def ppo(config: Any) -> Update:
    """Proximal policy optimisation."""
    return minibatches(PPO(config.eps, config.bonus), config)


def reinforce(config: Any) -> Update:
    """The policy gradient."""
    return minibatches(Reinforce(config.bonus), config)


def trpo(config: Any) -> Update:
    """A trust region."""
    return TrustRegion(config.delta)


@dataclass(frozen=True)
class Games(ByMethod):
    """An `Experiment` that plays games.

    name, description, Config, methods, screen, ships: as `Experiment` says; methods are `GameMethod`.
    environment: settings -> the game.
    sizes: settings -> how wide an observation is, and how many actions there are, without starting the game.
    sparse: whether observations are `SparseRows`.
    first_layer: parameters by name -> a figure of the first layer; or None.
    """

    name: str
    description: str
    Config: type[Any]
    methods: Mapping[str, GameMethod]
    environment: Callable[[Any], Environment]
    sizes: Callable[[Any], tuple[int, int]]
    sparse: bool = False
    screen: str | None = None
    ships: bool = False
    first_layer: Callable[[Mapping[str, Array]], "Figure"] | None = None

    processes = "all"

    def __reduce__(self) -> Any:
        """To another process an experiment goes by its name."""
        from . import find
        return find, (self.name,)

    def settings(self, config: Any, method: str) -> Any:
        """The configuration that a method goes by."""
        return config if method == UNTRAINED else self.method(method).settings(config)

    def iterations(self, config: Any, method: str) -> int:
        """Rounds of a whole training."""
        return self.settings(config, method).iterations

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Start the game once. Raises ValueError where it cannot be played."""
        self.environment(config)

    def network(self, config: Any, method: str) -> Network:
        """D-H-A, ReLU, with one output more where there is a critic."""
        numbers = self.settings(config, method)
        D, A = self.sizes(numbers)
        first: Layer = (SparseDense if self.sparse else Dense)(D, numbers.H)
        return Network(D, [first, ReLU(), Dense(numbers.H, A + (numbers.critic > 0))])

    def layout(self, config: Any, method: str) -> Layout:
        """Of the network's parameters."""
        return self.network(config, method).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32."""
        return self.network(config, method).initialise(np.random.default_rng([seed, 0]), uniform_fan_in)

    def make(self, config: Any, method: str) -> tuple[Environment, Network]:
        """The game, started, and the network that plays it."""
        return self.environment(self.settings(config, method)), self.network(config, method)

    def trainer(self, config: Any, method: str, seed: int) -> PolicyTrainer:
        """How to train."""
        numbers = self.settings(config, method)
        return PolicyTrainer(partial(self.make, config, method), self.network(config, method),
                             self.start(config, method, seed), self.method(method).update(numbers), seed,
                             np.random.default_rng([seed, 1]), numbers.iterations, numbers.episodes, numbers.gamma,
                             numbers.lam if numbers.critic else 1.0)

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """Episodes, speed, and the mean return of the last ones, those before a resumption included."""
        numbers = self.settings(config, method)
        recent = deque(past.get("mean_return", []), maxlen=max(1, RECENT // numbers.episodes))

        def words(progress: Progress) -> str:
            recent.append(progress.metrics["mean_return"])
            speed = progress.metrics["decisions"] * numbers.skip / progress.metrics["seconds"]
            return (f"{progress.iteration * numbers.episodes:,} episodes, {speed:,.0f} frames/s, return "
                    f"{mean(recent):+.1f} over the last {len(recent) * numbers.episodes}")
        return words

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "an update takes memory for all the decisions it draws; choose a smaller --size"

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, list[float]]:
        """Play `config.test_episodes` episodes, actions drawn as in training: of each its return, the points for and
        against, and its decisions."""
        count = min(processes, config.test_episodes)
        with Workers(partial(self.make, config, method), count, TEST_SEED) as workers:
            played, _ = workers.play(learned, range(config.test_episodes))
        rewards = [episode.reward.astype(float) for episode in played]
        return {"return": [float(reward.sum()) for reward in rewards],
                "for": [float(reward[reward > 0].sum()) for reward in rewards],
                "against": [float(-reward[reward < 0].sum()) for reward in rewards],
                "decisions": [len(reward) for reward in rewards]}

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        scores: dict[str, dict[str, dict[str, list[float]]]] = {}
        curves: dict[str, list[Mapping[str, Sequence[float]]]] = {}
        figures = {}
        for test in tests:
            scores.setdefault(self.title(test.method), {})[str(test.seed)] = test.found
            if test.metrics:
                curves.setdefault(self.title(test.method), []).append(test.metrics)
            if self.first_layer and test.seed == tests[0].seed and test.method != UNTRAINED:
                views = self.layout(config, test.method).views(test.theta)
                figures[f"filters_{test.method}"] = self.first_layer(views)
        if curves:
            skip = {self.title(test.method): self.settings(config, test.method).skip for test in tests}
            figures["training"] = pictures.learning_curves(curves, skip, self.name)
        rows = table(scores)
        heading = (f"{config.test_episodes} episodes each, actions drawn from the policy; mean ± 95% interval over "
                   "episodes,\nor median (least–greatest) over seeds.")
        returns = {title: np.median([mean(found["return"]) for found in by_seed.values()])
                   for title, by_seed in scores.items()}
        conclusion = "Mean return: " + ", ".join(f"{title} {value:.1f}" for title, value in returns.items()) + "."
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "methods": scores}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> PolicyAgent:
        """The policy."""
        actions = self.sizes(self.settings(config, method))[1]
        return PolicyAgent(partial(self.make, config, method), self.network(config, method), learned, actions)


def table(scores: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]) -> list[list[str]]:
    """Rows of the test, of one seed the mean with its interval, of several seeds median and range of the means.

    scores: title -> seed -> what `Games.test` gives. A game without negative rewards has no column of games won.
    """
    rows = [["policy", "return", "decisions", "won", "points for", "against"]]
    for title, by_seed in scores.items():
        columns = {name: [mean(found[name]) for found in by_seed.values()] for name in FORMATS}
        won = [mean(score > 0 for score in found["return"]) for found in by_seed.values()]
        cells = {name: spread(values, FORMATS[name]) for name, values in columns.items()}
        if len(by_seed) == 1:
            returns = next(iter(by_seed.values()))["return"]
            cells["return"] += f" ± {1.96 * stdev(returns) / len(returns) ** 0.5:.2f}" if len(returns) > 1 else ""
        rows.append([title, cells["return"], cells["decisions"], spread(won, ".0%"), cells["for"], cells["against"]])
    scored = any(any(found["against"]) for by_seed in scores.values() for found in by_seed.values())
    return rows if scored else [row[:3] for row in rows]
