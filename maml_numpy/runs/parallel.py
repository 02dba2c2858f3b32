"""Several jobs at once, each in a process of its own with one BLAS thread."""

import multiprocessing
import os
import signal
import threading
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Generator, Iterator, Sequence

from .. import BLAS_THREADS

Job = Callable[[Any], Generator[Any, None, None]]


def cores() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(job: Job, arguments: Sequence[Any], processes: int) -> Generator[tuple[int, Any], None, None]:
    """Run job(argument) for every argument, `processes` >= 1 at a time; yields (index, value) as the jobs yield.

    job: a generator function that other processes can import. One process means this one, without any copies.
    When a job raises, or the caller closes the iterator or is interrupted, the other jobs are closed at their next
    yield, so that what they clean up they clean up, and then the exception goes on.
    Raises ValueError for processes < 1, and ChildProcessError when a process dies without a word.
    """
    if processes < 1:
        raise ValueError(f"processes must be at least 1, got {processes}")
    if processes == 1 or len(arguments) < 2:
        for index, argument in enumerate(arguments):
            with closing(job(argument)) as values:
                for value in values:
                    yield index, value
        return
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can deadlock
    waiting = list(enumerate(arguments))[::-1]
    running: dict[Any, tuple[int, Any]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                index, argument = waiting.pop()
                ours, theirs = context.Pipe()
                process = context.Process(target=_worker, args=(theirs, job, argument))
                with prepared():
                    process.start()
                theirs.close()
                running[ours] = index, process
            for connection in list[Any](wait(list(running))):
                index, process = running[connection]
                try:
                    kind, value = connection.recv()
                except EOFError:
                    process.join()
                    raise ChildProcessError(f"a worker process died (exit code {process.exitcode})") from None
                if kind == "value":
                    yield index, value
                elif kind == "end":
                    process.join()
                    connection.close()
                    del running[connection]
                else:
                    raise value
    finally:
        for connection in running:
            connection.close()  # a worker notices at its next word, and closes its job
        for _, process in running.values():
            process.join()


def _worker(connection: Connection, job: Job, argument: Any) -> None:
    """Send what the job yields, then "end"; or the exception. Ends quietly when nobody listens any more."""
    with suppress(BrokenPipeError, ConnectionResetError), closing(job(argument)) as values:
        try:
            for value in values:
                connection.send(("value", value))
            connection.send(("end", None))
        except Exception as error:
            connection.send(("error", error))


@contextmanager
def prepared() -> Iterator[None]:
    """While this holds, processes that start inherit one BLAS thread, so that together they use the cores, and are
    deaf to Ctrl-C, which the process that started them hears and acts upon."""
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    main = threading.current_thread() is threading.main_thread()
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    os.environ.update({name: "1" for name in BLAS_THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if main:
            signal.signal(signal.SIGINT, heard)
