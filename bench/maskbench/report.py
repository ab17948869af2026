"""The results as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from bench.distribution import Distribution
from bench.engines import ENGINES
from bench.markdown import distribution_table, number, table
from bench.maskbench.headline import headline
from bench.maskbench.records import Outcome, Record, Status
from bench.maskbench.results import Results
from bench.maskbench.times import (
    Times,
    all_masks,
    collected,
    document,
    first_mask,
    masks_and_commits,
    masks_of_the_first,
)

__all__ = ["on_common_files", "report", "wrong_answers"]

MS, US = 1e-6, 1e-3
"""From the nanoseconds of the records."""
KINDS_SHOWN = 12


def report(results: Results, engines: Sequence[str], files: Sequence[str], of: int, command: str) -> str:
    """Everything that was measured about some engines on some files; `of`: how many files there are."""
    records = {engine: results.of(engine, files) for engine in engines}
    on_shared = on_common_files(records)
    shared = len(next(iter(on_shared.values())))
    limit_ns = int(results.runs[-1].limit * 1e9)

    def times(title: str, about: str, unit: float, of_record: Times, timeouts: bool = False) -> str:
        parts = [f"## {title}", about]
        groups = (
            ("Files that the engine compiled", records),
            (f"The {shared:,} files that all compiled", on_shared),
        )
        # With one engine the second table would repeat the first.
        for caption, chosen in groups[: len(engines)]:
            rows = []
            for engine, mine in chosen.items():
                found = collected(of_record, mine)
                if timeouts:
                    found = np.append(found, [limit_ns for one in mine if one.status is Status.TIMEOUT])
                rows.append((engine, Distribution.of(found)))
            parts += [f"{caption}:", distribution_table(rows, unit)]
        return "\n\n".join(parts)

    sections = [
        _heading(results, engines, len(files), of, command),
        "\n".join(f"- {line}" for line in headline(records)),
        _coverage(records),
        _refusals(records),
        times(
            "Constraint time of one document, ms",
            "Compile, and every mask and commit of the first valid instance of a file, if it was accepted; it is the "
            "first text to meet the schema.",
            MS,
            document,
        ),
        times(
            "Time to first mask, ms",
            "Compile, start a session, fill its first mask. A time-out counts as the limit.",
            MS,
            first_mask,
            timeouts=True,
        ),
        times(
            "One mask, us: the first document of each schema",
            "The masks of the first valid instance of a file, each met for the first time.",
            US,
            masks_of_the_first,
        ),
        times(
            "One mask, us: all valid instances",
            "The masks of all accepted valid instances; later ones meet some masks again.",
            US,
            all_masks,
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
            masks_and_commits,
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


def on_common_files(records: Mapping[str, Sequence[Record]]) -> dict[str, list[Record]]:
    """The records of the files that every engine compiled."""
    compiled = [{one.file for one in mine if one.status.is_compiled} for mine in records.values()]
    common = set.intersection(*compiled)
    return {engine: [one for one in mine if one.file in common] for engine, mine in records.items()}


def _heading(results: Results, engines: Sequence[str], count: int, of: int, command: str) -> str:
    last = results.runs[-1]
    lines = [
        f"# MaskBench: {count:,} of {of:,} files, {last.vocabulary}",
        f"`{command}`",
        f"{last.machine}. Each engine in its own process, on one thread; the engines take turns file by file, in an "
        f"order shuffled anew for each file. At most {last.limit:g} s for one file and {last.memory:g} GiB for one "
        "engine.",
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
