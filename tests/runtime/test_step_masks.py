"""Masks of a step with and without rows on a device. The device is the CPU, treated as if it were another."""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from tests.runtime.drafters import always_drafting
from tests.runtime.test_speculation import SCHEMA, check_equal, finish
from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tests.strategies import GROWING, random_vocabulary
from tokamask.errors import RollbackTooFar
from tokamask.grammar.grammar import Grammar
from tokamask.masking.bitmask import allocate_bitmask, bitmask_words
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.infilling_graph import shared_graph
from tokamask.masking.infilling_middle import Middle, MiddleMatcher
from tokamask.masking.matcher import Matcher
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime import step_masks
from tokamask.runtime.decode import Request
from tokamask.runtime.device_rows import DeviceRows
from tokamask.runtime.model_loader import load_model, shared_compiler
from tokamask.runtime.prompts import Prompt
from tokamask.runtime.sampling import Sampling
from tokamask.runtime.speculation import Speculation
from tokamask.runtime.step_masks import StepMasks, unpack_bitmask

CPU = torch.device("cpu")


class Tables:
    """Puts rows on a device under all masks made from now on.

    Attributes:
        made: one table for each of them.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[DeviceRows] = []
        self._monkeypatch = monkeypatch

    def of(self, most_rows: int) -> None:
        def device_rows(size: int, device: torch.device) -> DeviceRows:
            self.made.append(DeviceRows(size, device, most_bytes=most_rows * 4 * bitmask_words(size)))
            return self.made[-1]

        self._monkeypatch.setattr(step_masks, "device_rows", device_rows)


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Tables:
    return Tables(monkeypatch)


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """With a token for every byte: only then some number of tokens is known to be enough without a search."""
    texts = [text for _, samples in GROWING.values() for text in samples]
    pieces = random_vocabulary(random.Random(8), texts, 150).token_bytes
    return Vocabulary([*(bytes([byte]) for byte in range(256)), *pieces], [3])


def row_of(matcher: Matcher, tokens_left: int | None) -> bytes:
    bitmask = allocate_bitmask(1, matcher.compiled.vocabulary.size)
    matcher.fill_bitmask(bitmask, 0, tokens_left)
    return bitmask.tobytes()


def bits(row: bytes, size: int) -> list[bool]:
    unpacked: list[int] = np.unpackbits(np.frombuffer(row, dtype=np.uint8), bitorder="little")[:size].tolist()
    return [bool(bit) for bit in unpacked]


def step(matcher: Matcher, generator: random.Random) -> Matcher:
    """The matcher or a fork of it, a token further, or some back, or at the beginning."""
    way = generator.random()
    if way < 0.15:
        matcher = matcher.fork()
    if way > 0.97:
        matcher.reset()
    elif way > 0.85:
        with contextlib.suppress(RollbackTooFar):
            matcher.rollback(generator.randrange(1, 4))
    else:
        allowed = [token for token in range(matcher.compiled.vocabulary.size) if matcher.is_allowed(token)]
        if allowed:
            matcher.accept_token(generator.choice(allowed))
    return matcher


def places_on_walks(vocabulary: Vocabulary, steps: int) -> Iterator[list[tuple[Matcher, int | None]]]:
    """Steps of a batch: matchers of several grammars, with and without thoughts, and what each has left.

    Engines are given up in between, so that their configurations' numbers come again with another meaning.
    """
    generator = random.Random(3)
    grammars = [GROWING[name][0]() for name in ("anything", "strings", "exact length", "open object in order")]
    compiler = GrammarCompiler(vocabulary, None)
    compiled = [compiler.compile(grammar) for grammar in grammars]
    special = next(token for token, text in enumerate(vocabulary.token_bytes) if text is None)
    batch = [one.matcher() for one in compiled] + [compiled[0].matcher([5, 3]), compiled[1].matcher([], special)]
    for _ in range(steps):
        batch = [step(matcher, generator) for matcher in batch]
        if generator.random() < 0.15:
            shaken = generator.choice(compiled)
            shaken.give_up(shaken.engine)
        chosen = generator.sample(batch, generator.randrange(1, len(batch) + 1))
        yield [
            (matcher, generator.choice([None, 200, matcher.min_tokens_left() + generator.randrange(4)]))
            for matcher in chosen
        ]


@pytest.mark.parametrize("most_rows", [0, 6, 7, 500])
def test_masks_on_a_device_are_those_of_the_bitmask(most_rows: int, vocabulary: Vocabulary, tables: Tables) -> None:
    tables.of(most_rows)
    masks = StepMasks(8, vocabulary.size, CPU)
    generator = random.Random(most_rows)
    rows = 0
    for batch in places_on_walks(vocabulary, 100):
        expected: dict[int, list[bool]] = {}
        for place, (matcher, tokens_left) in zip(generator.sample(range(8), len(batch)), batch, strict=True):
            masks.fill(place, matcher, tokens_left)
            expected[place] = bits(row_of(matcher, tokens_left), vocabulary.size)
        free = generator.choice([place for place in range(8) if place not in expected])
        masks.free(free)
        expected[free] = [True] * vocabulary.size
        written = generator.choice([place for place in range(8) if place != free])
        if generator.random() < 0.3:
            expected[written] = [generator.random() < 0.5 for _ in range(vocabulary.size)]
            masks.write(written, np.array(expected[written]))
        rows += len(expected)
        assert masks.allowed(list(expected)).tolist() == list(expected.values())
    row_bytes = 4 * bitmask_words(vocabulary.size)
    (table,) = tables.made
    if most_rows == 500:
        assert table.bytes_copied < 0.7 * rows * row_bytes
    if most_rows == 0:
        assert table.bytes_copied == rows * row_bytes


def test_equal_names_are_equal_masks(vocabulary: Vocabulary) -> None:
    """And most masks have one; none does where the tokens left forbid something."""
    named: dict[Hashable, bytes] = {}
    count: dict[bool, int] = defaultdict(int)
    for batch in places_on_walks(vocabulary, 200):
        for matcher, tokens_left in batch:
            row = row_of(matcher, tokens_left)
            name = matcher.mask_name(tokens_left)
            count[name is not None] += 1
            if name is not None:
                assert named.setdefault(name, row) == row
                assert row_of(matcher, None) == row
    assert len(set(named.values())) < len(named) < count[True]
    assert count[True] > count[False] > 100


def test_a_budgeted_mask_has_no_name_before_it_was_filled(vocabulary: Vocabulary) -> None:
    """It takes the mask to know whether so many tokens are enough."""
    compiled = GrammarCompiler(vocabulary, None).compile(GROWING["anything"][0]())
    first, second = compiled.matcher(), compiled.matcher()
    assert first.mask_name(200) is None
    assert first.mask_name() is not None
    row_of(first, 200)
    assert first.mask_name(200) == second.mask_name(200) == first.mask_name()
    assert first.mask_name(first.min_tokens_left()) is None
    assert compiled.matcher([5]).mask_name() != first.mask_name()


def test_masks_of_middles_have_no_names(vocabulary: Vocabulary) -> None:
    """They look like any grammar's, but depend on what is left in every place."""
    graph = shared_graph(GrammarCompiler(vocabulary, None).compile(GROWING["exact length"][0]()))
    matcher = MiddleMatcher(Middle(graph, b'"', b'"', 6, vocabulary.stop_token_ids))
    assert row_of(matcher, 3) != row_of(matcher, 6)
    assert matcher.mask_name(6) is None
    assert matcher.mask_name() is None


