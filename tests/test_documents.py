"""The Python of README and CONTRIBUTING runs, and their links lead somewhere."""

import re
from pathlib import Path

import draw
import pytest

from maml_numpy.cli import train
from maml_numpy.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.S | re.M)
FIGURES = ROOT / "derivations" / "figures"
EMBEDDED = [(path, words, figure) for path in sorted((ROOT / "derivations").glob("*.md"))
            for words, figure in re.findall(r"!\[([^]]*)\]\(figures/([^)]+)\)", path.read_text())]


def test_the_examples_of_contributing_run_in_their_order(tmp_path, capsys, monkeypatch):
    names: dict = {}
    blocks = BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(blocks) == 4 and all(block.count("\n") < 32 for block in blocks)
    for block in blocks:
        exec(block, names)
    slope = names["progress"]
    assert slope.iteration == 300 and float(slope.loss) < 0.3
    monkeypatch.setitem(EXPERIMENTS, "waves", names["EXPERIMENT"])
    argv = ["waves", "--test", "--iterations", "3", "--processes", "1", "--out", str(tmp_path)]
    assert train.main(argv) == 0 and "random start" in capsys.readouterr().out
    assert (tmp_path / "waves/steps.png").exists()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "COURSE.md", "derivations/README.md",
                                  "derivations/results.md"])
def test_links_lead_to_files(name):
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / name).parent / target).exists(), target


def test_the_examples_of_readme_run_and_need_three_imports(capsys):
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    assert len(blocks) == 2
    for block in blocks:
        assert len(re.findall(r"^(?:import|from) ", block, re.M)) <= 3
        exec(block, {})
    adapted, trained = capsys.readouterr().out.splitlines()
    assert "before:" in adapted
    said = re.search(r"# (\S+) -> (\S+)\n", blocks[1]).groups()
    for value, printed in zip(map(float, trained.split(" -> ")), map(float, said), strict=True):
        assert abs(value - printed) <= 0.01  # rounding, then a last digit that differs between processors


def test_tables_of_readme_are_narrow():
    """GitHub shows 948 pixels, about 120 characters of a table."""
    for line in (ROOT / "README.md").read_text().splitlines():
        assert not line.startswith("|") or len(line) <= 120, line


def test_every_figure_is_in_a_note_and_every_one_that_draw_draws_is_there():
    there = {path.name for path in FIGURES.iterdir()}
    assert {figure for _, _, figure in EMBEDDED} == there
    assert {f"{name}.png" for name in draw.FIGURES} <= there


@pytest.mark.parametrize("path, words, figure", EMBEDDED, ids=[f"{path.stem}-{figure}" for path, _, figure in EMBEDDED])
def test_a_figure_is_described_and_small(path, words, figure):
    assert len(words.split()) >= 5
    assert (FIGURES / figure).stat().st_size < 250_000


def test_the_readme_of_the_notes_says_how_every_figure_is_made():
    text = (ROOT / "derivations" / "README.md").read_text()
    for figure in {figure for _, _, figure in EMBEDDED}:
        assert Path(figure).stem in draw.FIGURES or f"`{figure}`" in text, figure
