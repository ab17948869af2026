"""Tables of the arena that become full: each grows as what it is, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from tokamask.grammar import arena as arena_module
from tokamask.grammar import recogniser as recogniser_module
from tokamask.grammar.arena import LIST_CAPACITY, LISTS, LISTS_FULL, OVERFLOW, SCRATCH_CAPACITY, grown
from tokamask.grammar.grammar import Grammar
from tokamask.grammar.recogniser import Recogniser

MOST_ITEMS = 60
LENGTHS: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": {"type": "array", "items": {"type": "string"}}, "minItems": n, "maxItems": n}
        for n in range(1, MOST_ITEMS)
    ]
}
"""Behind the bracket an item returns to one place for each length: their union is put together pair by pair, and every
list on the way stays, far more words than one step of so few threads is sure to have room for."""


def followed(recogniser: Recogniser, text: bytes) -> list[tuple[bool, bytes]]:
    """For every beginning of a text, whether it may end there and what may follow."""
    configuration = recogniser.start()
    seen = []
    for byte in text:
        seen.append((recogniser.is_accepting(configuration), recogniser.next_bytes(configuration)))
        configuration = recogniser.move(configuration, byte)
    return [*seen, (recogniser.is_accepting(configuration), recogniser.next_bytes(configuration))]


@pytest.mark.parametrize("words", [1200, 2048])
def test_full_lists_grow_as_lists(words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a full scratch they would make room for threads that there are not, until the grammar counts as ambiguous."""
    program = Grammar.from_json_schema(LENGTHS).program
    text = b'[["a"], ["b", ""], []]'
    roomy = Recogniser(program)
    expected = followed(roomy, text)
    assert expected[-1] == (True, b"")
    overflows = []

    def observed(arena: Any, row_words: int) -> Any:
        overflows.append(int(arena[OVERFLOW]))
        return grown(arena, row_words)

    lay_out = arena_module._lay_out
    with monkeypatch.context() as patch:
        patch.setattr(
            arena_module, "_lay_out", lambda sizes, row_words, rows: lay_out({**sizes, LISTS: words}, row_words, rows)
        )
        cramped = Recogniser(program)
    assert cramped._arena[LIST_CAPACITY] == words
    monkeypatch.setattr(recogniser_module, "grown", observed)
    monkeypatch.setattr(arena_module, "MAXIMUM_SCRATCH", 256)
    assert followed(cramped, text) == expected
    assert LISTS_FULL in overflows
    assert cramped._arena[SCRATCH_CAPACITY] == roomy._arena[SCRATCH_CAPACITY]
