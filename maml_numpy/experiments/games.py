"""What the games share: how a policy is trained on them, and tested."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backend import Array
from ..initialisers import uniform_fan_in
from ..layers import Dense, Layer, ReLU, SparseDense
from ..network import Network
from ..optim import Adam, Cosine
from ..rl.environments import Environment, Pong
from ..rl.policy import PPO, ActorCritic, PolicyLoss, Reinforce
from ..rl.training import Minibatches, PolicyTrainer, Update
from ..rl.trust_region import TrustRegion
from ..rl.workers import Make, Workers
from .configuration import TEST_SEED, check, option

RANDOM = "random"


@dataclass(frozen=True)
class GameConfig:
    """The numbers of a run on any game. Raises ValueError for what makes no sense."""

    iterations: int = option(60, "rounds of playing and improving")
    episodes: int = option(20, "episodes played in each round")
    skip: int = option(1, "frames an action lasts")
    H: int = option(64, "width of the hidden layer")
    gamma: float = option(0.99, "discount")
    lam: float = option(0.95, "how far an advantage looks beyond the critic's next value")
    critic: float = option(0.5, "weight of the critic's squared error; 0 for none; reinforce and trpo have none")
    eps: float = option(0.1, "how far PPO lets the ratio of new to old probability go")
    bonus: float = option(0.0, "weight of an entropy bonus")
    beta: float = option(1e-3, "learning rate (Adam)")
    decay: float = option(0.5, "share of the training, at its end, over which beta falls to 0 by a cosine")
    updates: int = option(16, "updates in each round of ppo; reinforce and trpo take one, with all decisions")
    size: int = option(8192, "decisions drawn for each update of ppo; 0 for all")
    delta: float = option(0.01, "how far trpo may move the policy in a round, in nats")
    test_episodes: int = option(100, "episodes of a test", test=True)

    def __post_init__(self) -> None:
        check(self, iterations=0, episodes=1, skip=1, H=1, gamma=0, lam=0, critic=0, bonus=0, beta=0, decay=0,
              updates=1, size=0, test_episodes=1)
        for name in ("gamma", "lam", "decay"):
            if not getattr(self, name) <= 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")
        PPO(self.eps)  # these two raise for a number out of range
        TrustRegion(self.delta)


def settings(config: Any, method: str) -> Any:
    """The configuration that a method goes by: REINFORCE and TRPO take the returns as they are, all of them at once."""
    return replace(config, critic=0.0, updates=1, size=0) if method in ("reinforce", "trpo") else config


def network(environment: Environment, config: Any) -> Network:
    """D-H-A, ReLU, with one output more where there is a critic; what is seen decides the first layer."""
    first: Layer = (SparseDense if isinstance(environment, Pong) else Dense)(environment.D, config.H)
    return Network(environment.D, [first, ReLU(), Dense(config.H, environment.A + (config.critic > 0))])


def update(config: Any, method: str) -> Update:
    """How a method improves a policy, with the numbers that `settings` gives."""
    if method == "trpo":
        return TrustRegion(config.delta)
    actor: PolicyLoss = Reinforce(config.bonus) if method == "reinforce" else PPO(config.eps, config.bonus)
    rate = Cosine(config.beta, config.iterations * config.updates, config.decay)
    return Minibatches(ActorCritic(actor, config.critic) if config.critic else actor, Adam(rate), config.updates,
                       config.size)


def practice(config: Any, method: str, seed: int, make: Make) -> PolicyTrainer:
    """How to train, with the numbers that `settings` gives. Raises ValueError where the game cannot be played."""
    _, net = make()
    theta = net.initialise(np.random.default_rng([seed, 0]), uniform_fan_in)
    return PolicyTrainer(make, net, theta, update(config, method), seed, np.random.default_rng([seed, 1]),
                         config.iterations, config.episodes, config.gamma, config.lam if config.critic else 1.0)


def scores(make: Make, theta: Array, episodes: int, processes: int) -> dict[str, list[float]]:
    """Play episodes with a policy, its actions drawn as in training: the return of each, the points for and against,
    and its decisions."""
    with Workers(make, processes, TEST_SEED) as workers:
        played, _ = workers.play(theta, range(episodes))
    rewards = [episode.reward.astype(float) for episode in played]
    return {"return": [float(reward.sum()) for reward in rewards],
            "for": [float(reward[reward > 0].sum()) for reward in rewards],
            "against": [float(-reward[reward < 0].sum()) for reward in rewards],
            "decisions": [len(reward) for reward in rewards]}
