"""What every sampling method returns for one sequence, before it is read as a value."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Draw"]


@dataclass(frozen=True)
class Draw:
    """One sequence drawn for a request.

    Attributes:
        token_ids: the tokens, stop token included.
        logprobs: one per token: its log-probability under the model after temperature, before any constraint.
        text: the bytes of the tokens.
        log_weight: the log of the draw's proper importance weight against the method's target; 0 where draws have the
            target's law by themselves, -inf for a draw that counts for nothing.
        evaluations: how many tokens or masks the constraint was asked about.
        forward_passes: calls of the model that this sequence took part in.
        masks: masks that were filled.
        mask_seconds: seconds spent in the constraint.
        wall_seconds: seconds from the beginning of the call to the sequence's end.
        error: why the sequence is rejected; None for one that satisfies the constraint.
        near_ties: see `Stats`.
        log_factor: the log of the factor that checkers put on the text; part of log_weight.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: bytes
    log_weight: float
    evaluations: int
    forward_passes: int
    masks: int
    mask_seconds: float
    wall_seconds: float
    error: str | None = None
    near_ties: int = 0
    log_factor: float = 0.0
