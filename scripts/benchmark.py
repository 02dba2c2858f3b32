#!/usr/bin/env python3
"""Time one meta-iteration of the paper's task (meta-gradient and Adam step) beside JAX jit, where JAX is installed.

Both run on the same cores in one process, in turn, block after block; the medians and the ratio of each pair of
blocks are printed. Before any timing both must give the same meta-gradient.
"""

import os
import sys
from time import perf_counter

from console import ROOT, Parser, fail, guarded

T, N, H, ALPHA, BETA = 25, 10, 40, 0.01, 1e-3
MEMORY_STEPS = (1, 2, 3, 5, 10, 20, 30, 40, 50)
WIDTHS = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256)


def run(argv):
    """Measure and print; returns the exit code."""
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="cores and BLAS threads for both; default 1")
    parser.add_argument("--blocks", type=int, default=31, help="pairs of blocks timed; default 31")
    parser.add_argument("--iterations", type=int, default=100, help="meta-iterations in a block; default 100")
    parser.add_argument("--posts", action="store_true",
                        help="instead, time the posts' loops of two_phase and daml, beside PyTorch where installed")
    parser.add_argument("--memory", action="store_true",
                        help="instead, measure peak memory against inner steps, and draw it into the notes' figure")
    parser.add_argument("--widths", action="store_true",
                        help="instead, time factors beside matrices against the width, and draw the notes' figure")
    args = parser.parse_args(argv)
    if args.memory:
        return memory()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    for name, value, most in (("threads", args.threads, len(cores)), ("blocks", args.blocks, 10**6),
                              ("iterations", args.iterations, 10**6)):
        if not 1 <= value <= most:
            return fail(f"--{name} must be in 1..{most}, got {value}", 2)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores[:args.threads])
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(args.threads)  # read when NumPy is first imported, hence before it

    if args.posts:
        return posts(args)
    if args.widths:
        return widths(args)
    import numpy as np
    peers = {"maml_numpy": ours(), "JAX jit": jax_jit()}
    print(f"(T, N, H, K) = ({T}, {N}, {H}, 1), float32, meta-gradient and Adam step, {described(args)}; "
          f"NumPy {np.__version__}")
    return compare(peers, args)


def described(args):
    """How it is measured, in words."""
    return f"{args.threads} thread(s), {args.blocks} blocks of {args.iterations}"


def posts(args):
    """Time the posts' own loops, one task an iteration, beside eager PyTorch."""
    from peers import ours_post, torch_post

    from maml_numpy.experiments import daml, two_phase
    for module in (two_phase, daml):
        config = module.Config()
        print(f"{module.__name__.split('.')[-1]}, the post's setting: K = {config.K}, one task, {described(args)}")
        code = compare({"maml_numpy": ours_post(module, config), "PyTorch eager": torch_post(module, config)}, args)
        if code:
            return code
    return 0


