"""The rules of the house: who may import whom, what importing the package loads, what its front shows; and of tests."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tokamask

ROOT = Path(tokamask.__file__).parent.parent

HEAVY = {"jsonschema", "lark", "numba", "numpy", "pydantic", "referencing", "torch", "tqdm", "transformers"}


def all_modules_after(statement: str) -> set[str]:
    """Names of the modules in a fresh interpreter after one statement."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(finished.stdout.split())


def modules_after(statement: str) -> set[str]:
    """Names of the top-level modules."""
    return {name.partition(".")[0] for name in all_modules_after(statement)}


def test_import_contracts() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert modules_after("import tokamask") & HEAVY == set()


def test_the_command_line_parses_before_it_loads_anything_heavy() -> None:
    program = "from tokamask.cli import main\ntry:\n    main(['generate', '--help'])\nexcept SystemExit:\n    pass"
    assert modules_after(program) & HEAVY == set()


def test_what_workers_of_vllm_load_is_light() -> None:
    """They look into every module that is loaded once the plug-in is, which those of numba do not bear."""
    loaded = modules_after("import tokamask.integrations.vllm.plugin, tokamask.integrations.vllm.outlines_place")
    assert not {"numba", "llvmlite"} & loaded


def test_a_name_is_loaded_on_first_use() -> None:
    assert "lark" not in modules_after("import tokamask; tokamask.Sampling")


@pytest.mark.parametrize("name", tokamask.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(tokamask, name) is getattr(tokamask, name)
    assert name in dir(tokamask)


def test_type_checkers_see_what_is_loaded() -> None:
    """The imports under TYPE_CHECKING and the table of the lazy names say the same."""
    tree = ast.parse(Path(tokamask.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: statement.module
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == tokamask._HOMES
    for name, home in seen.items():
        assert getattr(import_module(str(home)), name) is getattr(tokamask, name)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert tokamask.__version__ == importlib.metadata.version("tokamask")
    assert "__version__" in dir(tokamask)
    assert "importlib.metadata" not in all_modules_after("import tokamask")


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mask_everything'"):
        tokamask.mask_everything  # noqa: B018 (the access is the test)


@cache
def parsed(folder: str) -> dict[str, ast.Module]:
    """The syntax trees of a folder's modules, by their names."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return {name: ast.parse(path.read_bytes()) for name, path in zip(names, paths, strict=True)}


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Modules, and what may be one, wherever in the module they are imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_every_module_is_reached_from_the_tests() -> None:
    modules = parsed("tokamask")
    reached = {"tokamask.__main__"}  # run as a program
    waiting = [name for tree in parsed("tests").values() for name in imported_names(tree)]
    waiting += tokamask._HOMES.values()
    while waiting:
        name = waiting.pop()
        if name in modules and name not in reached:
            reached.add(name)
            waiting += imported_names(modules[name])
    # A package is loaded with what is in it.
    reached |= {name.rpartition(".")[0] for name in reached}
    assert sorted(set(modules) - reached) == []


def judges(name: str) -> bool:
    """Whether a function of another package raises where a test should fail."""
    return name in ("raises", "warns", "fail") or name.startswith(("assert_", "validate"))


def called_names(function: ast.FunctionDef) -> set[str]:
    """The functions that are called inside: by their names alone, or as an attribute of something if they judge."""
    called = {node.func for node in ast.walk(function) if isinstance(node, ast.Call)}
    methods = {node.attr for node in called if isinstance(node, ast.Attribute)}
    return {node.id for node in called if isinstance(node, ast.Name)} | {name for name in methods if judges(name)}


def can_fail(function: ast.FunctionDef) -> bool:
    statements = (node for node in ast.walk(function) if isinstance(node, ast.Assert))
    return any(not isinstance(statement.test, ast.Constant) for statement in statements)


def test_every_test_asserts_something() -> None:
    """Itself, or by a function that it calls."""
    functions = {
        (module, node.name): node
        for module, tree in parsed("tests").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    called = {place: called_names(function) for place, function in functions.items()}
    asserting = {name for (_, name), function in functions.items() if can_fail(function)}
    asserting |= {name for names in called.values() for name in names if judges(name)}
    while found := {name for (_, name), names in called.items() if names & asserting} - asserting:
        asserting |= found
    tests = [place for place in functions if place[1].startswith("test_")]
    assert len(tests) > 900
    assert [place for place in tests if place[1] not in asserting] == []


def drawn() -> list[tuple[int, str]]:
    """What Hypothesis draws, in order, where nothing is said about it."""
    examples: list[tuple[int, str]] = []

    @settings(max_examples=200)
    @given(st.integers(), st.text(max_size=5))
    def draw(number: int, text: str) -> None:
        examples.append((number, text))

    draw()
    return examples


def test_examples_are_the_same_in_every_process() -> None:
    """Whatever else is loaded there."""
    loaded = "tests.conftest, tests.test_house, tokamask.grammar.json_schema.reading"
    program = f"import {loaded}; print(ascii(tests.test_house.drawn()))"
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout.strip() == ascii(drawn()), finished.stderr
