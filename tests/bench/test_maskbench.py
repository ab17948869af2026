"""The harness: what it says of an engine whose answers are known, and that its results survive an interruption."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.distribution import Distribution
from bench.engines.engine import Engine, RefusedSchema, Session, Start
from bench.maskbench.files import stratified, stratum
from bench.maskbench.records import Instance, Outcome, Status, Trial
from bench.maskbench.results import Results, Run
from bench.maskbench.stopwatch import measure

STOP = 9


class Digits(Engine):
    """Accepts one digit (tokens 0 to 8), then the end; can be told to contradict itself."""

    def __init__(self, contradicts: bool = False) -> None:
        self.row = np.zeros(1, dtype=np.int32)
        self._contradicts = contradicts

    def compile(self, schema: str) -> Start:
        if json.loads(schema) is False:
            raise RefusedSchema("false", "false allows nothing")

        def start() -> Session:
            taken: list[int] = []

            def fill() -> None:
                self.row[0] = 1 << STOP if taken else 0x1FF

            def commit(token: int) -> bool:
                if taken and not self._contradicts:
                    return False
                taken.append(token)
                return True

            return Session(fill, commit, lambda: len(taken) == 1)

        return start


def status(engine: Engine, schema: str, *instances: tuple[bool, tuple[int, ...]]) -> Status:
    given = tuple(Instance(at, valid, tokens) for at, (valid, tokens) in enumerate(instances))
    return measure(engine, "digits", STOP, Trial("file", schema, given)).status


def test_statuses() -> None:
    assert status(Digits(), "true", (True, (3,)), (False, (3, 4)), (False, ())) is Status.PASSING
    assert status(Digits(), "true", (True, (3, 4))) is Status.VALID_REJECTED
    assert status(Digits(), "true", (False, (3,))) is Status.INVALID_ACCEPTED
    assert status(Digits(contradicts=True), "true", (False, (3, 4))) is Status.DISAGREED
    assert status(Digits(), "false") is Status.REFUSED
    assert status(Digits(), "nonsense") is Status.CRASH


def test_every_call_is_timed_once() -> None:
    record = measure(
        Digits(), "digits", STOP, Trial("file", "true", (Instance(0, True, (3,)), Instance(1, False, (3, 4))))
    )
    valid, invalid = record.followed
    assert (valid.outcome, len(valid.mask_ns), len(valid.commit_ns)) == (Outcome.ACCEPTED, 1, 1)
    assert (invalid.outcome, invalid.at, len(invalid.mask_ns)) == (Outcome.REFUSED, 1, 2)
    assert valid.mask_ns[0] == record.first_mask_ns
    assert len(record.seen_mask_ns) == 1


def test_results_survive_an_interruption(tmp_path: Path) -> None:
    run = Run("a sample", "tekken", 1, 20.0, 8.0, "a machine", {"digits": "1"}, "today", 0.5)
    path = tmp_path / "results.jsonl"
    record = measure(Digits(), "digits", STOP, Trial("file", "true", (Instance(0, True, (3,)),)))
    Results(path, run).add(record)
    with path.open("a") as file:
        file.write('{"record": {"engine": "dig')  # the run was cut here
    again = Results(path, run)
    again.add(replace(record, file="second"))
    again = Results(path, run)
    assert again.of("digits", ["second"])
    assert again.of("digits", ["file", "other"]) == [record]
    other = Run("a sample", "tekken", 2, 20.0, 8.0, "a machine", {}, "today", 0.5)
    with pytest.raises(Exception, match="their seed is 1"):
        Results(path, other)


def test_percentiles_against_numpy() -> None:
    times = [float(value * value % 101) for value in range(100)]
    distribution = Distribution.of(times)
    assert distribution is not None
    assert distribution.percentiles[0] == np.percentile(times, 50)
    assert distribution.maximum == max(times)
    assert Distribution.of([]) is None


def test_every_beginning_has_its_share_of_each_collection() -> None:
    names = [f"Easy---{i}" for i in range(90)] + [f"Hard_{i}" for i in range(10)]
    order = stratified(names, seed=1)
    assert sorted(order) == sorted(names)
    assert order == stratified(reversed(names), seed=1) != stratified(names, seed=2)
    for length in (20, 50, 80):
        share = sum(stratum(name) == "Hard" for name in order[:length])
        assert abs(share - length / 10) <= 1
