"""How long compiling keeps other threads of the process waiting.

    python -m bench.waits --sample 600 --output FILE

Another thread asks for the interpreter all the time while schemas are compiled and their first masks filled. What the
compiling thread computes between two of its turns is a stretch for which it held the GIL: Python lets go every few
steps here (`sys.setswitchinterval`), kernels hold nothing, so what is long is one call of C. Stretches are measured in
the compiling thread's own CPU time. On a busy machine the other thread is also kept waiting by the operating system,
4 ms at a time as a rule; so everything that exceeds `--report` is compiled anew several times, and the least counts.

Garbage collection is off meanwhile. A full one holds the GIL too, for as long as all that the process has in memory
takes it; a service that cares calls `gc.freeze()` when it has started.

Needs `time.pthread_getcpuclockid` (Linux, BSD).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.engines.language_memory import LanguageMemory
from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.sampled import read_schemas
from bench.vocabularies import VOCABULARIES, load_vocabulary
from tokamask.errors import TokamaskError
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary

SWITCH_SECONDS = 1e-5
TICK_SECONDS = 2e-5
REPEATS = 4

WORDS = [f"word{number}" for number in range(5383)]


def schema(value: Any) -> Callable[[], Grammar]:
    text = json.dumps(value)
    return lambda: Grammar.from_json_schema(text, property_order="any")


HEAVY: dict[str, Callable[[], Grammar]] = {
    "(pattern of 50 words)": schema({"type": "string", "pattern": r"^(?:\S+\s+){0,49}\S+$"}),
    "(pattern and length)": schema({"type": "string", "pattern": "^[A-Za-z0-9 ]{1,500}(foo|bar)?$", "maxLength": 400}),
    "(5,383 values)": schema({"enum": WORDS}),
    "(all but 5,383 values)": schema({"type": "string", "not": {"enum": WORDS}}),
    "(5,383 properties)": schema({"type": "object", "properties": {word: {"type": "integer"} for word in WORDS}}),
    **{
        f"(format {name})": schema({"type": "string", "format": name})
        for name in ("date-time", "duration", "email", "hostname", "idn-hostname", "ipv6", "uri", "iri", "uri-template")
    },
    "(5,383 choices)": lambda: Grammar.from_choices(WORDS),
    "(classes of Python)": lambda: Grammar.from_regex(r"\w+\s\d+\W"),
}


@dataclass(frozen=True)
class Wait:
    """The longest stretch of one compile, in milliseconds of its thread, and where its thread was afterwards."""

    held: float
    whole: float
    place: str


class Ticker:
    """A thread that wants to run all the time, and notes how far the thread that made it came in between."""

    def __init__(self) -> None:
        self._watched = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._watched)
        self._is_over = False
        self._longest = (0, "")
        self._thread = threading.Thread(target=self._tick)

    def watch(self, work: Callable[[], object]) -> Wait:
        interval = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._thread.start()
        begun = time.clock_gettime_ns(self._clock)
        try:
            work()
        finally:
            whole = time.clock_gettime_ns(self._clock) - begun
            self._is_over = True
            self._thread.join()
            sys.setswitchinterval(interval)
        held, place = self._longest
        return Wait(held / 1e6, whole / 1e6, place)

    def _tick(self) -> None:
        last = time.clock_gettime_ns(self._clock)
        while not self._is_over:
            held = time.clock_gettime_ns(self._clock) - last
            if held > self._longest[0]:
                (frame,) = traceback.extract_stack(sys._current_frames().get(self._watched))[-1:]
                self._longest = held, f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            last = time.clock_gettime_ns(self._clock)
            time.sleep(TICK_SECONDS)


def wait_for(make: Callable[[], Grammar], vocabulary: Vocabulary) -> Wait:
    """Read and compile a grammar and fill its first mask, with a new compiler."""
    compiler = GrammarCompiler(vocabulary)
    bitmask = allocate_bitmask(1, vocabulary.size)

    def work() -> None:
        with contextlib.suppress(TokamaskError):  # a refusal takes its time too
            compiler.compile(make()).matcher().fill_bitmask(bitmask, 0)

    return Ticker().watch(work)


def forget() -> None:
    """As in a new process: everything is to be read and built again."""
    for name, module in list(sys.modules.items()):
        if name.startswith("tokamask.grammar."):
            for member in list(vars(module).values()):
                if hasattr(member, "cache_clear"):
                    member.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of maskbench.tar.xz")
    parser.add_argument("--sample", type=int, default=600, metavar="N", help="files of MaskBench (default 600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vocabulary", choices=VOCABULARIES, default="tekken")
    parser.add_argument("--report", type=float, default=5.0, metavar="MS", help="what is too long (default 5)")
    parser.add_argument("--output", type=Path, default=None, help="file for the report, which is printed too")
    arguments = parser.parse_args()

    vocabulary = load_vocabulary(arguments.vocabulary).vocabulary
    wait_for(schema({"type": "string", "pattern": "^a+$", "maxLength": 30}), vocabulary)  # load the kernels
    memory = LanguageMemory()
    gc.collect()
    gc.disable()
    makers = dict(HEAVY)
    for name, value in read_schemas(arguments.data / "maskbench.tar.xz", arguments.seed)[: arguments.sample]:
        makers[name] = schema(value)
    waits: dict[str, Wait] = {}
    for name, make in makers.items():
        waits[name] = wait_for(make, vocabulary)
        for _ in range(REPEATS):
            if waits[name].held > arguments.report:
                memory.restore()
                forget()
                waits[name] = min(waits[name], wait_for(make, vocabulary), key=lambda wait: wait.held)
    longest = sorted(waits, key=lambda name: -waits[name].held)
    late = sum(wait.held > arguments.report for wait in waits.values())
    parts = [
        f"The longest that compiling and a first mask hold the GIL, {arguments.vocabulary}",
        f"{machine()}, tokamask {package_version('tokamask')}; {load_in_words()}",
        f"{len(waits)} grammars, {late} of them above {arguments.report:g} ms. The longest:",
        table(
            ["grammar", "held, ms", "of ms", "until"],
            [[name, number(waits[name].held), number(waits[name].whole), waits[name].place] for name in longest[:12]],
        ),
    ]
    publish("\n\n".join(parts) + "\n", arguments.output)


if __name__ == "__main__":
    main()
