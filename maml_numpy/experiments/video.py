"""The next frame of a video in which a square moves at random: an average that blurs, or one future at a time
(the toy of the blog post "Variational Video Prediction", sagargv.com, 2019)."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import numpy as np

from ..backend import Array
from ..classification import one_hot
from ..initialisers import uniform_fan_in
from ..layers import Convolution, Dense, MaxPool, ReLU, Softmax
from ..learner import FramePredictor
from ..losses import MSE, Bernoulli, Loss, sigmoid
from ..network import Network
from ..optim import Adam, Cosine
from ..parameters import Layout
from ..results import animation
from ..results.report import Report
from ..results.tables import markdown, spread, text
from ..tasks import Squares
from ..training import Progress
from ..video import figures as pictures
from ..video.codes import divergence, one_hot_argmax
from ..video.predictor import Predictor
from ..video.training import PredictorTrainer
from .configuration import MOST, TEST_SEED, Configuration, option
from .experiment import UNTRAINED, ByMethod, Tested, choose, training_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEST_PAIRS = 2000
CHUNK = 500
TOLERANCE = 0.1  # of every pixel of a future that counts as sharp and correct; blur is off by half
ROLL_OUT_FPS = 2


@dataclass(frozen=True)
class Config(Configuration):
    """The hyper-parameters of one run."""

    iterations: int = option(3000, "updates")
    size: int = option(32, "width and height of a frame, in pixels", least=1, most=1024)
    square: int = option(5, "width and height of the square, in pixels", least=1)
    shifts: tuple[int, ...] = option((2, 3), "pixels to the right by which the square may move, each equally likely",
                                     least=-MOST, many=True)
    codes: int = option(0, "values of the code; 0 for as many as there are shifts")
    filters: int = option(0, "filters that the mask mixes; 0 for one more than codes")
    kernel: int = option(0, "width and height of the filters and of the encoder's convolution, in pixels, odd; 0 for "
                            "what the widest shift needs")
    N: int = option(64, "pairs of frames in a batch", least=1)
    H: int = option(8, "channels of the encoder's convolution", least=1)
    beta: float = option(3e-3, "learning rate of Adam")
    decay: float = option(0.5, "fraction of the training, at its end, in which beta falls to 0 along a cosine", most=1)
    tau: tuple[float, float] = option((1.0, 0.1), "temperature of the codes, at the first update and at the last",
                                      above=True)
    hard: bool = option(False, "give the decoder hard codes, with the gradient of the soft ones (straight-through)")
    weight: float = option(1e-4, "weight of the codes' KL divergence from uniform codes, in nats")
    balance: float = option(1e-2, "weight of the KL divergence of their mean, which keeps all codes in use")
    likelihood: str = option("gaussian", "distribution of a pixel: gaussian (squared error) or bernoulli",
                             choices=("gaussian", "bernoulli"))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kernel and self.kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, so that a filter has a middle, got {self.kernel}")
        if self.kernel > 2 * self.size + 1:
            raise ValueError(f"kernel must be at most {2 * self.size + 1}, twice a frame and one, got {self.kernel}")
        self.squares()  # these two raise for what does not fit
        self.predictor("variational")

    def squares(self) -> Squares:
        """The videos."""
        return Squares(self.size, self.square, self.shifts)

    def predictor(self, method: str) -> Predictor:
        """The predictor of a method; the deterministic one is the same with one code and no encoder."""
        size = self.size
        D = self.size ** 2
        H = self.H
        codes = self.codes or len(self.shifts)
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
        """The frame for a predictor's output y."""
        return sigmoid(y) if self.likelihood == "bernoulli" else y


@dataclass(frozen=True)
class PredictorMethod:
    """A predictor to train.

    title: in tables and figures.
    default: whether it is trained when no method is named.
    """

    title: str
    default: bool = True


METHODS = {"variational": PredictorMethod("variational"), "deterministic": PredictorMethod("deterministic")}


