"""The notes as texts: their formulas, and the symbols of these."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOTES = sorted((ROOT / "derivations").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def maths(text):
    """All TeX of a note: ```math fences and inline $`...`$."""
    fenced = [body for kind, body in FENCE.findall(text) if kind == "math"]
    return fenced + re.findall(r"\$`(.+?)`\$", FENCE.sub("", text), re.S)


def symbols(tex):
    """The atomic symbols of some TeX: single Latin letters and Greek commands; words in text are no symbols."""
    tex = re.sub(r"\\(?:text|mathrm|operatorname\*?|texttt|begin|end|tag)\{[^{}]*\}", " ", tex)
    tex = re.sub(r"\\mathrm ?d(?![a-z])", " ", tex)
    greek = {name for name in re.findall(r"\\([a-zA-Z]+)", tex) if name in GREEK}
    return greek | set(re.findall(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", " ", tex)))


GREEK = set("""
alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta kappa lambda mu nu xi pi rho sigma tau phi
varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell nabla""".split())


def defined(text):
    """The symbols in the first column of the tables of some text."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return set().union(*(symbols(tex) for row in rows for tex in maths(row)))
