"""What generation asks of a language model: two small protocols that any host can implement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from tokamask.masking.vocabulary import Vocabulary

__all__ = ["Context", "CroppableContext", "Message", "Model"]

Message = Mapping[str, Any]
"""A chat message as transformers' templates take it: {"role": "user", "content": "..."}."""


class Context(Protocol):
    """What a model has read: rows of tokens, of any lengths, with their keys and values."""

    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read at least one more token in every row.

        The first call opens the rows; later calls bring as many rows as there are.

        Returns:
            float (rows, V): the logits after the last token of each row. The caller may overwrite them.
        """
        ...

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order. A row that is named twice becomes two rows that share what was read."""
        ...


@runtime_checkable
class CroppableContext(Context, Protocol):
    """A context that can forget the tokens it read last. Speculation needs one; with any other it stays off."""

    @property
    def can_crop(self) -> bool:
        """Whether `crop` leaves no trace with this model; asked after the first `extend`."""
        ...

    def extend_all(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """`extend`, with the logits after every token instead of the last ones.

        Returns:
            float (sum of the lengths, V): the logits after each token, row by row. The caller may overwrite them.
        """
        ...

    def crop(self, counts: Sequence[int]) -> None:
        """Forget the last `counts[row]` tokens of every row, as if they had never been read.

        A row keeps at least one token.
        """
        ...


@runtime_checkable
class Model(Protocol):
    """A causal language model together with its vocabulary.

    Attributes:
        vocabulary: its size is the width of the logits; its stop tokens end a generation.
        context_length: how many tokens a row can hold, prompt included; None without a limit.
    """

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def context_length(self) -> int | None: ...

    def encode_text(self, text: str) -> list[int]:
        """The prompt's tokens, with whatever the model expects before a text; never empty."""
        ...

    def encode_chat(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation up to where the assistant writes."""
        ...

    def new_context(self) -> Context:
        """A context that has read nothing."""
        ...
