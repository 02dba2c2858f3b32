"""Trained parameters in use, wherever they lie: in a run folder, in a file, or in the package."""

from pathlib import Path
from typing import Any, Optional

from ..learner import read_learner
from ..objectives import Supervised
from ..runs import CHECKPOINT, checkpoint
from . import EXPERIMENTS, choose, find, read_config, shipped


def load(source: str | Path, method: Optional[str] = None, objective: Optional[Supervised] = None) -> Any:
    """Load trained parameters: a `Learner`, of a game a `PolicyAgent`, of video a `FramePredictor`.

    source: a run folder, such as "runs/sinusoid/maml-seed0"; a file that `Learner.save` wrote; or the name of an
    experiment whose parameters come with the package, such as "sinusoid".
    method: of those in the package, the method; the first one if None.
    objective: of a saved learner, where a layer or the loss is not of this library.
    Raises ValueError, naming the source, where there is nothing that can be used.
    """
    path = Path(source)
    if str(source) in EXPERIMENTS and not path.exists():
        known = shipped.methods_of(str(source))
        if not known:
            raise ValueError(f"no parameters of {source} come with the package; train it, and load its run folder")
        config, chosen, _, theta = shipped.load(shipped.path_of(str(source), choose("method", method or known[0],
                                                                                    known)))
        return find(str(source)).loaded(config, chosen, theta)
    if path.is_file():
        return read_learner(path, objective)
    found = checkpoint.load(path / CHECKPOINT)
    config, labels = read_config(found)
    experiment = find(labels["experiment"])
    theta = found.theta_of(experiment.layout(config, labels["method"]))
    return experiment.loaded(config, labels["method"], theta)
