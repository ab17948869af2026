"""What several commands take: a constraint, a model, and text that may lie in a file."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokamask.runtime.constraints import Specification
    from tokamask.runtime.model import Model

__all__ = [
    "SCHEMA_HELP",
    "ArgumentError",
    "add_constraint_options",
    "add_model_option",
    "checked_text",
    "read_model",
    "read_schema",
    "read_standard_input",
    "read_text",
    "specification",
]

SCHEMA_HELP = "a JSON Schema: a file, JSON text, or a Python type as module:Name or path/to/file.py:Name"

_TYPE = re.compile(r"(?P<module>.+):(?P<name>[A-Za-z_]\w*)")


class ArgumentError(Exception):
    """An argument that cannot be used; the message names it and says what would do."""


def add_model_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="demo",
        metavar="NAME",
        help="a folder, a .gguf file, a hub name, or 'demo': SmolLM2-135M-Instruct, fetched once; default: demo",
    )


def read_model(arguments: argparse.Namespace) -> Model:
    """The model that the option of `add_model_option` names."""
    from tokamask.runtime.model_loader import load_model

    if not sys.stderr.isatty():
        from transformers.utils import logging

        # transformers draws its progress bars into files and pipes too.
        logging.disable_progress_bar()
    return load_model(arguments.model)


def add_constraint_options(parser: argparse.ArgumentParser, *, required: bool) -> None:
    group = parser.add_argument_group("constraint (one of these)").add_mutually_exclusive_group(required=required)
    group.add_argument("--schema", metavar="SCHEMA", help=SCHEMA_HELP)
    group.add_argument("--regex", metavar="PATTERN", help="a regular expression, as in Python's re, for the whole text")
    group.add_argument("--grammar", metavar="FILE", help="a context-free grammar, in Lark's or llama.cpp's notation")
    group.add_argument("--choices", metavar="A,B,...", help="texts to choose from, separated by commas")


def specification(arguments: argparse.Namespace) -> Specification:
    """The constraint that the options of `add_constraint_options` ask for."""
    from tokamask.runtime.constraints import Specification

    return Specification(
        schema=None if arguments.schema is None else read_schema(arguments.schema),
        regex=arguments.regex,
        grammar=None if arguments.grammar is None else _source("--grammar", Path(arguments.grammar)),
        choices=None if arguments.choices is None else arguments.choices.split(","),
    )


def read_schema(argument: str) -> Any:
    """JSON text, or the Python type that the argument names."""
    if argument.lstrip().startswith("{") or argument.strip() in ("true", "false"):
        return argument
    path = Path(argument)
    named = _TYPE.fullmatch(argument)
    if named is not None and not path.exists():
        return _python_type(named["module"], named["name"])
    return _source("the schema", path)


def read_text(argument: str) -> str:
    """The contents of the file of that name, of standard input for "-", or the argument itself."""
    if argument == "-":
        return read_standard_input()
    try:
        is_file = Path(argument).is_file()
    except OSError:  # a text too long to be a name
        is_file = False
    return _file_text("the text", Path(argument)) if is_file else checked_text("the text", argument)


def read_standard_input() -> str:
    try:
        return "" if sys.stdin is None else checked_text("standard input", sys.stdin.read())
    except UnicodeError as error:
        raise ArgumentError(f"standard input is not {sys.stdin.encoding}") from error


def checked_text(what: str, text: str) -> str:
    """The text, unless it holds bytes that are none: Python carries them along as lone surrogates."""
    try:
        text.encode()
    except UnicodeError as error:
        raise ArgumentError(f"{what} is not UTF-8") from error
    return text


def _source(what: str, path: Path) -> str:
    """The text of a schema or grammar, less the byte order mark that some editors put before it."""
    return _file_text(what, path).removeprefix("\ufeff")


def _file_text(what: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ArgumentError(f"{what} cannot be read from {str(path)!r}: {reason}") from error


def _python_type(module: str, name: str) -> Any:
    try:
        loaded = _module_of_file(Path(module)) if module.endswith(".py") else importlib.import_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise ArgumentError(f"the schema's module {module!r} cannot be imported: {error!r}") from error
    try:
        return getattr(loaded, name)
    except AttributeError as error:
        raise ArgumentError(f"there is no {name!r} in {module!r}") from error


def _module_of_file(path: Path) -> ModuleType:
    # By its path, so that a schema in json.py does not stand in for the standard library's.
    name = str(path.resolve())
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where types look up the names in their annotations
    spec.loader.exec_module(module)
    return module
