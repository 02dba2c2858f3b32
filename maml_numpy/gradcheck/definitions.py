"""Claims about what has no derivative and computes an equation of the notes all the same: each against its definition,
written out in another way."""

from functools import partial
from itertools import product
from math import sqrt
from types import SimpleNamespace
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from ..backend import array_module
from ..initialisers import he_normal
from ..layers import Tanh
from ..network import mlp
from ..replay import Program, record
from ..replay.program import Arena, Recording, blocks, constant_calls, last_use, plan_memory
from ..rl.policy import Decisions, softmax
from ..rl.training import Collected, decisions_of
from ..rl.trust_region import TrustRegion
from ..tasks.regression import LinearTasks
from ..tasks.squares import Squares
from ..video.training import PredictorTrainer
from .judge import COMPLEX_TOLERANCE, Row, fact, verdict

SOLVED = 1e-9  # of what conjugate gradients have solved


def cases() -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """(name, claims) of what there is to check."""
    for name, claims in (("trust_region, a step", step_claims), ("returns, decisions", decisions_claims),
                         ("predictor, temperature", temperature_claims), ("predictor, floor", floor_claims),
                         ("attention, the best step", best_step_claims), ("replay, program", program_claims)):
        yield name, partial(claims, name)


def step_claims(subject: str) -> Iterator[Row]:
    """Two steps of TRPO on a policy so small that its matrix can be formed and solved. It is to do what it hardly did;
    the longer step goes too far at first."""
    rng, network = np.random.default_rng(61), mlp([2, 3, 2], Tanh)
    theta = network.initialise(rng, he_normal, np.float64)
    x = rng.standard_normal((6, 2))
    y, run = network.forward(theta, x)
    old = softmax(y)
    action, advantage = old.pi.argmin(axis=-1), 0.1 + rng.random(6)
    log_prob = old.log_pi[np.arange(6), action]
    collected = Collected(x, Decisions(action, advantage, log_prob, advantage))
    dtheta = np.empty_like(theta)
    network.backward(run, -(advantage[:, None] * (np.eye(2)[action] - old.pi)) / 6, dtheta)
    moved: list[Any] = [network.tangent(run, each)[-1] for each in np.eye(theta.size)]
    J = np.stack(moved, axis=-1)
    each = np.einsum("na,ab->nab", old.pi, np.eye(2)) - np.einsum("na,nb->nab", old.pi, old.pi)
    F = np.einsum("nap,nab,nbq->pq", J, each, J) / 6 + 0.01 * np.eye(theta.size)
    s = np.linalg.solve(F, dtheta)
    for delta, halved in ((0.001, False), (0.3, True)):
        update = TrustRegion(delta, 0.01, iterations=40, halvings=10)
        found, _, metrics = update.improve(network, theta, update.init(theta), collected, rng)
        length = sqrt(2 * delta / float(s @ F @ s)) * 0.5 ** metrics["halvings"]
        yield told(subject, "tries", (metrics["halvings"] > 0) == halved, f"{metrics['halvings']} at {delta}")
        yield verdict(subject, "theta", "definition", found, theta - length * s, SOLVED)
        new = softmax(network.forward(found, x)[0]).log_pi[np.arange(6), action]
        gain = np.mean((np.exp(new - log_prob) - 1) * advantage)
        yield verdict(subject, "gain", "definition", np.array([-metrics["loss"]]), np.array([gain]), SOLVED)


def decisions_claims(subject: str) -> Iterator[Row]:
    """What is made of a played game: advantages of mean 0 and spread 1, and what the critic is to predict."""
    rng = np.random.default_rng(62)
    advantage = rng.standard_normal(7)
    log_prob, value = rng.standard_normal((2, 7))
    game = SimpleNamespace(action=rng.integers(3, size=7), log_prob=log_prob, value=value)
    found = decisions_of(game, advantage, np.dtype(float))
    mean = sum(advantage) / 7
    spread = sqrt(sum((one - mean) ** 2 for one in advantage) / 7)
    yield verdict(subject, "advantage", "definition", found.advantage, (advantage - mean) / spread, COMPLEX_TOLERANCE)
    yield verdict(subject, "target", "definition", found.value_target, advantage + game.value, COMPLEX_TOLERANCE)


