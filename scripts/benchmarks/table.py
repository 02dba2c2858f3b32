"""Measured times as a table, for scripts/benchmark.py."""

from typing import Any


def meta_markdown(found: Any) -> Any:
    """found: number of threads -> {"found": shape -> peer -> {"microseconds", "ratio"}}. A row for every shape and
    number of threads: this project's time, and how many times as long each peer takes. JAX is shown at its better
    number of threads, against this project at the row's."""
    shapes = list(next(iter(found.values()))["found"])
    peers = [name for name in found[next(iter(found))]["found"][shapes[0]] if name != "maml_numpy"]
    lines = ["| T, N, H, K | threads | maml_numpy | " + " | ".join(peers) + " |", "|---" * (3 + len(peers)) + "|"]
    for shape in shapes:
        best = min((by["found"][shape]["JAX jit"]["microseconds"] for by in found.values()
                    if "JAX jit" in by["found"][shape]), default=None)
        for threads, by in found.items():
            row = by["found"][shape]
            cells = []
            for peer in peers:
                if peer == "JAX jit" and best is not None:
                    cells.append(f"{best / row['maml_numpy']['microseconds']:.2f}")
                else:
                    cells.append(f"{row[peer]['ratio']:.1f}" if peer in row else "")
            lines.append(f"| {shape.removesuffix(', MSE')} | {threads} | {row['maml_numpy']['microseconds']:,.0f} µs | "
                         + " | ".join(cells) + " |")
    return "\n".join(lines)
