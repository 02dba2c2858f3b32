"""What every test needs of its process."""

import signal
import zlib

import numpy as np
import pytest

# A shell starts what runs in its background deaf to Ctrl-C, and children inherit that; here some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def rng(request):
    """Random numbers of the test's own, the same whichever tests run beside it: seeded by its id."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))
