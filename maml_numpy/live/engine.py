"""What the live page asks for, as functions of JSON values; the same behind the local server and in a browser.

Numbers come from the library: nothing is computed here that it computes. Every function raises ValueError or
ArithmeticError with one line for what cannot be answered.
"""

import textwrap
from base64 import b64decode, b64encode
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, Callable, Mapping

import numpy as np

from ..algorithms import MAML, JointTraining
from ..backend import Array
from ..batch import Batch
from ..exercise.judge import hint, judged, rooms
from ..exercise.sheets import labelled, modules, place, section, statements, text_of
from ..experiments.loading import load
from ..initialisers import he_normal
from ..layers.softmax import log_softmax
from ..learner import Learner
from ..network import Network
from ..optim import Adam, AdamState
from ..replay import Replayed
from ..results.points import parse_points
from ..rl.families import Goals
from ..tasks import Sinusoid
from ..tasks.pen import draw as draw_lines
from ..training import Progress, train

GRID = 101  # points of a drawn curve
REACH = 1e4  # largest coordinate of a point
POINTS = 200  # most support points
STEPS = 50  # most inner steps
SECONDS = 20.0  # for one judged answer
CHUNK = 500  # most outer updates of one request
SIDE, PEN = 28, 0.9  # of a drawn character, in pixels
STARTS = {"maml": "MAML", "fomaml": "FO-MAML", "joint": "joint training", "random": "random start"}


@cache
def start_of(name: str) -> Learner:
    """The learner that a start of the Adapt section stands for. Raises ValueError for another name."""
    if name not in STARTS:
        raise ValueError(f"a start is one of {', '.join(STARTS)}, not {name!r:.40}")
    learner: Learner = load("sinusoid", None if name == "random" else name)
    if name == "random":
        return replace(learner, theta=learner.objective.network.initialise(np.random.default_rng(0), he_normal))
    return learner


