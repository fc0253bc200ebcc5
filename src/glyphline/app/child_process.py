"""A process that does work for the service, talks to it through a pipe, and never outlives it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any


class ChildProcess:
    """A running process. It ends with this one, also where this one is killed.

    work: called inside with its end of the pipe and the arguments, all of which must be picklable. name: of the
    process. `connection` is this end of the pipe.
    """

    def __init__(self, work: Callable[..., None], *arguments: Any, name: str) -> None:
        context = get_context("spawn")  # the threads of OpenCV and onnxruntime do not survive a fork
        self.connection, theirs = context.Pipe()
        their_lifeline, self._lifeline = context.Pipe(duplex=False)
        self._process = context.Process(target=_run, args=(work, theirs, their_lifeline, arguments), name=name)
        self._process.start()
        theirs.close()
        their_lifeline.close()

    @property
    def pid(self) -> int | None:
        """The id of the process; None after its end."""
        return self._process.pid if self._process.is_alive() else None

    @property
    def exitcode(self) -> int | None:
        """The exit code of a process that ended."""
        return self._process.exitcode

    def kill(self) -> None:
        """End it at once. May be called from any thread, also after its end."""
        with suppress(ValueError):  # another thread has just closed it
            self._process.kill()

    def close(self) -> None:
        """End it at once and free what it held."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self.connection.close()
        self._lifeline.close()


def _run(
    work: Callable[..., None], connection: Connection, lifeline: Connection, arguments: tuple[Any, ...]
) -> None:  # inside the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service ends this process
    Thread(target=_exit_with_service, args=(lifeline,), daemon=True).start()
    work(connection, *arguments)


def _exit_with_service(lifeline: Connection) -> None:
    """Exit this process as soon as the service dies, even in the middle of its work."""
    lifeline.poll(None)
    os._exit(1)
