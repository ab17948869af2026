"""A `Model` without torch layers whose logits are a fixed random function of the last two tokens.

Its numbers do not depend on how many tokens are read at once, so what is written with and without drafts must be equal
to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from tokamask.masking.vocabulary import Vocabulary

PIECES = ["a", "b", "c", "ab", "bc", "abc", "x", "y", "xy", "(", ")", "()", " ", "é", "0", "1", "10", "the", "then"]
PIECES += ["th", "e", "t", "h", "n"]
STOP = len(PIECES)


def _encode(data: bytes) -> list[int]:
    """The longest piece first."""
    ids, text = [], data.decode()
    while text:
        piece = max((piece for piece in PIECES if text.startswith(piece)), key=len, default=None)
        if piece is None:
            return []
        ids.append(PIECES.index(piece))
        text = text[len(piece) :]
    return ids


PIECE_VOCABULARY = Vocabulary([*(piece.encode() for piece in PIECES), None], stop_token_ids=[STOP], encode=_encode)


class BigramModel:
    """Logits are normal numbers times `spread`, a table (V, V, V) by the last two tokens.

    Args:
        poison: a token behind which all logits are NaN, the row's prompt excepted; None: no such token.
    """

    def __init__(
        self, vocabulary: Vocabulary = PIECE_VOCABULARY, seed: int = 0, spread: float = 2.0, poison: int | None = None
    ) -> None:
        size = vocabulary.size
        randomness = torch.Generator().manual_seed(seed)
        self.table = spread * torch.randn(size, size, size, dtype=torch.float64, generator=randomness)
        if poison is not None:
            self.table[:, poison] = float("nan")
        self.vocabulary = vocabulary
        self.context_length = None
        self.passes: list[tuple[int, int]] = []  # of every forward pass: rows, tokens of the longest

    def encode_text(self, text: str) -> list[int]:
        return self.vocabulary.encode(text.encode()) or [0]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        return self.encode_text("".join(message["content"] for message in messages))

    def new_context(self) -> BigramContext:
        return BigramContext(self)


class BigramContext:
    can_crop = True

    def __init__(self, model: BigramModel) -> None:
        self.model = model
        self.rows: list[list[int]] = []

    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        logits = self.extend_all(tokens)
        ends = torch.tensor([len(row) for row in tokens]).cumsum(dim=0) - 1
        return logits[ends]

    def extend_all(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        self.rows = self.rows or [[] for _ in tokens]
        self.model.passes.append((len(tokens), max(map(len, tokens))))
        logits = []
        for row, new in zip(self.rows, tokens, strict=True):
            assert new, "every row reads something"
            for token in new:
                assert 0 <= token < self.model.vocabulary.size
                row.append(token)
                before = row[-2] if len(row) > 1 else 0
                logits.append(self.model.table[before, token])
        return torch.stack(logits)

    def crop(self, counts: Sequence[int]) -> None:
        for row, count in zip(self.rows, counts, strict=True):
            assert 0 <= count < len(row)
            del row[len(row) - count :]

    def select(self, rows: Sequence[int]) -> None:
        self.rows = [list(self.rows[row]) for row in rows]