def adapt(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Predictions after each inner step, and which support points a query's prediction was made from.

    asked: points, [[x, y], …]; start, one of STARTS; K; alpha; query, an x; theta, the state of a training in the
    page, in the place of the start's parameters.
    Returns grid (GRID,); curves, K + 1 of them; losses on the points, K + 1; prediction, of the query after each step;
    base and shares, of the last layer as linear attention (note 16): the last prediction is base plus the sum of
    shares, one a point.
    """
    x, y = points_of(asked.get("points"))
    K = whole(asked.get("K", 1), "K", 0, STEPS)
    alpha = number(asked.get("alpha", 0.01), "alpha", 0, 10)
    query = number(asked.get("query", 0), "query", -REACH, REACH)
    learner = replace(start_of(str(asked.get("start", "maml"))), alpha=alpha)
    if asked.get("theta"):
        learner = replace(learner, theta=unpacked(asked["theta"], learner.theta.size, 1)[0])
    low, high = min(-5.0, float(x.min())), max(5.0, float(x.max()))
    grid = np.linspace(low, high, GRID)
    learners = [learner]
    for _ in range(K):
        learners.append(learners[-1].adapt(x, y))
    everywhere = np.concatenate([grid, x, [query]])
    theta = np.concatenate([np.atleast_2d(one.theta) for one in learners])  # all at once, as tasks
    found = replace(learner, theta=theta).predict(everywhere).reshape(K + 1, -1).astype(float)
    if not np.isfinite(found).all():
        raise ArithmeticError("the predictions are not finite: take a smaller alpha or fewer steps")
    at_points = found[:, GRID:-1]
    base, shares = attention(learners, x, y, query)
    return {"grid": grid.tolist(), "curves": found[:, :GRID].tolist(), "prediction": found[:, -1].tolist(),
            "losses": ((at_points - y) ** 2).mean(axis=1).tolist(), "base": base, "shares": shares.tolist()}


def attention(learners: list[Learner], x: Array, y: Array, query: float) -> tuple[float, Array]:
    """The last layer's inner steps as linear attention (low_rank.1): what the prediction at `query` would be with the
    last layer of the start, and what each support point adds to it, (N,), summed over the steps.

    learners: the start, and after each step.
    """
    first = learners[0]
    network = first.objective.network
    body = Network(network.D, network.layers[:-1])
    P = body.layout.size
    inputs = np.concatenate([x, [query]]).astype(first.theta.dtype).reshape(1, -1, 1)
    head = first.theta[P:]

    def keys(learner: Learner) -> Array:
        """What the last layer sees, with a column of ones for its bias, (N + 1, D)."""
        h = body.forward(learner.theta[..., :P], inputs)[0][0]
        return np.concatenate([h, np.ones_like(h[:, :1])], axis=1)
    asked = keys(learners[-1])[-1]
    shares = np.zeros(len(x))
    for learner in learners[:-1]:
        prediction = learner.predict(x)
        dy = 2 * (prediction - y.astype(prediction.dtype)) / len(x)
        shares += -first.alpha * (keys(learner)[:-1] @ asked) * dy
    return float(asked @ head), shares


def table(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The points of a pasted or dropped CSV. asked: text. Returns points, [[x, y], …]."""
    x, y = parse_points(str(asked.get("text", "")), "the table")
    if len(x) > POINTS:
        raise ValueError(f"the table has {len(x)} rows; at most {POINTS} are taken")
    return {"points": np.stack([x, y], axis=1).tolist()}


def points_of(values: Any) -> tuple[Array, Array]:
    """x and y, (N,) each. Raises ValueError for what is not a list of 1 to POINTS pairs of numbers within REACH."""
    if not isinstance(values, list) or not 1 <= len(values) <= POINTS:
        raise ValueError(f"points must be a list of 1 to {POINTS} pairs of numbers")
    pairs = [(number(pair[0], "x", -REACH, REACH), number(pair[1], "y", -REACH, REACH))
             if isinstance(pair, list) and len(pair) == 2 else number(None, "a point", 0, 0) for pair in values]
    x, y = np.array(pairs, float).T
    return x, y


def number(value: Any, name: str, least: float, most: float) -> float:
    """A finite number of a range. Raises ValueError, naming it, for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{name} must be a number from {least:g} to {most:g}, got {value!r:.40}")
    return float(value)


def whole(value: Any, name: str, least: int, most: int) -> int:
    """A whole number of a range. Raises ValueError, naming it, for anything else."""
    if number(value, name, least, most) != int(value):
        raise ValueError(f"{name} must be a whole number, got {value!r:.40}")
    return int(value)


def packed(*vectors: Array) -> str:
    """Vectors (P,) as text."""
    return b64encode(np.concatenate(vectors).astype("<f4").tobytes()).decode()


def unpacked(text: Any, P: int, number_of: int) -> list[Array]:
    """The first vectors, (P,) float32, of a text of `packed`. Raises ValueError for another text."""
    try:
        flat = np.frombuffer(b64decode(str(text), validate=True), "<f4").astype(np.float32)
    except ValueError:
        flat = np.zeros(0, np.float32)
    if flat.size % P or flat.size < P * number_of or not np.isfinite(flat).all():
        raise ValueError("the state of the training cannot be read; start it anew")
    return [flat[i * P:(i + 1) * P] for i in range(number_of)]


@lru_cache(maxsize=4)
def algorithm(method: str, alpha: float) -> Any:
    """An outer gradient of the Train section. Raises ValueError for another method."""
    objective = start_of("maml").objective
    if method not in ("maml", "fomaml", "joint"):
        raise ValueError(f"a method is maml, fomaml or joint, not {method!r:.40}")
    return Replayed(JointTraining(objective) if method == "joint" else
                    MAML(objective, alpha, second_order=method == "maml"))


def training(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take some outer updates of a small training, and give its state back, so that nothing is kept here.

    asked: method; alpha; seed; iterations, of this request; iteration, taken before; state, of the last answer.
    Returns iteration, state, losses (one an update), and of one task that no training draws its grid, x, y, truth, and
    the predictions before and after one inner step.
    """
    alpha = number(asked.get("alpha", 0.01), "alpha", 0, 1)
    iterations = whole(asked.get("iterations", 50), "iterations", 1, CHUNK)
    taken = whole(asked.get("iteration", 0), "iteration", 0, 10**7)
    seed = whole(asked.get("seed", 0), "seed", 0, 2**31)
    learner, family = replace(start_of("random"), alpha=alpha), Sinusoid()
    P = learner.theta.size
    theta = learner.objective.network.initialise(np.random.default_rng(seed), he_normal)
    optimizer = Adam(3e-3)
    state = optimizer.init(theta)
    if asked.get("state"):
        theta, m, v = unpacked(asked["state"], P, 3)
        state = AdamState(m, v, taken)
    elif taken:
        raise ValueError("the state of the training is missing; start it anew")
    rng = np.random.default_rng([seed, taken])

    def drawn() -> tuple[Batch, Batch]:
        waves = family.sample(rng, 25)
        return family.examples(rng, waves, 10), family.examples(rng, waves, 10)
    progress, losses = Progress(taken, 0.0, theta, state), []
    for progress in train(algorithm(str(asked.get("method", "maml")), alpha), optimizer, progress, drawn,
                          taken + iterations):
        losses.append(float(progress.loss))
    trained = replace(learner, theta=progress.theta)
    one = np.random.default_rng([seed, 10**8])
    waves = family.sample(one, 1)
    support, grid = family.examples(one, waves, 10), np.linspace(-5, 5, GRID)
    x, y = support.x[0, :, 0], support.y[0, :, 0]
    return {"iteration": progress.iteration, "losses": losses, "grid": grid.tolist(), "x": x.tolist(), "y": y.tolist(),
            "state": packed(progress.theta, progress.state.m, progress.state.v),
            "truth": waves(grid.reshape(1, -1, 1)).ravel().tolist(), "before": trained.predict(grid).tolist(),
            "after": trained.adapt(x, y).predict(grid).tolist()}


def exercises(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The modules with labelled statements, and the statements of one of them.

    asked: module. Returns modules, names; statements, of the module: label, text, function's line and equation.
    """
    known = list(modules())
    name = str(asked.get("module") or "dense")
    _, source = place(name)
    found = []
    for one in statements(source):
        where = [line for label in one.labels for line in section(name, label)]
        found.append({"label": " ".join(one.labels), "text": text_of(source, one), "first": one.first,
                      "last": one.last, "equation": where})
    return {"modules": known, "module": name, "source": source, "statements": found}


def check(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Judge an answer in the place of a labelled statement, in a process of its own with a time limit.

    asked: module, label (all labels of the statement, a blank between them), text, seconds.
    Returns right, words, tensors, and failed: subject, tensor and reason of every row that fails.
    """
    name, label, text = str(asked.get("module")), str(asked.get("label")), str(asked.get("text", ""))
    seconds = number(asked.get("seconds", SECONDS), "seconds", 0.1, SECONDS)
    module, source = place(name)
    one, answer = labelled(name, label.split(" ")[0]), textwrap.dedent(text).strip("\n")
    verdict = judged(module, source, one, answer, rooms(name), seconds)
    return {"right": verdict.right, "words": verdict.words, "tensors": list(verdict.tensors),
            "failed": [list(row) for row in verdict.failed[:40]]}


def hints(asked: Mapping[str, Any]) -> dict[str, Any]:
    """A hint on a statement. asked: module; label; what, "section", "shapes" or "numbers". Returns lines."""
    lines = hint(str(asked.get("module")), str(asked.get("label")).split(" ")[0], str(asked.get("what", "section")))
    return {"lines": [line for line in lines if not line.startswith("more: ")]}


@cache
def characters_learner() -> Learner:
    """The classifier of characters that comes with the package."""
    learner: Learner = load("characters")
    return learner


def characters(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Adapt the classifier to drawings, and name another one.

    asked: classes, of each its drawings; query, a drawing; steps. A drawing is a list of strokes, a stroke a list of
    [x, y] from 0 to 1, y downwards.
    Returns probabilities (steps + 1, classes), before the first step and after each, and the query's pixels, (28, 28).
    """
    classes, steps = asked.get("classes"), whole(asked.get("steps", 3), "steps", 0, 20)
    learner = characters_learner()
    most = learner.objective.network.M
    if not isinstance(classes, list) or not 2 <= len(classes) <= most:
        raise ValueError(f"draw from 2 to {most} different characters")
    if not all(isinstance(drawings, list) and 1 <= len(drawings) <= 5 for drawings in classes):
        raise ValueError("draw every character at least once, and five times at most")
    x = np.concatenate([ink(drawings) for drawings in classes])
    labels = np.repeat(np.arange(len(classes)), [len(drawings) for drawings in classes])
    query, found = ink([asked.get("query")]), []
    for k in range(steps + 1):
        logits = learner.adapt(x, labels, k).predict(query)[0, :len(classes)]
        found.append(log_softmax(logits.astype(float))[0].tolist())
    return {"probabilities": found, "pixels": query.reshape(SIDE, SIDE).tolist()}


def ink(drawings: list[Any]) -> Array:
    """Drawings as images, (n, 784) float32, each put in the middle of its page, as those of the training are."""
    starts, ends, pages = [], [], []
    for page, strokes in enumerate(drawings):
        if not isinstance(strokes, list) or not any(isinstance(stroke, list) and stroke for stroke in strokes):
            raise ValueError("a drawing has no stroke: draw in every square, and the one to be named")
        if sum(map(len, strokes)) > 5000:
            raise ValueError("a drawing has more than 5000 points")
        whole_drawing = [np.array([[number(value, "a stroke's point", -1, 2) for value in pair[:2]]
                                   for pair in stroke], float).reshape(-1, 2) for stroke in strokes if stroke]
        every = np.concatenate(whole_drawing)
        low, high = every.min(axis=0), every.max(axis=0)
        scale = min(SIDE, (SIDE - 4) / max(float((high - low).max()), 1e-9))
        for stroke in whole_drawing:
            at = (stroke - (low + high) / 2) * scale + SIDE / 2
            starts.append(at[:-1] if len(at) > 1 else at)
            ends.append(at[1:] if len(at) > 1 else at)
            pages.append(np.full(len(ends[-1]), page))
    page_of = np.concatenate(pages)
    return draw_lines(np.concatenate(starts), np.concatenate(ends), page_of, np.full(len(page_of), PEN), len(drawings),
                      SIDE)


@cache
def walker() -> Any:
    """The policy that comes with the package."""
    return load("navigation")


def navigation(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Walk to a goal, adapt to what was seen, and walk again.

    asked: goal, [x, y] in [-0.5, 0.5]²; steps; seed. Returns paths: before the first step and after each, a few walks,
    each a list of [x, y]; returns: the mean of all walks.
    """
    goal = asked.get("goal")
    if not isinstance(goal, list) or len(goal) != 2:
        raise ValueError("the goal must be two numbers, x and y")
    at = [number(value, "the goal's coordinate", -0.5, 0.5) for value in goal]
    steps = whole(asked.get("steps", 1), "steps", 0, 5)
    played = walker().adapt(Goals(np.array([at], np.float32)), steps, whole(asked.get("seed", 0), "seed", 0, 2**31))
    paths = [[walk[alive].round(4).tolist() for walk, alive in zip(one.observation[0, :8], one.alive[0, :8])]
             for one in played]
    return {"paths": paths, "returns": [float(one.reward.sum(axis=-1).mean()) for one in played]}


ANSWERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "adapt": adapt, "table": table, "train": training, "exercises": exercises, "check": check, "hint": hints,
    "characters": characters, "navigation": navigation}


def answer(section_name: str, asked: Any) -> dict[str, Any]:
    """Answer a request of a section, or say in one line, under "error", why not."""
    try:
        if section_name not in ANSWERS or not isinstance(asked, dict):
            raise ValueError(f"there is no section {section_name!r:.40}")
        found = ANSWERS[section_name](asked)
    except (ValueError, ArithmeticError, TypeError, KeyError, IndexError, OverflowError) as error:
        return {"error": " ".join(str(error).split())[:300] or type(error).__name__}
    return found
