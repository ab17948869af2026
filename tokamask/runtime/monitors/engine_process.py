"""An analysis engine in a process of its own: asked under a time limit, ended and started again when it hangs.

The process is any program that reads questions and writes answers, one JSON object a line. It first writes one line of
its own, to say that it is ready, and then one answer per question:

    {"before": "import os\\nos.", "after": ")"}
    {"names": ["path", "getcwd"], "exhaustive": true, "reason": ""}

Engines are slow when they meet a large package for the first time, and quick from then on. So a question that runs out
of time is given up, but its process goes on for a while: what it learns answers the next questions.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import NamedTuple

from tokamask.runtime.monitors.suggestions import Suggestions, unknown

__all__ = ["EngineProcess"]

START_LIMIT = 20.0
"""Seconds that the first question waits for a process to be ready, on top of its own time limit."""

PATIENCE = 20.0
"""Seconds that a process may take for an answer that nobody waits for any more."""

FAILURES = 3
"""Processes that end or hang, with no answer in between, before the engine is given up."""


class EngineProcess:
    """The process; any number of threads may ask it, one at a time is answered.

    Args:
        command: the program and its arguments.
        name: what answers are signed with.
        time_limit: seconds that a caller waits for one answer, whatever the process does.
    """

    def __init__(self, command: Sequence[str], name: str, time_limit: float) -> None:
        if not time_limit > 0:
            raise ValueError(f"time_limit is {time_limit}; it must be more than 0 seconds")
        self._command = tuple(command)
        self._name = name
        self._time_limit = time_limit
        self._turn = threading.Lock()
        self._running: _Running | None = None
        self._failures = 0
        self._is_closed = False

    def start(self) -> None:
        """Start the process unless it runs, and do not wait for it.

        Raises:
            OSError: there is no such program.
        """
        with self._turn:
            self._start()

    def ask(self, before: str, after: str) -> Suggestions:
        """What may stand between two texts; unknown where the engine has no answer, or none in time.

        Raises:
            OSError: there is no such program.
        """
        question = json.dumps({"before": before, "after": after})
        with self._turn:
            running = self._start()
            if running is None:
                return unknown(self._name, "the engine is closed, or failed too often")
            try:
                if not running.is_ready:
                    return self._out_of_time(running)
                deadline = time.monotonic() + self._time_limit
                # The process may still be at an earlier question.
                if _arrives(running.last, deadline) and _arrives(running.send(question), deadline):
                    answer = _read_answer(running.last.result(), self._name)
                else:
                    return self._out_of_time(running)
            except (OSError, EOFError, ValueError) as failure:
                self._fail()
                return unknown(self._name, f"the engine failed ({type(failure).__name__}: {failure})")
            self._failures = 0
            return answer

    def close(self) -> None:
        """End the process; from now on everything is unknown. Again: no effect."""
        with self._turn:
            self._is_closed = True
            self._stop()

    def _start(self) -> _Running | None:
        """The process, or None where there is to be none any more."""
        if self._running is None and not self._is_closed and self._failures < FAILURES:
            self._running = _Running(self._command)
        return self._running

    def _out_of_time(self, running: _Running) -> Suggestions:
        if not running.is_ready or time.monotonic() - running.sent > PATIENCE:
            self._fail()
        return unknown(self._name, "the time ran out")

    def _fail(self) -> None:
        self._stop()
        self._failures += 1
        if self._failures == FAILURES:
            message = f"{self._name} ended or hung {FAILURES} times in a row and is not asked any more"
            warnings.warn(message, RuntimeWarning, stacklevel=3)

    def _stop(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None


class _Line(NamedTuple):
    """A line to send, and the one that comes back."""

    text: str
    answer: Future[str]


class _Running:
    """One process, and the thread that talks to it: a process that hangs blocks that thread alone.

    Attributes:
        last: what comes, or came, back for the line sent last; at first the line that says the process is ready.
        sent: when that was.
        end: kill the process.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
        self._lines: SimpleQueue[_Line | None] = SimpleQueue()
        # The process ends with this object, and with the interpreter.
        self.end = weakref.finalize(self, _end, process, self._lines)
        threading.Thread(target=_talk, args=(process, self._lines), daemon=True).start()
        self._ready = self.send("")

    @property
    def is_ready(self) -> bool:
        """Waits for the process to say so, up to START_LIMIT after its start; raises when it ended instead."""
        return _arrives(self._ready, max(time.monotonic(), self.sent + START_LIMIT))

    def send(self, text: str) -> Future[str]:
        """The line that will come back."""
        self.sent = time.monotonic()
        self.last: Future[str] = Future()
        self._lines.put(_Line(text, self.last))
        return self.last


def _talk(process: subprocess.Popen[str], lines: SimpleQueue[_Line | None]) -> None:
    """Send one line after the other and read one back for each; what cannot be exchanged fails."""
    assert process.stdin is not None, "it is a pipe"
    assert process.stdout is not None, "it is a pipe"
    while (line := lines.get()) is not None:
        try:
            if line.text:
                process.stdin.write(line.text + "\n")
                process.stdin.flush()
            came = process.stdout.readline()
            if not came:
                raise EOFError("the process ended")
        except (OSError, ValueError, EOFError) as failure:
            line.answer.set_exception(failure)
        else:
            line.answer.set_result(came)
    with contextlib.suppress(OSError):  # what is still unsent
        process.stdin.close()
    process.stdout.close()


def _end(process: subprocess.Popen[str], lines: SimpleQueue[_Line | None]) -> None:
    lines.put(None)
    process.kill()
    process.wait()


def _arrives(line: Future[str], deadline: float) -> bool:
    """Whether a line comes in time; raises what kept it from coming."""
    try:
        line.result(max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return False
    return True


def _read_answer(line: str, source: str) -> Suggestions:
    """Raises ValueError for what is no answer."""
    match json.loads(line):
        case {"names": list(names), "exhaustive": bool(is_exhaustive), "reason": str(reason)}:
            if not names:
                return unknown(source, reason or "no names")
            if all(isinstance(name, str) for name in names):
                return Suggestions(frozenset(map(str.encode, names)), is_exhaustive, source, reason)
    raise ValueError(f"not an answer: {line[:80]!r}")