def test_new_places_have_no_names(vocabulary: Vocabulary, tables: Tables) -> None:
    tables.of(4)
    masks = StepMasks(1, vocabulary.size, CPU)
    matcher = GrammarCompiler(vocabulary, None).compile(GROWING["anything"][0]()).matcher()
    masks.fill(0, matcher, None)
    masks.allowed([0])
    masks.provide(1)
    assert masks.allowed([0]).all()


@pytest.mark.parametrize("most_rows", [1, 3, 400])
@pytest.mark.parametrize("speculation", [None, always_drafting()], ids=["plain", "drafts"])
def test_decoding_with_rows_on_the_device_writes_the_same(
    most_rows: int, speculation: Speculation | None, tables: Tables
) -> None:
    """Rows of two grammars and free ones; some begin inside a token."""
    model = load_model(tiny_llama(), tiny_tokenizer())
    compiler = shared_compiler(model)
    schema, pattern = Grammar.from_json_schema(SCHEMA), Grammar.from_regex("(whale|sea|boat)( and (the )?[a-z]{1,9})*")

    def requests() -> list[Request]:
        grammars: list[Any] = [schema, pattern, None, schema, pattern]
        return [
            Request(
                prompt=Prompt(tuple(model.encode_text("the sea")), lost=b" th" if number == 4 else b""),
                vocabulary=model.vocabulary,
                matcher=None if grammar is None else compiler.compile(grammar).matcher(),
                max_tokens=30 + number,
                seed=number,
            )
            for number, grammar in enumerate(grammars)
        ]

    plain = finish(model, requests(), Sampling(), speculation)
    tables.of(most_rows)
    rows = finish(model, requests(), Sampling(), speculation)
    check_equal(rows, plain)
    (table,) = tables.made
    if most_rows == 400:
        assert 0 < table.bytes_copied < sum(row.masks for row in rows) * 4 * bitmask_words(model.vocabulary.size)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 100])
def test_unpacked_bits_are_those_of_the_words(size: int) -> None:
    words = np.random.default_rng(size).integers(-(2**31), 2**31, (3, -(-size // 32)), dtype=np.int32)
    expected = [[bool(int(row[i >> 5]) >> (i & 31) & 1) for i in range(size)] for row in words]
    assert unpack_bitmask(words, size).tolist() == expected
