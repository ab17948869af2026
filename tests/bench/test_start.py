"""Starts and memory, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.machine import peak_memory
from bench.start.command import Start, start_report
from bench.start.probe import HOST, STARTS

ROOT = Path(__file__).resolve().parents[2]

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="read from /proc, or limited by RLIMIT_DATA as Linux counts")


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_medians_and_what_is_not_counted() -> None:
    starts = [
        Start(
            (("interpreter", 10.0 * at, 5.0), (HOST, 1000.0 * at, 50.0), ("first mask", 1.0, 60.0 + at)),
            peak_kib=102_400 * at,
        )
        for at in (3, 1, 2)
    ]
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in start_report({"engine": starts}).splitlines()
        if line[:1] == "|"
    ]
    assert header == ["stage", "ms", "held then, MiB"]
    assert rows == [
        ["interpreter", "20.0", "5.00"],
        [HOST, "2,000", "50.0"],
        ["first mask", "1.00", "62.0"],
        ["all but the tokenizer; peak", "21.0", "200"],
    ]


@pytest.mark.parametrize("engine", STARTS)
def test_a_start_stage_by_stage(engine: str) -> None:
    pytest.importorskip(engine)
    pytest.importorskip("mistral_common")
    begun = time.monotonic_ns()
    finished = python("-m", "bench.start.probe", engine, "tekken-32k", str(begun))
    milliseconds = (time.monotonic_ns() - begun) * 1e-6
    assert finished.returncode == 0, finished.stderr
    answer = json.loads(finished.stdout)
    names = [name for name, *_ in answer["stages"]]
    assert (names[0], names[-2:]) == ("interpreter", ["schema compiled", "first mask"])
    assert names.count(HOST) == 1
    # Stages neither overlap nor begin before the process was asked for.
    assert all(ms > 0 for _, ms, _ in answer["stages"])
    assert sum(ms for _, ms, _ in answer["stages"]) < milliseconds
    assert max(mib for *_, mib in answer["stages"]) <= answer["peak_kib"] / 1024 + 1


def test_stages_pay_for_their_own_imports() -> None:
    loaded = "import sys; import bench.start.probe; print(*sys.modules)"
    modules = set(python("-c", loaded).stdout.split())
    assert "bench.start.probe" in modules
    assert not modules & {"numpy", "numba", "tokamask", "llguidance", "mistral_common", "bench.vocabularies"}


def test_starts_of_other_engines_are_refused() -> None:
    pytest.importorskip("mistral_common")
    finished = python("-m", "bench", "start", "--engines", "tokamask-schema")
    assert (finished.returncode, finished.stdout) == (1, "")
    assert finished.stderr == "starts are measured of tokamask and llguidance, not of tokamask-schema\n"


@LINUX
def test_peaks_are_of_one_process_alone() -> None:
    held = bytearray(300 << 20)
    held[:: 1 << 12] = b"x" * len(held[:: 1 << 12])
    assert peak_memory() > 300 << 10
    small = int(python("-c", "from bench.machine import peak_memory; print(peak_memory())").stdout)
    assert small < 150 << 10
    program = "x = bytearray(b'x') * (100 << 20); del x; from bench.machine import peak_memory; print(peak_memory())"
    assert int(python("-c", program).stdout) > 100 << 10


@LINUX
def test_an_engine_that_wants_too_much_memory_fails_alone() -> None:
    program = "from bench.machine import limit_memory; limit_memory(0.5); bytearray({} << 20); print('held')"
    assert python("-c", program.format(200)).stdout == "held\n"
    finished = python("-c", program.format(600))
    assert finished.returncode == 1
    assert "MemoryError" in finished.stderr
