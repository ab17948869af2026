"""What the measurement of rows on a device says of the bytes that are copied; times are not judged."""

from __future__ import annotations

import pytest
import torch

from bench.device_rows import SCHEMA, default_device, device_in_words, documents, measure
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import bitmask_words
from tokamask.masking.vocabulary import Vocabulary

SIZE = 1000
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """Bytes, and ids without text that make the rows longer."""
    tokens = [bytes([byte]) for byte in range(256)]
    return Vocabulary([*tokens, *[None] * (SIZE - 256)], [999], encode=list)


def test_bytes_of_every_way(vocabulary: Vocabulary) -> None:
    steps, rows = 40, 6
    booleans, bits, kept = measure(vocabulary, rows, steps, CPU)
    assert booleans[1] == f"{rows * SIZE / 1024:.2f}"
    assert bits[1] == f"{rows * 4 * bitmask_words(SIZE) / 1024:.3f}"
    assert rows * 4 / 1024 <= float(kept[2]) <= float(kept[1]) < float(bits[1])


def test_documents_are_those_of_the_schema(vocabulary: Vocabulary) -> None:
    grammar = Grammar.from_json_schema(SCHEMA)
    texts = [bytes(tokens) for tokens in documents(vocabulary, 5, 50)]
    assert len(set(texts)) == 5
    assert all(len(text) >= 100 and grammar.check(text.decode()).ok for text in texts)


def test_the_cpu_is_not_called_a_device() -> None:
    assert "nothing is copied over a bus" in device_in_words(CPU)
    assert torch.device(default_device()).type in ("cuda", "mps", "cpu")
