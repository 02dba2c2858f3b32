"""Tests whose work is done by other processes while the tests before them run.

Such a test takes the fixture `found`, the result of `elsewhere(name)` for its parameter `name`, a function of its file.
These tests come last. On a single core the work is done when its test asks for it.
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
FEWEST = 8  # of such tests that are worth another process

futures = {}


def is_elsewhere(item):
    """Whether the work of a test is done elsewhere."""
    return "found" in getattr(item, "fixturenames", ())


def begin(items):
    """Hand out the work of all selected tests; returns what ends it."""
    chosen = [(item.module, item.callspec.params["name"]) for item in items if is_elsewhere(item)]
    if CORES < 2 or len(chosen) < FEWEST:
        return lambda: None
    pool = ProcessPoolExecutor(CORES - 1, get_context("spawn"))
    futures.update({(module, name): pool.submit(module.elsewhere, name) for module, name in chosen})
    return lambda: pool.shutdown(wait=False, cancel_futures=True)


def result(module, name):
    """What `elsewhere(name)` of a module gives."""
    return futures[module, name].result() if (module, name) in futures else module.elsewhere(name)
