"""A whole measurement over a folder of small files, with real engines in processes of their own."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.engines.language_memory import LanguageMemory
from bench.maskbench.engine_process import EngineProcess
from bench.maskbench.files import trial
from bench.maskbench.records import Status
from bench.vocabularies import load_vocabulary
from tokamask.grammar.language import Language, union

pytest.importorskip("llguidance")
pytest.importorskip("mistral_common")

ROOT = Path(__file__).resolve().parents[2]

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FILES: dict[str, dict[str, Any]] = {
    "Easy---person": {
        "schema": PERSON,
        "tests": [
            {"valid": False, "data": {"name": "Ada"}},
            {"valid": True, "data": {"name": "Ad\u00e9", "age": 36}},
            {"valid": False, "data": {"name": "Ada", "age": "36"}},
        ],
    },
    "Easy---other_order": {"schema": PERSON, "tests": [{"valid": True, "data": {"age": 36, "name": "Ada"}}]},
    "Hard_wrong_0": {"schema": {"type": "array"}, "tests": [{"valid": False, "data": []}]},
    "Hard_impossible_1": {"schema": False, "tests": []},
}


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "maskbench", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


def rows(report: str, section: str) -> dict[str, list[str]]:
    """The cells of a table's rows, by their first cell; the columns' names by the first cell of the header."""
    after = report.partition(f"## {section}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in after.splitlines() if line[:1] == "|"]
    return {first: rest for first, *rest in cells}


def test_a_whole_measurement(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name, file in FILES.items():
        (data / f"{name}.json").write_text(json.dumps(file), encoding="utf-8")
    kept, output = tmp_path / "results.jsonl", tmp_path / "report.md"
    files = ["--data", str(data), "--results", str(kept), "--output", str(output)]
    options = [*files, "--vocabulary", "tekken-32k", "--wrong"]
    engines = ["tokamask", "tokamask-schema", "llguidance"]

    first = bench(*options, "--engines", ",".join(engines), "--sample", "3")
    assert first.returncode == 0, first.stderr
    assert len(kept.read_text().splitlines()) == 1 + 3 * len(engines)

    second = bench(*options, "--engines", ",".join(engines))
    assert second.returncode == 0, second.stderr
    lines = kept.read_text().splitlines()
    assert len(lines) == 2 + len(FILES) * len(engines), "what was measured is not measured again"
    report = output.read_text()
    assert second.stdout.startswith(report)

    coverage = rows(report, "Coverage")
    for engine in engines:
        found = dict(zip(coverage["engine"], coverage[engine], strict=True))
        in_any_order = engine == "tokamask"
        assert {name: count for name, count in found.items() if count not in ("0", "0/0")} == {
            "files": "4",
            Status.PASSING: "2" if in_any_order else "1",
            Status.REFUSED: "1",
            Status.INVALID_ACCEPTED: "1",
            "valid accepted": "2/2" if in_any_order else "1/2",
            "invalid refused": "2/3",
        } | ({} if in_any_order else {Status.OUT_OF_ORDER: "1"})
        assert f"{engine}, Hard_wrong_0: instance 0 is invalid, and was accepted after" in second.stdout
    # One for each file whose first valid instance was accepted.
    documents = rows(report, "Constraint time of one document, ms")
    assert [documents[engine][0] for engine in engines] == ["2", "1", "1"]
    assert "tokamask: refused, UnsatisfiableSchema" in rows(report, "Not compiled")

    other = bench(*options, "--engines", "llguidance", "--seed", "2")
    assert (other.returncode, other.stdout) == (1, "")
    assert "their seed is 1, and now it is 2" in other.stderr


def test_missing_data_is_a_sentence(tmp_path: Path) -> None:
    finished = bench("--data", str(tmp_path))
    assert finished.returncode == 1
    assert (
        finished.stderr
        == f"{str(tmp_path)!r} holds neither maskbench.tar.xz nor its files; say where they are with --data\n"
    )


@pytest.fixture
def process() -> Iterator[EngineProcess]:
    process = EngineProcess("llguidance", "tekken-32k", limit=60.0, memory=8.0)
    yield process
    process.stop()


def test_time_outs_and_crashes_end_one_file_alone(process: EngineProcess) -> None:
    given = trial("person", json.dumps(FILES["Easy---person"]), load_vocabulary("tekken-32k").vocabulary)
    assert process.run(given).status is Status.PASSING
    assert process._process is not None
    process._process.kill()
    process._process.join()
    crashed = process.run(given)
    assert (crashed.status, crashed.reason) == (Status.CRASH, "its exit code was -9")
    assert process.run(given).status is Status.PASSING
    process._limit = 0.0
    assert process.run(given).status is Status.TIMEOUT
    process._limit = 60.0
    assert process.run(given).status is Status.PASSING


def test_memory_of_languages_goes_back() -> None:
    before, after, later = (Language.words([word]) for word in (b"before", b"after", b"later"))
    kept = union(before, after)
    memory = LanguageMemory()
    dropped = weakref.ref(union(after, later))
    gc.collect()
    assert dropped() is not None
    memory.restore()
    gc.collect()
    assert dropped() is None
    assert union(before, after) is kept
