"""Build the site: `python docs/build.py --out FOLDER`.

The pages are the project's own files, unchanged: README as the start page, the course, the notes, and a reference made
of the docstrings. Warnings are errors. Needs the extra `docs`, node, and once a connection to the npm registry, for
KaTeX, which is pinned, checked and kept in build/.
"""

import argparse
import base64
import hashlib
import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]  # the library of this clone, and what stands beside this file

import api  # noqa: E402  (found through the line above)
from check import problems  # noqa: E402
KATEX_VERSION = "0.19.1"
KATEX_URL = f"https://registry.npmjs.org/katex/-/katex-{KATEX_VERSION}.tgz"
# "integrity" in https://registry.npmjs.org/katex/VERSION
KATEX_SHA512 = "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA=="
FIRST = ["README", "opening"]  # the notes' first pages
LAST = ["exercises", "answers", "results"]


class BuildError(Exception):
    """What stops the build, in one line."""


def katex(cache: Path) -> Path:
    """The folder with KaTeX's script, style and fonts in `katex/`; downloaded when it is not in `cache`."""
    folder = cache / f"katex-{KATEX_VERSION}"
    if not folder.exists():
        try:
            with urllib.request.urlopen(KATEX_URL, timeout=60) as answer:
                packed = answer.read()
        except (urllib.error.URLError, OSError) as error:
            raise BuildError(f"KaTeX {KATEX_VERSION} is not in {cache} and cannot be downloaded from {KATEX_URL}: "
                             f"{error}") from error
        if base64.b64encode(hashlib.sha512(packed).digest()).decode() != KATEX_SHA512:
            raise BuildError(f"{KATEX_URL} is not the package that this build expects: its SHA-512 differs")
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            unpack(packed, Path(scratch) / "whole" / "katex")
            os.replace(Path(scratch) / "whole", folder)  # whole or not at all
    return folder


def unpack(packed: bytes, folder: Path) -> None:
    """Of the npm package: the script, the style, and the fonts in the one format that every browser reads."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            path = Path(member.name)
            wanted = path.name in ("katex.min.js", "katex.min.css", "LICENSE") or path.suffix == ".woff2"
            content = tar.extractfile(member) if wanted else None
            if content:
                to = folder / ("fonts" if path.suffix == ".woff2" else "") / path.name
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(content.read())
    style = folder / "katex.min.css"
    style.write_text(re.sub(r",url\([^)]*\.(?:woff|ttf)\) format\(\"\w+\"\)", "", style.read_text()))


def lay_out(pages: Path) -> None:
    """Copy what the site shows into `pages`, and write its table of contents."""
    for folder in ("derivations", "docs/notebooks"):
        shutil.copytree(ROOT / folder, pages / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("COURSE.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "LICENSE"):
        shutil.copy(ROOT / name, pages)
    found = {path.stem for path in (pages / "derivations").glob("*.md")}
    numbered = sorted(name for name in found if name[0].isdigit())
    others = [name for name in LAST if name in found] + sorted(found - {*numbered, *FIRST, *LAST})
    contents = [("Notes", [f"derivations/{name}" for name in [*FIRST, *numbered]]),
                ("More", ["COURSE", *(f"derivations/{name}" for name in others)]),
                ("Reference", ["api/index", "CONTRIBUTING", "CHANGELOG"])]
    trees = "".join("\n".join(["", "```{toctree}", ":hidden:", ":titlesonly:", f":caption: {caption}", "", *names,
                               "```", ""])
                    for caption, names in contents)
    (pages / "index.md").write_text((ROOT / "README.md").read_text() + trees)
    api.write(pages / "api")


def build(out: Path, cache: Path) -> None:
    """Build the site into `out` and check it. Raises BuildError."""
    if not shutil.which("node"):
        raise BuildError("the formulas are set by KaTeX, which needs node on the path: https://nodejs.org")
    try:
        from sphinx.cmd.build import build_main
    except ImportError as error:
        raise BuildError(f'Sphinx is missing ({error}): python -m pip install -e ".[docs]"') from error
    os.environ["MAML_NUMPY_KATEX"] = str(katex(cache))
    with tempfile.TemporaryDirectory() as scratch:
        pages = Path(scratch) / "pages"
        pages.mkdir()
        lay_out(pages)
        if build_main(["-q", "-W", "-E", "-b", "html", "-c", str(HERE), "-d", str(Path(scratch) / "trees"), str(pages),
                       str(out)]):
            raise BuildError("Sphinx found mistakes; see above")
    (out / ".nojekyll").touch()  # GitHub Pages would leave out folders that begin with _
    found = problems(out)
    for line in found:
        print(line, file=sys.stderr)
    if found:
        raise BuildError(f"{len(found)} mistakes in the pages; see above")


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the site, and check its formulas, links and requests.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "site", help="folder of the site (build/site)")
    out = parser.parse_args().out.resolve()
    try:
        build(out, ROOT / "build")
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"the site: {out / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
