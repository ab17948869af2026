"""Where the measurement of dereferences finds its sites, and what it makes of the judge's words."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.dereferences.__main__ import Answer, _name, report
from bench.dereferences.judge import NONSENSE, judge
from bench.dereferences.sites import Site, choose_sites, sites_in
from bench.errors import CannotMeasure
from tokamask.runtime.monitors.suggestions import Suggestions

SOURCE = '''import os
os.outside

def f(x):
    """x.text"""
    x.written = "é" + x.first . second
    return f"{x.formatted}", (x.third
        .fourth)
'''


def site_of(folder: Path, name: str) -> Site:
    (folder / "module.py").write_text(SOURCE, encoding="utf-8")
    start = SOURCE.index(name)
    return Site("package", "package 1", folder, Path("module.py"), start, start + len(name))


def test_sites_are_attributes_that_functions_read() -> None:
    assert [SOURCE[start:end] for start, end in sites_in(SOURCE)] == ["first", "third", "fourth"]


def test_sites_of_installed_packages() -> None:
    sites = choose_sites(["referencing", "iniconfig"], 6, seed=1)
    assert sites == choose_sites(["referencing", "iniconfig"], 6, seed=1)
    assert sites != choose_sites(["referencing", "iniconfig"], 6, seed=2)
    assert [site.package for site in sites] == 3 * ["referencing", "iniconfig"]
    for site in sites:
        assert site.before.endswith(".")
        assert site.name.isidentifier()
        assert site.before + site.name + site.after == site.path.read_text(encoding="utf-8")
    with pytest.raises(CannotMeasure, match="no_such_package"):
        choose_sites(["no_such_package"], 1, seed=1)
    with pytest.raises(CannotMeasure, match="fewer than 100000"):
        choose_sites(["iniconfig"], 100_000, seed=1)


def stand_in(folder: Path, knows: bool, status: int = 0) -> str:
    """A judge that refuses every name at a dot but `first`; or one that accepts everything."""
    program = folder / "judge"
    program.write_text(f"""#!{sys.executable}
import json, pathlib, re, sys
root = pathlib.Path(sys.argv[sys.argv.index("--project") + 1])
rule, errors = "reportAttributeAccessIssue", []
for name in json.loads((root / "pyrightconfig.json").read_text())["include"]:
    for number, line in enumerate((root / name).read_text(encoding="utf-8").splitlines()):
        for match in re.finditer(r"x\\.(\\w+)", line):
            if {knows} and match[1] != "first":
                start = {{"line": number, "character": len(line[: match.start(1)].encode("utf-16-le")) // 2}}
                errors.append({{"file": str(root / name), "rule": rule, "range": {{"start": start}}}})
errors.append({{"file": str(root / "other.py"), "rule": rule}})
print(json.dumps({{"generalDiagnostics": errors}}))
sys.exit({status})
""")
    program.chmod(0o755)
    return str(program)


def test_what_the_judge_accepts(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    known, refused = site_of(folder, "first"), site_of(folder, "third")
    names = {known: {"first", "wrong"}, refused: {"third"}}
    judged = judge([known, refused], names, stand_in(tmp_path, knows=True))
    assert judged == {known: {"first"}, refused: None}, "whoever refuses what the source says does not know"
    assert judge([known], names, stand_in(tmp_path, knows=False)) == {known: None}
    assert NONSENSE not in SOURCE
    with pytest.raises(CannotMeasure, match="--judge"):
        judge([known], names, str(tmp_path / "nothing"))
    with pytest.raises(CannotMeasure, match="failed"):
        judge([known], names, stand_in(tmp_path, knows=True, status=3))


def test_the_report_counts(tmp_path: Path) -> None:
    first, third, fourth = (site_of(tmp_path, name) for name in ("first", "third", "fourth"))
    sure = Suggestions(frozenset({b"first", b"other"}), True, "jedi")
    partial = Suggestions(frozenset({b"third"}), False, "jedi", "it is a function")
    answers = [
        Answer(first, "wrong", "other", sure),
        Answer(third, "third", "third", partial),
        Answer(fourth, "fourth", "", None),
    ]
    text = report(answers, {first: {"other"}, third: {"third"}, fourth: None}, "the command")
    assert "| all sites that are judged: no monitor | 2 | 1 of 2 (50 %) | 1 of 2 (50 %) |" in text
    assert "| all sites that are judged: monitor | 2 | 2 of 2 (100 %) | 1 of 2 (50 %) |" in text
    assert "| where the monitor was sure: no monitor | 1 | 0 of 1 (0 %) | 0 of 1 (0 %) |" in text
    assert "| no monitor | 1 | 1 of 1 (100 %) |" in text
    assert "| of these, the source's own name is forbidden | 0 of 1 (0 %) |" in text
    assert "- 1 x it is a function" in text
    assert "package/module.py" not in text
    excluded = report([Answer(third, "", "", sure)], {third: None}, "the command")
    assert "package/module.py, character" in excluded
    assert json.dumps(SOURCE) not in excluded, "places, never sources"


def test_names() -> None:
    assert [_name(text) for text in ("get_x(1)", "é2.b", "1a", " a", "")] == ["get_x", "é2", "", "", ""]
