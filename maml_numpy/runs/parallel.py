"""Several jobs at once, each in a process of its own with one BLAS thread."""

import multiprocessing
import os
import signal
import threading
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any, Callable, Generator, Iterator, Sequence

from .. import BLAS_THREADS

Job = Callable[[Any], Generator[Any, None, None]]
GRACE = 60.0  # seconds in which a process may save its state before it is killed
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def cores() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(job: Job, arguments: Sequence[Any], processes: int) -> Generator[tuple[int, Any], None, None]:
    """Run job(argument) for every argument, `processes` >= 1 at a time; yields (index, value) as the jobs yield.

    job: a generator function that other processes can import. One process means this one, without any copies.
    arguments: one for each job; `str` of it names the job in messages.
    When a job raises, or the caller closes the iterator or is interrupted, the other jobs are closed at their next
    yield, so that they save their state; a process that does not end within GRACE seconds is killed.
    Raises ValueError for processes < 1, ChildProcessError when a process dies, and what a job raises.
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
    running: dict[Any, tuple[int, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                index, argument = waiting.pop()
                receiving, sending = context.Pipe(duplex=False)
                process: BaseProcess = context.Process(target=_worker, args=(sending, job, argument))
                with prepared():
                    process.start()
                sending.close()
                running[receiving] = index, process
            for connection in list[Any](wait(list(running))):
                index, process = running[connection]
                try:
                    kind, value = connection.recv()
                except EOFError:
                    end([process], GRACE)
                    raise ChildProcessError(f"the process of {arguments[index]} died "
                                            f"({ending(process.exitcode)})") from None
                if kind == "value":
                    yield index, value
                elif kind == "end":
                    end([process], GRACE)
                    connection.close()
                    del running[connection]
                else:
                    raise value
    finally:
        for connection in running:
            connection.close()  # a job is closed when it finds its connection closed
        end([process for _, process in running.values()], GRACE)


def end(processes: Sequence[BaseProcess], grace: float) -> None:
    """Wait until processes have ended, `grace` seconds at most, then kill those that have not, stopped ones too.

    A second Ctrl-C ends the waiting: then they are killed at once.
    """
    deadline = monotonic() + grace
    try:
        for process in processes:
            process.join(max(0.0, deadline - monotonic()))
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
        for process in processes:
            process.join()


def ending(exitcode: int | None) -> str:
    """How a process ended, in words."""
    if exitcode is not None and exitcode < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-exitcode).name}"
    return f"exit code {exitcode}"


def _worker(connection: Connection, job: Job, argument: Any) -> None:
    """Send what the job yields, then "end"; or the exception. Ends quietly when the connection is closed."""
    with suppress(BrokenPipeError, ConnectionResetError), closing(job(argument)) as values:
        try:
            for value in values:
                connection.send(("value", value))
            connection.send(("end", None))
        except Exception as error:
            connection.send(("error", error))


@contextmanager
def prepared(ignored: Sequence[int] = SIGNALS) -> Iterator[None]:
    """While this holds, processes that start inherit one BLAS thread, so that together they use the cores.

    ignored: signals that they ignore, since the process that started them acts on them: Ctrl-C, SIGTERM and SIGHUP.
    """
    before = {name: os.environ.get(name) for name in BLAS_THREADS}
    main = threading.current_thread() is threading.main_thread()
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in ignored} if main else {}
    os.environ.update({name: "1" for name in BLAS_THREADS})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        for number, handler in handlers.items():
            signal.signal(number, handler)
