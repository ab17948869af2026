"""The results of a run, in a file that grows with it: what a run is about, then one line per file and engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.errors import CannotMeasure
from bench.maskbench.records import Record

__all__ = ["Results", "Run"]


@dataclass(frozen=True)
class Run:
    """What the results of one file have in common.

    Attributes:
        versions: of the engines, by their names.
        loads: the machine's load when the run began, one number for each time that it was continued.
    """

    vocabulary: str
    seed: int
    limit: float
    machine: str
    versions: dict[str, str]
    started: str
    loads: tuple[float | None, ...] = field(default=(), compare=False)


class Results:
    """A file of results: lines are only ever added, so that an interrupted run can go on.

    Args:
        path: the file; made with its folder when it is not there.
        run: what the results are about.

    Raises:
        CannotMeasure: the file holds results of another run.
    """

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.run = run
        self.records: dict[tuple[str, str], Record] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size:
            self._read()
        else:
            self._append({"run": asdict(run)})

    def add(self, record: Record) -> None:
        self._append({"record": record.to_json()})
        self.records[record.engine, record.file] = record

    def of(self, engine: str, files: list[str]) -> list[Record]:
        """The records of one engine on some files."""
        return [self.records[engine, file] for file in files if (engine, file) in self.records]

    def _append(self, line: dict[str, object]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _read(self) -> None:
        """Take over the records of an earlier, interrupted run of the same kind."""
        lines = self._lines()
        first = next(lines, {}).get("run")
        if not isinstance(first, dict):
            raise CannotMeasure(f"{self.path} holds no results; name another file with --results, or delete it")
        loads = tuple(first.pop("loads", ()))
        earlier = Run(**first, loads=loads)
        if (earlier.vocabulary, earlier.seed, earlier.limit) != (self.run.vocabulary, self.run.seed, self.run.limit):
            raise CannotMeasure(f"{self.path} holds results of other options; name another file with --results")
        for line in lines:
            record = line.get("record")
            if isinstance(record, dict):
                parsed = Record.from_json(record)
                self.records[parsed.engine, parsed.file] = parsed

    def _lines(self) -> Iterator[dict[str, object]]:
        """The lines that are whole; the last one may have been cut when the run was, then it is taken off the file."""
        text = self.path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            with self.path.open("r+b") as file:
                file.truncate(whole)
        for line in text[:whole].splitlines():
            yield json.loads(line)
