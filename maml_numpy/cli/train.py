"""Train an experiment, test it, or adapt it to your own points: `train [experiment] [options]`."""

import sys
from argparse import Namespace
from concurrent.futures import Executor, as_completed
from contextlib import closing
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Callable, Generator, Mapping, Sequence

import numpy as np

from .. import __version__, backend, experiments, runs
from ..experiments import UNTRAINED, Tested, shipped
from ..results import points
from ..runs import CHECKPOINT, Trainer, checkpoint, parallel
from ..runs.board import Board
from ..runs.ranks import Ranks, Together
from ..tasks import images
from .adapt import adapt_to, adapt_to_images
from .console import check_writable, guarded
from .jobs import Job
from .options import Command, arguments, listing
from .ranks import together
from .watch import check_screen, watch

RESUMES = "the same command with --resume continues from the last checkpoint"
Present = Mapping[tuple[str, int], checkpoint.Checkpoint]


def agree(command: Command, present: Present) -> Any:
    """The one configuration of this command line.

    present: (method, seed) -> checkpoint. Where there are weights already, a test takes from them what the command line
    leaves open, and training must be of their configuration. Raises ValueError naming the file and what differs.
    """
    asked = None if command.uses_learned and present else command.experiment.Config(**command.named)
    for (method, seed), found in present.items():
        config, labels = experiments.read_config(found)
        if labels != {**labels, "experiment": command.experiment.name, "method": method, "seed": seed}:
            raise ValueError(f"{found.path} is a run of {labels['experiment']}, method {labels['method']}, seed "
                             f"{labels['seed']}: it does not belong there")
        asked = asked or replace(config, **command.named)
        for option in fields(config):
            theirs, ours = getattr(config, option.name), getattr(asked, option.name)
            if theirs == ours or option.metadata["test"]:
                continue
            longer = option.name.endswith("iterations") and ours > theirs
            if not (longer and command.args.extend):
                hint = f"--extend continues it to {ours}; " if longer else ""
                raise ValueError(f"{found.path} was trained with --{option.name} {theirs}, not {ours}; {hint}"
                                 "choose another folder with --out, or move that one")
    return asked


