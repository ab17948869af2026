"""`tokamask warmup`: do now, once, what the first call on a machine would otherwise wait for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokamask.cache_directory import default_cache_directory, remove_unused
from tokamask.cli.arguments import add_model_option, read_model

if TYPE_CHECKING:
    from tokamask.grammar.grammar import Grammar
    from tokamask.masking.compiler import CompiledGrammar

DESCRIPTION = """\
Fetch the model if need be, build the tables of its vocabulary, and compile the kernels. All of it is kept in the user's
cache, so the first call of a program, or of a new process, finds it ready. Says which folders there it made, and which
it removed because nothing has used them for long."""

EPILOG = """\
examples:
  tokamask warmup
  tokamask warmup --model path/to/model"""

KINDS = ("kernels", "pieces")
"""Of folders in the user's cache that are made here."""

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "code": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"},
        "kind": {"enum": ["leaf", "branch", None]},
        "size": {"type": "number", "minimum": 0},
        "parts": {"type": "array", "items": {"$ref": "#"}, "maxItems": 3},
    },
    "required": ["name", "kind"],
    "patternProperties": {"^x-": {"type": "string"}, "-[0-9]+$": {"type": "integer"}},
}
"""Uses every kind of piece that masks are made of, and the algebra of languages."""

LARK = """
start: sum
sum: product ("+" product)*
product: NUMBER | "(" sum ")"
NUMBER: /[0-9]+/
%ignore " "
"""


def add_command(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "warmup",
        help="compile and build now what the first call would wait for",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_model_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    before = _cache_folders()
    from tokamask.runtime.model_loader import shared_compiler

    grammars = list(sample_grammars())
    with tqdm(total=2 + len(grammars), bar_format="{desc:<20} {bar} {elapsed}", leave=False) as bar:
        bar.set_description_str("loading the model")
        model = read_model(arguments)
        bar.update()
        bar.set_description_str("vocabulary tables")
        compiler = shared_compiler(model)
        bar.update()
        bar.set_description_str("kernels")
        for grammar in grammars:
            _write_shortest(compiler.compile(grammar))
            bar.update()
    for kind in KINDS:
        remove_unused(default_cache_directory(), kind)
    after = _cache_folders()
    for folder in sorted(after - before):
        print(f"made {folder}", file=sys.stderr)
    for folder in sorted(before - after):
        print(f"removed {folder}, which nothing has used for long", file=sys.stderr)
    print(f"ready: {arguments.model}, {model.vocabulary.size} tokens", file=sys.stderr)
    return 0


def _cache_folders() -> set[Path]:
    return {folder for kind in KINDS for folder in default_cache_directory().glob(f"{kind}-*")}


def sample_grammars() -> Iterator[Grammar]:
    from tokamask.grammar.grammar import Grammar

    yield Grammar.from_choices(["yes", "no"])
    yield Grammar.from_lark(LARK)
    yield Grammar.from_json_schema(SCHEMA)
    yield Grammar.from_json_schema(SCHEMA, property_order="any")


def _write_shortest(compiled: CompiledGrammar) -> None:
    """Write the shortest document as a request would, so that everything a request calls gets compiled."""
    from tokamask.grammar.arena import grown, new_arena
    from tokamask.masking.bitmask import allocate_bitmask

    bitmask = allocate_bitmask(1, compiled.vocabulary.size)
    matcher = compiled.matcher()
    for token in matcher.shortest_completion():
        matcher.fill_bitmask(bitmask, 0)
        matcher.fill_bitmask(bitmask, 0, tokens_left=matcher.min_tokens_left())
        matcher.forced_tokens()
        matcher.accept_token(token)
    matcher.rollback(1)
    matcher.is_accepting  # noqa: B018 (asking compiles the kernel that answers)
    grown(new_arena(), 0)  # as an engine does once a document is long
