"""What train.py shows of experiments that play games: progress, tests, pictures, a game to watch."""

import json
from collections import deque
from dataclasses import asdict
from statistics import mean, stdev

import numpy as np
from .jobs import theta_of
from ..results.tables import gathered, markdown, spread, text, write

from ..results import animation
from .. import experiments, runs
from ..rl import figures as pictures
from ..rl.policy import softmax
from ..rl.rollout import sample_action

RECENT = 100  # episodes whose mean return is shown
WATCHED_FPS = 15  # decisions a second: with four frames each, as fast as the console
COLUMNS = ("return", "for", "against", "decisions")


def numbers_of(job):
    """The configuration that the job's method goes by."""
    return experiments.find(job.experiment).settings(job.config, job.method)


def words(job):
    """How a progress is shown while the job trains; a resumed one remembers its past."""
    numbers = numbers_of(job)
    past = runs.read_metrics(job.folder).get("mean_return", [])[:job.done]
    recent = deque(past, maxlen=max(1, RECENT // numbers.episodes))

    def shown(progress):
        recent.append(progress.metrics["mean_return"])
        speed = progress.metrics["decisions"] * numbers.skip / progress.metrics["seconds"]
        return (f"{progress.iteration * numbers.episodes:,} episodes, {speed:,.0f} frames/s, return "
                f"{mean(recent):+.1f} over the last {len(recent) * numbers.episodes}")
    return shown


def test(job):
    """How a finished job plays: {title: scores}."""
    experiment = experiments.find(job.experiment)
    return {experiment.TITLES[job.method]: experiment.test(job.config, job.method, theta_of(job), job.processes)}


def what_fits(job):
    """Words for what takes memory."""
    return "an update takes memory for all the decisions it draws; choose a smaller --size"


def table(by_title):
    """Rows of the test: the title, then the mean of every column, of one seed with its interval, of several their
    median and range. Where no reward is below 0 there is nobody to win against."""
    rows = [("policy", "return", "decisions", "won", "points for", "against")]
    for title, by_seed in by_title.items():
        columns = {name: [mean(scores[name]) for scores in by_seed.values()] for name in COLUMNS}
        won = [mean(score > 0 for score in scores["return"]) for scores in by_seed.values()]
        cells = {name: spread(values, "+.2f" if name == "return" else ".1f") for name, values in columns.items()}
        if len(by_seed) == 1:
            scores = next(iter(by_seed.values()))["return"]
            cells["return"] += f" ± {1.96 * stdev(scores) / len(scores) ** 0.5:.2f}" if len(scores) > 1 else ""
        rows.append((title, cells["return"], cells["decisions"], spread(won, ".0%"), cells["for"], cells["against"]))
    scored = any(any(scores["against"]) for by_seed in by_title.values() for scores in by_seed.values())
    return rows if scored else [row[:3] for row in rows]


def write_test(experiment, args, jobs, results, seconds):
    """Print the results of all jobs, and write them, with the figures, beside the runs."""
    config, (by_title, curves) = jobs[0].config, gathered(experiment, jobs, results)
    rows = table(by_title)
    print(f"{config.test_episodes} episodes each, actions drawn from the policy; mean ± 95% interval over episodes, or "
          "median and range over seeds")
    print(text(rows))
    figures = {}
    if curves:
        skip = {experiment.TITLES[job.method]: numbers_of(job).skip for job in jobs if job.folder}
        figures["training"] = pictures.learning_curves(curves, skip, args.experiment)
    if hasattr(experiment, "figures"):
        figures |= experiment.figures(config, {job.method: theta_of(job) for job in jobs if job.seed == args.seed})
    print(write(args.out / args.experiment,
                json.dumps({"experiment": args.experiment, "config": asdict(config), "seconds": round(seconds, 1),
                            "methods": by_title}), markdown(rows), figures))


def adapt_to(x, y, args, job):
    """Raise ValueError: there is nothing to adapt."""
    raise ValueError(f"{args.experiment} plays games; --adapt takes x, y points")


def game(job, limit):
    """Play one episode; yields what is on the screen and the probability of the first action, before each decision."""
    experiment = experiments.find(job.experiment)
    environment, network = experiment.make(job.config, job.method)
    theta, rng = network.by_layer(theta_of(job)), np.random.default_rng(job.seed)
    x, done = environment.reset(job.seed), False
    for _ in range(limit):
        logits = network.forward(theta, x)[0][0, :environment.A]
        yield environment.screen(), float(softmax(logits).pi[0])
        outcome = environment.step(sample_action(logits.tolist(), rng.random())[0])
        x, done = outcome.observation, outcome.done
        if done:
            return


def watch(args, job):
    """Write a game as GIF, or show it in a window where no file was named."""
    from matplotlib import figure, pyplot
    from tqdm import tqdm
    experiment = experiments.find(job.experiment)
    if not args.watch.name and pyplot.get_backend().lower() == "agg":
        raise ValueError("there is no screen to watch on; name a file, as in --watch game.gif")
    drawing = figure.Figure(figsize=(3.2, 3.2), dpi=80) if args.watch.name else pyplot.figure()

    def steps():
        show = None
        for screen, probability in tqdm(game(job, args.decisions), desc="playing", unit="decision", mininterval=0.3):
            show = show or pictures.game_view(drawing, screen, experiment.WATCHED)
            show(screen, probability)
            yield

    if args.watch.name:
        animation.save(args.watch, drawing, steps(), WATCHED_FPS)
        print(f"saved {args.watch}")
        return
    for _ in steps():
        if not pyplot.fignum_exists(drawing.number):
            return
        pyplot.pause(1 / WATCHED_FPS)
