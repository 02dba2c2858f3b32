"""The pages of the API reference: which names stand on them. Their text is the docstrings."""

import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType

PACKAGES = {"layers": "Layers", "algorithms": "Algorithms", "tasks": "Tasks", "rl": "Policies", "video": "Video",
            "sequence": "Sequences", "replay": "Replay", "gradcheck": "Checks", "runs": "Runs"}
TITLES = {"core": "The second-order core", **PACKAGES}


def modules_of(package: ModuleType) -> list[ModuleType]:
    """The modules in a package's folder."""
    folder = Path(str(package.__file__)).parent
    return [import_module(f"{package.__name__}.{path.stem}") for path in sorted(folder.glob("*.py"))
            if not path.stem.startswith("_")]


def public(module: ModuleType) -> list[str]:
    """The classes and functions that a module defines itself, in the order of its lines."""
    found = [(inspect.getsourcelines(value)[1], name) for name, value in vars(module).items()
             if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
             and value.__module__ == module.__name__ and value.__name__ == name and value.__doc__]
    return [name for _, name in sorted(found)]


def page(title: str, package: ModuleType, named: set[str] | None) -> str:
    """The page of a package: each module with its names; of those, the ones in `named` where it is given."""
    parts = [title, "=" * len(title), ""]
    if named is not None or package.__name__ != "maml_numpy":
        parts += [f".. automodule:: {package.__name__}", ""]
    for module in modules_of(package):
        names = [name for name in public(module) if named is None or name in named]
        if not names:
            continue
        heading = module.__name__.split(".", 1)[1]
        parts += [heading, "-" * len(heading), "", f".. automodule:: {module.__name__}", ""]
        for name in names:
            kind = "class" if inspect.isclass(getattr(module, name)) else "function"
            parts += [f".. auto{kind}:: {module.__name__}.{name}", *(["   :members:"] if kind == "class" else []), ""]
    return "\n".join(parts)


def front() -> str:
    """The page of the public names: a line for each, which leads to its description."""
    import maml_numpy as mn
    title = "API reference"
    parts = [title, "=" * len(title), "", "The public names, after ``import maml_numpy as mn``. Every class and "
             "function of the library stands on the pages below, under the module that defines it.", "",
             ".. list-table::", "   :widths: 30 70", ""]
    for name in mn.__all__:
        value = getattr(mn, name)
        if inspect.ismodule(value):
            target, kind = value.__name__, "mod"
        else:
            target, kind = f"{value.__module__}.{name}", "class" if inspect.isclass(value) else "func"
        said = " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())
        parts += [f"   * - :py:{kind}:`mn.{name} <{target}>`", f"     - {first_sentence(said)}"]
    return "\n".join([*parts, "", ".. toctree::", "   :titlesonly:", "", *(f"   {name}" for name in TITLES), ""])


def first_sentence(said: str) -> str:
    """The first sentence of a docstring, as reStructuredText."""
    from docstrings import text
    end = said.find(". ")
    return text(said if end < 0 else said[:end + 1])


def write(folder: Path) -> None:
    """Write all pages of the reference into `folder`."""
    folder.mkdir()
    (folder / "index.rst").write_text(front())
    for name, title in TITLES.items():
        package = import_module("maml_numpy" if name == "core" else f"maml_numpy.{name}")
        named = None if name == "core" or not hasattr(package, "__all__") else set(package.__all__)
        (folder / f"{name}.rst").write_text(page(title, package, named))
