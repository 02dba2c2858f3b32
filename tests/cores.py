"""Independent parts of one test file, shared out over all cores; each is judged by a test of its own."""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def shared_out(function, request, name="name"):
    """argument -> function(argument), for the arguments `name` of all selected tests in the file of the fixture.

    function: of a module, so that another process finds it; it and its results can be pickled.
    """
    values = [item.callspec.params[name] for item in request.session.items
              if item.module is request.module and name in getattr(getattr(item, "callspec", None), "params", {})]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if min(cores, len(values)) < 2:
        return {value: function(value) for value in values}
    with ProcessPoolExecutor(cores, get_context("spawn")) as pool:
        return dict(zip(values, pool.map(function, values, chunksize=4)))
