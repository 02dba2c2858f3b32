"""A training in a folder, to its end or broken off, for the tests of resuming bit for bit."""

from maml_numpy import runs


def trained_in(folder, trainer, upto=None):
    """The last progress."""
    updates = runs.train_in(folder, trainer, {})
    for progress in updates:
        if progress.iteration == upto:
            updates.close()
            break
    return progress
