"""A game for the tests of playing; it stands alone, since every process that plays it imports it."""

import os
import signal

import numpy as np

from maml_numpy.layers import Dense, ReLU
from maml_numpy.network import Network
from maml_numpy.rl.environments import Outcome


class Walk:
    """A line to walk on: action 1 goes up and earns 1, action 0 goes down; seven steps. May be told to misbehave."""

    D, A, skip = 1, 2, 1

    def __init__(self, at_step=7, fault=None, flag=None):
        self.at_step, self.fault, self.flag = at_step, fault, flag

    def reset(self, seed):
        self.place, self.steps = np.float32(seed % 3), 0
        return self.seen()

    def seen(self):
        return np.array([[self.place]], np.float32)

    def step(self, action):
        self.steps += 1
        self.place += 2 * action - 1
        if self.steps == self.at_step and (self.flag is None or not os.path.exists(self.flag)):
            if self.fault == "die":
                if self.flag:
                    open(self.flag, "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "raise":
                raise OSError("the screen is gone")
            if self.fault == "nan":
                return Outcome(self.seen(), float("nan"), False, False, False)
        return Outcome(self.seen(), float(action), False, self.steps == 7, self.steps == 7)


def network():
    return Network(1, [Dense(1, 4), ReLU(), Dense(4, 2)])


def make(*walk):
    return Walk(*walk), network()
