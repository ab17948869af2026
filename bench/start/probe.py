"""The start of one engine, stage by stage, in the process that runs this: `python -m bench.start.probe`.

Nothing is imported here that a stage would import: what is loaded already would cost it nothing.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["HOST", "STARTS", "Stage"]

HOST = "tokenizer (the host's own)"
"""The stage that every host of an engine pays anyway: it is shown, and not counted."""

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "authors": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "year": {"type": "integer", "minimum": 1450},
            "language": {"enum": ["en", "fr", "de", "other"]},
        },
        "required": ["title", "authors"],
        "additionalProperties": False,
    }
)

Stage = tuple[str, float, float]
"""What was done, for how many ms, and how many MiB the process held then (0 where the system does not tell)."""


class Stages:
    """The stages so far; the first is what passed before this file ran.

    Args:
        begun_ns: when the process was asked for, by `time.monotonic_ns`, which all processes share.
    """

    def __init__(self, begun_ns: int) -> None:
        self.done: list[Stage] = []
        self._add("interpreter", begun_ns)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begun_ns = time.monotonic_ns()
        yield
        self._add(name, begun_ns)

    def _add(self, name: str, begun_ns: int) -> None:
        milliseconds = (time.monotonic_ns() - begun_ns) * 1e-6
        self.done.append((name, milliseconds, _resident_memory()))


def start_tokamask(stages: Stages, vocabulary_name: str) -> None:
    """As README.md shows for engines; what is loaded lazily is drawn out of the first schema by lesser grammars."""
    stage = stages.stage
    with stage("import numpy"):
        import numpy  # noqa: F401
    with stage("import numba"):
        import numba  # noqa: F401
    with stage("import tokamask"):
        from tokamask import Grammar, GrammarCompiler, allocate_bitmask
    with stage(HOST):
        from bench.vocabularies import load_vocabulary

        named = load_vocabulary(vocabulary_name)
    with stage("vocabulary read"):
        vocabulary = named.vocabulary
    with stage("tables of the vocabulary mapped"):
        compiler = GrammarCompiler(vocabulary)
    with stage("kernels loaded (a grammar of one word)"):
        compiler.compile(Grammar.from_choices(["word"]))
    with stage("reader of schemas loaded (the schema true)"):
        compiler.compile(Grammar.from_json_schema(True))
    with stage("schema compiled"):
        compiled = compiler.compile(Grammar.from_json_schema(SCHEMA))
    with stage("first mask"):
        bitmask = allocate_bitmask(1, vocabulary.size)
        compiled.matcher().fill_bitmask(bitmask, 0)
    assert bitmask.any(), "some token begins a document"


def start_llguidance(stages: Stages, vocabulary_name: str) -> None:
    """The same with llguidance's own calls."""
    stage = stages.stage
    with stage("import numpy"):
        import numpy
    with stage("import llguidance"):
        from llguidance import LLMatcher
    with stage(HOST):
        from bench.llguidance_tokenizer import llguidance_tokenizer
        from bench.vocabularies import load_vocabulary

        named = load_vocabulary(vocabulary_name)
    with stage("vocabulary read"):
        tokenizer = llguidance_tokenizer(named)
    with stage("schema compiled"):
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_json_schema(SCHEMA), log_level=0)
    with stage("first mask"):
        row = numpy.zeros((named.size + 31) // 32, dtype=numpy.int32)
        matcher.unsafe_compute_mask_ptr(row.ctypes.data, row.nbytes)
    assert row.any(), "some token begins a document"


STARTS = {"tokamask": start_tokamask, "llguidance": start_llguidance}


def _resident_memory() -> float:
    """MiB of main memory that this process holds now, pages of mapped files among them; 0 where nobody tells."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20 if statm.exists() else 0.0


def main() -> None:
    engine, vocabulary_name, begun_ns = sys.argv[1:]
    stages = Stages(int(begun_ns))
    STARTS[engine](stages, vocabulary_name)
    from bench.machine import peak_memory

    json.dump({"stages": stages.done, "peak_kib": peak_memory()}, sys.stdout)


if __name__ == "__main__":
    main()