def temperature_claims(subject: str) -> Iterator[Row]:
    """From the first to the last by equal factors."""
    schedule = SimpleNamespace(tau=(2.0, 0.5), iterations=5)
    found = np.array([PredictorTrainer.temperature(schedule, i) for i in range(5)])  # type: ignore[arg-type]
    yield verdict(subject, "tau", "definition", found, 2 * 0.25 ** (np.arange(5) / 4), COMPLEX_TOLERANCE)


def floor_claims(subject: str) -> Iterator[Row]:
    """The error of the mean of all futures, pixel by pixel."""
    task = Squares()
    futures = task.futures(np.array([[0, task.least]])).astype(float)[:, 0]
    errors = [(futures[i][p] - sum(one[p] for one in futures) / len(futures)) ** 2
              for i in range(len(futures)) for p in range(futures.shape[1])]
    yield verdict(subject, "floor", "definition", np.array([task.floor()]), np.array([sum(errors) / len(errors)]),
                  COMPLEX_TOLERANCE)


def best_step_claims(subject: str) -> Iterator[Row]:
    """The least expected error over steps, by an exact quadrature over two examples and a query in two dimensions."""
    nodes, weights = np.polynomial.legendre.leggauss(4)
    drawn = np.array(list(product(nodes, repeat=6))).reshape(-1, 3, 2)
    chance = np.prod(np.array(list(product(weights / 2, repeat=6))), axis=1)
    x, examples = drawn[:, 0], drawn[:, 1:]
    told = np.einsum("sni,snj,sj->si", examples, examples, x)  # for weights of mean 0 and covariance I
    along, square = chance @ (told * x).sum(axis=1), chance @ (told * told).sum(axis=1)
    c = along / square
    loss = chance @ ((x - c * told) ** 2).sum(axis=1)
    yield verdict(subject, "c, loss", "definition", np.array(LinearTasks(2).best_step(2)), np.array([c, loss]),
                  COMPLEX_TOLERANCE)


class Result(NamedTuple):
    """What a traced function gives."""

    value: Any


def program_claims(subject: str) -> Iterator[Row]:
    """A recording without calls that nothing depends on, which blocks are used last where, what is done once, and the
    same numbers for other inputs in memory that is used again."""
    def function(x: Any) -> Result:
        xp = array_module(x)
        _ = x + 1  # nothing depends on it
        c = xp.exp(xp.full(3, 2.0)) * 2  # the same every time
        kept = x * c
        y = kept * 3
        y = y + 1
        y = y @ xp.full((3, 3), 0.5)  # not entry by entry
        y = y[::-1] * x  # into x, not into y, whose entries are read in another order
        return Result(y + kept)

    x, other = np.random.default_rng(63).standard_normal((2, 3))
    recording, _ = record(function, [x])
    names = [call.function.__name__ for call in recording.calls]
    yield told(subject, "calls", names.count("add") == 2, f"made {names}")
    last = last_use(recording.calls)
    wrong = [block for block in {one for call in recording.calls for one in blocks(call.arguments)}
             if last.get(block) != max(i for i, call in enumerate(recording.calls) if block in blocks(call.arguments))]
    yield told(subject, "last use", not wrong, f"of blocks {wrong}")
    once = {names[i] for i in constant_calls(recording)}
    yield told(subject, "constant calls", "exp" in once and "add" not in once, f"made once: {once}")
    program = Program.of(recording, Arena())
    for values in (other, x):
        kept = values * np.exp(2.0) * 2
        found, wanted = program(values).value.copy(), (kept * 3 + 1).sum() / 2 * values + kept
        yield verdict(subject, "value", "definition", found, wanted, COMPLEX_TOLERANCE)
    over = [names[i] for i in sorted(overwriting(recording))]
    yield told(subject, "memory", over == ["add", "multiply", "add"], f"written over what is read: by {over}")


def told(subject: str, tensor: str, right: bool, words: str) -> Row:
    """A verdict on what is true or not."""
    return fact(subject, tensor, "definition", "" if right else words)


def overwriting(recording: Recording) -> set[int]:
    """The numbers of varying calls that write into the memory of something that they read."""
    constant = constant_calls(recording)
    memory = plan_memory(recording, constant, Arena())
    return {i for i, call in enumerate(recording.calls) if i not in constant
            and any(memory[block] is memory[call.writes.block] for block in blocks(call.arguments)
                    if block != call.writes.block)}
