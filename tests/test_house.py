"""The rules of the house: who may import whom, what importing the package loads, what its front shows."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tokamask

ROOT = Path(tokamask.__file__).parent.parent

HEAVY = {"jsonschema", "lark", "numba", "numpy", "pydantic", "referencing", "torch", "tqdm", "transformers"}


def modules_after(statement: str) -> set[str]:
    """Names of the top-level modules in a fresh interpreter after one statement."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    finished = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in finished.stdout.split()}


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


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'mask_everything'"):
        tokamask.mask_everything  # noqa: B018 (the access is the test)
