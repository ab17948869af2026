"""Each engine works in a process of its own, so that none can slow, crash or hang another, or the run."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection

from bench.engines import ENGINES
from bench.engines.engine import Engine
from bench.errors import CannotMeasure
from bench.machine import limit_memory
from bench.maskbench import stopwatch
from bench.maskbench.records import Record, Status, Trial
from bench.maskbench.warmup import warm_up
from bench.vocabularies import load_vocabulary

__all__ = ["EngineProcess", "Measure"]

Measure = Callable[[Engine, str, int, Trial], Record]
"""What is done with a trial, like `stopwatch.measure`; a function of a module, since its name travels."""

READY = "ready"

# Kernels compile when they are first needed, which takes a minute on a slow machine, several under load.
START_SECONDS = 900.0


class EngineProcess:
    """An engine in a process of its own, started when it is first needed, and again after a time-out or a crash.

    Args:
        engine: its name.
        vocabulary: the vocabulary's name.
        limit: seconds for one file, compiling and all instances; beyond it the process is ended.
        memory: GiB that it may allocate; an engine that wants more crashes.
        measure: what it does with a file.
    """

    def __init__(
        self, engine: str, vocabulary: str, limit: float, memory: float, measure: Measure = stopwatch.measure
    ) -> None:
        self.engine = engine
        self._vocabulary = vocabulary
        self._limit = limit
        self._memory = memory
        self._measure = measure
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None

    def run(self, trial: Trial) -> Record:
        """What becomes of one file.

        Raises:
            CannotMeasure: the engine does not even start.
        """
        pipe = self._started()
        try:
            pipe.send(trial)
            if not pipe.poll(self._limit):
                self.stop()
                return Record(self.engine, trial.file, Status.TIMEOUT, "timeout", f"more than {self._limit:g} s")
            answer = pipe.recv()
        except (EOFError, OSError):
            code = self.stop()
            return Record(self.engine, trial.file, Status.CRASH, "process ended", f"its exit code was {code}")
        assert isinstance(answer, Record), "the process answers a trial with a record"
        return answer

    def start(self) -> None:
        """Start the process and warm the engine up, if that has not been done."""
        self._started()

    def stop(self) -> int | None:
        """End the process; its exit code."""
        process, self._process = self._process, None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if process is None:
            return None
        process.join(1.0)  # without a pipe it ends by itself, unless it hangs
        if process.is_alive():
            process.kill()
            process.join()
        return process.exitcode

    def _started(self) -> Connection:
        if self._pipe is not None:
            return self._pipe
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        given = (theirs, self.engine, self._vocabulary, self._memory, self._measure)
        self._process = context.Process(target=_work, args=given, daemon=True)
        self._process.start()
        theirs.close()
        try:
            answer = self._pipe.recv() if self._pipe.poll(START_SECONDS) else f"not ready after {START_SECONDS:g} s"
        except EOFError:
            answer = "its process ended"
        if answer != READY:
            self.stop()
            raise CannotMeasure(f"{self.engine} does not start: {answer}")
        return self._pipe


def _work(pipe: Connection, name: str, vocabulary_name: str, memory: float, measure: Measure) -> None:
    """In the engine's process: answer trials with records until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    limit_memory(memory)
    try:
        vocabulary = load_vocabulary(vocabulary_name)
        engine = ENGINES[name].make(vocabulary)
        warm_up(engine, vocabulary)
    except Exception:
        pipe.send(traceback.format_exc())
        return
    (stop_token, *_) = vocabulary.vocabulary.stop_token_ids
    # The garbage of one file is collected before the next one, and never searched for among what stays.
    gc.collect()
    gc.freeze()
    pipe.send(READY)
    while True:
        try:
            trial = pipe.recv()
        except EOFError:
            return
        if engine.is_cold:
            engine.forget()
        gc.collect()
        pipe.send(measure(engine, name, stop_token, trial))
