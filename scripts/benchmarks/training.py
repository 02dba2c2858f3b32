"""The whole training of the paper's sinusoid, beside JAX's, for scripts/benchmark.py.

Each training is a command of its own. `whole_training.py calls ITERATIONS` trains in JAX with one compiled call an
iteration, on the same meta-batches that `train.py` draws. `whole_training.py scan ITERATIONS` trains in one compiled
call, which draws all meta-batches itself. Both start from the weights that `train.py` starts from. They print a line of
JSON: "loss", the mean J of the last meta-batches, and "alone", the seconds without start-up and compilation.
"""

import json
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from maml_numpy.cli.console import ROOT
from maml_numpy.experiments import sinusoid
from maml_numpy.runs import CHECKPOINT, CONFIG, read_metrics

from benchmarks.meta import jax_compiled, jax_scanned, problem

METHOD, SEED = "maml", 0
LAST = 1_000  # meta-batches whose mean loss is reported
NOT_INSTALLED = 3  # exit code where there is no JAX


def start(config: Any) -> Any:
    """The experiment's problem for the peers, and its trainer."""
    trainer = sinusoid.EXPERIMENT.trainer(config, METHOD, SEED)
    return problem(config.T, config.N[0], config.H, config.K)._replace(theta=trainer.theta, alpha=config.alpha), trainer


def drawn_in_jax(config: Any) -> Any:
    """A function for JAX to compile: key -> x, y, x_query, y_query, distributed as the trainer's meta-batches."""
    (N, most), tasks = config.N, config.tasks()
    assert N == most, "compiled code has one shape"

    def draw(key: Any) -> Any:
        import jax
        uniform = jax.random.uniform(key, (config.T, 2 + N + config.N_query, 1))  # faster than a call for each
        amplitude, phase, x = (low + (high - low) * part for part, (low, high) in zip(
            (uniform[:, :1], uniform[:, 1:2], uniform[:, 2:]), (tasks.amplitude, tasks.phase, tasks.x)))
        y = amplitude * jax.numpy.sin(x - phase)
        return x[:, :N], y[:, :N], x[:, N:], y[:, N:]
    return draw


def calls(config: Any) -> Any:
    """One call an iteration; returns the last losses, and the seconds after the first call, which compiles. None
    without JAX."""
    p, trainer = start(config)
    made = jax_compiled(p)
    losses: deque[Any] = deque(maxlen=LAST)
    if made is None:
        return None
    for iteration in range(config.iterations):
        support, query = trainer.draw(trainer.rng)
        losses.append(made.step(*support, *query))
        if iteration == 0:
            begin = perf_counter()
    return losses, perf_counter() - begin


def scan(config: Any) -> Any:
    """All iterations in one call; returns the last losses, and the seconds after compilation. None without JAX."""
    made = jax_scanned(start(config)[0], drawn_in_jax(config), config.iterations)
    if made is None:
        return None
    import jax
    key = jax.random.key(SEED, impl="rbg")  # faster than JAX's default generator
    compiled = made.lower(key).compile()
    begin = perf_counter()
    _, losses = jax.block_until_ready(compiled(key))
    return losses[-LAST:], perf_counter() - begin


FORMS = {"calls": calls, "scan": scan}


def ours(iterations: int) -> Any:
    """Train with `train.py`; returns the seconds of the command, and what the commands of JAX print."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = timed(ROOT / "scripts" / "train.py", "sinusoid", "--method", METHOD, "--seed", SEED,
                           "--iterations", iterations, "--out", folder)
        run = Path(folder) / "sinusoid" / f"{METHOD}-seed{SEED}"
        columns = read_metrics(run)  # a line is the mean of a hundred iterations
        losses = [loss for at, loss in zip(columns["iteration"], columns["loss"]) if at > iterations - LAST]
        alone = (run / CHECKPOINT).stat().st_mtime - (run / CONFIG).stat().st_mtime  # written last and first
        return {"seconds": seconds, "alone": alone, "loss": float(np.mean(losses))}


def in_jax(form: str) -> Any:
    """The same in JAX: iterations -> those numbers, or None without JAX."""
    def train(iterations: int) -> Any:
        seconds, printed = timed("-m", __name__, form, iterations)
        return printed and {"seconds": seconds, **json.loads(printed)}
    return train


def timed(*command: Any) -> Any:
    """Run a Python command; returns its seconds and what it printed, None where it found no JAX."""
    begin = perf_counter()
    done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=ROOT / "scripts")
    seconds = perf_counter() - begin
    if done.returncode not in (0, NOT_INSTALLED):
        name = command[-2] if command[0] == "-m" else Path(command[0]).name
        raise ChildProcessError(f"{name} stopped: {done.stderr.strip().splitlines()[-1]}")
    return seconds, None if done.returncode else done.stdout


TRAININGS = {"maml_numpy": ours, "JAX jit": in_jax("calls"), "JAX scan": in_jax("scan")}


def measure(iterations: int, rounds: int) -> Any:
    """Let all train in turn; prints medians and returns name -> the numbers of each round."""
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, train in TRAININGS.items():
            numbers = train(iterations)
            if numbers:
                found.setdefault(name, []).append(numbers)
    print(f"  {iterations:,} iterations, {rounds} round(s)\n{'':<14}{'command':>10}{'alone':>10}{'last loss':>11}")
    for name, numbers in found.items():
        seconds, alone, loss = (np.median([each[key] for each in numbers]) for key in ("seconds", "alone", "loss"))
        print(f"  {name:<12}{seconds:>8.1f} s{alone:>8.1f} s{loss:>11.3f}", flush=True)
    return found


def main(argv: Any = None) -> Any:
    """One training in JAX."""
    form, iterations = sys.argv[1:] if argv is None else argv
    outcome = FORMS[form](sinusoid.Config(iterations=int(iterations)))
    if outcome is None:
        return NOT_INSTALLED
    losses, seconds = outcome
    print(json.dumps({"alone": seconds, "loss": float(np.mean(losses))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
