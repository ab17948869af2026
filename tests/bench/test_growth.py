"""Growth curves: the workloads are what they say, and the least of several measurements is what is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from bench.engines.engine import Engine, RefusedSchema, Session, Start
from bench.growth.axes import AXES
from bench.growth.batch import measure_batch
from bench.growth.command import least
from bench.maskbench.records import Followed, Instance, Outcome, Record, Status, Trial
from bench.vocabularies import VOCABULARIES, joined_words

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", AXES)
def test_documents_fit_their_schemas(name: str) -> None:
    axis = AXES[name]
    assert list(axis.sizes) == sorted(set(axis.sizes))
    for size in axis.sizes:
        workload = axis.at(size)
        assert workload.vocabulary in VOCABULARIES
        # The judge recurses, a few frames for each level.
        if "depth" not in name or size <= 64:
            Draft202012Validator(workload.schema).validate(workload.document)
    assert not Draft202012Validator(axis.at(axis.sizes[0]).schema).is_valid({"wrong": 1})


def depth(value: Any) -> int:
    """Of a document without brackets in its texts."""
    steps = [(byte in b"[{") - (byte in b"]}") for byte in json.dumps(value).encode()]
    return int(np.cumsum(steps).max())


def test_sizes_are_what_they_count() -> None:
    for size in AXES["document"].sizes:
        assert len(AXES["document"].at(size).document) == size
    for size in AXES["enum"].sizes:
        workload = AXES["enum"].at(size)
        assert len(set(workload.schema["items"]["enum"])) == size
        assert len(workload.document) == 10
    for size in AXES["properties"].sizes:
        assert len(AXES["properties"].at(size).schema["properties"]) == size
        assert len(AXES["properties"].at(size).document) == size
    for size in AXES["schema-depth"].sizes:
        assert depth(AXES["schema-depth"].at(size).document) == size
    for size in AXES["document-depth"].sizes:
        assert depth(AXES["document-depth"].at(size).document) == 2 * size - 1  # arrays count too
    for size in AXES["batch"].sizes:
        assert AXES["batch"].at(size).rows == size


def test_joined_words_are_new_and_made_of_two() -> None:
    words = [b"\x00", b"1", b"ab", b" a", b"b", b"abb", b"\xc3\xa9"]
    joined = joined_words(words, 8)
    assert len(set(joined)) == 8
    assert not set(joined) & set(words)
    assert set(joined) <= {first + second for first in (b"ab", b" a", b"b", b"abb") for second in (b"ab", b"b", b"abb")}
    assert joined_words(words, 0) == []


class Counting(Engine):
    """Takes 0, 1, 2, ... and writes down what is asked of it."""

    def __init__(self) -> None:
        self.row = np.zeros(1, dtype=np.int32)
        self.calls: list[tuple[int, str, int]] = []

    def compile(self, schema: str) -> Start:
        if schema == "false":
            raise RefusedSchema("false", "false allows nothing")
        started: list[int] = []

        def start() -> Session:
            row = len(started)
            started.append(0)

            def fill() -> None:
                self.calls.append((row, "fill", started[row]))

            def commit(token: int) -> bool:
                self.calls.append((row, "commit", token))
                is_next = token == started[row]
                started[row] += is_next
                return is_next

            return Session(fill, commit, lambda: False)

        return start


def batch(tokens: tuple[int, ...], rows: int) -> Trial:
    return Trial("file", "true", tuple(Instance(row, True, tokens) for row in range(rows)))


def test_a_batch_goes_on_side_by_side() -> None:
    engine = Counting()
    record = measure_batch(engine, "counting", 9, batch(tuple(range(8)), 2))
    assert record.status is Status.PASSING
    (text,) = record.followed
    assert (text.at, len(text.mask_ns), len(text.commit_ns)) == (4, 4, 4)
    # Row 1 begins a quarter of the text ahead; then a step is all masks, and all commits.
    begun = [(0, "fill", 0), (1, "commit", 0), (1, "commit", 1)]
    steps = [(row, what, row * 2 + step) for step in range(4) for what in ("fill", "commit") for row in range(2)]
    assert engine.calls == begun + steps


def test_a_batch_that_is_not_taken_is_no_measurement() -> None:
    assert measure_batch(Counting(), "counting", 9, batch((0, 1, 7, 3, 4, 5), 2)).status is Status.VALID_REJECTED
    assert measure_batch(Counting(), "counting", 9, Trial("file", "false", batch((0,), 1).instances)).status is (
        Status.REFUSED
    )


def record(compile_ns: int, first_mask_ns: int, mask_ns: tuple[int, ...]) -> Record:
    text = Followed(0, True, Outcome.ACCEPTED, len(mask_ns), mask_ns, mask_ns[::-1])
    return Record("engine", "file", compile_ns=compile_ns, first_mask_ns=first_mask_ns, followed=(text,))


def test_the_least_of_every_time() -> None:
    kept = least(record(5, 7, (1, 9, 3)), record(6, 2, (4, 2, 3)))
    assert (kept.compile_ns, kept.first_mask_ns) == (5, 2)
    assert (kept.followed[0].mask_ns, kept.followed[0].commit_ns) == ((1, 2, 3), (3, 2, 1))
    timeout = Record("engine", "file", Status.TIMEOUT, "timeout", "more than 1 s")
    assert least(record(5, 7, (1,)), timeout) is timeout


def test_a_whole_measurement(tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    pytest.importorskip("mistral_common")
    output = tmp_path / "growth.md"
    options = ["--engines", "llguidance", "--axes", "schema-depth", "--repeats", "1", "--output", str(output)]
    finished = subprocess.run(
        [sys.executable, "-m", "bench", "growth", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == output.read_text()
    rows = [line.split(" | ") for line in finished.stdout.splitlines() if line[:1] == "|"]
    assert [row[0].strip("| ") for row in rows] == ["levels of the schema", ":---", "1", "4", "16", "64"]
    assert all(float(cell.strip("| ").replace(",", "")) > 0 for row in rows[2:5] for cell in row[1:])
    # llguidance refuses sixty-four levels, and the report says why.
    assert rows[5][2] == "refused"
    assert "- llguidance at 64: " in finished.stdout


def test_unknown_axes_are_named() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench", "growth", "--axes", "vocabulary,width"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert finished.stderr == f"there is no axis 'width'; there are {', '.join(AXES)}\n"
