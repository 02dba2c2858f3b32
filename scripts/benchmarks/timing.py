"""Timing in turn: every peer in every block, after a check that all compute the same gradient."""

import sys
from time import perf_counter
from typing import Any, Callable, Hashable, Mapping, TypeVar

import numpy as np
from maml_numpy.backend import Array
from maml_numpy.cli.console import fail

BLOCK_SECONDS = 0.1
Step = Callable[[], Any]
Name = TypeVar("Name", bound=Hashable)


def in_turn(steps: Mapping[Name, Step], blocks: int) -> dict[Name, list[float]]:
    """name -> the seconds of one call in each block; blocks of about BLOCK_SECONDS, all peers in turn."""
    counts = {}
    times: dict[Name, list[float]] = {name: [] for name in steps}
    for name, step in steps.items():
        step()
        begin = perf_counter()
        step()
        counts[name] = max(1, round(BLOCK_SECONDS / (perf_counter() - begin)))
    for _ in range(blocks + 1):
        for name, step in steps.items():
            begin = perf_counter()
            for _ in range(counts[name]):
                step()
            times[name].append((perf_counter() - begin) / counts[name])
    return {name: values[1:] for name, values in times.items()}  # the first block warms up


def compare(made: Mapping[str, tuple[Array, Step]], blocks: int) -> dict[str, Any] | None:
    """made: name -> (gradient, step). Check the gradients, time in turn, print; returns name -> microseconds of one
    iteration and the median ratio to this project's, or None where the gradients differ."""
    first = next(iter(made.values()))[0]
    for name, (gradient, _) in made.items():
        if np.abs(gradient - first).max() > 1e-3 * np.abs(first).max():
            fail(f"{name} computes another gradient")
            return None
    times = in_turn({name: step for name, (_, step) in made.items()}, blocks)
    mine = np.array(next(iter(times.values())))
    found: dict[str, Any] = {}
    for name, values in times.items():
        found[name] = {"microseconds": float(np.median(values)) * 1e6, "ratio": float(np.median(values / mine))}
        print(f"  {name:<16}{found[name]['microseconds']:>10.0f} us   {found[name]['ratio']:>7.2f} times", flush=True)
    return found


def calls(step: Step) -> int:
    """The calls, of Python functions and of compiled ones, that one step makes."""
    count = 0

    def tick(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")
    sys.setprofile(tick)
    step()
    sys.setprofile(None)
    return count
