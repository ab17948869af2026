"""From a fresh process to a first mask, stage by stage, and the memory that it takes.

What is kept on disk between runs (compiled kernels, tables of the vocabulary) is there: a first start, which is not
shown, makes it. Each stage's time is the median of several starts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench.engines import checked_engines
from bench.errors import CannotMeasure
from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.start.probe import HOST, STARTS, Stage
from bench.vocabularies import VOCABULARIES

__all__ = ["Start", "add_options", "run", "start_report"]

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Start:
    """One start of one engine."""

    stages: tuple[Stage, ...]
    peak_kib: int


def add_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--engines", default=",".join(STARTS), metavar="NAMES", help=f"some of {','.join(STARTS)}")
    option("--vocabulary", choices=VOCABULARIES, default="tekken")
    option("--repeats", type=int, default=5, metavar="N", help="starts of each engine (default 5)")
    option("--output", type=Path, metavar="FILE", help="write the report there too")


def run(arguments: argparse.Namespace) -> None:
    """Start each engine several times, taking turns, and print the report.

    Raises:
        CannotMeasure: an engine is not installed, or does not start.
    """
    engines = checked_engines(arguments.engines)
    if without := [name for name in engines if name not in STARTS]:
        raise CannotMeasure(f"starts are measured of {' and '.join(STARTS)}, not of {without[0]}")
    if arguments.repeats < 1:
        raise CannotMeasure(f"--repeats {arguments.repeats} measures nothing; give 1 or more")
    for engine in engines:
        _started(engine, arguments.vocabulary)
    starts: dict[str, list[Start]] = {engine: [] for engine in engines}
    for _ in range(arguments.repeats):
        for engine in engines:
            starts[engine].append(_started(engine, arguments.vocabulary))
    lines = [
        f"# From a fresh process to a first mask, {arguments.vocabulary}",
        f"{machine()}; {datetime.now(UTC).strftime('%Y-%m-%d %H:%M UTC')}, {load_in_words()} at the end",
        start_report({f"{name} {package_version(name)}": mine for name, mine in starts.items()}),
    ]
    text = "\n\n".join(lines) + "\n"
    publish(text, arguments.output)


def start_report(starts: dict[str, Sequence[Start]]) -> str:
    """A table for each engine: the stages of its starts in their order, the sum without the host's, and the peak."""
    parts = []
    for name, mine in starts.items():
        by_stage = list(zip(*(start.stages for start in mine), strict=True))
        rows = [
            [
                same[0][0],
                number(median(milliseconds for _, milliseconds, _ in same)),
                number(median(mebibytes for *_, mebibytes in same)),
            ]
            for same in by_stage
        ]
        total = median(sum(ms for stage, ms, _ in start.stages if stage != HOST) for start in mine)
        peak = median(start.peak_kib for start in mine) / 1024
        rows.append(["all but the tokenizer; peak", number(total), number(peak)])
        parts += [f"## {name}", table(["stage", "ms", "held then, MiB"], rows)]
    return "\n\n".join(parts)


def _started(engine: str, vocabulary: str) -> Start:
    command = [sys.executable, "-m", "bench.start.probe", engine, vocabulary, str(time.monotonic_ns())]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise CannotMeasure(f"{engine} does not start: {finished.stderr.strip()}")
    answer = json.loads(finished.stdout)
    return Start(tuple((name, ms, mib) for name, ms, mib in answer["stages"]), answer["peak_kib"])
