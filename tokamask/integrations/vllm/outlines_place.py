"""What vLLM finds where it looks for its module `backend_outlines`, once `plugin.register` has put this there."""

from __future__ import annotations

from typing import Any

from tokamask.errors import GrammarError, UnsupportedFeature

__all__ = ["OutlinesBackend", "validate_structured_output_request_outlines"]  # noqa: F822  the first is loaded below


def __getattr__(name: str) -> Any:
    # The engine's process asks for it; the front end, which only checks requests, never loads an engine.
    if name == "OutlinesBackend":
        from tokamask.integrations.vllm.backend import Backend

        return Backend
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def validate_structured_output_request_outlines(params: Any) -> None:
    """Compile a request's constraint as far as that needs no vocabulary.

    Args:
        params: vLLM's SamplingParams.

    Raises:
        VLLMValidationError: it cannot be compiled, or an option would have to be ignored. Over HTTP: status 400.
    """
    from vllm.exceptions import VLLMValidationError
    from vllm.v1.structured_output.request import get_structured_output_key

    # Not above: vLLM's workers load this module too, and then look into every module that is loaded, which numba's
    # do not bear.
    from tokamask.integrations.vllm.constraints import read_structured_output

    wanted = params.structured_outputs
    if wanted is None:
        return
    try:
        _check_options(wanted)
        kind, text = get_structured_output_key(wanted)
        read_structured_output(kind.name, text)
    except (GrammarError, TypeError) as error:  # TypeError: a schema that is no JSON
        raise VLLMValidationError(str(error), parameter="structured_outputs") from error


def _check_options(wanted: Any) -> None:
    """Backends are not shown these options of a request, so that they cannot follow them."""
    for name in ("disable_any_whitespace", "disable_additional_properties", "whitespace_pattern"):
        if getattr(wanted, name):
            raise UnsupportedFeature(
                f"tokamask cannot follow the option {name!r} of a request: leave it out, and say in the schema which "
                "values are allowed"
            )
