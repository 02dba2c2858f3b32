"""Experiments whose policies adapt to a task by playing it: how they are trained, tested and reported."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Callable, Mapping, Sequence

import numpy as np

from ..backend import Array
from ..initialisers import uniform_fan_in
from ..layers import Dense, Layer, ReLU
from ..learner import AdaptingPolicy
from ..network import Network
from ..optim import Adam
from ..parameters import Layout
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..rl import figures as pictures
from ..rl.estimators import LoadedDice
from ..rl.families import Family
from ..rl.gaussian import Gaussian, LogSigma
from ..rl.meta import PolicyObjective
from ..rl.meta_training import MetaPolicyTrainer, Practice
from ..rl.meta_updates import Inner, MetaPPO, MetaTrustRegion
from ..rl.policy import Distribution, PolicyLoss, Reinforce
from ..rl.trajectories import returns
from ..training import Progress
from .configuration import TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested

DRAWN = 4  # tasks in the figure of paths


@dataclass(frozen=True)
class AdaptingConfig(Configuration):
    """The hyper-parameters of a run."""

    iterations: int = option(100, "rounds of playing, adapting and improving")
    tasks: int = option(20, "tasks in each round", least=2, most=10_000)
    trajectories: int = option(20, "trajectories of a task before each step, and after the last", least=1, most=10_000)
    horizon: int = option(100, "decisions of a trajectory", least=1, most=10_000)
    K: int = option(1, "inner steps in training", least=1, most=100)
    alpha: float = option(0.1, "inner learning rate, on the mean over a task's decisions", above=True)
    test_K: int = option(3, "inner steps at test; all after the first at half the rate", least=1, most=100, test=True)
    test_tasks: int = option(40, "unseen tasks of the test", least=1, most=10_000, test=True)
    test_trajectories: int = option(40, "trajectories of a task in the test, before each step and after the last",
                                    least=1, most=10_000, test=True)
    H: int = option(64, "units in each of the two hidden layers", least=1)
    sigma: float = option(1.0, "standard deviation of actions at the start, in units of a step", above=True)
    gamma: float = option(0.99, "discount of a reward one decision later", most=1)
    lam: float = option(1.0, "lambda of generalised advantage estimation", most=1)
    baseline: bool = option(True, "take a linear baseline off the returns, centre and scale advantages")
    zeta: float = option(0.5, "how far decisions reach in the method between LVC and DiCE", most=1)
    bonus: float = option(0.01, "entropy bonus of the adapted policies in the outer loss", least=0)
    outer: str = option("trpo", "the outer loop: a trust region, or PPO with Adam", choices=("trpo", "ppo"))
    delta: float = option(0.03, "trpo: largest mean KL divergence of a round, in nats", above=True)
    beta: float = option(1e-3, "ppo: learning rate of Adam")
    updates: int = option(5, "ppo: updates in each round", least=1)
    eps: float = option(0.3, "ppo: clip range of the ratio, in (0, 1)", above=True, most=0.999)


@dataclass(frozen=True)
class AdaptingMethod:
    """A method. title: in tables and figures. loss: settings, the distribution -> the inner loss. scored: see `Inner`.
    adapts: whether it takes inner steps in training. default: whether it is trained when no method is named."""

    title: str
    loss: Callable[[Any, Any], PolicyLoss]
    scored: bool = False
    adapts: bool = True
    default: bool = False


def dice(zeta: Callable[[Any], float]) -> Callable[[Any, Any], PolicyLoss]:
    """LVC, DiCE, or between."""
    return lambda config, distribution: LoadedDice(zeta(config), config.horizon, distribution=distribution)


def plain(config: Any, distribution: Any) -> PolicyLoss:
    """REINFORCE."""
    return Reinforce(distribution=distribution)


METHODS = {
    "lvc": AdaptingMethod("LVC", dice(lambda config: 0.0), default=True),
    "published": AdaptingMethod("as first published", plain),
    "between": AdaptingMethod("between LVC and DiCE", dice(lambda config: config.zeta)),
    "dice": AdaptingMethod("DiCE", dice(lambda config: 1.0)),
    "exact": AdaptingMethod("exact", plain, scored=True),
    "pretrained": AdaptingMethod("pretrained on all tasks", plain, adapts=False),
}


@dataclass(frozen=True)
class Adapting(ByMethod):
    """An `Experiment` of policies that adapt.

    name, description, Config: as `Experiment` says. family: settings -> the environments. anchors: family, tasks ->
    title -> the returns (T,) of players that do not learn. groups: tasks -> name -> which of them, (T,) bool, for a
    look at each; or None. screen, ships: as `Experiment` says; screen is None for walkers that do not move in a plane,
    as those of `rl.families.Points` do, and whose paths cannot be drawn. sizes: settings -> D, actions and
    distribution, as `Family` says, for a family that is not made in no time; or None.
    """

    name: str
    description: str
    Config: type[Any]
    family: Callable[[Any], Family]
    anchors: Callable[[Any, Any], Mapping[str, Array]]
    groups: Callable[[Any], Mapping[str, Array]] | None = None
    screen: str | None = "walkers"
    ships: bool = False
    sizes: Callable[[Any], tuple[int, int, Distribution]] | None = None

    methods = METHODS
    processes = "spare"

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Make the family, and draw a task."""
        self.family(config).sample(np.random.default_rng(0), 1)

    def network(self, config: Any) -> Network:
        """D-H-H-A with ReLU; for real actions with their spread."""
        D, actions, distribution = self.of_family(config)
        last: list[Layer] = [Dense(config.H, actions)]
        if isinstance(distribution, Gaussian):
            last.append(LogSigma(actions, float(np.log(config.sigma))))
        return Network(D, [Dense(D, config.H), ReLU(), Dense(config.H, config.H), ReLU(), *last])

    def of_family(self, config: Any) -> tuple[int, int, Distribution]:
        """How wide an observation is, how many actions there are, and what outputs say about them."""
        if self.sizes:
            return self.sizes(config)
        family = self.family(config)
        return family.D, family.actions, family.distribution

    def layout(self, config: Any, method: str) -> Layout:
        """Of the network's parameters."""
        return self.network(config).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32: weights and biases within 1/sqrt(D)."""
        network, rng = self.network(config), np.random.default_rng([seed, 0])
        theta = network.initialise(rng, uniform_fan_in)
        for layer, params in zip(network.layers, network.by_layer(theta)):
            if isinstance(layer, Dense):  # without biases all units have their kinks where walkers start, at the origin
                params["Wb"][-1] = uniform_fan_in(rng, (layer.D, layer.M))[0]
        return theta

    def inner(self, config: Any, method: str, alpha: Any) -> Inner:
        """The inner loop of a method; the untrained start adapts as the first method does."""
        chosen = self.method("lvc" if method == UNTRAINED else method)
        loss = chosen.loss(config, self.of_family(config)[2])
        return Inner(PolicyObjective(self.network(config), loss), alpha, chosen.scored)

    def trainer(self, config: Any, method: str, seed: int) -> MetaPolicyTrainer:
        """How to train."""
        practice = Practice(self.family(config), config.trajectories, config.gamma, config.lam, config.baseline)
        update: Any = MetaTrustRegion(config.delta, config.bonus)
        if config.outer == "ppo":
            update = MetaPPO(Adam(config.beta), config.updates, config.eps, config.bonus)
        steps = config.K if self.method(method).adapts else 0
        return MetaPolicyTrainer(practice, self.inner(config, method, config.alpha), update,
                                 self.start(config, method, seed), np.random.default_rng([seed, 1]),
                                 config.iterations, config.tasks, steps)

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """The returns before the first step and after each."""
        def words(progress: Progress) -> str:
            found = [value for name, value in progress.metrics.items() if name.startswith("return_")]
            return "return " + " → ".join(f"{value:.1f}" for value in found)
        return words

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a round takes memory for all its decisions; choose fewer --tasks or --trajectories"

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, Any]:
        """Adapt to unseen tasks: the mean return of each after 0 to test_K steps, (steps + 1, T), and some paths."""
        family, rng = self.family(config), np.random.default_rng(TEST_SEED)
        tasks = family.sample(rng, config.test_tasks)
        played = self.loaded(config, method, learned).adapt(tasks, config.test_K, rng)
        found: dict[str, Any] = {"return": [returns(one).mean(axis=1).tolist() for one in played],
                                 "anchors": {name: np.asarray(value, float).tolist()
                                             for name, value in self.anchors(family, tasks).items()}}
        if self.groups:
            found["groups"] = {name: [float(np.mean(np.array(row)[chosen])) for row in found["return"]]
                               for name, chosen in self.groups(tasks).items()}
        if self.screen:
            found["paths"] = [one.observation[:DRAWN, 0].tolist() for one in played]
            found["lengths"] = [one.alive[:DRAWN, 0].sum(axis=-1).tolist() for one in played]
            found["goals"] = tasks.goal[:DRAWN].tolist()
        return found

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        by_title: dict[str, list[Any]] = {}
        for test in tests:
            by_title.setdefault(self.title(test.method), []).append(test.found)
        steps = range(config.test_K + 1)
        rows = [["policy", *(f"{k} steps" if k != 1 else "1 step" for k in steps)]]
        for title, found in by_title.items():
            rows.append([title, *(cell([each["return"][k] for each in found]) for k in steps)])
        for name, values in tests[0].found["anchors"].items():
            rows.append([name, *(cell([values]) for _ in steps)])
        for title, found in by_title.items():
            for name in found[0].get("groups", {}):
                rows.append([f"{title}, {name}", *(spread([each["groups"][name][k] for each in found], ".2f")
                                                   for k in steps)])
        heading = (f"Mean return on {config.test_tasks} unseen tasks, {config.test_trajectories} trajectories each; "
                   "± 95% interval over tasks,\nor median (least–greatest) over seeds.")
        last = {title: median(float(np.mean(each["return"][-1])) for each in found)
                for title, found in by_title.items()}
        conclusion = (f"Return after {config.test_K} steps: "
                      + ", ".join(f"{title} {value:.2f}" for title, value in last.items()) + ".")
        first = tests[0]
        figures = {"steps": pictures.returns_after_steps(by_title, f"{self.name}: mean return on unseen tasks")}
        if self.screen:
            figures["paths"] = pictures.paths(first.found, f"{self.name}, {self.title(first.method)}: one trajectory "
                                                           "of each of four unseen tasks")
        curves = {self.title(test.method): test.metrics for test in tests if test.metrics and test.seed == first.seed}
        if curves:
            figures["training"] = pictures.adaptation_curves(curves, f"{self.name}: returns in training")
        plain_found = {title: [{name: value for name, value in each.items() if name not in ("paths", "lengths")}
                               for each in found] for title, found in by_title.items()}
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "methods": plain_found}, figures)

    def loaded(self, config: Any, method: str, learned: Array) -> AdaptingPolicy:
        """The policy, which adapts by playing; at half the rate after its first step."""
        practice = Practice(self.family(config), config.test_trajectories, config.gamma, config.lam, config.baseline)
        return AdaptingPolicy(practice, self.inner(config, method, config.alpha), learned, later=0.5)


def cell(seeds: Sequence[Sequence[float]]) -> str:
    """The mean over tasks with its interval, or of several seeds the spread of the means."""
    means = [float(np.mean(values)) for values in seeds]
    if len(seeds) > 1:
        return spread(means, ".2f")
    ci = 1.96 * float(np.std(seeds[0])) / len(seeds[0]) ** 0.5
    return f"{means[0]:.2f} ± {ci:.2f}"
