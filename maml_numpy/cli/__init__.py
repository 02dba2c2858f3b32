"""The commands: `maml-numpy train`, `maml-numpy gradcheck`; scripts/ has a door to each.

Every command computes with one BLAS thread unless the environment asks for more: a second one gains nothing at the
sizes of meta-learning, and costs much where another process wants the core. NumPy reads this when it is first imported,
so this package must be imported before it.
"""

import os

from .. import BLAS_THREADS

for _variable in BLAS_THREADS:
    os.environ.setdefault(_variable, "1")
