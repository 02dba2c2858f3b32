"""Few-shot classification of handwritten characters, as in the MAML paper, section 5.2 (arXiv:1703.03400)."""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Callable, Mapping

import numpy as np

from ..algorithms import LSLR, MAML, Algorithm, Embedding, JointTraining, MetaSGD, Prototypes, Reptile, Ridge
from ..backend import Array
from ..batch import Batch
from ..classification import CrossEntropy, beside, in_sets
from ..initialisers import he_normal, truncated_normal
from ..layers import BatchNorm, Convolution, Dense, Layer, MaxPool, MeanPool, ReLU
from ..learner import EmbeddingLearner, Learner
from ..network import Network
from ..objectives import Supervised
from ..optim import SGD, Adam, Cosine, Linear, Optimizer
from ..results.evaluation import logits_after
from ..tasks import Episodes, parts_of, turned
from .classification import Answers, Classification, ClassifierMethod
from .configuration import Configuration, option
from .regression import Draw

MLP_WIDTHS = (256, 128, 64, 64)  # of the hidden layers of the MAML paper's network without convolutions
SIZE = 28  # height and width of an image, in pixels
SCRATCH_STEPS = (0, 1, 10, 50)
EPOCHS = 100  # of a training by MAML++
FALLING = 10  # of these, in which the weights of the query losses before the last step fall
LEAST = 0.03  # of their share, below which they do not fall before they vanish
REPTILE_SHOTS = 10  # drawings of each class that Reptile learns a task from in training, as its authors do


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(6000, "outer updates")
    data: str = option("", "folder of Omniglot's two zip files, or of one subfolder of images for each class; "
                           "characters that the program makes up where it is empty")
    split: str = option("random", "Omniglot's parts: random (the MAML paper's), vinyals, or lake (by alphabet)",
                        choices=("random", "vinyals", "lake"))
    test_data: str = option("", "folder of other data to test on", test=True)
    ways: int = option(5, "classes of a task", least=2, most=1000)
    shots: int = option(1, "support images of each class", least=1, most=1000)
    queries: int = option(3, "query images of each class, in training", least=1, most=1000)
    test_queries: int = option(0, "query images of each class, at test; 0 for as many as shots", most=1000, test=True)
    T: int = option(16, "tasks in a meta-batch", least=1)
    K: int = option(1, "inner steps in training", least=1)
    test_K: int = option(3, "inner steps at test", least=1, most=1000, test=True)
    alpha: float = option(0.4, "inner learning rate on the mean loss; 0 adapts nothing")
    beta: float = option(3e-3, "outer learning rate of Adam")
    decay: float = option(1.0, "fraction of the training, at its end, in which beta falls to 0 along a cosine", most=1)
    network: str = option("conv", "mlp (784-256-128-64-64) or conv (four layers of 3 x 3)", choices=("mlp", "conv"))
    filters: int = option(32, "conv: channels of every layer", least=1, most=4096)
    pooling: str = option("stride", "conv: how an image gets smaller, by a stride of 2 or by the largest of 2 x 2",
                          choices=("stride", "max"))
    init: str = option("truncated_normal", "distribution of the initial weights",
                       choices=("truncated_normal", "he_normal"))
    sigma: float = option(0.01, "standard deviation of the truncated normal, which is cut at two sigma", above=True)
    alone: bool = option(False, "train with each query alone beside the support set, not with all as one set")
    shard: int = option(4, "conv: tasks whose arrays are in memory at once", least=1)
    reptile_beta: float = option(1.0, "Reptile: outer step size, decayed linearly to 0", above=True, most=1)
    reptile_K: int = option(5, "Reptile: inner steps in training, each on ten images", least=1)
    reptile_alpha: float = option(0.1, "Reptile: inner learning rate, in training and at test")
    plus_K: int = option(5, "MAML++: inner steps, in training and at test", least=1)
    head_ways: int = option(0, "prototypes and ridge head: classes of a task in training; 0 for --ways", most=1000)
    batch: int = option(64, "ordinary classifier: images in a minibatch", least=2)
    head_K: int = option(100, "ordinary classifier: steps of the new head at test", least=1, most=10**4, test=True)
    head_alpha: float = option(1.0, "ordinary classifier: learning rate of the new head at test", test=True)

    def remarks(self, training: bool, test: bool) -> list[str]:
        """See `Configuration`."""
        folders = [self.data] * training + [self.test_data or self.data] * test
        notes = [parts_of(folder, self.split).note for folder in dict.fromkeys(folders)]
        return [note for note in notes if note]

    def body(self) -> Network:
        """The layers below the head."""
        layers: list[Layer] = []
        if self.network == "mlp":
            for D, M in zip((SIZE * SIZE, *MLP_WIDTHS), MLP_WIDTHS):
                layers += [Dense(D, M, bias=False), BatchNorm(M), ReLU()]
            return Network(SIZE * SIZE, layers)
        size, channels, stride = SIZE, 1, 2 if self.pooling == "stride" else 1
        for _ in range(4):
            layer = Convolution(size, size, channels, self.filters, 3, stride, 1, bias=False)
            size, channels = layer.height_out, self.filters
            layers += [layer, BatchNorm(channels, size * size), ReLU()]
            if self.pooling == "max":
                layers.append(MaxPool(size, size, channels, 2))
                size //= 2
        return Network(SIZE * SIZE, [*layers, MeanPool(size, size, channels)])

    def objective(self, ways: int = 0) -> Supervised:
        """Cross-entropy of the network. ways: classes of its head; those of a task if 0."""
        body = self.body()
        return Supervised(Network(body.D, [*body.layers, Dense(body.M, ways or self.ways)]), CrossEntropy())


