"""Tables of test results: for the terminal and as Markdown, with a number or a spread in each cell."""

from statistics import median


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
