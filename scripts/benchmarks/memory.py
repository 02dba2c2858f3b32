"""Time and peak memory of a meta-iteration against inner steps, for scripts/benchmark.py."""

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from maml_numpy.algorithms import MAML
from maml_numpy.replay import Arena, Program
from maml_numpy.results.figures import save

from . import timing
from .figures import memory_curves, step_curves
from .meta import Problem, jax_compiled, jax_jit, not_replayed, ours, problem, torch_batched

CAPTIONS = {"kept": "maml_numpy, caches kept", "recomputed": "maml_numpy, recomputed"}


def allocated(p: Problem, every_step: bool = False) -> Any:
    """The most bytes that one meta-gradient of this project holds at a time, after a first one."""
    algorithm = MAML(p.objective, p.alpha, p.K, keep_caches=not p.recompute, every_step=every_step)
    algorithm.meta_gradient(p.theta, p.support, p.query)  # what is only ever allocated once is not counted
    tracemalloc.start()
    algorithm.meta_gradient(p.theta, p.support, p.query)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def replayed_allocated(p: Problem) -> Any:
    """The bytes that a recorded list of calls holds all the time: its arrays, and itself."""
    algorithm = MAML(p.objective, p.alpha, p.K, keep_caches=not p.recompute)
    algorithm.meta_gradient(p.theta, p.support, p.query)
    gc.collect()  # Python's lists of freed objects too, or what comes from them would not be counted
    tracemalloc.start()
    program = Program(algorithm.meta_gradient, (p.theta, p.support, p.query), Arena())
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    del program  # until here it had to stay
    return size


def torch_allocated(p: Problem) -> Any:
    """The same of eager PyTorch, from its profiler's record of every allocation; None without it."""
    made = torch_batched(p)
    if made is None:
        return None
    import torch
    made[1]()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        made[1]()
    events = sorted((event.start_ns(), event.nbytes()) for event in profile.profiler.kineto_results.events()
                    if event.name() == "[memory]")
    return int(np.cumsum([size for _, size in events]).max())


def jax_allocated(p: Problem) -> Any:
    """The same of JAX: what its compiler says the program needs besides arguments and results; None without it."""
    made = jax_compiled(p)
    return None if made is None else int(made.temporary_bytes())


def steps(K: Any, blocks: int, folder: Path) -> Any:
    """Measure at every K, print a table, draw; returns name -> {"microseconds": […], "bytes": […]}."""
    measured = {"maml_numpy, caches kept": (False, not_replayed, allocated),
                "maml_numpy, recomputed": (True, not_replayed, allocated),
                "kept, replayed": (False, ours, replayed_allocated),
                "recomputed, replayed": (True, ours, replayed_allocated),
                "JAX jit, kept": (False, jax_jit, jax_allocated), "JAX jit, recomputed": (True, jax_jit, jax_allocated),
                "torch, eager": (False, torch_batched, torch_allocated)}
    found: dict[str, Any] = {}
    print(f"(T, N, H) = (25, 10, 40), float32\n{'K':>4}" + "".join(f"{name:>26}" for name in measured))
    for k in K:
        row, made = [], {}
        for name, (recompute, peer, weigh) in measured.items():
            p = problem(K=k, recompute=recompute)
            size, pair = weigh(p), peer(p)
            if pair:
                made[name] = pair[1]
                found.setdefault(name, {"microseconds": [], "bytes": []})["bytes"].append(size)
        for name, values in timing.in_turn(made, blocks).items():
            found[name]["microseconds"].append(float(np.median(values)) * 1e6)
            row.append(f"{found[name]['microseconds'][-1]:>14.0f} us {found[name]['bytes'][-1] / 1e6:>6.1f} MB")
        print(f"{k:>4}" + "".join(f"{cell:>26}" for cell in row), flush=True)
    p = problem()
    N = 10
    H = 40
    T = 25
    P, record = p.theta.size, N * (8 * H + 6)  # numbers per task and step: theta_k, and the record (note 07)
    each = {"kept": (P + record) * T * 4 / 1e6, "recomputed": P * T * 4 / 1e6}
    pieces = {"kept": lambda k: k, "recomputed": lambda k: next(j for j in range(k + 1) if j * (j + 1) >= 2 * k)}
    peaks = {how: [size / 1e6 for size in found[name]["bytes"]] for how, name in CAPTIONS.items()}
    anchor = K.index(10)  # by then, all arrays that do not depend on K have been allocated
    formula = {how: [values[anchor] + each[how] * (pieces[how](k) - pieces[how](K[anchor])) for k in K]
               for how, values in peaks.items()}
    print("the formula of note 07 grows by " + ", ".join(f"{size:.3f} MB ({how})" for how, size in each.items())
          + " for each step kept")
    rows = {f"{how}, {kind}": values for kind, table in (("measured", peaks), ("formula", formula))
            for how, values in table.items()}
    for how in CAPTIONS:
        rows[f"{how}, every_step"] = [allocated(problem(K=k, recompute=how == "recomputed"), True) / 1e6 for k in K]
    for name, values in rows.items():
        print(f"{name}: " + ", ".join(f"K = {k} {value:.2f} MB" for k, value in zip(K, values)))
    save(memory_curves(K, peaks, formula), folder / "memory.png")
    save(step_curves(K, found), folder / "steps_cost.png")
    print(f"saved memory.png and steps_cost.png in {folder}")
    return found
