#!/usr/bin/env python3
"""Time and weigh this project beside others, in one run, on equal threads; see README, "Speed".

meta: a meta-iteration (meta-gradient and Adam step) beside JAX, PyTorch and the ancestor's loop, where installed.
steps: time and memory of a meta-gradient against inner steps. order: MAML beside its first-order form. widths: factors
beside matrices against the width. posts: the loops of the PyTorch post. training: a whole training, from the command to
the weights, beside JAX in a call an iteration and JAX in one call. peak: the share of the machine's fastest matrix
product. convolution: one layer beside PyTorch's and JAX's. pong: frames a second of Pong's training. device: a device
beside the host, with --device gpu. Before others are timed beside this project, all must give the same gradient;
trainings show their losses.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from maml_numpy.cli.console import ROOT, Parser, fail, guarded

FIGURES = ROOT / "derivations" / "figures"
SHAPES = ((25, 10, 40, 1, "MSE"), (25, 10, 40, 5, "MSE"), (200, 10, 40, 1, "MSE"), (25, 10, 256, 1, "MSE"),
          (1, 10, 40, 1, "MSE"), (1, 4, 32, 5, "L1"))
WIDTHS = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256)
STEPS = (1, 2, 3, 5, 10, 20, 30, 40, 50)
PONG_ROUNDS = 5
TRAINING_ROUNDS = 3
BLOCK_SECONDS = 0.1
VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run(argv):
    """Measure, print, write; returns the exit code."""
    from maml_numpy import backend
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = Parser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", nargs="?", default="meta", choices=sorted(MODES), help="what to measure; default meta")
    parser.add_argument("--threads", type=int, nargs="+", metavar="N",
                        help="cores and BLAS threads, for all alike; default 1, for meta 1 and 2, for pong all cores")
    parser.add_argument("--blocks", type=int, default=15, help="timed blocks of each, in turn; default 15")
    parser.add_argument("--only", nargs="+", metavar="PEER", help="peers to measure beside this project; default all")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"), help="folder; default runs/benchmark")
    parser.add_argument("--device", choices=backend.DEVICES, default="cpu", help="of `device`; gpu needs CuPy")
    parser.add_argument("--iterations", type=int, default=70_000, help="of `training`; default 70000")
    args = parser.parse_args(argv)
    backend.library(args.device)  # raises where there is none
    threads = args.threads or {"meta": [1, 2][:cores], "pong": [cores]}.get(args.what, [1])
    for name, values, most in (("threads", threads, cores), ("blocks", [args.blocks], 10**6),
                               ("iterations", [args.iterations], 10**7)):
        for value in values:
            if not 1 <= value <= most:
                return fail(f"--{name} must be in 1..{most}, got {value}", 2)
    if args.only and set(args.only) - set(PEER_NAMES):
        return fail(f"--only must be among {', '.join(PEER_NAMES)}, got {', '.join(args.only)}", 2)
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for count in threads:  # each in a process of its own: the libraries read their threads when they are imported
        path = args.out / f"{args.what}-{count}.json"
        job = {"what": args.what, "threads": count, "blocks": args.blocks, "only": args.only, "path": str(path),
               "device": args.device, "iterations": args.iterations}
        environment = {**os.environ, **{variable: str(count) for variable in VARIABLES}}
        code = subprocess.run([sys.executable, __file__, "--job", json.dumps(job)], env=environment).returncode
        if code:
            return code
        found[str(count)] = json.loads(path.read_text())
    if args.what == "meta":
        from benchmarks.table import meta_markdown
        text = meta_markdown(found)
        (args.out / "meta.md").write_text(text + "\n")
        print(f"\n{text}\nsaved meta.md and JSON in {args.out}")
    return 0


def carry_out(job):
    """One measurement in this process, on as many cores as threads; writes its JSON."""
    import platform
    from importlib.metadata import PackageNotFoundError, version
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:job["threads"]])
    versions = {"python": platform.python_version()}
    for name in ("numpy", "jax", "torch"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            pass
    print(f"{job['what']}, {job['threads']} thread(s), median of {job['blocks']} blocks; "
          + ", ".join(f"{name} {number}" for name, number in versions.items()), flush=True)
    found = MODES[job["what"]](job)
    if found is None:
        return 1
    Path(job["path"]).write_text(json.dumps({"versions": versions, "found": found}, indent=1))
    return 0


def in_turn(steps, blocks):
    """name -> the seconds of one call in each block; blocks of about BLOCK_SECONDS, all peers in turn."""
    counts, times = {}, {name: [] for name in steps}
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


def compare(made, blocks):
    """made: name -> (gradient, step). Check the gradients, time in turn, print; returns name -> microseconds of one
    iteration and the median ratio to this project's, or None where the gradients differ."""
    import numpy as np
    first = next(iter(made.values()))[0]
    for name, (gradient, _) in made.items():
        if np.abs(gradient - first).max() > 1e-3 * np.abs(first).max():
            fail(f"{name} computes another gradient")
            return None
    times = in_turn({name: step for name, (_, step) in made.items()}, blocks)
    mine, found = np.array(next(iter(times.values()))), {}
    for name, values in times.items():
        found[name] = {"microseconds": float(np.median(values)) * 1e6, "ratio": float(np.median(values / mine))}
        print(f"  {name:<16}{found[name]['microseconds']:>10.0f} us   {found[name]['ratio']:>7.2f} times", flush=True)
    return found


