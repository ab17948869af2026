"""vLLM: tokamask as its structured-output backend, or as a logits processor with a budget. See docs/vllm.md.

    plugin.py, outlines_place.py    the backend and a check of requests at the front end, in the place of outlines
    scheduler.py                    the backend alone, by a flag
    backend.py                      constraints compiled for the engine's vocabulary
    request_grammar.py              one request's place in its grammar, as the engine asks about it
    logits_processor.py             without the machinery of structured outputs: documents that end within max_tokens
    constraints.py, vocabulary.py   what a request asks for, as a grammar; the engine's tokens

vLLM loads a plug-in before it is itself ready to be imported, so names are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokamask.integrations.vllm.backend import Backend
    from tokamask.integrations.vllm.logits_processor import GrammarLogitsProcessor
    from tokamask.integrations.vllm.scheduler import Scheduler

__all__ = ["TESTED_VERSIONS", "Backend", "GrammarLogitsProcessor", "Scheduler"]

TESTED_VERSIONS = "0.32"
"""vLLM has no public interface for backends; these are the versions whose inner one this was written and run for."""

_MODULES = {"Backend": "backend", "GrammarLogitsProcessor": "logits_processor", "Scheduler": "scheduler"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    except ImportError as error:
        raise ImportError(f"{name} needs vLLM {TESTED_VERSIONS}, but {_installed()}: {error}") from error


def _installed() -> str:
    from importlib.metadata import packages_distributions, version

    found = packages_distributions().get("vllm", ())  # the package for CPUs has another name
    return f"{found[0]} {version(found[0])} is installed" if found else "vLLM is not installed"
