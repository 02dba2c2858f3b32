"""Commands run in this process."""

from maml_numpy.cli import train


def exit_code(main, argv):
    """The exit code of a command, also where it stops at once."""
    try:
        return main(argv)
    except SystemExit as stop:
        return stop.code


def run(capsys, *argv):
    """Exit code, output and error lines (without progress bars) of train."""
    code = exit_code(train.main, [str(arg) for arg in argv])
    out, err = capsys.readouterr()
    return code, out, [line for line in err.splitlines() if "error" in line]