def rates(config: Config, body: bool = True, head: bool = True) -> dict[str, float]:
    """The inner rate of every block that adapts: the norms' shifts never do, body and head as asked."""
    *below, last = [name for name in config.objective().layout.blocks if not name.startswith("batchnorm")]
    return dict.fromkeys((below if body else []) + ([last] if head else []), config.alpha)


def reptile_rates(config: Config) -> dict[str, float]:
    """As `rates`, for Reptile."""
    return dict.fromkeys(rates(config), config.reptile_alpha)


def maml(config: Config, alpha: Mapping[str, float] | None = None, second_order: bool = True) -> MAML:
    """MAML, with the inner rates of all blocks where no others are given."""
    return MAML(config.objective(), rates(config) if alpha is None else alpha, config.K, second_order,
                outer=outer(config))


def outer(config: Config) -> Supervised | None:
    """The query loss where each query stands alone beside the support set."""
    if not config.alone:
        return None
    return Supervised(in_sets(config.objective().network, config.ways * config.shots + 1), CrossEntropy())


def adam(config: Config) -> Optimizer:
    """Adam, with a cosine."""
    return Adam(Cosine(config.beta, config.iterations, config.decay))


def draw(config: Config) -> Draw:
    """Draws a meta-batch of tasks from the training classes."""
    episodes = Episodes(parts_of(config.data, config.split).train, config.ways, config.shots, config.queries)

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        support, query = episodes.sample(rng, config.T)
        return support, query._replace(x=beside(support.x, query.x)) if config.alone else query
    return drawn


def draw_pairs(config: Config) -> Draw:
    """As `draw`, for heads: with as many classes as they train on, and with the queries always as one set."""
    return draw(replace(config, ways=config.head_ways or config.ways, alone=False))


def draw_many(config: Config) -> Draw:
    """Draws a meta-batch for Reptile: ten images of each class, in a random order; the query set plays no part."""
    episodes = Episodes(parts_of(config.data, config.split).train, config.ways, REPTILE_SHOTS, 1)

    def drawn(rng: np.random.Generator) -> tuple[Batch, Batch]:
        support, query = episodes.sample(rng, config.T)
        order = rng.permutation(support.x.shape[1])
        return Batch(support.x[:, order], support.y[:, order]), query
    return drawn


