"""Structured generation: a language model's output confined to a JSON Schema, a regular expression or a grammar.

    from tokamask import generate
    book = generate("demo", "Describe Moby Dick.", schema=Book).value

Every public name is here; what is not here may change. Importing the package loads neither torch nor numba: a name is
loaded from its room when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from tokamask.errors import (
    BudgetTooSmall,
    CheckerError,
    CompileBudgetExceeded,
    GenerationInterrupted,
    GrammarError,
    GrammarSyntaxError,
    InvalidLogits,
    MatcherError,
    MatcherTerminated,
    ModelError,
    RollbackTooFar,
    TokamaskError,
    TokenRejected,
    UnsatisfiableSchema,
    UnsupportedFeature,
    VocabularyMismatch,
)

if TYPE_CHECKING:
    __version__: str

    from tokamask.grammar.budget import Budget
    from tokamask.grammar.grammar import CheckResult, Grammar, KeywordReport, KeywordStatus
    from tokamask.masking.bitmask import allocate_bitmask, fill_bitmasks
    from tokamask.masking.compiler import CompiledGrammar, GrammarCompiler
    from tokamask.masking.infilling_canvas import Mask
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary
    from tokamask.runtime.checkers.checker import Checker
    from tokamask.runtime.checkers.grammar_checker import GrammarChecker
    from tokamask.runtime.checkers.predicates import DocumentPredicate, PrefixPredicate
    from tokamask.runtime.checkers.substring import SubstringOf
    from tokamask.runtime.demo import load_demo
    from tokamask.runtime.diffusion import Infilled, diffuse
    from tokamask.runtime.diffusion_policies import by_entropy, by_schedule, by_threshold
    from tokamask.runtime.generate import generate, stream
    from tokamask.runtime.infill import infill
    from tokamask.runtime.monitors.python_dereferences import PythonDereferences
    from tokamask.runtime.results import Generation, Partial, Samples, Stream
    from tokamask.runtime.sampling import Sampling
    from tokamask.runtime.speculation import Speculation

__all__ = [
    "Budget",
    "BudgetTooSmall",
    "CheckResult",
    "Checker",
    "CheckerError",
    "CompileBudgetExceeded",
    "CompiledGrammar",
    "DocumentPredicate",
    "Generation",
    "GenerationInterrupted",
    "Grammar",
    "GrammarChecker",
    "GrammarCompiler",
    "GrammarError",
    "GrammarSyntaxError",
    "Infilled",
    "InvalidLogits",
    "KeywordReport",
    "KeywordStatus",
    "Mask",
    "Matcher",
    "MatcherError",
    "MatcherTerminated",
    "ModelError",
    "Partial",
    "PrefixPredicate",
    "PythonDereferences",
    "RollbackTooFar",
    "Samples",
    "Sampling",
    "Speculation",
    "Stream",
    "SubstringOf",
    "TokamaskError",
    "TokenRejected",
    "UnsatisfiableSchema",
    "UnsupportedFeature",
    "Vocabulary",
    "VocabularyMismatch",
    "allocate_bitmask",
    "by_entropy",
    "by_schedule",
    "by_threshold",
    "diffuse",
    "fill_bitmasks",
    "generate",
    "infill",
    "load_demo",
    "stream",
]

# Where each name that is loaded on first use lives; the same as the imports above, which only type checkers read.
_HOMES = {
    "Budget": "tokamask.grammar.budget",
    "CheckResult": "tokamask.grammar.grammar",
    "Checker": "tokamask.runtime.checkers.checker",
    "CompiledGrammar": "tokamask.masking.compiler",
    "DocumentPredicate": "tokamask.runtime.checkers.predicates",
    "Generation": "tokamask.runtime.results",
    "Grammar": "tokamask.grammar.grammar",
    "GrammarChecker": "tokamask.runtime.checkers.grammar_checker",
    "GrammarCompiler": "tokamask.masking.compiler",
    "Infilled": "tokamask.runtime.diffusion",
    "KeywordReport": "tokamask.grammar.grammar",
    "KeywordStatus": "tokamask.grammar.grammar",
    "Mask": "tokamask.masking.infilling_canvas",
    "Matcher": "tokamask.masking.matcher",
    "Partial": "tokamask.runtime.results",
    "PrefixPredicate": "tokamask.runtime.checkers.predicates",
    "PythonDereferences": "tokamask.runtime.monitors.python_dereferences",
    "Samples": "tokamask.runtime.results",
    "Sampling": "tokamask.runtime.sampling",
    "Speculation": "tokamask.runtime.speculation",
    "Stream": "tokamask.runtime.results",
    "SubstringOf": "tokamask.runtime.checkers.substring",
    "Vocabulary": "tokamask.masking.vocabulary",
    "allocate_bitmask": "tokamask.masking.bitmask",
    "by_entropy": "tokamask.runtime.diffusion_policies",
    "by_schedule": "tokamask.runtime.diffusion_policies",
    "by_threshold": "tokamask.runtime.diffusion_policies",
    "diffuse": "tokamask.runtime.diffusion",
    "fill_bitmasks": "tokamask.masking.bitmask",
    "generate": "tokamask.runtime.generate",
    "infill": "tokamask.runtime.infill",
    "load_demo": "tokamask.runtime.demo",
    "stream": "tokamask.runtime.generate",
}


def __getattr__(name: str) -> object:
    """Load a public name from its room on first use (PEP 562); `__version__` is that of the installed package."""
    value: object
    if name == "__version__":
        from importlib.metadata import version

        value = version("tokamask")
    elif name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'tokamask' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
