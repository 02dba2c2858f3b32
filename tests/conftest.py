"""What every test needs of its process."""

import os
import signal
import tempfile

import maml_numpy.cli  # noqa: F401  # sets one BLAS thread, before NumPy is imported
from helpers import cores
import pytest

# A shell starts background processes that ignore Ctrl-C, and nohup ones that ignore SIGHUP; children inherit that. Some
# tests send these signals.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


cache = tempfile.TemporaryDirectory(prefix="maml_numpy-tests-")  # what is kept is made anew, and removed at exit
os.environ["XDG_CACHE_HOME"] = cache.name


@pytest.fixture
def rng(request):
    """Random numbers of the test's own, the same whichever tests run beside it."""
    return cores.generator(request.node.nodeid)


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
