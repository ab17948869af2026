"""The tokens that go on writing a name, against a look at every token."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tokamask.masking.bitmask import unpack_row
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.monitors.name_masks import RECENT, NameMasks

LETTERS = st.sampled_from([b"a", b"b", b"_", b"1", b"Z", "é".encode()])
NAMES = st.frozensets(st.lists(LETTERS, min_size=1, max_size=4).map(b"".join), min_size=1, max_size=6)
BYTES = st.sampled_from([b"a", b"b", b"_", b"1", b"Z", b"\xc3", b"\xa9", b".", b"(", b" ", b"\x7f", b"`", b"@", b"\0"])
TOKENS = st.lists(st.none() | st.lists(BYTES, min_size=1, max_size=6).map(b"".join), min_size=1, max_size=40)
IDENTIFIER = re.compile(rb"[A-Za-z0-9_\x80-\xff]*")


@given(TOKENS, NAMES, st.data())
def test_against_every_token(tokens: list[bytes | None], names: frozenset[bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(names)))
    written = name[: data.draw(st.integers(0, len(name)))]
    found = NameMasks(Vocabulary(tokens, [])).continuations(names, written)
    assert found.row.dtype == np.int32
    allowed = unpack_row(found.row, len(tokens))
    for token, text in enumerate(tokens):
        if text is None:
            assert not allowed[token]
            continue
        match = IDENTIFIER.match(text)
        assert match is not None
        is_inside = match.end() == len(text)
        spelled = written + match[0]
        assert allowed[token] == (any(one.startswith(spelled) for one in names) if is_inside else spelled in names)
        assert (token in found.beyond) == bool(allowed[token] and not is_inside and b"." in text[match.end() : -1])


def test_rows_are_shared_and_read_only() -> None:
    masks = NameMasks(Vocabulary([b"a", b"b"], []))
    row = masks.continuations(frozenset({b"ab"}), b"a").row
    assert masks.continuations(frozenset({b"ab"}), b"a").row is row
    assert not row.flags.writeable
    for number in range(RECENT):
        masks.continuations(frozenset({b"%d" % number}), b"")
    again = masks.continuations(frozenset({b"ab"}), b"a").row
    assert again is not row, "what is remembered has an end"
    assert (again == row).all()
