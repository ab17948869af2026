"""How compiling and masks grow with vocabulary, document, schema and batch; one table each.

Every workload is measured several times, from nothing, and of each time the least is kept: curves are about how an
engine works, not about what else the machine did.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.engines import ENGINES, checked_engines
from bench.errors import CannotMeasure
from bench.growth.axes import AXES, Workload
from bench.growth.batch import measure_batch
from bench.machine import load_in_words, machine, package_version
from bench.markdown import number, publish, table
from bench.maskbench.engine_process import EngineProcess
from bench.maskbench.files import trial
from bench.maskbench.records import Followed, Record, Status, Trial
from bench.maskbench.stopwatch import measure
from bench.vocabularies import load_vocabulary
from tokamask.masking.vocabulary import Vocabulary

__all__ = ["add_options", "run"]

MS, US = 1e-6, 1e-3
"""From nanoseconds."""

TIMES = ("compile", "first mask", "mask")

Point = tuple[str, int]
"""An axis and a size on it."""


def add_options(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--engines", default="tokamask,llguidance", metavar="NAMES", help=f"some of {','.join(ENGINES)}")
    option("--axes", default=",".join(AXES), metavar="NAMES", help=f"some of {','.join(AXES)} (default all)")
    option("--repeats", type=int, default=5, metavar="N", help="of each measurement (default 5)")
    option("--limit", type=float, default=60.0, metavar="SECONDS", help="for one measurement (default 60)")
    option("--memory", type=float, default=8.0, metavar="GIB", help="that one engine may allocate (default 8)")
    option("--output", type=Path, metavar="FILE", help="write the report there too")


def run(arguments: argparse.Namespace) -> None:
    """Measure every point and print the tables.

    Raises:
        CannotMeasure: an engine or an axis does not exist, or a package is missing.
    """
    engines = checked_engines(arguments.engines)
    axes = arguments.axes.split(",")
    if unknown := [name for name in axes if name not in AXES]:
        raise CannotMeasure(f"there is no axis {unknown[0]!r}; there are {', '.join(AXES)}")
    if arguments.repeats < 1:
        raise CannotMeasure(f"--repeats {arguments.repeats} measures nothing; give 1 or more")
    points = {(name, size): AXES[name].at(size) for name in axes for size in AXES[name].sizes}
    text = _report(engines, axes, _measured(engines, points, arguments), arguments)
    publish(text, arguments.output)


def _measured(
    engines: Sequence[str], points: Mapping[Point, Workload], arguments: argparse.Namespace
) -> dict[tuple[str, Point], Record]:
    """The least times of every engine at every point."""
    groups: defaultdict[tuple[str, bool], list[Point]] = defaultdict(list)
    for point, workload in points.items():
        groups[workload.vocabulary, workload.rows is not None].append(point)
    best: dict[tuple[str, Point], Record] = {}
    with tqdm(total=len(points) * len(engines) * arguments.repeats, unit="measurement") as bar:
        for (name, is_batch), members in groups.items():
            vocabulary = load_vocabulary(name).vocabulary
            how = measure_batch if is_batch else measure
            processes = [EngineProcess(engine, name, arguments.limit, arguments.memory, how) for engine in engines]
            try:
                for point in members:
                    given = _trial(points[point], vocabulary)
                    for engine, record in _repeated(processes, given, arguments.repeats, bar).items():
                        best[engine, point] = record
            finally:
                for process in processes:
                    process.stop()
    return best


def _trial(workload: Workload, vocabulary: Vocabulary) -> Trial:
    tests = [{"valid": True, "data": workload.document}] * (workload.rows or 1)
    return trial("workload", json.dumps({"schema": workload.schema, "tests": tests}), vocabulary)


def _repeated(processes: Sequence[EngineProcess], given: Trial, repeats: int, bar: tqdm[Any]) -> dict[str, Record]:
    """The least times of each engine; what failed is not tried again, as a time-out would cost its limit each time."""
    found: dict[str, Record] = {}
    for _ in range(repeats):
        for process in processes:
            before = found.get(process.engine)
            if before is None:
                found[process.engine] = process.run(given)
            elif before.status is Status.PASSING:
                found[process.engine] = least(before, process.run(given))
            bar.update()
    return found


def least(one: Record, other: Record) -> Record:
    """Two measurements of one thing as one: of every time the lesser; a failure if one of them is."""
    if other.status is not Status.PASSING:
        return other
    pairs = zip(one.followed, other.followed, strict=True)
    return Record(
        one.engine,
        one.file,
        compile_ns=min(one.compile_ns, other.compile_ns),
        first_mask_ns=min(one.first_mask_ns, other.first_mask_ns),
        followed=tuple(_least_text(mine, theirs) for mine, theirs in pairs),
        peak_kib=max(one.peak_kib, other.peak_kib),
    )


def _least_text(one: Followed, other: Followed) -> Followed:
    return replace(
        one,
        mask_ns=tuple(map(min, one.mask_ns, other.mask_ns)),
        commit_ns=tuple(map(min, one.commit_ns, other.commit_ns)),
    )


def _report(
    engines: Sequence[str],
    axes: Sequence[str],
    best: Mapping[tuple[str, Point], Record],
    arguments: argparse.Namespace,
) -> str:
    lines = [
        "# How times grow",
        f"{machine()}; {datetime.now(UTC).strftime('%Y-%m-%d %H:%M UTC')}, {load_in_words()} at the end",
        "\n".join(
            f"- {name}: {ENGINES[name].package} {package_version(ENGINES[name].package)}; {ENGINES[name].about}"
            for name in engines
        ),
        "Compile, in ms; the first mask and the mean mask of the document, in us. Each time is the least of "
        f"{arguments.repeats}. At most {arguments.limit:g} s for one measurement and {arguments.memory:g} GiB for one "
        "engine.",
    ]
    for name in axes:
        axis = AXES[name]
        header = [axis.unit, "masks", *(f"{engine}: {time}" for engine in engines for time in TIMES)]
        rows = []
        for size in axis.sizes:
            records = [best[engine, (name, size)] for engine in engines]
            lengths = {len(one.followed[0].mask_ns) for one in records if one.status is Status.PASSING}
            masks = f"{max(lengths):,}" if lengths else "-"
            rows.append([f"{size:,}", masks, *(cell for one in records for cell in _cells(one))])
        lines += [f"## {name}", axis.about, table(header, rows)]
        places = [(engine, size, best[engine, (name, size)]) for engine in engines for size in axis.sizes]
        if failed := [f"- {engine} at {size:,}: {one.kind}" for engine, size, one in places if one.failure]:
            lines.append("\n".join(failed))
    return "\n\n".join(lines) + "\n"


def _cells(record: Record) -> list[str]:
    """A record's times, in the order of TIMES; where the document was not accepted, what happened instead."""
    if record.status is not Status.PASSING:
        return [str(record.status), "-", "-"]
    mean = float(np.mean(record.followed[0].mask_ns))
    return [number(record.compile_ns * MS), number(record.first_mask_ns * US), number(mean * US)]
