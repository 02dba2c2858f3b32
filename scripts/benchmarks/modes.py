"""The measurements: name -> a function of the job, which prints, draws, and returns plain JSON values."""

from functools import partial
from pathlib import Path
from typing import Any, Callable, Mapping

import numpy as np
from maml_numpy import backend, low_rank
from maml_numpy.algorithms import MAML
from maml_numpy.experiments import daml, two_phase
from maml_numpy.replay import Arena, Program, Replayed
from maml_numpy.results.figures import save

from . import characters, convolution, devices, memory, policies, pong, timing, training, ttt
from .figures import width_curves
from .meta import PEERS, meta_gradient, not_replayed, problem
from .posts import ours_post, torch_post

SHAPES = ((25, 10, 40, 1, "MSE"), (25, 10, 40, 5, "MSE"), (200, 10, 40, 1, "MSE"), (25, 10, 256, 1, "MSE"),
          (1, 10, 40, 1, "MSE"), (1, 4, 32, 5, "L1"))
WIDTHS = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256)
STEPS = (1, 2, 3, 5, 10, 20, 30, 40, 50)
PONG_ROUNDS = 5
TRAINING_ROUNDS = 3
Job = Mapping[str, Any]  # threads, blocks, only, device, iterations, folder
Found = dict[str, Any] | None  # None where peers computed different gradients


def meta(job: Job) -> Found:
    """A meta-iteration of every shape, beside every peer."""
    found: dict[str, Any] = {}
    for T, N, H, K, criterion in SHAPES:
        print(f"(T, N, H, K) = ({T}, {N}, {H}, {K}), {criterion}")
        made = {name: peer(problem(T, N, H, K, criterion)) for name, peer in PEERS.items()
                if not job["only"] or name in ("maml_numpy", *job["only"])}
        made = {name: peer for name, peer in made.items() if peer}
        outcome = timing.compare(made, job["blocks"])
        if outcome is None:
            return None
        p = problem(T, N, H, K, criterion)
        program = Program(MAML(p.objective, p.alpha, K).meta_gradient, (p.theta, p.support, p.query), Arena())
        outcome["maml_numpy"] |= {"operations": program.operations, "calls": timing.calls(not_replayed(p)[1])}
        print(f"  one meta-gradient of maml_numpy has {program.operations} operations; not replayed, an iteration "
              f"makes {outcome['maml_numpy']['calls']} calls besides operators")
        found[f"{T}, {N}, {H}, {K}, {criterion}"] = outcome
    return found


def posts(job: Job) -> Found:
    """The posts' own loops, one task an iteration, beside eager PyTorch."""
    found: dict[str, Any] = {}
    for module in (two_phase, daml):
        name = module.EXPERIMENT.name
        config = module.Config()
        print(f"{name}, the post's setting: K = {config.K}, one task an iteration, with drawing its examples")
        made = {"maml_numpy": ours_post(module, config), "PyTorch eager": torch_post(module, config)}
        found[name] = timing.compare({peer: pair for peer, pair in made.items() if pair}, job["blocks"])
        if found[name] is None:
            return None
    return found


def chosen_from(K: int) -> int:
    """The least hidden width at which the library takes factors."""
    width = 1
    while True:
        p = problem(H=width, K=K)
        if low_rank.factors_pay(p.objective.network, [True] * 5, [p.support] * K):
            return width
        width += 1


def widths(job: Job) -> Found:
    """A meta-gradient with factors beside the same with matrices, against the hidden width; draws the notes' figure."""
    found: dict[str, Any] = {}
    print(f"one meta-gradient, (T, N) = (25, 10), float32, us\n{'K':>4}{'H':>6}{'matrices':>12}{'factors':>12}"
          f"{'gain':>8}  chosen")
    for K in (1, 3):
        rows: dict[str, list[float]] = {"matrices": [], "factors": []}
        found[f"K = {K}"] = rows
        for width in WIDTHS:
            p = problem(H=width, K=K)
            programs = {}
            batch = (p.theta, p.support, p.query)
            for form in rows:
                programs[form] = Program(partial(meta_gradient, p, form == "factors"), batch, Arena())
            times = timing.in_turn({form: partial(program, *batch) for form, program in programs.items()},
                                   job["blocks"])
            a, b = (float(np.median(values)) * 1e6 for values in times.values())
            rows["matrices"].append(a)
            rows["factors"].append(b)
            pays = low_rank.factors_pay(p.objective.network, [True] * 5, [p.support] * K)
            chosen = "factors" if pays else "matrices"
            print(f"{K:>4}{width:>6}{a:>12.0f}{b:>12.0f}{a / b:>8.2f}  {chosen}", flush=True)
    figure = width_curves(WIDTHS, found, {name: chosen_from(int(name.split()[-1])) for name in found})
    save(figure, Path(job["folder"]) / "low_rank.png")
    print(f"saved low_rank.png in {job['folder']}")
    return found


