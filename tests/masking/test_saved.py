"""Files of compiled grammars: whatever happened to one, it is noticed."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.strategies import byte_vocabulary
from tokamask.errors import VocabularyMismatch
from tokamask.grammar.grammar import Grammar
from tokamask.masking import saved
from tokamask.masking.compiler import GrammarCompiler


@pytest.fixture
def compiler(tmp_path: Path) -> GrammarCompiler:
    return GrammarCompiler(byte_vocabulary(), tmp_path / "cache")


@pytest.fixture
def path(compiler: GrammarCompiler, tmp_path: Path) -> Path:
    place = tmp_path / "number.compiled"
    compiled = compiler.compile(Grammar.from_regex("[0-9]{1,4}"))
    compiled.matcher().accept_bytes(b"12")
    compiled.save(place)
    return place


def test_any_flipped_byte_is_noticed(compiler: GrammarCompiler, path: Path) -> None:
    data = bytearray(path.read_bytes())
    header = data.index(b"\n", data.index(b"\n") + 1) + 1
    generator = random.Random(1)
    anywhere = [generator.randrange(len(data)) for _ in range(150)]
    for place in [*range(header + 40), *anywhere, len(data) - 1]:
        kept = data[place]
        data[place] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        with pytest.raises(VocabularyMismatch):
            compiler.load(path)
        data[place] = kept
    path.write_bytes(data)
    assert compiler.load(path).matcher().is_allowed(ord("7"))


def test_any_other_length_is_noticed(compiler: GrammarCompiler, path: Path) -> None:
    data = path.read_bytes()
    generator = random.Random(2)
    for length in [*range(0, 150, 7), *(generator.randrange(len(data)) for _ in range(50)), len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(VocabularyMismatch):
            compiler.load(path)
    path.write_bytes(data + b"\0")
    with pytest.raises(VocabularyMismatch, match="damaged"):
        compiler.load(path)


def test_foreign_files(compiler: GrammarCompiler, tmp_path: Path) -> None:
    for data in (b"", b"PK\x03\x04" + bytes(100), saved.MAGIC, saved.MAGIC + b"\n", saved.MAGIC + b"x" * 5_000):
        path = tmp_path / "foreign"
        path.write_bytes(data)
        with pytest.raises(VocabularyMismatch, match=r"foreign is (not a saved|damaged)"):
            compiler.load(path)
    with pytest.raises(VocabularyMismatch, match="not a saved"):
        compiler.load(tmp_path)


def test_other_versions(compiler: GrammarCompiler, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "_LAYOUT", b"0" * 32)
    with pytest.raises(VocabularyMismatch, match="another version"):
        compiler.load(path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    compiler: GrammarCompiler, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        compiler.compile(Grammar.from_regex("b")).save(path)
    assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir() if each.is_file()] == [path.name]
