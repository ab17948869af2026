"""The results as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from bench.distribution import Distribution
from bench.engines import ENGINES
from bench.markdown import distribution_table, number, table
from bench.maskbench.records import Outcome, Record, Status
from bench.maskbench.results import Results

__all__ = ["report", "wrong_answers"]

Times = Callable[[Record], Iterable[int]]

MS, US = 1e-6, 1e-3
"""From the nanoseconds of the records."""
KINDS_SHOWN = 12


def report(results: Results, engines: Sequence[str], files: Sequence[str], of: int, command: str) -> str:
    """Everything that was measured about some engines on some files; `of`: how many files there are."""
    records = {engine: results.of(engine, files) for engine in engines}
    shared = _compiled_by_all(records.values())
    on_shared = {engine: [one for one in mine if one.file in shared] for engine, mine in records.items()}
    limit_ns = int(results.runs[-1].limit * 1e9)

    def times(title: str, about: str, unit: float, of_record: Times, timeouts: bool = False) -> str:
        parts = [f"## {title}", about]
        groups = (
            ("Files that the engine compiled", records),
            (f"The {len(shared)} files that all compiled", on_shared),
        )
        # With one engine the second table would repeat the first.
        for caption, chosen in groups[: len(engines)]:
            rows = []
            for engine, mine in chosen.items():
                found = [time for one in mine if one.status.is_compiled for time in of_record(one)]
                if timeouts:
                    found += [limit_ns for one in mine if one.status is Status.TIMEOUT]
                rows.append((engine, Distribution.of(np.array(found, dtype=np.float64))))
            parts += [f"{caption}:", distribution_table(rows, unit)]
        return "\n\n".join(parts)

    sections = [
        _heading(results, engines, len(files), of, command),
        _coverage(records),
        _refusals(records),
        times(
            "Constraint time of one document, ms",
            "Compile, and every mask and commit of the first valid instance of a file, if it was accepted; it is the "
            "first text to meet the schema.",
            MS,
            _document,
        ),
        times(
            "Time to first mask, ms",
            "Compile, start a session, fill its first mask. A time-out counts as the limit.",
            MS,
            lambda one: [one.compile_ns + one.first_mask_ns],
            timeouts=True,
        ),
        times(
            "One mask, us: the first document of each schema",
            "The masks of the first valid instance of a file, each met for the first time.",
            US,
            lambda one: one.first_document.mask_ns if one.first_document else (),
        ),
        times(
            "One mask, us: all valid instances",
            "The masks of all accepted valid instances; later ones meet some masks again.",
            US,
            lambda one: (time for text in one.followed if text.valid and text.is_right for time in text.mask_ns),
        ),
        times(
            "One mask, us: already seen",
            "The masks of the first valid instance of a file, followed once more at the end.",
            US,
            lambda one: one.seen_mask_ns,
        ),
        times(
            "Mask and commit, us: all instances",
            "As MaskBench times it: valid and invalid instances, up to where they are refused.",
            US,
            _masks_and_commits,
        ),
        _memory(records),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def wrong_answers(results: Results, engines: Sequence[str], files: Sequence[str]) -> str:
    """A line for each instance that was not answered right, and for each file that broke off."""
    lines = []
    for engine in engines:
        for one in results.of(engine, files):
            if one.failure in (Status.TIMEOUT, Status.CRASH):
                lines.append(f"{engine}, {one.file}: {one.failure}: {one.reason}")
            for text in one.followed:
                if not text.is_right:
                    order = ", out of declared order" if text.is_out_of_order else ""
                    kind = "valid" if text.valid else "invalid"
                    after = f"{text.outcome} after {text.at} tokens"
                    lines.append(f"{engine}, {one.file}: instance {text.number} is {kind}{order}, and was {after}")
    return "".join(f"{line}\n" for line in lines)


def _compiled_by_all(records: Iterable[Sequence[Record]]) -> set[str]:
    compiled = [{one.file for one in mine if one.status.is_compiled} for mine in records]
    return set.intersection(*compiled)


def _document(record: Record) -> Iterable[int]:
    first = record.first_document
    if first is not None:
        yield record.compile_ns + sum(first.mask_ns) + sum(first.commit_ns)


def _masks_and_commits(record: Record) -> Iterable[int]:
    for text in record.followed:
        refused_masks = len(text.mask_ns) - len(text.commit_ns)
        yield from (m + c for m, c in zip(text.mask_ns, (*text.commit_ns, *[0] * refused_masks), strict=True))


def _heading(results: Results, engines: Sequence[str], count: int, of: int, command: str) -> str:
    last = results.runs[-1]
    lines = [
        f"# MaskBench: {count:,} of {of:,} files, {last.vocabulary}",
        f"`{command}`",
        f"{last.machine}. Each engine in its own process, on one thread; the engines take turns file by file, in an "
        f"order shuffled anew for each file. At most {last.limit:g} s for one file.",
    ]
    version = {engine: run.versions[engine] for run in results.runs for engine in run.versions}
    lines.append("\n".join(f"- {name}: {version[name]}; {ENGINES[name].about}" for name in engines))
    for run in results.runs:
        load = "" if run.load is None else f", the machine's load was {run.load:g} when it began"
        lines.append(f"Run of {run.began} ({', '.join(run.versions)}){load}.")
    return "\n\n".join(lines)


def _coverage(records: dict[str, list[Record]]) -> str:
    header = ["engine", "files", *Status, "valid accepted", "invalid refused", "disagreements"]
    rows = []
    for engine, mine in records.items():
        statuses = Counter(one.status for one in mine)
        texts = [text for one in mine for text in one.followed]
        right = {valid: sum(text.is_right for text in texts if text.valid is valid) for valid in (True, False)}
        total = {valid: sum(text.valid is valid for text in texts) for valid in (True, False)}
        rows.append(
            [
                engine,
                f"{len(mine):,}",
                *(f"{statuses[status]:,}" for status in Status),
                *(f"{right[valid]:,}/{total[valid]:,}" for valid in (True, False)),
                str(sum(text.outcome is Outcome.DISAGREED for text in texts)),
            ]
        )
    about = (
        "Files by the worst that happened, instances of the files that were compiled. A valid instance must be "
        "accepted, and then be allowed to end; an invalid one must be refused at some token, or not be allowed to end."
    )
    return "\n\n".join(["## Coverage", about, table(header, rows)])


def _refusals(records: dict[str, list[Record]]) -> str:
    """What the engines refused, could not finish, or crashed on."""
    rows = []
    for engine, mine in records.items():
        kinds = Counter((one.failure, one.kind) for one in mine if one.failure is not None)
        for (failure, kind), count in kinds.most_common(KINDS_SHOWN):
            rows.append([f"{engine}: {failure}, {kind}", f"{count:,}"])
        if rest := sum(kinds.values()) - sum(count for _, count in kinds.most_common(KINDS_SHOWN)):
            rows.append([f"{engine}: {len(kinds) - KINDS_SHOWN} other kinds", f"{rest:,}"])
    return "\n\n".join(["## Not compiled", table(["what", "files"], rows)]) if rows else ""


def _memory(records: dict[str, list[Record]]) -> str:
    peaks = [
        [engine, number(max((one.peak_kib for one in mine), default=0) / 1024)] for engine, mine in records.items()
    ]
    about = "Of the engine's process: interpreter, vocabulary, tables, and all that the run made it keep."
    return "\n\n".join(["## Peak memory, MiB", about, table(["engine", "MiB"], peaks)])
