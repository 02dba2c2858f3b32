"""Episodes played by several processes at once.

An episode is decided by theta, the seed and its number alone: its actions are drawn from a generator of its own, and it
is played from beginning to end by one process with one BLAS thread. So what comes back does not depend on how many
processes there are, nor on which of them was faster.
"""

import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, Callable, Sequence

import numpy as np

from ..backend import Array
from ..network import Network
from ..runs.parallel import end, ending, prepared
from .environments import Environment
from .rollout import Episode, play

Make = Callable[[], tuple[Environment, Network]]
ENVIRONMENT_SEEDS = 1_000_000  # between two seeds: episode 17 of seed 3 is played in an environment seeded 3,000,017
MOST_DEATHS = 5  # consecutive deaths of processes before any episode ends
GRACE = 0.1  # seconds that a process has to end; it holds nothing that could be lost


class Workers:
    """Processes that play. Use it in a `with`; none outlives it.

    make: makes the environment and the network; other processes must be able to import it.
    count: how many processes, at least 1.
    seed: of the episodes.
    """

    def __init__(self, make: Make, count: int, seed: int):
        if count < 1:
            raise ValueError(f"there must be at least 1 worker, got {count}")
        self.make, self.seed = make, seed
        self.context = multiprocessing.get_context("spawn")  # forking a process that has threads can deadlock
        self.processes: list[Any] = [None] * count
        self.connections: list[Any] = [None] * count
        self.told: set[int] = set()  # which of them have the current theta

    def __enter__(self) -> "Workers":
        for index in range(len(self.processes)):
            self._start(index)
        return self

    def __exit__(self, *exception: Any) -> None:
        started = [process for process in self.processes if process is not None]
        for connection, process in zip(self.connections, self.processes):
            if process is not None:
                connection.close()
        end(started, GRACE)

    def play(self, theta: Array, numbers: Sequence[int]) -> tuple[list[Episode], list[str]]:
        """Play the episodes of these numbers with theta (P,); returns them in this order, and a line for each mishap.

        A process that dies is replaced, and the episode it was in is played again from its beginning.
        Raises what playing raised, and ChildProcessError when MOST_DEATHS processes die before any episode ends.
        """
        waiting = list(numbers)[::-1]
        idle = list(range(len(self.processes)))
        playing: dict[Any, tuple[int, int]] = {}
        found: dict[int, Episode] = {}
        mishaps: list[str] = []
        died = 0
        self.told.clear()
        while waiting or playing:
            while waiting and idle:
                index, number = idle.pop(0), waiting.pop()
                playing[self.connections[index]] = index, number
                with suppress(BrokenPipeError):  # the process has died, as recv will say below
                    self.connections[index].send((None if index in self.told else theta, number))
                self.told.add(index)
            for connection in list[Any](wait(list(playing))):
                index, number = playing.pop(connection)
                idle.append(index)
                try:
                    outcome = connection.recv()
                except (EOFError, ConnectionResetError):
                    self.processes[index].join()
                    died += 1
                    mishaps.append(f"worker {index + 1} died ({ending(self.processes[index].exitcode)}); a new one "
                                   f"plays episode {number} from its beginning")
                    if died == MOST_DEATHS:
                        raise ChildProcessError(f"{died} workers died one after another "
                                                f"({ending(self.processes[index].exitcode)})") from None
                    waiting.append(number)
                    self._start(index)
                    continue
                if isinstance(outcome, Exception):
                    raise outcome
                found[number] = outcome
                died = 0
        return [found[number] for number in numbers], mishaps

    def _start(self, index: int) -> None:
        if self.connections[index] is not None:
            self.connections[index].close()
        near, far = self.context.Pipe()
        self.processes[index] = self.context.Process(target=_work, args=(far, self.make, self.seed), daemon=True)
        with prepared([signal.SIGINT]):  # SIGTERM ends it, as Python expects of a daemon when the program ends
            self.processes[index].start()
        far.close()
        self.connections[index] = near
        self.told.discard(index)


def generator(seed: int, number: int) -> np.random.Generator:
    """The generator from which the actions of an episode are drawn."""
    return np.random.default_rng([seed, 2, number])


def _work(connection: Connection, make: Make, seed: int) -> None:
    """Play the episodes that are asked for, until the connection is closed."""
    params: Any = None
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            environment, network = make()
        except Exception as error:
            connection.recv()
            connection.send(error)
            return
        while True:
            theta, number = connection.recv()
            params = params if theta is None else network.by_layer(theta)
            try:
                outcome: Any = play(environment, network, params, generator(seed, number),
                                    ENVIRONMENT_SEEDS * seed + number)
            except ArithmeticError as error:
                outcome = ArithmeticError(f"episode {number}, {error}")
            except Exception as error:
                outcome = error
            connection.send(outcome)
