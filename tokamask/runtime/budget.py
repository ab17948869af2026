"""Whether a document can still be closed within a number of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tokamask.masking.bitmask import allocate_bitmask

if TYPE_CHECKING:
    from tokamask.masking.matcher import Matcher
    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["can_close"]


def can_close(matcher: Matcher, vocabulary: Vocabulary, tokens_left: int) -> bool:
    """Whether `tokens_left` tokens, stop token included, complete the text.

    Asks the budgeted mask: where the budget is ample that is far cheaper than the exact `min_tokens_left`.
    """
    if not vocabulary.stop_token_ids and matcher.is_accepting:
        return tokens_left >= 0
    bitmask = allocate_bitmask(1, vocabulary.size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    return bool(bitmask.any())
