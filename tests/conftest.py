"""What every test needs of its process."""

import os
import signal
import zlib

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy is imported: at these sizes a second thread only costs

from helpers import cores  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

# A shell starts what runs in its background deaf to Ctrl-C, and children inherit that; here some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng(request):
    """Random numbers of the test's own, the same whichever tests run beside it: seeded by its id."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


def pytest_collection_modifyitems(items):
    """What runs apart comes last."""
    items.sort(key=cores.is_apart)


def pytest_collection_finish(session):
    """Hand out what runs apart, unless the tests are only listed."""
    if not session.config.option.collectonly:
        session.config.add_cleanup(cores.begin(session.items))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """The outcome of a test that runs apart; None for all others, which run here."""
    if pyfuncitem.nodeid not in cores.futures:
        return None
    if text := cores.futures[pyfuncitem.nodeid].result():
        pytest.fail(text, pytrace=False)
    return True