def widths(args):
    """Time a meta-gradient with factors beside the same with matrices, against the hidden width; print and draw."""
    from unittest.mock import patch

    import numpy as np

    from maml_numpy import inner, plots
    from maml_numpy.algorithms import MAML
    from maml_numpy.backend import keep_freed_memory
    keep_freed_memory()
    times = {}
    print(f"one meta-gradient, (T, N) = ({T}, {N}), float32, median us of {args.blocks} blocks in turn, "
          f"{args.threads} thread(s)\n{'K':>4}{'H':>6}{'matrices':>12}{'factors':>12}{'gain':>8}  chosen")
    for K in (1, 3):
        found = times[f"K = {K}"] = {"matrices": [], "factors": []}
        for width in WIDTHS:
            objective, theta, support, query = problem(width)
            algorithm = MAML(objective, ALPHA / K, K)
            blocks = {"matrices": [], "factors": []}
            for _ in range(args.blocks + 1):
                for form, values in blocks.items():
                    with patch.object(inner, "pays", lambda *_: form == "factors"):
                        begin = perf_counter()
                        for _ in range(max(1, args.iterations * 40 // (10 * K * width))):
                            algorithm.meta_gradient(theta, support, query)
                        values.append((perf_counter() - begin) * 1e6 / max(1, args.iterations * 40 // (10 * K * width)))
            a, b = (float(np.median(values[1:])) for values in blocks.values())
            found["matrices"].append(a)
            found["factors"].append(b)
            chosen = "factors" if inner.pays(objective, theta, [support] * K) else "matrices"
            print(f"{K:>4}{width:>6}{a:>12.0f}{b:>12.0f}{a / b:>8.2f}  {chosen}", flush=True)
    picture = ROOT / "derivations" / "figures" / "low_rank.png"
    plots.save(plots.width_curves(WIDTHS, times), picture)
    print(f"saved {picture}")
    return 0


def compare(peers, args):
    """Check that all peers compute the same gradient, time them in turn, print; returns the exit code."""
    import numpy as np
    missing = [name for name, made in peers.items() if not made]
    peers = {name: made for name, made in peers.items() if made}
    gradients = [gradient for gradient, _ in peers.values()]
    for name, gradient in zip(peers, gradients):
        if not np.allclose(gradient, gradients[0], rtol=1e-4, atol=1e-6):
            return fail(f"{name} computes another gradient")
    times = {name: [] for name in peers}
    for _ in range(args.blocks + 1):
        for name, (_, step) in peers.items():
            begin = perf_counter()
            for _ in range(args.iterations):
                step()
            times[name].append((perf_counter() - begin) / args.iterations * 1e6)
    blocks = {name: np.array(values[1:]) for name, values in times.items()}  # the first block warms up
    for name, values in blocks.items():
        print(f"{name:<14} median {np.median(values):7.0f} us   (min {values.min():.0f}, max {values.max():.0f})")
        if name != "maml_numpy":
            ratio = blocks["maml_numpy"] / values
            print(f"maml_numpy / {name}: median {np.median(ratio):.2f}   (min {ratio.min():.2f}, "
                  f"max {ratio.max():.2f})")
    for name in missing:
        print(f"{name.split()[0]} is not installed; it would be part of the comparison")
    return 0


def memory():
    """Measure, print and draw the peak memory of one meta-gradient against K, caches kept and recomputed."""
    import tracemalloc

    from maml_numpy import plots
    from maml_numpy.algorithms import MAML
    objective, theta, support, query = problem()
    peaks = {"kept": [], "recomputed": []}
    for how, values in peaks.items():
        for K in MEMORY_STEPS:
            algorithm = MAML(objective, ALPHA, K, keep_caches=how == "kept")
            algorithm.meta_gradient(theta, support, query)  # what is only ever allocated once is not counted
            tracemalloc.start()
            algorithm.meta_gradient(theta, support, query)
            values.append(tracemalloc.get_traced_memory()[1] / 1e6)
            tracemalloc.stop()
    P, record = theta.size, N * (8 * H + 6)  # numbers per task and step: theta_k, and the record (note 07)
    slopes = {"kept": (P + record) * T * theta.itemsize / 1e6, "recomputed": P * T * theta.itemsize / 1e6}
    anchor = MEMORY_STEPS.index(10)  # by then, everything that is in flight whatever K is has been allocated
    formula = {how: [values[anchor] + slopes[how] * (K - MEMORY_STEPS[anchor]) for K in MEMORY_STEPS]
               for how, values in peaks.items()}
    print(f"peak memory of one meta-gradient in MB, (T, N, H) = ({T}, {N}, {H}), {theta.dtype}; the formula goes "
          f"through what K = {MEMORY_STEPS[anchor]} takes and grows by {slopes['kept']:.3f} (kept) or "
          f"{slopes['recomputed']:.3f} a step")
    print(f"{'K':>4}{'kept':>10}{'formula':>10}{'recomputed':>14}{'formula':>10}")
    for i, K in enumerate(MEMORY_STEPS):
        print(f"{K:>4}{peaks['kept'][i]:>10.2f}{formula['kept'][i]:>10.2f}{peaks['recomputed'][i]:>14.2f}"
              f"{formula['recomputed'][i]:>10.2f}")
    picture = ROOT / "derivations" / "figures" / "memory.png"
    plots.save(plots.memory_curves(MEMORY_STEPS, peaks, formula), picture)
    print(f"saved {picture}")
    return 0


def problem(H=H):
    """The objective, theta in general position, and one meta-batch; the same for every peer."""
    import numpy as np

    from maml_numpy.initialisers import he_normal
    from maml_numpy.layers import ReLU
    from maml_numpy.losses import MSE
    from maml_numpy.network import mlp
    from maml_numpy.objectives import Supervised
    from maml_numpy.tasks import Sinusoid
    rng, family = np.random.default_rng(0), Sinusoid()
    objective = Supervised(mlp([1, H, H, 1], ReLU), MSE())
    tasks = family.sample(rng, T)
    batches = family.examples(rng, tasks, N), family.examples(rng, tasks, N)
    return objective, objective.network.initialise(rng, he_normal), *batches


def ours():
    """(meta-gradient, function that takes one meta-iteration), through the very loop that trains."""
    from maml_numpy.algorithms import MAML
    from maml_numpy.optim import Adam
    from maml_numpy.training import train
    objective, theta, support, query = problem()
    algorithm = MAML(objective, ALPHA)
    states = train(algorithm, Adam(BETA), theta, lambda: (support, query), 10**9)
    return algorithm.meta_gradient(theta, support, query).theta_bar, lambda: next(states)


def jax_jit():
    """The same in JAX: vmap over tasks, jit of gradient and Adam together. None where JAX is not installed."""
    try:
        import jax
    except ImportError:
        return None
    import jax.numpy as jnp
    import numpy as np
    objective, start, support, query = problem()
    theta = {name: jnp.asarray(view) for name, view in objective.layout.views(start).items()}

    def network(p, x):
        for i in (1, 2):
            x = jax.nn.relu(x @ p[f"dense{i}.W"] + p[f"dense{i}.b"])
        return x @ p["dense3.W"] + p["dense3.b"]

    def loss(p, x, y):
        return jnp.mean((network(p, x) - y) ** 2)

    def after_adaptation(p, x, y, x_query, y_query):
        adapted = jax.tree.map(lambda w, dw: w - ALPHA * dw, p, jax.grad(loss)(p, x, y))
        return loss(adapted, x_query, y_query)

    def J(p, *batch):
        return jnp.mean(jax.vmap(after_adaptation, (None, 0, 0, 0, 0))(p, *batch))

    @jax.jit
    def step(p, m, v, t, *batch):
        value, g = jax.value_and_grad(J)(p, *batch)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        p = jax.tree.map(lambda p, m, v: p - BETA * (m / (1 - 0.9 ** t)) / (jnp.sqrt(v / (1 - 0.999 ** t)) + 1e-8),
                         p, m, v)
        return p, m, v, t + 1, value

    batch = [jnp.asarray(part) for part in (*support, *query)]
    zero = jax.tree.map(jnp.zeros_like, theta)
    state = [theta, zero, zero, 1.0]

    def iterate():
        *state[:], value = step(*state, *batch)
        value.block_until_ready()

    gradient = jax.jit(jax.grad(J))(theta, *batch)
    return np.concatenate([np.ravel(gradient[name]) for name in objective.layout.shapes]), iterate


def main(argv=None):
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
