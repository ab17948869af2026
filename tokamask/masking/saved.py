"""Compiled grammars in files: a line that says what it is, a line of hashes, and arrays in numpy's .npz format.

The first hash is that of the kernels' sources, which give the numbers in the arrays their meaning: a file of another
version is never misread. The others are those of the vocabulary and of what follows; arrays are only looked at once all
three are right.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tokamask.errors import VocabularyMismatch
from tokamask.grammar.jit import ENGINE, source_digest
from tokamask.grammar.program import Program

__all__ = ["Saved", "read_saved", "write_saved"]

MAGIC = b"tokamask compiled grammar\n"
DIGEST_BYTES = 16
_LAYOUT = source_digest(ENGINE).encode()


@dataclass(frozen=True, eq=False)
class Saved:
    """What a file holds.

    Attributes:
        program: of the grammar.
        arena: int32 (n,): what an engine has learned about it.
        is_exact: of the grammar.
    """

    program: Program
    arena: npt.NDArray[np.int32]
    is_exact: bool


def write_saved(path: str | Path, saved: Saved, fingerprint: str) -> None:
    """Write a file for the vocabulary of this fingerprint, whole or not at all."""
    buffer = BytesIO()
    np.savez(
        buffer,
        program=saved.program.words,
        records=saved.program.records,
        start=saved.program.start,
        is_exact=saved.is_exact,
        arena=saved.arena,
    )
    contents = buffer.getbuffer()
    header = MAGIC + b" ".join((_LAYOUT, fingerprint.encode(), _checksum(contents))) + b"\n"
    target = Path(path)
    draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with open(draft, "wb") as file:
            file.write(header)
            file.write(contents)
        os.replace(draft, target)
    finally:
        draft.unlink(missing_ok=True)


def read_saved(path: str | Path, fingerprint: str) -> Saved:
    """Read what was written for the same vocabulary by the same version.

    Raises:
        VocabularyMismatch: it was not, or is damaged, or is no such file.
    """
    try:
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise VocabularyMismatch(f"{path} is not a saved compiled grammar")
            hashes = file.readline(1000).split()
            contents = file.read()
    except OSError as error:
        raise VocabularyMismatch(f"{path} is not a saved compiled grammar: {error}") from error
    if len(hashes) != 3 or hashes[2] != _checksum(contents):
        raise VocabularyMismatch(f"{path} is damaged; compile again")
    if hashes[1] != fingerprint.encode():
        raise VocabularyMismatch(f"{path} belongs to another vocabulary; compile again")
    if hashes[0] != _LAYOUT:
        raise VocabularyMismatch(f"{path} was saved by another version of tokamask; compile again")
    with np.load(BytesIO(contents), allow_pickle=False) as arrays:
        program = Program(arrays["program"], int(arrays["start"]), arrays["records"])
        return Saved(program, arrays["arena"], bool(arrays["is_exact"]))


def _checksum(contents: bytes | memoryview) -> bytes:
    return hashlib.blake2b(contents, digest_size=DIGEST_BYTES).hexdigest().encode()
