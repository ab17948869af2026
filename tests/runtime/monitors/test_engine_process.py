"""Engines that answer, hang, crash and talk nonsense: whatever they do, asking comes back."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tokamask.runtime.monitors import engine_process
from tokamask.runtime.monitors.engine_process import FAILURES, EngineProcess
from tokamask.runtime.monitors.suggestions import Suggestions

READY = "import sys, json, time, os; print('ready', flush=True)\n"
SLEEP_FOREVER = "\nwhile True: time.sleep(60)"
ANSWER_ALL = """
for line in sys.stdin:
    question = json.loads(line)
    names = [question["before"][:-1], *question["after"].split()]
    print(json.dumps({"names": names, "exhaustive": True, "reason": ""}), flush=True)
"""
SHORT, LONG = 0.05, 60.0


def engine(program: str, time_limit: float = LONG) -> EngineProcess:
    return EngineProcess([sys.executable, "-c", program], "fake", time_limit)


def test_answers() -> None:
    asked = engine(READY + ANSWER_ALL)
    assert asked.ask("a.", "b é") == Suggestions(frozenset({b"a", b"b", "é".encode()}), True, "fake")
    assert asked.ask("c.", "") == Suggestions(frozenset({b"c"}), True, "fake")
    large = "x" * 1_000_000  # more than any pipe holds
    assert asked.ask(large + ".", "").names == {large.encode()}
    asked.close()
    assert asked.ask("a.", "").is_unknown
    asked.close()


def test_threads_share_a_process() -> None:
    asked = engine(READY + ANSWER_ALL)
    asked.start()
    wrong: list[int] = []

    def ask(number: int) -> None:
        if asked.ask(f"n{number}.", "").names != {b"n%d" % number}:
            wrong.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked.close()
    assert not wrong


def test_an_engine_that_sleeps_forever_is_unknown() -> None:
    asked = engine(READY + SLEEP_FOREVER, SHORT)
    sent = set()
    for before in ("x" * 1_000_000 + ".", "a.", "b."):  # the first does not even fit into the pipe
        answer = asked.ask(before, "")
        assert answer.is_unknown
        assert not answer.is_exhaustive
        assert "time" in answer.reason
        assert asked._running is not None
        sent.add(asked._running.sent)
    assert len(sent) == 1, "a process that is busy gets no further questions"
    asked.close()


def test_an_engine_that_never_begins_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "START_LIMIT", SHORT)
    asked = engine("import time" + SLEEP_FOREVER, SHORT)
    for _ in range(FAILURES - 1):
        assert asked.ask("a.", "").is_unknown
    with pytest.warns(RuntimeWarning, match="not asked any more"):
        assert asked.ask("a.", "").is_unknown
    assert "failed too often" in asked.ask("a.", "").reason


def test_a_hung_process_is_replaced_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "PATIENCE", 0.0)
    was_here = tmp_path / "was-here"
    first_time_only = f"\nif not os.path.exists({str(was_here)!r}):\n    open({str(was_here)!r}, 'w')"
    asked = engine(READY + first_time_only + SLEEP_FOREVER.replace("\n", "\n    ") + ANSWER_ALL, SHORT)
    assert asked.ask("a.", "").is_unknown
    asked._time_limit = LONG
    assert asked.ask("a.", "").names == {b"a"}
    asked.close()


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    slow_once = ANSWER_ALL.replace("    names", "    if question['before'] == 'slow.': time.sleep(0.5)\n    names")
    asked = engine(READY + slow_once, LONG)
    assert asked.ask("a.", "").names == {b"a"}
    asked._time_limit = SHORT
    assert asked.ask("slow.", "").is_unknown
    asked._time_limit = LONG
    assert asked.ask("b.", "").names == {b"b"}
    asked.close()


@pytest.mark.parametrize(
    "program",
    [
        "",
        "import no_such_module_anywhere",
        READY,
        READY + "input(); print('[1, 2]', flush=True)" + SLEEP_FOREVER,
        READY + "input(); print('nonsense', flush=True)" + SLEEP_FOREVER,
        READY + """input(); print('{"names": [3], "exhaustive": true, "reason": ""}', flush=True)""" + SLEEP_FOREVER,
        READY + """input(); print('{"names": ["a"]}', flush=True)""" + SLEEP_FOREVER,
    ],
)
def test_a_broken_engine_is_given_up(program: str) -> None:
    asked = engine(program)
    for _ in range(FAILURES - 1):
        assert "the engine failed" in asked.ask("a.", "").reason
    with pytest.warns(RuntimeWarning, match="fake ended or hung"):
        assert "the engine failed" in asked.ask("a.", "").reason
    assert "failed too often" in asked.ask("a.", "").reason


def test_an_exhaustive_answer_without_names_is_none() -> None:
    no_names = """input(); print('{"names": [], "exhaustive": true, "reason": ""}', flush=True)"""
    asked = engine(READY + no_names + SLEEP_FOREVER)
    assert asked.ask("a.", "").is_unknown
    asked.close()


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="/no/such/program"):
        EngineProcess(["/no/such/program"], "fake", LONG).ask("a.", "")


def test_a_forgotten_engine_ends_its_process() -> None:
    asked = engine(READY + ANSWER_ALL)
    asked.ask("a.", "")
    assert asked._running is not None
    end = asked._running.end
    assert end.alive
    del asked
    assert not end.alive


def test_the_limit_is_a_time() -> None:
    with pytest.raises(ValueError, match="time_limit"):
        engine("", 0.0)
