"""What comes next in a video of a square that moves at random: an average that blurs, or one future at a time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Mapping

import numpy as np

from ..backend import Array
from ..initialisers import uniform_fan_in
from ..layers import Convolution, Dense, MaxPool, ReLU, Softmax
from ..losses import MSE, Bernoulli, Loss, sigmoid
from ..network import Network
from ..optim import Adam, Cosine
from ..tasks import Squares
from ..video import figures as pictures
from ..video.codes import divergence, one_hot_argmax
from ..video.predictor import Predictor
from ..video.training import PredictorTrainer
from .configuration import TEST_SEED, check, option

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("variational", "deterministic")
DEFAULT_METHODS = METHODS
RANDOM = "random"
TITLES = {"variational": "variational", "deterministic": "deterministic", RANDOM: "random start"}
TEST_PAIRS, CHUNK = 2000, 500
TOLERANCE = 0.1  # of every pixel of a future that counts as sharp and correct; blur is off by half


@dataclass(frozen=True)
class Config:
    """The numbers of one run. Raises ValueError for what makes no sense."""

    iterations: int = option(3000, "updates")
    size: int = option(32, "width and height of a frame, in pixels")
    square: int = option(5, "width and height of the square")
    shifts: tuple[int, ...] = option((2, 3), "by how many pixels to the right it may move, each as likely", many=True)
    codes: int = option(0, "values of the code; 0 for as many as there are shifts")
    filters: int = option(0, "filters that the mask mixes; 0 for one more than codes")
    kernel: int = option(0, "width and height of a filter, and of what the encoder looks at; 0 for what the widest "
                         "shift needs")
    N: int = option(64, "pairs of frames in a batch")
    H: int = option(8, "channels of the encoder's convolution")
    beta: float = option(3e-3, "learning rate (Adam)")
    decay: float = option(0.5, "share of the training, at its end, over which beta falls to 0 by a cosine")
    tau: tuple[float, float] = option((1.0, 0.1), "temperature of the codes, at the first update and at the last")
    hard: bool = option(False, "hand the decoder hard codes, and go back through the soft ones (straight-through)")
    weight: float = option(1e-4, "weight of the codes' divergence from uniform ones, in nats")
    balance: float = option(1e-2, "weight of the divergence of their mean, which keeps all codes in use")
    likelihood: str = option("gaussian", "of a pixel: gaussian, whose logarithm is the squared error, or bernoulli",
                             choices=("gaussian", "bernoulli"))

    def __post_init__(self) -> None:
        check(self, iterations=0, size=1, square=1, codes=0, filters=0, kernel=0, N=1, H=1, beta=0, decay=0, weight=0,
              balance=0)
        if not self.decay <= 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")
        for tau in self.tau:
            if not 0 < tau < float("inf"):
                raise ValueError(f"the temperature tau must be positive, got {tau:g}")
        if self.kernel and self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that a filter has a middle, got {self.kernel}")
        self.squares()  # these two raise for what does not fit
        self.predictor("variational")

    def squares(self) -> Squares:
        """The videos."""
        return Squares(self.size, self.square, self.shifts)

    def predictor(self, method: str) -> Predictor:
        """The predictor of a method; the deterministic one is the same with one code and no encoder."""
        size, D, H, codes = self.size, self.size ** 2, self.H, self.codes or len(self.shifts)
        filters = self.filters or codes + 1
        kernel = self.kernel or 2 * max(map(abs, self.shifts)) + 1
        encoder = None if method == "deterministic" else Network(2 * D, [
            Convolution(size, size, 2, H, kernel, padding=kernel // 2), MaxPool(size, size, H, size), ReLU(),
            Dense(H, codes)])
        seen = codes if encoder else 1
        criterion: Loss = Bernoulli() if self.likelihood == "bernoulli" else MSE()
        return Predictor(Network(D, [Convolution(size, size, 1, filters, kernel, padding=kernel // 2)]),
                         Network(seen, [Dense(seen, filters), Softmax()]), encoder, criterion, self.weight,
                         self.balance)

    def frames(self, y: Array) -> Array:
        """What a predictor's output y means as a frame."""
        return sigmoid(y) if self.likelihood == "bernoulli" else y


def start(config: Config, method: str, seed: int) -> Array:
    """Return the parameters before training, (P,), float32; the filters are random."""
    return config.predictor(method).initialise(np.random.default_rng([seed, 0]), uniform_fan_in)


def recipe(config: Config, method: str, seed: int) -> PredictorTrainer:
    """How to train. Raises ValueError for a method that is neither in METHODS nor RANDOM."""
    if method not in (*METHODS, RANDOM):
        raise ValueError(f"unknown method {method!r}; choose from {', '.join(METHODS)}")
    squares = config.squares()
    return PredictorTrainer(config.predictor(method), Adam(Cosine(config.beta, config.iterations, config.decay)),
                            start(config, method, seed), lambda rng: squares.pairs(rng, config.N),
                            np.random.default_rng([seed, 1]), config.iterations, config.tau, config.hard)


