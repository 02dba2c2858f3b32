"""A device beside the host: the same losses, and at which size the device overtakes the host."""

from time import perf_counter
from pathlib import Path
from typing import Any

import numpy as np
from maml_numpy.algorithms import MAML
from maml_numpy.backend import to_device
from maml_numpy.optim import Adam
from maml_numpy.replay import Replayed
from maml_numpy.results.figures import save
from maml_numpy.training import train

from .figures import rate_panels
from .meta import BETA, problem, torch_func

TASKS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
WIDTHS = (40, 256, 1024)
SLOWEST = 2.0  # seconds an iteration
PARITY = 100


def losses(library: Any, iterations: int, T: int, H: int) -> Any:
    """The losses of a training on one meta-batch, in that library, each one read at once."""
    p = problem(T, 10, H)
    batch = to_device(library, p.support), to_device(library, p.query)
    for progress in train(Replayed(MAML(p.objective, p.alpha)), Adam(BETA), to_device(library, p.theta), lambda: batch,
                          iterations):
        yield float(progress.loss)


def seconds(step: Any) -> Any:
    """The median time of a step that waits for its result, or None when it is too slow or does not fit the memory."""
    try:
        step()
        begin = perf_counter()
        step()
        once = perf_counter() - begin
        times = []
        for _ in range(0 if once > SLOWEST else max(3, min(30, round(0.5 / once)))):
            begin = perf_counter()
            step()
            times.append(perf_counter() - begin)
    except MemoryError:
        return None
    return float(np.median(times)) if times else None


def stepper(library: Any, T: int, H: int) -> Any:
    """A function that takes one iteration and waits for it; examples lie on the device already."""
    states = losses(library, 10**9, T, H)
    return lambda: next(states)


def torch_stepper(T: int, H: int) -> Any:
    """The same of torch.func on a CUDA device, or None where there is none."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    _, iterate = torch_func(problem(T, 10, H), "cuda")

    def step() -> None:
        iterate()
        torch.cuda.synchronize()
    return step


def measure(host: Any, device: str, folder: Path) -> Any:
    """Print and draw; returns {"parity": the largest relative difference of the losses, "iterations per second": …}."""
    pairs = zip(losses(host, PARITY, 25, 40), losses(device, PARITY, 25, 40))
    parity = max(abs(a - b) / abs(a) for a, b in pairs)
    print(f"  {PARITY} iterations, float32: losses differ by {parity:.1e} at most, relative")
    found: dict[str, Any] = {}
    for H in WIDTHS:
        rows = found[f"H = {H}"] = {"host": [], "device": [], "torch.func": []}
        makers = {"host": lambda T: stepper(host, T, H), "device": lambda T: stepper(device, T, H),
                  "torch.func": lambda T: torch_stepper(T, H)}
        for T in TASKS:
            for name, maker in makers.items():
                step = maker(T) if all(rate is not None for rate in rows[name]) else None
                took = seconds(step) if step else None
                rows[name].append(None if took is None else 1 / took)
            print(f"  T = {T:>6}, H = {H:>5}: " + ", ".join(
                f"{name} {rates[-1]:.0f}/s" if rates[-1] else f"{name} -" for name, rates in rows.items()), flush=True)
    save(rate_panels(TASKS, found), folder / "break_even.png")
    print(f"saved {folder / 'break_even.png'}")
    return {"parity": parity, "iterations per second": found, "tasks": TASKS}
