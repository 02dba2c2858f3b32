"""The manners of all commands: one line for a mistake, an exit code for everything."""

import argparse
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Callable, Iterator, NoReturn, Sequence

ROOT = Path(__file__).resolve().parents[2]
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """The system asked the process to end, by the signal `number`. Like Ctrl-C, it lets what runs save its state."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and stops with exit code 2."""

    def __init__(self, **arguments: Any):
        super().__init__(allow_abbrev=False, **arguments)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does; an unknown flag is named, with the closest known one."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            flag = unknown[0].partition("=")[0]
            close = get_close_matches(flag, self._option_string_actions, 1) if flag.startswith("--") else []
            self.error(f"unrecognized arguments: {flag}" + (f"; did you mean {close[0]}?" if close else ""))
        return found

    def error(self, message: str) -> NoReturn:
        sys.exit(fail(message, 2))


def fail(message: object, code: int = 1) -> int:
    """Print an error line; returns the exit code."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(message))
    print(f"{Path(sys.argv[0]).name}: error: {words}", file=sys.stderr, flush=True)
    return code


def check_writable(path: Path) -> None:
    """Raise OSError unless a file can be written at `path`, whose folder may be missing yet."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file to write")
    parent = next(folder for folder in path.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise NotADirectoryError(f"{path} cannot be written: {parent} is no folder that can be written to")


@contextmanager
def signals_raise() -> Iterator[None]:
    """While this holds, SIGTERM and SIGHUP raise `Stopped`, unless the process was started to ignore them. Only the
    main thread can decide about signals; in another one nothing changes."""
    def stop(number: int, frame: Any) -> None:
        raise Stopped(number)

    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS} if main else {}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not installed by Python


class Named:
    """An output stream whose errors name it, such as that of a full disk."""

    def __init__(self, stream: Any, name: str):
        self.stream = stream
        self.name = name

    def write(self, text: str) -> int:
        """Write a text."""
        with self._naming():
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._naming():
            self.stream.flush()

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:  # of a broken pipe it stays a BrokenPipeError
            raise OSError(error.errno, error.strerror, self.name) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Forgiving:
    """An error stream that is closed or full loses what is written, and the work continues."""

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, or lose, a text."""
        with suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError, ValueError):
            self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def usable_streams() -> Iterator[None]:
    """While this holds, closed output streams swallow everything, open ones take any text, and errors never fail."""
    before = sys.stdout, sys.stderr
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = Named(sys.stdout, "standard output")
    sys.stderr = Forgiving(sys.stderr)
    try:
        yield
    finally:
        if before[0] is not None:
            sys.stdout = before[0]
        if before[1] is not None:
            sys.stderr = before[1]


def guarded(main: Callable[[Sequence[str]], int], argv: Sequence[str] | None, stopped: str = "stopped") -> int:
    """Run main(argv) and return its exit code; a user's mistake becomes one line, as do Ctrl-C, SIGTERM and SIGHUP,
    with the line `stopped` and 128 plus the number of the signal."""
    with usable_streams():
        try:
            with signals_raise():
                code = main(sys.argv[1:] if argv is None else argv)
                sys.stdout.flush()
            return code
        except BrokenPipeError:  # whatever read our output has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141
        except BaseException as error:
            found = failure(error, stopped)
            if found is None:
                raise
            return fail(*found)


def failure(error: BaseException, stopped: str) -> tuple[str, int] | None:
    """The line that says what went wrong, and the exit code; None for an error that is none of the user's."""
    if isinstance(error, MemoryError):
        return f"not enough memory: {str(error) or 'choose smaller sizes'}", 1
    if isinstance(error, (ValueError, ArithmeticError, OSError, ImportError)):
        return str(error), 1
    if isinstance(error, KeyboardInterrupt):
        return stopped, 130
    if isinstance(error, Stopped):
        return f"{error}: {stopped}", 128 + error.number
    return None
