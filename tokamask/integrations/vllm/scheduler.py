"""The scheduler that brings the backend: `--scheduler-cls tokamask.integrations.vllm.Scheduler`.

vLLM's manager of structured outputs makes a backend when the first request needs one, and only if it has none yet.
"""

from __future__ import annotations

from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler

from tokamask.integrations.vllm.backend import Backend

__all__ = ["Scheduler"]


class Scheduler(AsyncScheduler):  # type: ignore[misc]  # vLLM need not be installed
    """vLLM's own scheduler; structured outputs are tokamask's, made ready before the first request."""

    def __init__(self, vllm_config: Any, *arguments: Any, structured_output_manager: Any, **options: Any) -> None:
        super().__init__(vllm_config, *arguments, structured_output_manager=structured_output_manager, **options)
        model = vllm_config.model_config
        if not model.skip_tokenizer_init:  # otherwise vLLM refuses structured outputs itself
            tokenizer = structured_output_manager.tokenizer
            structured_output_manager.backend = Backend(vllm_config, tokenizer, model.get_vocab_size())