def order(job: Job) -> Found:
    """MAML beside first-order MAML against inner steps, and what note 07 counts in forward passes."""
    found: dict[str, Any] = {}
    for T, N, H in ((25, 10, 40), (1, 256, 512)):
        print(f"(T, N, H) = ({T}, {N}, {H}), float32\n{'K':>4}{'MAML':>12}{'FO-MAML':>12}{'ratio':>8}{'by count':>10}")
        for K in (1, 2, 5, 10):
            p = problem(T, N, H, K)
            batch = p.theta, p.support, p.query
            programs = {second: Program(MAML(p.objective, p.alpha, K, second).meta_gradient, batch, Arena())
                        for second in (True, False)}
            times = timing.in_turn({second: partial(program, *batch) for second, program in programs.items()},
                                   job["blocks"])
            both, first = (float(np.median(times[second])) * 1e6 for second in (True, False))
            ratio = float(np.median(np.divide(times[True], times[False])))
            found[f"{T}, {N}, {H}, {K}"] = {"MAML": both, "FO-MAML": first, "ratio": ratio}
            print(f"{K:>4}{both:>9.0f} us{first:>9.0f} us{ratio:>8.2f}{(9 * K + 3) / (3 * K + 3):>10.2f}", flush=True)
    return found


def peak(job: Job) -> Found:
    """How much of the machine's fastest single-precision product a wide meta-gradient of one task reaches."""
    N = 512
    H = 1024
    n = 2048
    p, rng = problem(1, N, H), np.random.default_rng(0)
    a, b = rng.standard_normal((2, n, n)).astype(np.float32)
    out, algorithm = np.empty_like(a), Replayed(MAML(p.objective, p.alpha))
    times = timing.in_turn({"product": lambda: np.dot(a, b, out=out),
                            "meta-gradient": lambda: algorithm.meta_gradient(p.theta, p.support, p.query)},
                           job["blocks"])
    product, gradient = (float(np.median(values)) for values in times.values())
    rates = {"product": 2 * n ** 3 / product / 1e9, "meta-gradient": 12 * 2 * N * H ** 2 / gradient / 1e9}
    share = rates["meta-gradient"] / rates["product"]
    print(f"  {n} x {n} sgemm {rates['product']:.0f} GFLOP/s; meta-gradient of (T, N, H) = (1, {N}, {H}) "
          f"{rates['meta-gradient']:.0f} GFLOP/s, counting its twelve {N} x {H} x {H} products alone: {share:.0%}")
    return {**rates, "share": share}


MODES: dict[str, Callable[[Job], Found]] = {
    "meta": meta, "posts": posts, "order": order, "widths": widths, "peak": peak,
    "steps": lambda job: memory.steps(STEPS, job["blocks"], Path(job["folder"])),
    "training": lambda job: training.measure(job["iterations"], min(job["blocks"], TRAINING_ROUNDS)),
    "device": lambda job: devices.measure(backend.library("cpu"), backend.library(job["device"]), Path(job["folder"])),
    "convolution": lambda job: convolution.measure(job["blocks"]),
    "characters": lambda job: characters.measure(job["blocks"]),
    "policies": lambda job: policies.measure(min(job["blocks"], policies.ROUNDS)),
    "ttt": lambda job: ttt.measure(job["blocks"]),
    "pong": lambda job: {method: pong.measure(method, min(job["blocks"], PONG_ROUNDS), job["threads"])
                         for method in ("ppo", "source")},
}
