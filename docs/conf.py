"""Sphinx's configuration of the site. `python docs/build.py --out FOLDER` lays out the pages and calls Sphinx on them.

The notes stay as they are written for GitHub: what differs is translated while they are read.
"""

import os
import re
import sys
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from docstrings import as_rst  # noqa: E402  (found through the line above)
from maml_numpy import __version__  # noqa: E402

project, author = "maml_numpy", "maml_numpy contributors"
version = release = __version__
copyright = author
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "sphinxcontrib.katex"]
suppress_warnings = ["myst.header"]  # a figure's section may skip a level

myst_fence_as_directive = ["math"]
myst_heading_anchors = 6

KATEX = Path(os.environ["MAML_NUMPY_KATEX"])  # set by build.py: the unpacked package
katex_prerender = True
katex_css_path, katex_js_path = "katex/katex.min.css", str(KATEX / "katex" / "katex.min.js")

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes, which say more
python_maximum_signature_line_length = 100

html_theme = "furo"
html_title = "maml_numpy"
html_static_path = [str(HERE / "static"), str(KATEX)]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

INLINE = re.compile(r"\$`([^`]+)`\$")
FENCE = re.compile(r"(^ *(```+|~~~+).*?^ *\2[^\S\n]*$)", re.DOTALL | re.MULTILINE)
TAG = re.compile(r"\\tag\{([a-z_]+\.\d+)\}")
LABEL = re.compile(r"[a-z_]+\.\d+")


def inline_math(app, docname, source):
    """GitHub's inline mathematics, between dollar signs and backticks, as the role that MyST knows; not in code."""
    parts = FENCE.split(source[0])  # text, fence, the fence's marks, text, …
    source[0] = "".join(part if place % 3 else INLINE.sub(r"{math}`\1`", part) for place, part in enumerate(parts)
                        if place % 3 != 2)


def name_equations(app, doctree):
    """Make each display with a label the target of links to `#label`, and remember its page."""
    for block in list(doctree.findall(nodes.math_block)):
        for label in TAG.findall(block.astext()):
            block.parent.insert(block.parent.index(block), nodes.target("", "", ids=[label]))
            labels(app.env)[label] = app.env.docname


def labels(env):
    """The page of each label."""
    if not hasattr(env, "equation_pages"):
        env.equation_pages = {}
    return env.equation_pages


class LabelLinks(SphinxPostTransform):
    """A label that stands in the text as code, such as `dense.4`, leads to its equation."""

    default_priority = 400

    def run(self, **options):
        pages = labels(self.env)
        for code in list(self.document.findall(nodes.literal)):
            text = code.astext()
            if LABEL.fullmatch(text) and text in pages and not isinstance(code.parent, nodes.reference):
                code.replace_self(make_refnode(self.app.builder, self.env.docname, pages[text], text, code.deepcopy()))


def docstring(app, what, name, obj, options, lines):
    lines[:] = as_rst(lines)


def skip(app, what, name, obj, skipped, options):
    """The fields of a NamedTuple are described in its own docstring; the members give only their places."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app):
    app.connect("source-read", inline_math)
    app.connect("doctree-read", name_equations)
    app.connect("autodoc-process-docstring", docstring)
    app.connect("autodoc-skip-member", skip)
    app.add_post_transform(LabelLinks)
