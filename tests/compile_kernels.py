"""Compile the kernels into the user's cache: `python -m tests.compile_kernels`.

Tests that run in several processes find them there; else each process would compile them for itself.
"""

from __future__ import annotations

from typing import Any, cast

from tokamask.cli.warmup import sample_grammars
from tokamask.grammar.arena import grown, new_arena
from tokamask.masking import engine, infilling_kernels


def main() -> None:
    engine._request_entry()
    grown(new_arena(), 0)
    for grammar in sample_grammars():
        assert grammar.program is not None  # reading and assembling it compiles what works on automata
    for kernel in vars(infilling_kernels).values():
        if hasattr(kernel, "py_func"):
            cast(Any, kernel).compile(None)


if __name__ == "__main__":
    main()
