"""`python -m maml_numpy` is the command `maml-numpy`."""

import sys

from .cli.main import main

sys.exit(main())
