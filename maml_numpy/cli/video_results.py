"""What train.py shows of video prediction: progress, tests, pictures, a roll-out that moves."""

import json
from dataclasses import asdict

from .jobs import theta_of
from ..results.tables import gathered, markdown, spread, text, write

from ..results import animation
from .. import experiments
from ..video import figures as pictures

ROLL_OUT_FPS = 2


def words(job):
    """How a progress is shown while the job trains."""
    return lambda progress: f"loss {progress.loss:.2g}"


def test(job):
    """How well a finished job predicts: {title: numbers}."""
    experiment = experiments.find(job.experiment)
    return {experiment.TITLES[job.method]: experiment.test(job.config, job.method, theta_of(job))}


def what_fits(job):
    """Words for what takes memory."""
    return "a batch takes memory for its frames and their filtered images; choose a smaller --N"


def table(by_title):
    """Rows of the test, of one seed as they are, of several their median and range."""
    rows = [("predictor", "squared error", "of the floor", "sharp and correct", "least used code", "most used", "KL")]
    for title, by_seed in by_title.items():
        found = list(by_seed.values())
        cells = [spread([row["error"] for row in found], ".2e"), spread([row["of_floor"] for row in found], ".3g"),
                 spread([row["sharp"] for row in found], ".1%")]
        if found[0]["usage"]:
            cells += [spread([choose(row["usage"]) for row in found], ".2f") for choose in (min, max)]
            cells += [spread([row["kl"] for row in found], ".2f")]
        rows.append((title, *cells, *["-"] * (6 - len(cells))))
    return rows


def write_test(experiment, args, jobs, results, seconds):
    """Print the results of all jobs, and write them, with the figures, beside the runs."""
    home, config = args.out / args.experiment, jobs[0].config
    by_title, curves = gathered(experiment, jobs, results)
    summary, rows = experiment.summary(config), table(by_title)
    print(f"{summary['pairs']} pairs of frames; the least error without knowing the shift, the floor, is "
          f"{summary['floor']:.3g}.\nSharp and correct: every pixel within {summary['tolerance']:g} of one of the true "
          "futures, the code drawn uniformly.")
    print(text(rows))
    learned = {job.method: theta_of(job) for job in jobs if job.seed == args.seed}
    figures = experiment.figures(config, learned)
    if curves:
        figures["training"] = pictures.errors(
            {title: [(run["iteration"], run["reconstruction"]) for run in seeds] for title, seeds in curves.items()},
            summary["floor"])
    animation.save(home / "roll_out.gif", *pictures.moving(experiment.roll_out(config, learned), config.size),
                   ROLL_OUT_FPS)
    print(write(home, json.dumps({"experiment": args.experiment, "config": asdict(config), **summary,
                                  "seconds": round(seconds, 1), "methods": by_title}, indent=1),
                markdown(rows), figures, "roll_out.gif"))


def adapt_to(x, y, args, job):
    """Raise ValueError: there is nothing to adapt."""
    raise ValueError(f"{args.experiment} predicts frames; --adapt takes x, y points")
