"""A real model's law on a small language, measured once and replayed: exact answers by enumeration, without weights.

`python -m tests.runtime.tabulated_model > tests/cases/binary_strings.json` makes the table again (it fetches the demo
model): 39 prefixes of the 17 documents of `binary_len_5_new.ebnf`, a skewed grammar that was made to show how masked
sampling distorts a model's law. The demo model has one token per digit and none of several, so every document has
exactly one spelling; with another vocabulary each spelling would be a document of its own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.model import Model
from tokamask.runtime.model_loader import load_model

TABLE = Path("tests/cases/binary_strings.json")
ABOUT = (
    "SmolLM2-135M-Instruct (float32, dequantised from Q4_1): log-probabilities after the prompt (a user's message in "
    "the chat template) and each prefix of a document; 'stop' is the stop token, 'other' all remaining tokens. Made by "
    "tests/runtime/tabulated_model.py"
)
PROMPT = [{"role": "user", "content": "Generate a binary string of length 5"}]
DOCUMENTS = (
    "10111", "10001", "10010", "11001", "10011", "11110", "10101", "11111", "11101",
    "00100", "11100", "11010", "10110", "00010", "11011", "10100", "11000",
)

ZERO, ONE, STOP, OTHER = range(4)
DIGITS = Vocabulary([b"0", b"1", None, b"x"], stop_token_ids=[STOP])
NAMES = {"0": ZERO, "1": ONE, "stop": STOP, "other": OTHER}

Table = Mapping[str, Mapping[str, float]]
"""Prefix -> name of an outcome -> its log-probability."""


class TabulatedModel:
    """A `Model` that has the table's law after a prompt of one token.

    Args:
        table: over digits.
        vocabulary, ids: where the outcomes of the table stand in a vocabulary; by default one of four tokens.
    """

    def __init__(self, table: Table, vocabulary: Vocabulary = DIGITS, ids: Mapping[str, int] = NAMES) -> None:
        self.table = table
        self.vocabulary = vocabulary
        self.ids = ids
        self.context_length = None
        self.forward_passes = 0

    def encode_text(self, text: str) -> list[int]:
        return [self.ids["other"]]

    def encode_chat(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        return [self.ids["other"]]

    def new_context(self) -> TabulatedContext:
        return TabulatedContext(self)


class TabulatedContext:
    def __init__(self, model: TabulatedModel) -> None:
        self.model = model
        self.rows: list[list[int]] = []

    def extend(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        if self.rows:
            for row, new in zip(self.rows, tokens, strict=True):
                row.extend(new)
        else:
            self.rows = [list(row) for row in tokens]
        self.model.forward_passes += 1
        logits = torch.full((len(self.rows), self.model.vocabulary.size), -math.inf, dtype=torch.float64)
        names = {token: name for name, token in self.model.ids.items()}
        for index, row in enumerate(self.rows):
            for name, log_prob in self.model.table["".join(names[token] for token in row[1:])].items():
                logits[index, self.model.ids[name]] = log_prob
        return logits

    def select(self, rows: Sequence[int]) -> None:
        self.rows = [list(self.rows[row]) for row in rows]


def read_table() -> Table:
    table: Table = json.loads(TABLE.read_text())["log_probs"]
    return table


def document_law(table: Table) -> dict[str, float]:
    """Document -> the log of the probability that the model writes it and stops."""
    return {
        text: sum(table[text[:place]][text[place]] for place in range(len(text))) + table[text]["stop"]
        for text in DOCUMENTS
    }


def measure(model: Model, prefix: str) -> dict[str, float]:
    """One entry of the table."""
    spelling = {token_bytes: token for token, token_bytes in enumerate(model.vocabulary.token_bytes)}
    zero, one = spelling[b"0"], spelling[b"1"]
    (stop,) = model.vocabulary.stop_token_ids
    digits = [zero if digit == "0" else one for digit in prefix]
    logits = model.new_context().extend([[*model.encode_chat(PROMPT), *digits]])[0]
    log_probs = logits.double().log_softmax(dim=-1)
    named = {"0": zero, "1": one, "stop": stop}
    entry = {name: float(log_probs[token]) for name, token in named.items()}
    log_probs[list(named.values())] = -math.inf
    entry["other"] = float(log_probs.logsumexp(dim=-1))
    return entry


def main() -> None:
    from tokamask.runtime.demo import load_demo

    model = load_model(*load_demo())
    prefixes = sorted({text[:length] for text in DOCUMENTS for length in range(len(text) + 1)})
    log_probs = {prefix: measure(model, prefix) for prefix in prefixes}
    print(json.dumps({"about": ABOUT, "prompt": PROMPT, "log_probs": log_probs}, indent=1))


if __name__ == "__main__":
    main()