def test(config: Config, method: str, learned: Array) -> dict[str, Any]:
    """On 2,000 pairs drawn anew, by another seed than in training; there are not many more different ones.

    error: squared, of the prediction, given the encoder's code where there is one; of_floor: in units of the floor.
    sharp: the share of predictions, with a code drawn uniformly, that are within TOLERANCE of one of the true futures
    in every pixel. usage: the share in which the encoder takes each code. kl: its divergence from uniform codes, in
    nats.
    """
    predictor, squares, rng = config.predictor(method), config.squares(), np.random.default_rng(TEST_SEED)
    errors, sharp, used, kls = [], [], [], []
    for _ in range(TEST_PAIRS // CHUNK):
        corners = squares.corners(rng, CHUNK)
        futures, shift = squares.futures(corners), rng.integers(len(squares.shifts), size=CHUNK)
        x, following = squares.frames(corners), futures[shift, np.arange(CHUNK)]
        code = drawn = np.ones((CHUNK, 1), learned.dtype)
        if predictor.encoder is not None:
            logits = predictor.logits(learned, x, following)
            code, drawn = one_hot_argmax(logits), one_hot(rng.integers(predictor.codes, size=CHUNK), predictor.codes)
            used.append(code.mean(axis=0))
            kls.append(float(divergence(logits)[0].kl))
        errors.append(((config.frames(predictor.predict(learned, x, code)) - following) ** 2).mean())
        off = np.abs(config.frames(predictor.predict(learned, x, drawn)) - futures).max(axis=-1)
        sharp.append((off.min(axis=0) <= TOLERANCE).mean())
    error = float(np.mean(errors))
    return {"error": error, "of_floor": error / squares.floor() if squares.floor() else None,
            "sharp": float(np.mean(sharp)), "usage": np.mean(used, axis=0).tolist() if used else [],
            "kl": float(np.mean(kls)) if kls else None}


def one_hot(code: Array, codes: int) -> Array:
    """1 at each code's place, (N, C), float32."""
    return np.eye(codes, dtype=np.float32)[code]


def summary(config: Config) -> dict[str, Any]:
    """What the results of `test` are measured on."""
    return {"pairs": TEST_PAIRS, "tolerance": TOLERANCE, "floor": config.squares().floor()}


def every_code(config: Config, method: str, learned: Array, x: Array) -> Array:
    """The prediction of frames x (N, D) for each code, (C, N, D)."""
    predictor = config.predictor(method)
    return np.stack([config.frames(predictor.predict(learned, x, np.repeat(code[None], len(x), axis=0)))
                     for code in np.eye(predictor.codes, dtype=learned.dtype)])


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Strips of frames, their futures and what is predicted; and the learned filters: file name -> figure."""
    squares, found = config.squares(), {}
    corners = squares.corners(np.random.default_rng(TEST_SEED), 3)
    x, columns = squares.frames(corners), {}
    columns["frame"] = x
    columns |= {f"true: {shift:+d} px": future for shift, future in zip(squares.shifts, squares.futures(corners))}
    for method, theta in learned.items():
        if method == RANDOM:
            continue
        for code, predicted in enumerate(every_code(config, method, theta, x)):
            columns[f"{method}" + (f", code {code}" if method == "variational" else "")] = predicted
        predictor = config.predictor(method)
        W = predictor.layout.views(theta)["filters.convolution1.W"]
        mask = predictor.mask.forward(predictor.split(theta)[1], np.eye(predictor.codes, dtype=theta.dtype))[0]
        found[f"filters_{method}"] = pictures.filters(W, mask, method)
    return {"strip": pictures.strip(columns, config.size), **found}


def roll_out(config: Config, learned: Mapping[str, Array]) -> dict[str, Array]:
    """Title -> frames (steps + 1, D) of a square that wanders off: one true path, and what each method makes of its own
    last frame again and again, the variational one with codes drawn uniformly."""
    squares, rng = config.squares(), np.random.default_rng(TEST_SEED)
    room = config.size - config.square
    steps = room // max(1, max(map(abs, squares.shifts)))
    corner = np.array([[room // 2, 0 if sum(squares.shifts) >= 0 else room]])
    path = [corner]
    for _ in range(steps):
        path.append(path[-1] + np.array([0, squares.shifts[rng.integers(len(squares.shifts))]]))
    found = {"one true path": np.concatenate([squares.frames(corner) for corner in path])}
    for method, theta in learned.items():
        if method != RANDOM:
            predictor, frames = config.predictor(method), [squares.frames(corner)]
            for _ in range(steps):
                code = one_hot(rng.integers(predictor.codes, size=1), predictor.codes)
                frames.append(config.frames(predictor.predict(theta, frames[-1], code)))
            found[method] = np.concatenate(frames)
    return found
