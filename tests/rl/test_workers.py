"""Processes that play, and the program around them."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
PROGRAM = """
import numpy as np
from helpers.walk import make, network
from maml_numpy.initialisers import uniform_fan_in
from maml_numpy.rl.workers import Workers

if __name__ == "__main__":
    workers = Workers(make, 2, 0).__enter__()
    theta = network().initialise(np.random.default_rng(1), uniform_fan_in)
    print(len(workers.play(theta, range(3))[0]))
"""


def test_a_program_that_never_closes_its_workers_ends(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    done = subprocess.run([sys.executable, tmp_path / "program.py"], env={**os.environ, "PYTHONPATH": path}, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "3\n", done.stderr