def test(config: Config, method: str, learned: Array) -> dict[str, Any]:
    """On 2,000 pairs drawn anew, by another seed than in training; there are not many more different ones.

    error: squared, of the prediction, given the encoder's code where there is one; of_floor: in units of the floor.
    sharp: the share of predictions, with a code drawn uniformly, that are within TOLERANCE of one of the true futures
    in every pixel. usage: the share in which the encoder takes each code. kl: its divergence from uniform codes, in
    nats.
    """
    predictor = config.predictor(method)
    squares = config.squares()
    rng = np.random.default_rng(TEST_SEED)
    errors: list[float] = []
    sharp: list[float] = []
    used: list[Array] = []
    kls: list[float] = []
    for _ in range(TEST_PAIRS // CHUNK):
        corners = squares.corners(rng, CHUNK)
        futures, shift = squares.futures(corners), rng.integers(len(squares.shifts), size=CHUNK)
        x, following = squares.frames(corners), futures[shift, np.arange(CHUNK)]
        code = drawn = np.ones((CHUNK, 1), learned.dtype)
        if predictor.encoder is not None:
            logits = predictor.logits(learned, x, following)
            code = one_hot_argmax(logits)
            drawn = one_hot(rng.integers(predictor.codes, size=CHUNK), predictor.codes, learned)
            used.append(code.mean(axis=0))
            kls.append(float(divergence(logits)[0].kl))
        errors.append(((config.frames(predictor.predict(learned, x, code)) - following) ** 2).mean())
        off = np.abs(config.frames(predictor.predict(learned, x, drawn)) - futures).max(axis=-1)
        sharp.append((off.min(axis=0) <= TOLERANCE).mean())
    error = float(np.mean(errors))
    return {"error": error, "of_floor": error / squares.floor() if squares.floor() else None,
            "sharp": float(np.mean(sharp)), "usage": np.mean(used, axis=0).tolist() if used else [],
            "kl": float(np.mean(kls)) if kls else None}


def figures(config: Config, learned: Mapping[str, Array]) -> dict[str, "Figure"]:
    """Strips of frames, their futures and what is predicted; and the learned filters: file name -> figure."""
    squares, found = config.squares(), {}
    corners = squares.corners(np.random.default_rng(TEST_SEED), 3)
    x, columns = squares.frames(corners), {}
    columns["frame"] = x
    columns |= {f"true: {shift:+d} px": future for shift, future in zip(squares.shifts, squares.futures(corners))}
    for method, theta in learned.items():
        if method == UNTRAINED:
            continue
        predicted = EXPERIMENT.loaded(config, method, theta).predict(x)
        for code in in_order(predicted, squares.futures(corners)):
            columns[f"{method}" + (f", code {code}" if method == "variational" else "")] = predicted[code]
        predictor = config.predictor(method)
        W = predictor.layout.views(theta)["filters.convolution1.W"]
        mask = predictor.mask.forward(predictor.split(theta)[1], np.eye(predictor.codes, dtype=theta.dtype))[0]
        found[f"filters_{method}"] = pictures.filters(W, mask, method)
    return {"strip": pictures.strip(columns, config.size), **found}


def in_order(predicted: Sequence[Array], futures: Array) -> list[int]:
    """The codes in the order of the futures that their predictions are nearest to; each of both is (N, D)."""
    return sorted(range(len(predicted)),
                  key=lambda code: int(np.argmin([np.square(predicted[code] - future).sum() for future in futures])))


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
        if method != UNTRAINED:
            predictor, frames = config.predictor(method), [squares.frames(corner)]
            for _ in range(steps):
                code = one_hot(rng.integers(predictor.codes, size=1), predictor.codes, theta)
                frames.append(config.frames(predictor.predict(theta, frames[-1], code)))
            found[method] = np.concatenate(frames)
    return found


def table(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[str]]:
    """Rows of the test, of one seed as they are, of several their median and range. found: title -> of each seed what
    `test` gives."""
    rows = [["predictor", "error", "of the floor", "sharp", "least used", "most used", "KL"]]
    for title, seeds in found.items():
        cells = [spread([each["error"] for each in seeds], ".1e"), spread([each["of_floor"] for each in seeds], ".2g"),
                 spread([each["sharp"] for each in seeds], ".0%")]
        if seeds[0]["usage"]:
            cells += [spread([choice(each["usage"]) for each in seeds], ".2f") for choice in (min, max)]
            cells += [spread([each["kl"] for each in seeds], ".2f")]
        rows.append([title, *cells, *["-"] * (6 - len(cells))])
    return rows


@dataclass(frozen=True)
class Video(ByMethod):
    """An `Experiment`: predict the next frame. name, description, Config, methods: as there."""

    name: str
    description: str
    Config: type[Any]
    methods: Mapping[str, PredictorMethod]

    def check(self, config: Any, methods: Sequence[str]) -> None:
        """Every configuration can be trained."""

    def layout(self, config: Any, method: str) -> Layout:
        """Of the predictor's parameters."""
        return config.predictor(method).layout

    def start(self, config: Any, method: str, seed: int) -> Array:
        """The parameters before training, (P,), float32; the filters are random."""
        return config.predictor(method).initialise(np.random.default_rng([seed, 0]), uniform_fan_in)

    def trainer(self, config: Any, method: str, seed: int) -> PredictorTrainer:
        """How to train. Raises ValueError for an unknown method."""
        choose("method", method, self.methods)
        squares = config.squares()
        return PredictorTrainer(config.predictor(method), Adam(Cosine(config.beta, config.iterations, config.decay)),
                                self.start(config, method, seed), lambda rng: squares.pairs(rng, config.N),
                                np.random.default_rng([seed, 1]), config.iterations, config.tau, config.hard)

    def progress(self, config: Any, method: str, past: Mapping[str, Sequence[float]]) -> Callable[[Progress], str]:
        """The loss."""
        return lambda progress: f"loss {progress.loss:.2g}"

    def memory(self, config: Any, method: str, device: str) -> str:
        """The end of the message when there is too little memory."""
        return "a batch takes memory for its frames and their filtered images; choose a smaller --N"

    def test(self, config: Any, method: str, learned: Array, processes: int = 1) -> dict[str, Any]:
        """How well a predictor predicts, as the function `test` says."""
        return test(config, method, learned)

    def report(self, config: Any, tests: Sequence[Tested]) -> Report:
        """The table, the figures and the summary of several tests."""
        by_seed: dict[str, dict[str, dict[str, Any]]] = {}
        for each in tests:
            by_seed.setdefault(self.title(each.method), {})[str(each.seed)] = each.found
        floor = config.squares().floor()
        learned = {each.method: each.theta for each in tests if each.seed == tests[0].seed}
        drawn = figures(config, learned)
        if curves := training_of(tests, self.title, "reconstruction"):
            drawn["training"] = pictures.errors(curves, floor)
        found = {title: list(seeds.values()) for title, seeds in by_seed.items()}
        rows = table(found)
        heading = (f"{TEST_PAIRS:,} pairs of frames. The floor, the least error without knowing the shift, is "
                   f"{floor:.3g}.\nSharp: every pixel within {TOLERANCE:g} of a true future, the code drawn "
                   "uniformly. Used: fraction of the\npairs for which the encoder chooses a code. KL: of the codes "
                   "from uniform ones, in nats.")
        name, words = ("of_floor", "Error in units of the floor") if floor else ("error", "Error")
        conclusion = f"{words}: " + ", ".join(
            f"{title} {median(each[name] for each in seeds):.2g}" for title, seeds in found.items()) + "."
        return Report(heading, text(rows), conclusion, f"{heading}\n\n{markdown(rows)}",
                      {"experiment": self.name, "config": asdict(config), "pairs": TEST_PAIRS, "tolerance": TOLERANCE,
                       "floor": floor, "methods": by_seed}, drawn,
                      {"roll_out.gif": partial(save_roll_out, config, learned)})

    def loaded(self, config: Any, method: str, learned: Array) -> FramePredictor:
        """The predictor."""
        return FramePredictor(config.predictor(method), learned, config.frames)


def save_roll_out(config: Config, learned: Mapping[str, Array], path: Path) -> None:
    """Write the roll-out as a GIF."""
    animation.save(path, *pictures.moving(roll_out(config, learned), config.size), ROLL_OUT_FPS)


DESCRIPTION = "The next frame of a video in which a square moves at random."
EXPERIMENT = Video("video", DESCRIPTION, Config, METHODS)
