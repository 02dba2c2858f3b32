"""Test results: gathered by method, as tables with a number or a spread in each cell, and written beside the runs."""

from statistics import median

from ..runs import files
from . import figures as plots
from .. import runs


def gathered(experiment, jobs, results):
    """Title -> seed -> what was found; and title -> the metrics of each seed that was trained."""
    by_title, curves = {}, {}
    for job, found in zip(jobs, results):
        for title, numbers in found.items():
            by_title.setdefault(title, {})[str(job.seed)] = numbers
        metrics = runs.read_metrics(job.folder) if job.folder else {}
        if metrics:
            curves.setdefault(experiment.TITLES[job.method], []).append(metrics)
    return by_title, curves


def write(home, results, table, figures, *others):
    """Write test.json and test.md, of these texts, and the figures, name -> figure; returns words that name all files,
    the others too."""
    files.write_text(home / "test.json", results)
    files.write_text(home / "test.md", table + "\n")
    for name, figure in figures.items():
        plots.save(figure, home / f"{name}.png")
    return (f"saved {', '.join(['test.json', 'test.md', *others, *(f'{name}.png' for name in figures)])} in {home}")


def spread(values, form):
    """A number, or the median and the range of several; a dash where one is missing."""
    if None in values:
        return "-"
    if len(values) == 1:
        return format(values[0], form)
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def text(rows):
    """Rows of cells as lines, column under column, the first to the left and the others to the right."""
    first, *others = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(f"{row[0]:<{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others))
                     for row in rows)


def markdown(rows):
    """Rows of cells, the first of them the heading, as a Markdown table."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])
