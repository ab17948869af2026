"""What jedi answers, and where it must not count as sure."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tokamask.runtime.monitors import jedi_engine
from tokamask.runtime.monitors.jedi_engine import Engine


@cache
def engine() -> Engine:
    return Engine(None, None)


CLASS = "class A:\n    def f(self): pass\n    def g(self, other: 'A'):\n        "

SURE = {
    "module": ("import os\nos.", "", {"getcwd", "path", "sep"}),
    "instance": ("import pathlib\np = pathlib.Path('a')\np.", "", {"exists", "parent"}),
    "annotated parameter": ("def f(text: str):\n    return text.", "", {"join", "strip"}),
    "optional": ("def f(text: str | None):\n    return text.", "", {"join", "strip"}),
    "match": ("import re\nm = re.match('a', 'b')\nprint(m.", ")", {"group", "span"}),
    "finished class": (CLASS + "pass\ndef f(a: A):\n    a.", "", {"f", "g"}),
    "dataclass": ("from dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\nA(1).", "", {"b"}),
    "keyword arguments": ("def f(**options):\n    options.", "", {"items", "get"}),
    "enumeration": ("import enum\nclass C(enum.Enum):\n    RED = 1\nC.", "", {"RED"}),
    "named tuple": ("from collections import namedtuple\nT = namedtuple('T', 'a b')\nT(1, 2).", "", {"a", "b"}),
    "of a subclass without attributes": ("from pathlib import Path\nPath('a').resolve().", "", {"exists"}),
    "code after": ("import os\nprint(os.", ")\nx = 3\n", {"getcwd"}),
}
UNSURE = {
    "own class": (CLASS + "if self.", "still being written"),
    "own class by another name": (CLASS + "if other.", "still being written"),
    "own class, as a class": ("class A:\n    @classmethod\n    def f(cls):\n        cls.", "still being written"),
    "getattr": ("class A:\n    b = 1\n    def __getattr__(self, name): ...\nA().", "__getattr__"),
    "getattribute": ("class A:\n    b = 1\n    def __getattribute__(self, name): ...\nA().", "__getattribute__"),
    "arguments": ("import argparse\na = argparse.ArgumentParser().parse_args()\na.", "__getattr__"),
    "simple namespace": ("import types\nx = types.SimpleNamespace()\nx.", "__getattr__"),
    "unknown base": ("from nowhere import B\nclass A(B):\n    c = 1\nA().", "base class"),
    "unknown base of a base": ("from nowhere import B\nclass A(B):\n    c = 1\nclass D(A): pass\nD().", "base class"),
    "function": ("def f(): pass\nf.", "function"),
    "of a subclass": ("from pathlib import Path\n(Path('a') / 'b').", "subclass"),
    "of one with other fields": (
        "from typing import Self\nclass A:\n    def f(self) -> Self: ...\nclass B(A):\n    g = 1\nB().f().",
        "subclass",
    ),
    "item": ("from pathlib import Path\nfor path in Path('a').iterdir():\n    path.", "iterable"),
    "default value": ("def f(text=''):\n    text.", "annotation"),
}
UNKNOWN = {
    "parameter": "def f(x):\n    x.",
    "default of None": "def f(x=None):\n    x.",
    "anything": "from typing import Any\ndef f(x: Any):\n    x.",
    "not imported": "os.",
    "not installed": "import nowhere\nnowhere.",
    "object": "object().",
}


@pytest.mark.parametrize(("before", "after", "some"), SURE.values(), ids=SURE)
def test_sure(before: str, after: str, some: set[str]) -> None:
    answer = engine().answer(before, after)
    assert answer["reason"] == ""
    assert answer["exhaustive"]
    assert some <= set(answer["names"])
    assert "no_such_name" not in answer["names"]


@pytest.mark.parametrize(("before", "reason"), UNSURE.values(), ids=UNSURE)
def test_unsure(before: str, reason: str) -> None:
    answer = engine().answer(before, "")
    assert reason in answer["reason"]
    assert not answer["exhaustive"]
    assert answer["names"]


@pytest.mark.parametrize("before", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown(before: str) -> None:
    answer = engine().answer(before, "")
    assert answer["names"] == []
    assert not answer["exhaustive"]
    assert answer["reason"]


def test_what_calls_pass_is_not_all_that_can_be_passed() -> None:
    assert engine().answer("def f(x):\n    x.", "\n\nf(3)")["names"] == []


def test_without_jedis_inner_workings_nothing_is_sure() -> None:
    class Elsewhere:
        type = "param"

    assert jedi_engine._is_bare_parameter(Elsewhere())
    assert not jedi_engine._bases_are_known(Elsewhere())
    assert jedi_engine._may_be_of_subclass(Elsewhere(), frozenset())


def test_modules_of_a_project(tmp_path: Path) -> None:
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "basket.py").write_text("class Basket:\n    def add_fruit(self): ...\n")
    before = "from .basket import Basket\nBasket()."
    assert "add_fruit" in Engine(str(tmp_path), str(package / "till.py")).answer(before, "")["names"]
    assert "add_fruit" in Engine(str(tmp_path), None).answer(before.replace(".b", "shop.b"), "")["names"]
    assert engine().answer(before, "")["names"] == []


def test_as_a_program(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('the wrong json')")
    questions = [{"before": "import os\nos.", "after": ""}, {"before": 3, "after": ""}, {"before": "''.", "after": ""}]
    finished = subprocess.run(
        [sys.executable, "-P", jedi_engine.__file__],
        input="".join(json.dumps(question) + "\n" for question in questions),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    ready, modules, failed, strings = finished.stdout.splitlines()
    assert ready == "ready"
    assert "getcwd" in json.loads(modules)["names"]
    assert json.loads(failed)["names"] == []
    assert "jedi failed" in json.loads(failed)["reason"]
    assert "join" in json.loads(strings)["names"]
