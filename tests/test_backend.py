import ast
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import maml_numpy
from maml_numpy.backend import array_module

PACKAGE = Path(maml_numpy.__file__).parent


def test_array_module_of_numpy():
    assert array_module(np.zeros(2)) is np


@pytest.mark.parametrize("other", [[1.0], 1.0, None, "x"])
def test_array_module_converts_nothing(other):
    with pytest.raises(TypeError, match=type(other).__name__):
        array_module(other)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what this relies on is glibc's")
def test_freed_memory_is_kept():
    """Pages taken anew per iteration of arrays that come and go: hundreds without it, next to none with it."""
    program = """if True:
        import resource, sys
        import numpy as np
        from maml_numpy.backend import keep_freed_memory
        if sys.argv[1] == "keep":
            keep_freed_memory()
        def iteration():
            arrays = [np.ones((25, 1761), "f") for _ in range(6)]
        for _ in range(50):
            iteration()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(50):
            iteration()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    faults = {how: int(subprocess.run([sys.executable, "-c", program, how], capture_output=True, check=True).stdout)
              for how in ("keep", "return")}
    assert faults["keep"] < 50 and faults["keep"] < faults["return"] / 5


LIBRARY = [path for path in sorted(PACKAGE.rglob("*.py")) if "cli" not in path.parts]  # without the commands


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_library_neither_prints_nor_draws_global_random_numbers_nor_pickles(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "random":
            assert node.attr in ("Generator", "default_rng")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant) and node.value.value is False
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        assert not {"pickle", "pyplot", "torch", "jax"} & {part for name in names for part in name.split(".")}


@pytest.mark.parametrize("name", ["parameters", "layers/products", "layers/dense", "layers/activations", "losses",
                                  "network", "objectives", "learned_loss", "inner", "algorithms/maml",
                                  "algorithms/joint",
                                  "algorithms/meta_sgd", "algorithms/daml", "algorithms/reptile", "optim", "batch",
                                  "low_rank", "rates", "proximal", "solvers", "layers/context", "sequence/ttt"])
def test_compute_never_names_numpy_for_an_array_it_was_handed(name):
    tree = ast.parse((PACKAGE / f"{name}.py").read_text())
    allowed = {"network": {"random", "float32", "zeros"},  # initialise draws on the host
               "learned_loss": {"arange", "cos"}, "algorithms/reptile": {"arange", "resize"},  # examples lie there
               "batch": {"ndarray"},  # values are looked at on the host alone
               "rates": {"all", "asarray", "isfinite", "ndarray"}}.get(name, set())  # what a user gives lies there
    used = {node.attr for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"}
    assert used <= allowed


def test_imports_run_one_way():
    """Every room imports only rooms below it (the order of the house)."""
    floors = ["backend", "parameters", "batch", "initialisers", "layers", "losses", "rates", "low_rank", "network",
              "classification", "objectives", "learned_loss", "proximal", "solvers", "inner", "algorithms", "replay",
              "optim", "training", "runs", "tasks", "results", "rl", "video", "sequence", "learner", "experiments",
              "gradcheck", "exercise", "trace", "live", "cli",
              "__init__", "__main__"]
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == len(path.relative_to(PACKAGE).parts):
                names = [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]
                for below in {name for name in names if not name.isupper() and not name.startswith("_")}:
                    assert floors.index(below) < floors.index(room), f"{room} imports {below}"
