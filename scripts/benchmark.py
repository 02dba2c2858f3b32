#!/usr/bin/env python3
"""Time this project beside others, in one run, on equal threads; see derivations/results.md.

meta: a meta-iteration (meta-gradient and Adam step) beside JAX, PyTorch and the ancestor's loop, where installed.
steps: time and memory of a meta-gradient against inner steps. order: MAML beside its first-order form. widths: factors
beside matrices against the width. posts: the loops of the PyTorch post. training: a whole training, from the command to
the weights, beside JAX in a call an iteration and JAX in one call. peak: the share of the machine's fastest matrix
product. convolution: one layer beside PyTorch's and JAX's. characters: a meta-gradient of few-shot classification
beside theirs, and its memory. pong: frames a second of Pong's training. policies: playing and a round of policies that
adapt, beside bare stepping and PyTorch. ttt: a layer with an inner loop in dual form, beside its memory written token
by token. device: a device beside the host, with --device
gpu. Before others are timed beside this project, all must give the same gradient; trainings show their losses.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Sequence

from maml_numpy import BLAS_THREADS
from maml_numpy.cli.console import Parser, check_writable, guarded

sys.path.insert(0, str(Path(__file__).resolve().parent))  # which `python -I` leaves out
MODES = ("meta", "posts", "order", "widths", "peak", "steps", "training", "device", "convolution",
         "characters", "pong", "policies", "ttt")
PEERS = {"not-replayed": "not replayed", "jax-jit": "JAX jit", "torch.func": "torch.func",
         "torch-batched": "torch batched", "torch-loop": "torch loop", "numpy-loop": "ancestor's loop"}


def run(argv: Sequence[str]) -> int:
    """Measure, print, write; returns the exit code."""
    from maml_numpy import backend
    from maml_numpy.runs.parallel import cores
    parser = Parser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("what", nargs="?", default="meta", choices=sorted(MODES), help="What to measure (default: meta).")
    add("--threads", type=int, nargs="+", metavar="N",
        help="Numbers of cores and BLAS threads, for all peers alike (default: 1; meta 1 and 2; pong all cores).")
    add("--blocks", type=int, default=15, help="Number of timed blocks of each peer, in turn (default: 15).")
    add("--only", nargs="+", metavar="PEER", choices=PEERS,
        help=f"Peers to measure beside this project: {', '.join(PEERS)} (default: all).")
    add("--out", type=Path, default=Path("runs/benchmark"), help="Folder of results (default: runs/benchmark).")
    add("--device", choices=backend.DEVICES, default="cpu", help="Device for `device`; gpu needs CuPy (default: cpu).")
    add("--iterations", type=int, default=70_000, help="Outer updates of `training` (default: 70000).")
    args = parser.parse_args(argv)
    backend.library(args.device)  # raises where there is none
    threads = args.threads or {"meta": [1, 2][:cores()], "pong": [cores()]}.get(args.what, [1])
    for name, values, most in (("threads", threads, cores()), ("blocks", [args.blocks], 10**6),
                               ("iterations", [args.iterations], 10**7)):
        for value in values:
            if not 1 <= value <= most:
                parser.error(f"--{name} must be in 1..{most}, got {value}")
    check_writable(args.out / "meta.md")
    args.out.mkdir(parents=True, exist_ok=True)
    found = {}
    for count in threads:  # each in a process of its own: the libraries read their threads when they are imported
        path = args.out / f"{args.what}-{count}.json"
        job = {"what": args.what, "threads": count, "blocks": args.blocks, "path": str(path), "device": args.device,
               "only": [PEERS[name] for name in args.only or ()], "iterations": args.iterations,
               "folder": str(args.out)}
        environment = {**os.environ, **{variable: str(count) for variable in BLAS_THREADS}}
        code = subprocess.run([sys.executable, __file__, "--job", json.dumps(job)], env=environment).returncode
        if code:
            return code
        found[str(count)] = json.loads(path.read_text(encoding="utf-8"))
    if args.what == "meta":
        from benchmarks.table import meta_markdown
        text = meta_markdown(found)
        (args.out / "meta.md").write_text(text + "\n", encoding="utf-8")
        print(f"\n{text}\nsaved meta.md and JSON in {args.out}")
    return 0


def carry_out(argv: Sequence[str]) -> int:
    """One measurement in this process, on as many cores as threads; writes its JSON. argv: the job, as JSON."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from benchmarks import modes
    if len(argv) != 1:
        raise ValueError("--job is for this command itself: name what to measure, as in benchmark.py meta")
    job: dict[str, Any] = json.loads(argv[0])
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
    found = modes.MODES[job["what"]](job)
    if found is None:
        return 1
    Path(job["path"]).write_text(json.dumps({"versions": versions, "found": found}, indent=1), encoding="utf-8")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    argv = sys.argv[1:] if argv is None else argv
    return guarded(carry_out, argv[1:]) if argv[:1] == ["--job"] else guarded(run, argv)


if __name__ == "__main__":
    sys.exit(main())
