"""The results of a run, in a file that grows with it: JSON lines, so that an interrupted run can go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.errors import CannotMeasure
from bench.maskbench.records import Record

__all__ = ["Results", "Run"]


@dataclass(frozen=True)
class Run:
    """The circumstances of one call of the command; a file of results has one or more.

    Attributes:
        data: which files there are to measure.
        limit: seconds for one file.
        memory: GiB for one engine.
        versions: of the engines measured, by name.
        load: of the machine when the run began.
    """

    data: str
    vocabulary: str
    seed: int
    limit: float
    memory: float
    machine: str
    versions: dict[str, str]
    began: str
    load: float | None

    def difference(self, other: Run) -> str | None:
        """What keeps the results of two runs from being shown together; None where nothing does."""
        for name in ("data", "vocabulary", "seed", "limit", "memory", "machine"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                return f"their {name} is {mine}, and now it is {theirs}"
        for engine in self.versions.keys() & other.versions.keys():
            if self.versions[engine] != other.versions[engine]:
                return f"they are of {engine} {self.versions[engine]}, and now it is {other.versions[engine]}"
        return None


class Results:
    """All results of one file. Lines are only ever added.

    Args:
        path: the file; made when it is not there.
        run: the present run.

    Raises:
        CannotMeasure: the file holds results of another machine, version, ...
    """

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.runs: list[Run] = []
        self._records: dict[tuple[str, str], Record] = {}
        if path.exists():
            self._read()
        for earlier in self.runs:
            if difference := earlier.difference(run):
                raise CannotMeasure(
                    f"{path} holds other results: {difference}. Add --restart to drop them, "
                    "or name another file with --results"
                )
        path.parent.mkdir(parents=True, exist_ok=True)
        self.runs.append(run)
        self._append({"run": asdict(run)})

    def add(self, record: Record) -> None:
        self._append({"record": record.to_json()})
        self._records[record.engine, record.file] = record

    def has(self, engine: str, file: str) -> bool:
        return (engine, file) in self._records

    def of(self, engine: str, files: Sequence[str]) -> list[Record]:
        """The records of one engine on those of some files that have been measured."""
        return [self._records[engine, file] for file in files if (engine, file) in self._records]

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _read(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):  # an interruption cut the last line
            with self.path.open("r+b") as file:
                file.truncate(whole)
        try:
            for text in data[:whole].splitlines():
                line = json.loads(text)
                if "run" in line:
                    self.runs.append(Run(**line["run"]))
                else:
                    record = Record.from_json(line["record"])
                    self._records[record.engine, record.file] = record
        except (ValueError, TypeError, KeyError) as error:
            raise CannotMeasure(f"{self.path} holds no results of this version ({error}). Add --restart") from error
