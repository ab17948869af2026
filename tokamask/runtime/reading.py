"""From what was written to the generation that the user gets: its value, its weight, and why it was rejected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tokamask.runtime.constraints import Constraint
from tokamask.runtime.decode import Row, whole_characters
from tokamask.runtime.draw import Draw
from tokamask.runtime.results import FinishReason, Generation, Stats
from tokamask.runtime.sampling import Sampling

if TYPE_CHECKING:
    from tokamask.runtime.call import Call

__all__ = ["partial_value", "read_draw", "read_row"]


def read_row(row: Row, constraint: Constraint | None, sampling: Sampling) -> Generation:
    """A finished row of the decoding loop; only its value can still go wrong."""
    assert row.finish_reason is not None, "rows are read when they are finished"
    text = row.text.decode("utf-8", errors="replace")  # free text may be cut inside a character
    finish_reason, value, error = row.finish_reason, None, None
    log_weight = None if sampling.truncates or constraint is None or constraint.validate else row.log_weight
    if finish_reason is FinishReason.CANCELLED:
        log_weight = None
    else:
        value, error = _value(constraint, text, row.document())
        if error is not None:
            finish_reason = FinishReason.REJECTED
            log_weight = None if log_weight is None else -math.inf
    return Generation(
        value=value,
        text=text,
        token_ids=tuple(row.token_ids),
        logprobs=tuple(row.logprobs),
        finish_reason=finish_reason,
        log_weight=log_weight,
        stats=Stats(
            tokens=len(row.token_ids),
            forward_passes=row.forward_passes,
            masks=row.masks,
            mask_seconds=row.mask_seconds,
            wall_seconds=row.wall_seconds,
            seed=row.request.seed,
            near_ties=row.near_ties,
            attempts=row.request.attempt + 1,
            drafted=row.drafted,
            accepted=row.drafts_accepted,
        ),
        error=error,
    )


def read_draw(draw: Draw, call: Call, place: int) -> Generation:
    """The draw of row `place` of a call.

    A document that its own value refuses weighs nothing, so weights are those of the documents whose values were read.
    """
    task = call.task(place)
    text = draw.text.decode("utf-8", errors="replace")
    log_weight = None if call.sampling.truncates else draw.log_weight
    value, error = None, draw.error
    if error is None:
        value, error = _value(task.constraint, text, _document(draw, call, place))
    if error is not None:
        finish_reason = FinishReason.REJECTED
        log_weight = None if log_weight is None else -math.inf
    elif task.constraint is None and draw.token_ids[-1] not in call.vocabulary.stop_token_ids:
        finish_reason = FinishReason.LENGTH
    else:
        finish_reason = FinishReason.STOP
    return Generation(
        value=value,
        text=text,
        token_ids=draw.token_ids,
        logprobs=draw.logprobs,
        finish_reason=finish_reason,
        log_weight=log_weight,
        stats=Stats(
            tokens=len(draw.token_ids),
            forward_passes=draw.forward_passes,
            masks=draw.masks,
            mask_seconds=draw.mask_seconds,
            wall_seconds=draw.wall_seconds,
            seed=task.seed,
            near_ties=draw.near_ties,
            attempts=1,
        ),
        error=error,
    )


def partial_value(constraint: Constraint | None, text: str, document: str | None) -> Any:
    """What is certain of a value: free text is its own value, and thoughts have none."""
    if constraint is None:
        return text
    return None if document is None else constraint.reader.read_partial(document)


def _value(constraint: Constraint | None, text: str, document: str | None) -> tuple[Any, str | None]:
    """The value of a complete output, and why it has none."""
    if constraint is None:
        return text, None
    try:
        return constraint.value(document or ""), None
    except Exception as refusal:  # validators are the user's code: whatever they raise refuses the document
        return None, f"{type(refusal).__name__}: {refusal}"


def _document(draw: Draw, call: Call, place: int) -> str:
    """The text of a complete draw from where its document begins."""
    marker = None if call.task(place).constraint is None else call.think_until
    if isinstance(marker, bytes):
        start = draw.text.find(marker) + len(marker)
    elif marker is not None:
        # Counted from the end: the first token may be cut by healing.
        behind = draw.token_ids[draw.token_ids.index(marker) + 1 :]
        start = len(draw.text) - sum(len(call.vocabulary.token_bytes[token] or b"") for token in behind)
    else:
        start = 0
    return whole_characters(draw.text[start:])