def meta(job):
    """A meta-iteration of every shape, beside every peer."""
    from benchmarks.meta import PEERS, not_replayed, problem

    from maml_numpy.algorithms import MAML
    from maml_numpy.replay import Arena, Program
    found = {}
    for T, N, H, K, criterion in SHAPES:
        print(f"(T, N, H, K) = ({T}, {N}, {H}, {K}), {criterion}")
        made = {name: peer(problem(T, N, H, K, criterion)) for name, peer in PEERS.items()
                if not job["only"] or name in ("maml_numpy", *job["only"])}
        made = {name: peer for name, peer in made.items() if peer}
        outcome = compare(made, job["blocks"])
        if outcome is None:
            return None
        p = problem(T, N, H, K, criterion)
        program = Program(MAML(p.objective, p.alpha, K).meta_gradient, (p.theta, p.support, p.query), Arena())
        outcome["maml_numpy"] |= {"operations": program.operations, "calls": calls(not_replayed(p)[1])}
        print(f"  one meta-gradient of maml_numpy has {program.operations} operations; not replayed, an iteration "
              f"makes {outcome['maml_numpy']['calls']} calls besides operators")
        found[f"{T}, {N}, {H}, {K}, {criterion}"] = outcome
    return found


def calls(step):
    """The calls, of Python functions and of compiled ones, that one step makes."""
    count = 0

    def tick(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")
    sys.setprofile(tick)
    step()
    sys.setprofile(None)
    return count


def posts(job):
    """The posts' own loops, one task an iteration, beside eager PyTorch."""
    from benchmarks.posts import ours_post, torch_post

    from maml_numpy.experiments import daml, two_phase
    found = {}
    for module in (two_phase, daml):
        name, config = module.__name__.split(".")[-1], module.Config()
        print(f"{name}, the post's setting: K = {config.K}, one task an iteration, with drawing its examples")
        made = {"maml_numpy": ours_post(module, config), "PyTorch eager": torch_post(module, config)}
        found[name] = compare({peer: pair for peer, pair in made.items() if pair}, job["blocks"])
        if found[name] is None:
            return None
    return found


def widths(job):
    """A meta-gradient with factors beside the same with matrices, against the hidden width; draws the notes' figure."""
    from functools import partial

    import numpy as np
    from benchmarks.meta import meta_gradient, problem

    from maml_numpy import low_rank
    from maml_numpy.results import figures as plots
    from maml_numpy.replay import Arena, Program
    found = {}
    print(f"one meta-gradient, (T, N) = (25, 10), float32, us\n{'K':>4}{'H':>6}{'matrices':>12}{'factors':>12}"
          f"{'gain':>8}  chosen")
    for K in (1, 3):
        rows = found[f"K = {K}"] = {"matrices": [], "factors": []}
        for width in WIDTHS:
            p = problem(H=width, K=K)
            programs, batch = {}, (p.theta, p.support, p.query)
            for form in rows:
                programs[form] = Program(partial(meta_gradient, p, form == "factors"), batch, Arena())
            times = in_turn({form: partial(program, *batch) for form, program in programs.items()}, job["blocks"])
            a, b = (float(np.median(values)) * 1e6 for values in times.values())
            rows["matrices"].append(a)
            rows["factors"].append(b)
            pays = low_rank.factors_pay(p.objective.network, [True] * 5, [p.support] * K)
            chosen = "factors" if pays else "matrices"
            print(f"{K:>4}{width:>6}{a:>12.0f}{b:>12.0f}{a / b:>8.2f}  {chosen}", flush=True)
    plots.save(plots.width_curves(WIDTHS, found), FIGURES / "low_rank.png")
    print(f"saved {FIGURES / 'low_rank.png'}")
    return found


def order(job):
    """MAML beside first-order MAML against inner steps, and what note 07 counts in forward passes."""
    from functools import partial

    import numpy as np
    from benchmarks.meta import problem

    from maml_numpy.algorithms import MAML
    from maml_numpy.replay import Arena, Program
    found = {}
    for T, N, H in ((25, 10, 40), (1, 256, 512)):
        print(f"(T, N, H) = ({T}, {N}, {H}), float32\n{'K':>4}{'MAML':>12}{'FO-MAML':>12}{'ratio':>8}{'by count':>10}")
        for K in (1, 2, 5, 10):
            p = problem(T, N, H, K)
            batch = p.theta, p.support, p.query
            programs = {second: Program(MAML(p.objective, p.alpha, K, second).meta_gradient, batch, Arena())
                        for second in (True, False)}
            times = in_turn({second: partial(program, *batch) for second, program in programs.items()}, job["blocks"])
            both, first = (float(np.median(times[second])) * 1e6 for second in (True, False))
            ratio = float(np.median(np.divide(times[True], times[False])))
            found[f"{T}, {N}, {H}, {K}"] = {"MAML": both, "FO-MAML": first, "ratio": ratio}
            print(f"{K:>4}{both:>9.0f} us{first:>9.0f} us{ratio:>8.2f}{(9 * K + 3) / (3 * K + 3):>10.2f}", flush=True)
    return found


def steps(job):
    """Time and peak memory of a meta-iteration against inner steps; draws the notes' figures."""
    from benchmarks.memory import steps as weighed
    return weighed(STEPS, in_turn, job["blocks"], FIGURES)


def training(job):
    """The paper's training from the command to the weights: start-up, compilation and drawing of tasks included."""
    from benchmarks.training import measure
    return measure(job["iterations"], min(job["blocks"], TRAINING_ROUNDS))


def peak(job):
    """How much of the machine's fastest single-precision product a wide meta-gradient of one task reaches."""
    import numpy as np
    from benchmarks.meta import problem

    from maml_numpy.algorithms import MAML
    from maml_numpy.replay import Replayed
    N, H, n = 512, 1024, 2048
    p, rng = problem(1, N, H), np.random.default_rng(0)
    a, b = rng.standard_normal((2, n, n)).astype(np.float32)
    out, algorithm = np.empty_like(a), Replayed(MAML(p.objective, p.alpha))
    times = in_turn({"product": lambda: np.dot(a, b, out=out),
                     "meta-gradient": lambda: algorithm.meta_gradient(p.theta, p.support, p.query)}, job["blocks"])
    product, gradient = (float(np.median(values)) for values in times.values())
    rates = {"product": 2 * n ** 3 / product / 1e9, "meta-gradient": 12 * 2 * N * H ** 2 / gradient / 1e9}
    share = rates["meta-gradient"] / rates["product"]
    print(f"  {n} x {n} sgemm {rates['product']:.0f} GFLOP/s; meta-gradient of (T, N, H) = (1, {N}, {H}) "
          f"{rates['meta-gradient']:.0f} GFLOP/s, counting its twelve {N} x {H} x {H} products alone: {share:.0%}")
    return {**rates, "share": share}


def device(job):
    """The device beside the host: parity of a training, and iterations per second against tasks and width."""
    from benchmarks.devices import measure

    from maml_numpy import backend
    return measure(backend.library("cpu"), backend.library(job["device"]), FIGURES)


def convolution(job):
    """One convolution, to its second order, beside PyTorch and JAX."""
    from benchmarks.convolution import measure
    return measure(compare, job["blocks"])


def pong(job):
    """Frames a second of the whole of Pong's training, beside the emulator alone and dense layers in PyTorch."""
    from benchmarks.pong import measure
    return {method: measure(method, min(job["blocks"], PONG_ROUNDS), job["threads"]) for method in ("ppo", "source")}


MODES = {"meta": meta, "posts": posts, "order": order, "widths": widths, "steps": steps, "training": training,
         "peak": peak, "device": device, "convolution": convolution, "pong": pong}
PEER_NAMES = ("not replayed", "JAX jit", "torch.func", "torch batched", "torch loop", "ancestor's loop")


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--job"]:
        return carry_out(json.loads(argv[1]))
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
