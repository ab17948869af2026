"""The numbers and tables that reports are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import machine
from bench.distribution import PERCENTILES, Distribution
from bench.engines import checked_engines
from bench.errors import CannotMeasure
from bench.markdown import distribution_table, number, publish
from bench.maskbench.headline import headline
from bench.maskbench.out_of_order import with_order_explained
from bench.maskbench.records import Followed, Instance, Outcome, Record, Status, Trial
from bench.maskbench.report import report
from bench.maskbench.results import Results, Run


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0.000"),
        (0.5124, "0.512"),
        (0.9996, "1.00"),
        (5.124, "5.12"),
        (9.996, "10.0"),
        (99.96, "100"),
        (5124.4, "5,124"),
    ],
)
def test_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_distribution_as_a_row() -> None:
    distribution = Distribution.of([1000.0] * 5)
    header, _, full, empty = distribution_table([("some", distribution), ("none", None)], 1e-3).splitlines()
    assert header.count("|") == full.count("|") == empty.count("|") == len(PERCENTILES) + 5
    assert full == f"| some | 5 | {' | '.join(['1.00'] * (len(PERCENTILES) + 2))} |"
    assert empty == f"| none | 0 | {' | '.join(['-'] * (len(PERCENTILES) + 2))} |"


def valid_text(mask_ns: int, commit_ns: int) -> Followed:
    return Followed(0, True, Outcome.ACCEPTED, 2, (mask_ns, mask_ns), (commit_ns, commit_ns))


def test_what_the_tables_add_up(tmp_path: Path) -> None:
    versions = {"tokamask": "1", "llguidance": "2"}
    results = Results(
        tmp_path / "results.jsonl", Run("a sample", "v", 1, 20.0, 8.0, "a machine", versions, "today", 0.5)
    )
    ms = 1_000_000
    refused_text = Followed(1, False, Outcome.REFUSED, 0, (7 * ms,), ())
    texts = (valid_text(2 * ms, 1 * ms), refused_text)
    results.add(
        Record("tokamask", "a", compile_ns=10 * ms, first_mask_ns=2 * ms, followed=texts, seen_mask_ns=(3 * ms,))
    )
    results.add(Record("tokamask", "b", compile_ns=90 * ms, first_mask_ns=10 * ms))
    results.add(Record("llguidance", "a", compile_ns=30 * ms, first_mask_ns=2 * ms, followed=texts))
    results.add(Record("llguidance", "b", Status.TIMEOUT, "timeout"))
    text = report(results, ["tokamask", "llguidance"], ["a", "b"], 2, "the command")

    def tables(title: str) -> list[list[list[str]]]:
        section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line[:1] == "|"]
        return [lines[2:4], lines[6:8]]

    def means(title: str) -> list[list[tuple[str, str]]]:
        return [[(count, mean) for _, count, mean, *_ in table] for table in tables(title)]

    # Compile 10, two masks of 2 and two commits of 1.
    assert means("Constraint time of one document, ms") == [[("1", "16.0"), ("1", "36.0")]] * 2
    # A time-out counts as the limit; it is no file that all compiled.
    assert means("Time to first mask, ms") == [[("2", "56.0"), ("2", "10,016")], [("1", "12.0"), ("1", "32.0")]]
    assert means("One mask, us: all valid instances")[0][0] == ("2", "2,000")
    assert means("One mask, us: already seen")[0][0] == ("1", "3,000")
    # 3, 3, and a mask of 7 that refused the token.
    assert means("Mask and commit, us: all instances")[0][0] == ("3", "4,333")


def first_document(engine: str, file: str, nanoseconds: int) -> Record:
    text = Followed(0, True, Outcome.ACCEPTED, 1, (nanoseconds - 3,), (2,))
    return Record(engine, file, compile_ns=1, first_mask_ns=nanoseconds - 3, followed=(text,))


def test_the_headline_is_against_the_hardest_peer() -> None:
    times = {
        "tokamask": {"a": 100, "b": 200, "c": 900},
        "tokamask-shared": {"d": 10},
        "llguidance": {"a": 400, "b": 100, "c": 1000},
        "glrmask": {"a": 100, "b": 400},
    }
    records = {
        engine: [first_document(engine, file, time) for file, time in mine.items()] for engine, mine in times.items()
    }
    records["glrmask"].append(Record("glrmask", "c", Status.REFUSED, "not", "not"))
    # llguidance: medians 200 / 400, means 400 / 500, p99 886 / 988; glrmask, on a and b alone: 150 / 250, 150 / 250,
    # 199 / 397.
    assert headline(records) == [
        "Constraint time per document, tokamask divided by the best peer: p50 0.600 (glrmask, 2 documents), "
        "mean 0.800 (llguidance, 3 documents), p99 0.897 (llguidance, 3 documents)."
    ]
    assert headline({"tokamask": records["tokamask"]}) == []


@pytest.mark.parametrize(
    ("text", "is_out_of_order"),
    [
        (b'{"b":1,"a":2}', True),
        (b'{"a":2,"b":1}', False),  # whoever refuses it is wrong
        (b'{"b":1,"a":"2"}', False),  # not valid in any order
    ],
)
def test_only_the_order_is_an_excuse(text: bytes, is_out_of_order: bool) -> None:
    schema = '{"properties": {"a": {"type": "integer"}, "b": {}}, "required": ["a"]}'
    refused = Followed(4, True, Outcome.REFUSED, 0, (1,), ())
    trial = Trial("file", schema, (Instance(4, True, tuple(text)),))
    explained = with_order_explained(Record("engine", "file", followed=(refused,)), trial, bytes)
    assert explained.followed[0].is_out_of_order is is_out_of_order
    assert explained.status is (Status.OUT_OF_ORDER if is_out_of_order else Status.VALID_REJECTED)


def test_engines_by_name() -> None:
    assert checked_engines("tokamask,tokamask-shared") == ["tokamask", "tokamask-shared"]
    with pytest.raises(CannotMeasure, match="there is no engine 'tokamsk'; there are tokamask, "):
        checked_engines("tokamsk")
    with pytest.raises(CannotMeasure, match="named twice"):
        checked_engines("tokamask,tokamask")


def test_a_report_is_printed_and_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.md"
    publish("Größe: 1\n", file)
    publish("2\n", None)
    assert capsys.readouterr().out == "Größe: 1\n2\n"
    assert file.read_text(encoding="utf-8") == "Größe: 1\n"


@pytest.mark.parametrize(("load", "words"), [(1.0, "was 1"), (1.25, "was 1.25"), (None, "is not known")])
def test_the_load_in_words(load: float | None, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "load_average", lambda: load)
    assert machine.load_in_words() == f"the machine's load {words}"
