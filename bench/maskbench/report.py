"""The tables of a run, in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from bench.distribution import Distribution
from bench.engines import ENGINES
from bench.markdown import distribution_table, table
from bench.maskbench.records import Record, Status
from bench.maskbench.results import Results

__all__ = ["report"]

Records = dict[str, list[Record]]
MICROSECONDS = 1e-3


def report(results: Results, engines: list[str], files: list[str]) -> str:
    """What was measured on which machine, coverage, and times on all files and on those that every engine compiled."""
    records = {engine: results.of(engine, files) for engine in engines}
    common = set(files)
    for of_engine in records.values():
        common &= {record.file for record in of_engine if record.status.is_compiled}
    shared = {name: [r for r in of_engine if r.file in common] for name, of_engine in records.items()}
    run = results.run
    parts = [
        f"{len(files)} files of MaskBench (stratified, seed {run.seed}), vocabulary {run.vocabulary}, one thread, "
        f"engines in turn file by file.\n{run.machine}; "
        + ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items())),
        "\n".join(f"- {engine}: {ENGINES[engine].about}" for engine in engines),
        "### Coverage (files)\n\n" + _coverage(records),
    ]
    for title, chosen in (
        ("all files that the engine compiled", records),
        ("files that every engine compiled", shared),
    ):
        count = len(common) if chosen is shared else len(files)
        parts.append(f"### Times in microseconds: {title} ({count} files at most)\n\n" + _times(chosen))
    return "\n\n".join(parts) + "\n"


def _coverage(records: Records) -> str:
    statuses = [status for status in Status if any(r.status is status for one in records.values() for r in one)]
    rows = []
    for engine, of_engine in records.items():
        counts = Counter(record.status for record in of_engine)
        valid = [one for record in of_engine for one in record.followed if one.valid]
        invalid = [one for record in of_engine for one in record.followed if not one.valid]
        rows.append(
            [
                engine,
                *(f"{counts[status]:,}" for status in statuses),
                f"{sum(one.is_right for one in valid):,}/{len(valid):,}",
                f"{sum(not one.is_right for one in invalid):,}/{len(invalid):,}",
            ]
        )
    return table(["engine", *statuses, "valid accepted", "invalid accepted"], rows)


def _times(records: Records) -> str:
    measures: tuple[tuple[str, Callable[[Record], Iterable[float]]], ...] = (
        ("compile + first mask", lambda record: [record.compile_ns + record.first_mask_ns]),
        ("one mask, cold", _masks),
        ("mask + commit", _masks_and_commits),
        ("one mask, already seen", lambda record: record.seen_mask_ns),
        ("constraint time of one document (the first valid instance: compile, every mask and commit)", _document),
    )
    parts = []
    for title, times in measures:
        rows = []
        for engine, of_engine in records.items():
            compiled = [record for record in of_engine if record.status.is_compiled]
            rows.append((engine, Distribution.of([time for record in compiled for time in times(record)])))
        parts.append(f"**{title}**\n\n{distribution_table(rows, MICROSECONDS)}")
    return "\n\n".join(parts)


def _masks(record: Record) -> list[float]:
    """Masks of accepted valid instances."""
    return [time for one in record.followed if one.valid and one.is_right for time in one.mask_ns]


def _masks_and_commits(record: Record) -> list[float]:
    return [
        mask + commit
        for one in record.followed
        if one.valid and one.is_right
        for mask, commit in zip(one.mask_ns, one.commit_ns, strict=False)
    ]


def _document(record: Record) -> list[float]:
    first = record.first_document
    return [] if first is None else [record.compile_ns + sum(first.mask_ns) + sum(first.commit_ns)]
