"""The process in which an answer is judged. It imports nothing of the library before the answer is in place."""

import json
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from typing import Any


class Replaced(MetaPathFinder, Loader):
    """Finds one module, with another source than its file's."""

    def __init__(self, module: str, source: str):
        self.module, self.source = module, source

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        return spec_from_loader(name, self) if name == self.module else None

    def exec_module(self, module: Any) -> None:
        """See `Loader`."""
        exec(compile(self.source, "the sheet", "exec"), module.__dict__)


def main() -> None:
    """Read what to judge from standard input, run the checks with it in place, write what fails to standard output."""
    task = json.load(sys.stdin)
    sys.meta_path.insert(0, Replaced(task["module"], task["source"]))
    found: dict[str, Any] = {"rows": 0, "failed": [], "error": ""}
    try:
        from maml_numpy.gradcheck import catalogue
        for row in catalogue.rows(*task["only"]):
            found["rows"] += 1
            if not row.passed:
                found["failed"].append([row.subject, row.tensor, row.reason])
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {' '.join(str(error).split()):.160}"
    sys.stdout.write("\n" + json.dumps(found))