def plan(command: Command) -> list[Job]:
    """The jobs of this command line, after all checks that need no training."""
    experiment, methods, _, args = command
    if command.uses_learned and not args.test:
        methods = methods[:1]
    seeds = range(args.seed, args.seed + args.seeds)
    folders = {(method, seed): args.out / experiment.name / f"{method}-seed{seed}"
               for method in methods for seed in seeds}
    present = {key: checkpoint.load(folder / CHECKPOINT) for key, folder in folders.items()
               if (folder / CHECKPOINT).exists()}
    if given := shipped_for(command, methods, present):
        common = {"config": given, "save_every": args.save_every, "test": args.test}
        jobs = [Job(experiment.name, methods[0], 0, shipped=True, **common)]
    else:
        common = {"config": agree(command, present), "save_every": args.save_every, "test": args.test,
                  "device": args.device}
        jobs = [job_of(command, method, seed, folder, present.get((method, seed)), common)
                for (method, seed), folder in folders.items()]
    if any(job.remaining for job in jobs):
        experiment.check(common["config"], methods)
    if args.test:
        jobs += [Job(experiment.name, UNTRAINED, seed, **common) for seed in seeds]
    trainings = sum(job.remaining > 0 for job in jobs)
    spare = max(1, args.processes // trainings) if trainings else 1  # a test is the work of one
    each = {"all": args.processes, "spare": spare, "one": 1}[experiment.processes]
    return [job._replace(processes=each) for job in jobs]


def job_of(command: Command, method: str, seed: int, folder: Path, found: checkpoint.Checkpoint | None,
           common: Mapping[str, Any]) -> Job:
    """The job of one method and seed. Raises ValueError for a run that was stopped, unless it is to be resumed."""
    experiment = command.experiment
    args = command.args
    config = common["config"]
    iterations = experiment.iterations(config, method)
    done = found.iteration if found else 0
    if found:
        found.theta_of(experiment.layout(config, method))
        if done > iterations:
            raise ValueError(f"{found.path} stands at iteration {done} of {iterations}")
        trained, labels = experiments.read_config(found)
        whole = experiment.iterations(trained, method)
        if 0 < done < min(whole, iterations) and not (args.resume or args.extend or command.uses_learned):
            raise ValueError(f"{folder} holds a run that stopped at iteration {done} of {whole}; --resume continues "
                             "it, another --out starts a new one")
        cut = labels.get("shards", 0)
        if done < iterations and cut != (args.shards or 0):
            how = f"with --mpi --shards {cut}" if cut else "without --mpi"
            raise ValueError(f"{folder} holds a run that was started {how}, and continues so, on any number of ranks")
    return Job(experiment.name, method, seed, folder=folder, iterations=iterations, done=done, extends=args.extend,
               tensorboard=args.tensorboard, shards=args.shards or 0, **common)


def shipped_for(command: Command, methods: Sequence[str], present: Present) -> Any:
    """The configuration of the parameters that come with the package, where nothing has been trained and the command
    line asks for no other; else None. A test uses them only where the experiment says so."""
    experiment, args = command.experiment, command.args
    path = shipped.path_of(experiment.name, methods[0])
    tested = {option.name for option in fields(experiment.Config) if option.metadata["test"]}
    if (present or len(methods) > 1 or args.seed or args.seeds > 1 or set(command.named) - tested
            or not command.uses_learned or (args.test and not experiment.ships) or not path.exists()):
        return None
    return replace(shipped.load(path).config, **command.named)


def trainer_of(job: Job, ranks: Ranks | None) -> Trainer:
    """How to train a job: here alone, or on all ranks, each of which calls this."""
    trainer = experiments.find(job.experiment).trainer(job.config, job.method, job.seed)
    trainer = trainer.to(backend.library(job.device), job.processes)
    return Together(trainer.across(ranks, job.shards), ranks) if ranks else trainer


def follow(ranks: Ranks) -> int:
    """Train what rank 0 trains, until it has no more; returns the exit code."""
    while job := ranks.share():
        trainer = trainer_of(job, ranks)
        for _ in trainer.updates(trainer.initial_progress(), trainer.rng):
            pass
    return 0


def work(job: Job, ranks: Ranks | None = None) -> Generator[Any, None, None]:
    """Carry out one job; yields (iterations taken, words, lines to print) now and then, and (found,) of the test."""
    experiment = experiments.find(job.experiment)
    if job.folder and (job.remaining or not (job.folder / CHECKPOINT).exists()):
        trainer = trainer_of(ranks.share(job) if ranks else job, ranks)
        past = {name: values[:job.done] for name, values in job.metrics().items()}
        words = experiment.progress(job.config, job.method, past)
        try:
            labels = {**job.labels, **asdict(job.config)}
            with (closing(runs.train_in(job.folder, trainer, labels, job.save_every, may_differ(job))) as updates,
                  Board(job.folder) as board):
                lines: list[str] = []
                for progress in updates:
                    lines += progress.warnings
                    if progress.iteration % trainer.metrics_every == 0 or progress.iteration == job.iterations:
                        if job.tensorboard:
                            board.update()
                        yield progress.iteration, words(progress), lines
                        lines = []
        except ArithmeticError as error:
            raise ArithmeticError(f"{job}, {error}") from error
        except MemoryError as error:
            raise MemoryError(f"{job}: {experiment.memory(job.config, job.method, job.device)}") from error
    elif job.folder and job.tensorboard and job.metrics():
        with Board(job.folder) as board:
            board.update()
    if job.test:
        yield (experiment.test(job.config, job.method, job.learned(), job.processes),)


def may_differ(job: Job) -> list[str]:
    """The options whose values may differ from those of the checkpoint."""
    options = fields(job.config)
    return [option.name for option in options
            if option.metadata["test"] or (job.extends and option.name.endswith("iterations"))]


def carry_out(jobs: Sequence[Job], processes: int, ranks: Ranks | None = None) -> list[Any]:
    """Run the jobs, so many at a time, under one progress bar; returns what each one's test found, or None. With ranks
    one after another, each on all of them."""
    from tqdm import tqdm
    found: list[Any] = [None] * len(jobs)
    at = [job.done for job in jobs]
    remaining = sum(job.remaining for job in jobs)
    one = partial(work, ranks=ranks) if ranks else work
    with closing(parallel.run(one, jobs, 1 if ranks else processes)) as messages, \
            tqdm(total=remaining, desc="training", unit="it", mininterval=0.3, disable=not remaining) as bar:
        for index, message in messages:
            if len(message) == 1:
                found[index] = message[0]
                continue
            iteration, words, lines = message
            for line in lines:
                bar.write(f"{jobs[index]}: {line}", file=sys.stderr)
            bar.set_postfix_str(f"{jobs[index]}, {words}", refresh=False)
            bar.update(iteration - at[index])
            at[index] = iteration
    return found


def whole(job: Job) -> Any:
    """Carry out one job without a word; returns what its test found, or None."""
    found = None
    for message in work(job):
        if len(message) == 1:
            found = message[0]
    return found


def hand_out(jobs: Sequence[Job], pool: Executor) -> list[Any]:
    """Have the jobs carried out by a pool, under a progress bar of whole jobs; returns what each one's test found."""
    from tqdm import tqdm
    futures = [pool.submit(whole, job) for job in jobs]
    try:
        for future in tqdm(as_completed(futures), total=len(jobs), desc="runs", unit="run", mininterval=0.3):
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    return [future.result() for future in futures]


def announce(command: Command, jobs: Sequence[Job]) -> None:
    """Say what will be trained, what is there already, and how the user's own data were read."""
    home = command.args.out / command.experiment.name
    for job in jobs:
        if job.shipped:
            print(f"nothing trained in {home}: using the weights that come with the package ({job})")
        elif job.remaining and job.done:
            print(f"{job}: continuing from iteration {job.done} to {job.iterations}")
        elif job.remaining and command.uses_learned:
            print(f"no weights for {job} yet: training {job.remaining} iterations first")
        elif job.folder and not job.remaining and not command.uses_learned:
            print(f"{job.folder}: already trained with the same settings; nothing to do")
    for line in jobs[0].config.remarks(any(job.remaining for job in jobs), command.args.test):
        print(line)


def called() -> str:
    """The command as the user called it, for hints."""
    name = Path(sys.argv[0]).name
    return sys.argv[0] if " " in sys.argv[0] else f"python {sys.argv[0]}" if name.endswith(".py") else name


def next_step(command: Command) -> str:
    """A suggestion for the next command."""
    name = command.experiment.name
    again = f"{called()}{'' if name == next(iter(experiments.EXPERIMENTS)) else ' ' + name}"
    if not command.uses_learned:
        return f"next: {again} --test"
    if command.experiment.own and not command.args.adapt:
        what = "points.csv, with x,y rows" if command.experiment.own == "points" else "FOLDER, with images"
        return f"next: {again} --adapt {what} of your own"
    if command.experiment.screen and command.args.watch is None:
        return f"next: {again} --watch game.gif"
    return ""


def run(argv: Sequence[str]) -> int:
    """Carry out one command line; returns the exit code."""
    if "--list" in argv:
        print(listing())
        return 0
    return together(lead_or_follow, argv, RESUMES) if "--mpi" in argv else lead(arguments(argv))


def lead_or_follow(argv: Sequence[str], ranks: Ranks) -> int:
    """Carry out one command line on every rank; returns the exit code."""
    command = arguments(argv)
    ranks.agree(said(command))
    if command.args.sweep:
        return ranks.sweep(partial(lead, command))
    return follow(ranks) if ranks.rank else lead(command, ranks)


def said(command: Command) -> dict[str, Any]:
    """What all ranks must have in common, in words of the command line."""
    config = command.experiment.Config(**command.named)
    names = ("seed", "seeds", "shards", "sweep", "test", "resume", "extend")
    common = {name: getattr(command.args, name) for name in names}
    options = {f"--{name}": value for name, value in {**common, **asdict(config)}.items()}
    return {"maml_numpy": __version__, "NumPy": np.__version__, "the experiment": command.experiment.name,
            "--method": " ".join(command.methods), **options}


def lead(command: Command, ranks: Ranks | None = None, pool: Executor | None = None) -> int:
    """Carry out a command, alone, as rank 0 of several that train together, or with a pool whose workers take whole
    runs; returns the exit code."""
    args: Namespace = command.args
    adapt = read_own(command) if args.adapt else None
    home = args.out / command.experiment.name
    check_outputs(command, home)
    jobs = plan(command)
    announce(command, jobs)
    begin = monotonic()
    if pool:
        found = hand_out(jobs, pool)
    else:
        found = carry_out(jobs, args.processes // jobs[0].processes, ranks)
    if ranks:
        ranks.share(None)  # there are no more
    seconds = monotonic() - begin
    for job in jobs:
        if job.remaining and job.folder:
            print(f"saved {job.folder / CHECKPOINT}")
    if args.test:
        tests = [Tested(job.method, job.seed, each, job.metrics(), job.learned()) for job, each in zip(jobs, found)]
        report = command.experiment.report(jobs[0].config, tests)
        names = report.save(home, seconds=round(seconds, 1))
        print(f"{report.heading}\n\n{report.table}\n\n{report.conclusion}\nsaved {', '.join(names)} in {home}")
    if args.watch is not None:
        print("\n".join(watch(jobs[0], args.watch, args.decisions or 2000)))
    if adapt is not None:
        print("\n".join(adapt(args.steps, jobs[0], home)))
    if words := next_step(command):
        print(words)
    return 0


def read_own(command: Command) -> Callable[[int | None, Job, Path], list[str]]:
    """Read what --adapt names, and return what adapts to it: steps, job, folder -> lines to print. Raises ValueError or
    OSError for what cannot be read."""
    path = command.args.adapt
    if command.experiment.own == "images":
        return partial(adapt_to_images, images.read_own(path))
    return partial(adapt_to, *points.read_points(path), source=path.name)


def check_outputs(command: Command, home: Path) -> None:
    """Raise OSError or ValueError, before any work, where a result could not be written, drawn or shown."""
    wanted = [home / "test.json"]
    if command.uses_learned:
        import matplotlib.figure  # noqa: F401  # raises for a backend that does not exist
    if command.args.watch is not None:
        check_screen(command.args.watch)
        wanted += [command.args.watch] if command.args.watch.name else []
    for path in wanted:
        check_writable(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, turning a user's mistake into one line and an exit code."""
    return guarded(run, argv, f"stopped; {RESUMES}")


if __name__ == "__main__":
    sys.exit(main())
