"""tokamask's memory of regular languages: what it held after the warm-up, to go back to.

A compiler is not all that learns from a schema. The grammar room remembers the automata of patterns, numbers and
enumerations for the whole process (`tokamask.grammar.language.remembered`), so a file would find what others had it
build, in the reading that is called cold. No user needs a handle on that memory, so it has none: this file reaches it
through closures, and refuses to measure when they are not as it knows them.
"""

from __future__ import annotations

import sys
from types import FunctionType

from bench.errors import CannotMeasure

__all__ = ["LanguageMemory"]


class LanguageMemory:
    """What is remembered now."""

    def __init__(self) -> None:
        functions = {
            member
            for name, module in list(sys.modules.items())
            if name.startswith("tokamask.grammar")
            for member in vars(module).values()
            if isinstance(member, FunctionType) and member.__code__.co_name == "remembering"
        }
        closures = [dict(zip(one.__code__.co_freevars, one.__closure__ or (), strict=True)) for one in functions]
        if not closures or not all({"results", "held"} <= closure.keys() for closure in closures):
            raise CannotMeasure("tokamask.grammar.language remembers in another way than bench.engines.language_memory")
        self._kept = [
            (closure, dict(closure["results"].cell_contents), closure["held"].cell_contents) for closure in closures
        ]

    def restore(self) -> None:
        """Forget what came after."""
        for closure, results, held in self._kept:
            closure["results"].cell_contents.clear()
            closure["results"].cell_contents.update(results)
            closure["held"].cell_contents = held
