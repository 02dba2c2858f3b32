"""Tests that another process runs while the tests before them run here: those with the mark `apart`.

They take no fixtures but tmp_path and rng, and come last; a failure there is a failure here. On a single core, or when
few of them are selected, they run as all others do.
"""

import inspect
import os
import tempfile
import traceback
import zlib
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
FEWEST = 8  # of such tests that are worth another process

futures = {}  # a test's id -> the traceback of its failure, or nothing


def generator(nodeid):
    """Random numbers of a test's own, the same whichever tests run beside it: seeded by its id."""
    return np.random.default_rng(zlib.crc32(nodeid.encode()))


def is_apart(item):
    """Whether a test is one of these."""
    return item.get_closest_marker("apart") is not None


def begin(items):
    """Hand out all that were selected; returns what ends it."""
    chosen = [item for item in items if is_apart(item)]
    if CORES < 2 or len(chosen) < FEWEST:
        return lambda: None
    pool = ProcessPoolExecutor(CORES - 1, get_context("spawn"))
    for item in chosen:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        futures[item.nodeid] = pool.submit(run, item.module.__name__, item.originalname, params, item.nodeid)
    return lambda: pool.shutdown(wait=False, cancel_futures=True)


def run(module, name, params, nodeid):
    """Call one test; returns the traceback of its failure, or nothing."""
    test = getattr(import_module(module), name)
    with tempfile.TemporaryDirectory() as folder:
        fixtures = {"tmp_path": Path(folder), "rng": generator(nodeid)}
        given = {name: value for name, value in fixtures.items() if name in inspect.signature(test).parameters}
        try:
            test(**params, **given)
        except Exception:
            return traceback.format_exc()
    return ""
