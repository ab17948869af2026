"""Programs: one flat int32 array of records that the recogniser interprets, and the layout that the kernels read.

A record's offset is its identity ("pc"). A *thread* of the recogniser is (pc, data, lexeme, escape, return): the
record it stands in, the data of its frame (items counted, position or set of properties), the automaton state of the
lexeme under way, the state inside a string's escape, and the configuration to return to.

Records (first word: the operation):

    END                                          the text is complete
    RETURN                                       go on in the return configuration
    CALL target next                             run `target` in a frame of its own, then `next`
    CHOICE n pc...                               any of these
    LOOP body minimum maximum                    body, counted in the frame's data (maximum -1: no end)
    LEXEME automaton next                        one lexeme, then `next`
    VALUE n pc... values                         a JSON value, dispatched on its first byte; of what is remembered, at
                                                 least how many there are (else 0)
    STRING minimum maximum automaton home lengths unbounded
                                                 inside a JSON string (automaton 0: any text of these lengths), in
                                                 body state `home` between characters. Where an automaton has bounds
                                                 beside it: the block of its remaining lengths, and the STRING record
                                                 without the bounds (else 0)
    ARRAY_OPEN ARRAY_AFTER ARRAY_NEXT ...        after `[`, after an item, after `,`
    ITEMS_OPEN ITEMS_AFTER ITEMS_NEXT ...        the same places of an array that an automaton over items describes
    OBJECT_OPEN OBJECT_KEY OBJECT_COLON ...      after `{`, inside a key, after it, after `:`, after a value, after `,`
    EXITS                                        never in a configuration: names the mask of the tokens that close a
                                                 string in body state `escape` and go on in `return`
    BLANKS                                       likewise: of the tokens of blanks alone that state `lexeme` of the
                                                 whitespace automaton at `data` can read
    NAMED                                        likewise: of the tokens that close a key in body state `escape` and go
                                                 on within its value, the VALUE record at `data`; the automaton at
                                                 `lexeme` reads the blanks around the colon

Arrays and objects occupy one word per place, so that a thread's pc tells where in the record it stands.

The names that an object does not declare are simply strings: where they are not all alike (name classes, counts,
witnesses), the object has *choices*, each a STRING record for the names beside the VALUE of such a property. A key is
then a thread of that record that returns to the place after the key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

END, RETURN, CALL, CHOICE, LOOP, LEXEME = range(6)
VALUE, STRING, ARRAY_OPEN, ARRAY_AFTER, ARRAY_NEXT, ITEMS_OPEN, ITEMS_AFTER, ITEMS_NEXT = range(6, 14)
OBJECT_OPEN, OBJECT_KEY, OBJECT_COLON, OBJECT_VALUE, OBJECT_AFTER, OBJECT_NEXT = range(14, 20)
EXITS, BLANKS, NAMED = 20, 21, 22
LAST_EPSILON = LOOP  # operations up to this one consume no byte

END_PC = 0
RETURN_PC = 1
EXITS_PC = 2
BLANKS_PC = 3
NAMED_PC = 4

# Words of an ARRAY record, from its first word.
(
    ARRAY_WHITESPACE,
    ARRAY_MINIMUM,
    ARRAY_MAXIMUM,
    ARRAY_SATURATION,
    ARRAY_PREFIX_COUNT,
    ARRAY_REST,
    ARRAY_DISTINCT,
    ARRAY_DEARER,
    ARRAY_PREFIX,
) = range(3, 12)
# Words of an ITEMS record; of each of its states: whether the array may end, then pairs (VALUE, state after it), 0.
ITEMS_WHITESPACE, ITEMS_DISTINCT, ITEMS_STATES = 3, 4, 5
# Words of an OBJECT record, from its first word.
(
    OBJECT_WHITESPACE,
    OBJECT_COUNT,
    OBJECT_ADDITIONAL,
    OBJECT_IS_FREE,
    OBJECT_FRAME_WORDS,
    OBJECT_REQUIRED,
    OBJECT_AVAILABLE,
    OBJECT_NAMES,
    OBJECT_NEXT_REQUIRED,
    OBJECT_CHOICES,
    OBJECT_CHOICE_COUNT,
    OBJECT_IS_COUNTED,
    OBJECT_MINIMUM,
    OBJECT_MAXIMUM,
    OBJECT_WITNESSES,
    OBJECT_COVERS,
    OBJECT_HOME,
    OBJECT_REMEMBERS,
    OBJECT_PROPERTIES,
) = range(6, 25)
STRING_HOME, STRING_LENGTHS, STRING_UNBOUNDED, STRING_TEXTS = range(4, 8)  # of a STRING record; the first are above
# Words of a choice: STRING record of the names, VALUE record, witnesses met (a bit each), room for a cost. Where names
# may run out: how many there are, and the word of a frame that counts the unused ones (else 0).
CHOICE_MEETS, CHOICE_COST, CHOICE_NAMES, CHOICE_LEFT, CHOICE_WORDS = range(2, 7)

# Words of an automaton block: sizes, offsets (relative to the block) and the class of each byte.
AUTOMATON_STATES, AUTOMATON_CLASSES, AUTOMATON_ROWS, AUTOMATON_CLASS_START, AUTOMATON_CLASS_BYTES = range(5)
AUTOMATON_CLASS_OF = 5
ACCEPTING, LIVE = 1, 2  # flags in the first word of a state's row: may end here, may go on
# Words of a block of remaining lengths: the largest of the fewest code points to acceptance, whether all states have no
# end to them; then of each state the fewest and the most (-1: no end).
LENGTHS_LONGEST, LENGTHS_ARE_ENDLESS, LENGTHS_OF = range(3)

# Words of a frame, behind its length: required properties still missing, declared ones present, all of them (up to the
# largest number that matters), witnesses still missing; then the declared ones present as bits, or the position among
# them; and the names still unused.
FRAME_MISSING, FRAME_PRESENT, FRAME_TOTAL, FRAME_PENDING, FRAME_HEADER = range(1, 6)
NAME_WORDS = 4  # of a name table entry: start, length, common prefix with the entry before, declared index
DEPTH_BITS = 12  # of a key's place in the name table: an entry, and how many of its bytes were read
# How the items of an array must differ: not at all; with more values for each than there will be items; with few values
# for some, but more for each that must come than there are items before it.
NOT_DISTINCT, PLENTIFUL, SCARCE = range(3)


@dataclass(frozen=True)
class Program:
    """Immutable; `words` int32, `start` the pc to begin with, `records` the pcs of all records (int32, ascending)."""

    words: npt.NDArray[np.int32]
    start: int
    records: npt.NDArray[np.int32]