def draw_images(config: Config) -> Draw:
    """Draws a minibatch for the ordinary classifier, as one task whose ways are all training classes, each turned in
    four ways counting as four; half of it as the support set, half as the query set."""
    drawn = parts_of(config.data, config.split).train
    label = np.repeat(np.arange(len(drawn)), drawn.counts)

    def half(rng: np.random.Generator) -> Batch:
        rows, turns = rng.integers(len(label), size=config.batch // 2), rng.integers(4, size=config.batch // 2)
        x = turned(drawn.pixels[rows], turns, drawn.size) / np.float32(255)
        return Batch(x[None], (4 * label[rows] + turns)[None])

    def minibatch(rng: np.random.Generator) -> tuple[Batch, Batch]:
        return half(rng), half(rng)
    return minibatch


def adapted(config: Config, theta: Array, alpha: Any, steps: tuple[int, ...], support: Batch, x: Array) -> Answers:
    """The answers of a network that takes inner steps."""
    objective = config.objective()
    alone = in_sets(objective.network, support.x.shape[1] + 1)
    passes = [(objective.network, x), (alone, beside(support.x, x))]
    return Answers(*logits_after(objective, theta, support, alpha, steps, passes))


def test_steps(config: Config) -> tuple[int, ...]:
    """Before the first step, and after each."""
    return tuple(range(config.test_K + 1))


def gradient_method(title: str, algorithm: Callable[[Config], Algorithm], alpha: Callable[[Config], Any],
                    **more: Any) -> ClassifierMethod:
    """A method that learns where inner steps start. alpha: config -> the inner rates, the same at test."""
    def solve(config: Config, learned: Array, support: Batch, x: Array) -> Answers:
        return adapted(config, learned, alpha(config), test_steps(config), support, x)

    def loaded(config: Config, learned: Array) -> Learner:
        return Learner(config.objective(), learned, alpha(config))
    return ClassifierMethod(title, algorithm, more.pop("optimizer", adam), more.pop("draw", draw), solve, test_steps,
                            loaded, **more)


def learned_rates(title: str, algorithm: Callable[[Config], Any], start: Callable[[Config, Array], Array],
                  steps: Callable[[Config], tuple[int, ...]], **more: Any) -> ClassifierMethod:
    """A method that learns the inner rates too."""
    def solve(config: Config, learned: Array, support: Batch, x: Array) -> Answers:
        theta, alpha = algorithm(config).split(learned)
        return adapted(config, theta, alpha, steps(config), support, x)

    def loaded(config: Config, learned: Array) -> Learner:
        return Learner(config.objective(), *algorithm(config).split(learned))
    return ClassifierMethod(title, algorithm, adam, draw, solve, steps, loaded, start, **more)


def plus_plus(config: Config, every_step: Any = False) -> LSLR:
    """MAML++'s inner loop: a rate for each block and step."""
    return LSLR(config.objective(), config.plus_K, every_step=every_step, outer=outer(config))


def falling(config: Config, prepared: Callable[[Algorithm], Algorithm]) -> Callable[[int], Algorithm]:
    """MAML++'s weights of the query loss after each step: equal at first, then those before the last step fall, epoch
    by epoch, and after FALLING of the EPOCHS the last step alone counts."""
    K = config.plus_K

    @lru_cache(maxsize=FALLING + 1)
    def of_epoch(epoch: int) -> Algorithm:
        if epoch == FALLING:
            return prepared(plus_plus(config))
        before = max((1 - epoch / FALLING) / K, LEAST / K)
        return prepared(plus_plus(config, (before,) * (K - 1) + (1 - (K - 1) * before,)))
    return lambda taken: of_epoch(min(FALLING, taken * EPOCHS // config.iterations))


def start_rates(config: Config, theta: Array, layout: Any) -> Array:
    """theta, and beside it a start for learned rates of a layout: alpha, and 0 for the norms, which do not adapt."""
    start = np.full(layout.size, config.alpha, theta.dtype)
    for name, (place, _) in layout.places.items():
        if "batchnorm" in name:
            start[place] = 0
    return np.concatenate([theta, start])


def embedding(config: Config, head: type, ways: int) -> Embedding:
    """Features for a head that is computed from the support set, and tells so many classes apart."""
    return Embedding(config.body(), head(ways))


def embedding_method(title: str, head: type) -> ClassifierMethod:
    """A method whose head is computed from the support set."""
    def algorithm(config: Config) -> Embedding:
        return embedding(config, head, config.head_ways or config.ways)

    def solve(config: Config, learned: Array, support: Batch, x: Array) -> Answers:
        chosen = embedding(config, head, config.ways)
        return Answers(*(chosen.logits(learned, support, x, alone)[None] for alone in (False, True)))

    def start(config: Config, theta: Array) -> Array:
        chosen = algorithm(config)
        return chosen.initial(theta[:chosen.network.layout.size])

    def loaded(config: Config, learned: Array) -> EmbeddingLearner:
        return EmbeddingLearner(embedding(config, head, config.ways), learned)
    return ClassifierMethod(title, algorithm, adam, draw_pairs, solve, no_steps, loaded, start,
                            any_ways=True)


def no_steps(config: Config) -> tuple[int, ...]:
    """Of a method without inner steps."""
    return (0,)


def ordinary(config: Config) -> JointTraining:
    """An ordinary classifier of all training classes."""
    return JointTraining(config.objective(4 * len(parts_of(config.data, config.split).train)))


def with_new_head(config: Config, learned: Array, support: Batch, x: Array) -> Answers:
    """The answers of a head that is trained anew on the features of the support set, from zero."""
    body = config.body()
    head = Supervised(Network(body.M, [Dense(body.M, config.ways)]), CrossEntropy())
    theta = learned[:body.layout.size]
    features = Batch(body.forward(theta, support.x)[0], support.y)
    asked = [body.forward(theta, x)[0],
             in_sets(body, support.x.shape[1] + 1).forward(theta, beside(support.x, x))[0]]
    zero = np.zeros(head.layout.size, learned.dtype)
    return Answers(*logits_after(head, zero, features, config.head_alpha, (config.head_K,),
                                 [(head.network, z) for z in asked]))


def with_zero_head(config: Config, theta: Array, objective: Supervised) -> Array:
    """The body of a vector of parameters, and zeros for the head of an objective."""
    body = config.body().layout.size
    return np.concatenate([theta[:body], np.zeros(objective.layout.size - body, theta.dtype)])


def ordinary_learner(config: Config, learned: Array) -> Learner:
    """The body of an ordinary classifier, and a head of zeros that adapts alone; the test takes head_K steps."""
    objective = config.objective()
    head = dict.fromkeys(rates(config, body=False), config.head_alpha)
    return Learner(objective, with_zero_head(config, learned, objective), head)


METHODS = {
    "maml": gradient_method("MAML", maml, rates, default=True),
    "fomaml": gradient_method("FO-MAML", partial(maml, second_order=False), rates),
    "anil": gradient_method("ANIL", lambda config: maml(config, rates(config, body=False)),
                            partial(rates, body=False)),
    "boil": gradient_method("BOIL", lambda config: maml(config, rates(config, head=False)),
                            partial(rates, head=False)),
    "meta_sgd": learned_rates("Meta-SGD", lambda config: MetaSGD(config.objective(), config.K, outer=outer(config)),
                              lambda config, theta: start_rates(config, theta, config.objective().layout), test_steps),
    "mamlpp": learned_rates("MAML++", plus_plus,
                            lambda config, theta: start_rates(config, theta, plus_plus(config).rate_layout),
                            lambda config: tuple(range(config.plus_K + 1)), schedule=falling),
    "reptile": gradient_method(
        "Reptile", lambda config: Reptile(config.objective(), reptile_rates(config), config.reptile_K, 2 * config.ways),
        reptile_rates, draw=draw_many,
        optimizer=lambda config: SGD(Linear(config.reptile_beta, config.iterations))),
    "prototypes": embedding_method("prototypes", Prototypes),
    "ridge": embedding_method("ridge head", Ridge),
    "classifier": ClassifierMethod(
        "ordinary classifier", ordinary, adam, draw_images, with_new_head, lambda config: (config.head_K,),
        ordinary_learner, lambda config, theta: with_zero_head(config, theta, ordinary(config).objective),
        any_ways=True),
}


def unseen(config: Config) -> Episodes:
    """The episodes of the test: unseen classes, turned as in training."""
    drawn = parts_of(config.test_data or config.data, config.split).test
    return Episodes(drawn, config.ways, config.shots, config.test_queries or config.shots)


def initialise(config: Config, rng: np.random.Generator) -> Array:
    """theta_0 (P,)."""
    draws = he_normal if config.init == "he_normal" else truncated_normal(config.sigma)
    return config.objective().network.initialise(rng, draws)


def from_scratch(config: Config, theta: Array, support: Batch, x: Array) -> Answers:
    """The answers of the untrained start after many inner steps on the support set."""
    return adapted(config, theta, rates(config), SCRATCH_STEPS, support, x)


MLP: dict[str, Any] = {"network": "mlp", "beta": 1e-3}
PRESETS: dict[str, dict[str, Any]] = {
    "small": {**MLP, "iterations": 5000, "beta": 3e-3},
    "mlp": {**MLP, "iterations": 20_000},
    "mlp-5shot": {**MLP, "iterations": 20_000, "beta": 2e-3, "shots": 5, "queries": 5, "T": 8},
    "paper": {**MLP, "iterations": 30_000, "alpha": 2.0, "queries": 1, "T": 32, "decay": 0.0},
    "conv": {"iterations": 20_000, "T": 8, "shard": 8},
    "one-by-one": {"iterations": 8000, "T": 8, "queries": 1, "alone": True},
}
DESCRIPTION = "Handwritten characters of unseen classes, told apart from a few of each (MAML paper, section 5.2)."
EXPERIMENT = Classification("characters", DESCRIPTION, Config, METHODS, PRESETS, unseen, initialise,
                            (from_scratch, lambda config: SCRATCH_STEPS))
